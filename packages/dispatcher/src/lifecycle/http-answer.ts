import type { ServerResponse } from 'node:http';
import type { InvocationError } from '../outcome/invocation-error.ts';
import type { RawHeaders } from '../runner/payload-reader.ts';
import type { Done, ResponseHead } from '../runner/response-frames.ts';
import { createCopyRing, type CopyRing } from './copy-ring.ts';
import type { Invocation } from './invocation.ts';
import { sendProblem } from './send-problem.ts';
import { serverTiming } from './server-timing.ts';

const SHORT_BODY_BYTES = 8 * 1024;

/** An answer that is longer than this is copied through a ring, so that a long one leaves no memory behind with every part of it. */
const LONG_BODY_BYTES = 256 * 1024;
/** What a worker may send beyond what the client has taken, and what Node and the ring's end take of it. */
const RING_BYTES = 512 * 1024;

/**
 * Writes a function's answer to the client. What arrives together is written together: when the function has finished by then, its account
 * stands in the header, else in the trailers.
 */
export class HttpAnswer {
  readonly #invocation: Invocation;
  readonly #response: ServerResponse;
  readonly #consumed: (bytes: number) => void;
  #head: ResponseHead | undefined;
  /** Valid until `flush`, which follows on every read. */
  #chunks: Buffer[] = [];
  #ring: CopyRing | undefined;
  #chunksBytes = 0;
  #unconfirmedBytes = 0;
  #trailers: RawHeaders | undefined;
  #done: Done | undefined;
  #written = false;
  #closed = false;
  #declaredBytes: number | undefined;
  #accountInTrailers = false;

  constructor(invocation: Invocation, consumed: (bytes: number) => void) {
    this.#invocation = invocation;
    this.#response = invocation.response;
    this.#consumed = consumed;
  }

  /** Whether the client has been sent anything. */
  get started(): boolean {
    return this.#written;
  }

  head(head: ResponseHead): void {
    this.#head = head;
  }

  body(chunk: Buffer): void {
    this.#invocation.responseBytes += chunk.length;
    this.#chunks.push(chunk);
    this.#chunksBytes += chunk.length;
  }

  end(trailers: RawHeaders): void {
    this.#trailers = trailers;
  }

  /** The function has finished and all went well. */
  complete(done: Done): void {
    this.#done = done;
  }

  /** The function, or the platform, failed. */
  fail(failure: InvocationError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    sendProblem(this.#invocation, failure);
  }

  /** Writes what there is. */
  flush(): void {
    if (this.#closed || this.#head === undefined || this.#response.destroyed) return;
    const ended = this.#trailers !== undefined;
    if (!this.#written) this.#writeHead(this.#head, ended);
    if (ended) return this.#finish();
    for (const chunk of this.#takeChunks()) this.#write(chunk);
  }

  #writeHead(head: ResponseHead, ended: boolean): void {
    this.#written = true;
    const { requestId, artifact } = this.#invocation;
    const { headers } = head;
    const declared = findField(headers, 'content-length');
    headers.push('x-playa-request-id', requestId, 'x-playa-version', artifact!.version);
    this.#declaredBytes = declared === undefined ? undefined : Number(declared);
    const hasBody = head.status !== 204 && head.status !== 304 && this.#invocation.request.method !== 'HEAD';
    const chunked = hasBody && declared === undefined && (!ended || this.#trailers!.length > 0);
    if (this.#done !== undefined) {
      headers.push(
        'x-playa-fuel',
        String(this.#done.fuel),
        'server-timing',
        serverTiming(this.#invocation, this.#done),
      );
    } else if (chunked) {
      this.#accountInTrailers = true;
      headers.push('trailer', 'x-playa-fuel, server-timing');
    }
    if (hasBody && declared === undefined && !chunked) headers.push('content-length', String(this.#chunksBytes));
    this.#response.writeHead(head.status, headers);
    if (!ended) this.#response.flushHeaders();
  }

  #write(chunk: Buffer): void {
    if (this.#writeCopy(chunk)) return this.#consumed(chunk.length);
    // The client is slower than the function: credit comes back when it has taken what it was sent.
    this.#unconfirmedBytes += chunk.length;
    if (this.#unconfirmedBytes > chunk.length) return;
    this.#response.once('drain', () => {
      const bytes = this.#unconfirmedBytes;
      this.#unconfirmedBytes = 0;
      this.#consumed(bytes);
    });
  }

  /** Tells whether the client keeps up. */
  #writeCopy(chunk: Buffer): boolean {
    if (this.#invocation.responseBytes > LONG_BODY_BYTES) {
      const ring = (this.#ring ??= createCopyRing(RING_BYTES));
      const copy = ring.copy(chunk);
      if (copy !== undefined) return this.#response.write(copy.bytes, () => ring.release(copy.room));
    }
    return this.#response.write(Buffer.from(chunk));
  }

  #finish(): void {
    this.#closed = true;
    const chunks = this.#takeChunks();
    const { responseBytes, request } = this.#invocation;
    const lengthMatters = request.method !== 'HEAD' && this.#head!.status !== 304;
    if (this.#declaredBytes !== undefined && this.#declaredBytes !== responseBytes && lengthMatters) {
      // The worker checks this too. A wrong length would let the rest of the answer be taken for the next one.
      this.#response.destroy();
      return;
    }
    const trailers = pairs(this.#trailers!);
    if (this.#done !== undefined && this.#accountInTrailers) {
      trailers.push(['x-playa-fuel', String(this.#done.fuel)]);
      trailers.push(['server-timing', serverTiming(this.#invocation, this.#done)]);
    }
    const last = chunks.pop();
    for (const chunk of chunks) this.#writeCopy(chunk);
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    if (last === undefined) this.#response.end();
    // A short body as text goes out in one piece with the header; as a buffer it would be a second piece, which costs more than the copy.
    else if (last.length <= SHORT_BODY_BYTES) this.#response.end(last.toString('latin1'), 'latin1');
    else this.#response.end(Buffer.from(last));
  }

  #takeChunks(): Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#chunksBytes = 0;
    return chunks;
  }
}

function findField(headers: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (field.length === name.length && field.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}

function pairs(headers: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i]!, headers[i + 1]!]);
  return list;
}
