import type { IncomingMessage } from 'node:http';
import type { InvocationStream } from '../runner/invocation-stream.ts';
import { isConnectionField } from '../runner/response-frames.ts';

/** Pumps the body of a request into its stream, as fast as the worker grants credit. */
export class RequestBody {
  readonly #request: IncomingMessage;
  readonly #stream: InvocationStream;
  readonly #maxBytes: number;
  readonly #events: { tooLarge: () => void; passed: (bytes: number) => void };
  /** What was read and could not be sent yet. */
  #held: Buffer | undefined;
  #bytes = 0;
  #ended = false;
  #stopped = false;

  constructor(
    request: IncomingMessage,
    stream: InvocationStream,
    maxBytes: number,
    events: { tooLarge: () => void; passed: (bytes: number) => void },
  ) {
    this.#request = request;
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    this.#events = events;
    request.on('data', this.#onData);
    request.on('end', this.#onEnd);
    // Not the request's own `close`: Node forgets the request when its response has finished, though its body may still come.
    request.socket.on('close', this.#onClose);
    // Without a listener an aborted request would be an uncaught error.
    request.on('error', this.#onError);
  }

  /** Goes on after credit was granted. */
  resume(): void {
    const held = this.#held;
    if (held === undefined || this.#stopped) return;
    this.#held = undefined;
    this.#send(held);
    if (this.#held !== undefined) return;
    if (this.#ended) this.#sendEnd();
    else this.#request.resume();
  }

  /** Sends nothing more; what still comes in is thrown away, so that the connection can be used again. */
  stop(): void {
    this.#stopped = true;
    this.#held = undefined;
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.socket.off('close', this.#onClose);
    this.#request.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.stop();
      this.#events.tooLarge();
      return;
    }
    this.#send(chunk);
    if (this.#held !== undefined) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    if (this.#held === undefined) this.#sendEnd();
  };

  /** Cut short. Where the whole answer was sent already, nothing else tells the worker that no more will come. */
  readonly #onClose = (): void => {
    if (!this.#ended) this.#stream.cancel();
  };

  readonly #onError = (): void => undefined;

  #send(chunk: Buffer): void {
    const bytes = Math.min(chunk.length, this.#stream.sendCreditBytes);
    if (bytes > 0) {
      this.#stream.sendBody(bytes === chunk.length ? chunk : chunk.subarray(0, bytes));
      this.#events.passed(bytes);
    }
    if (bytes < chunk.length) this.#held = chunk.subarray(bytes);
  }

  #sendEnd(): void {
    const { rawTrailers } = this.#request;
    this.#stream.sendEnd(rawTrailers.filter((_, at) => !isConnectionField(rawTrailers[at - (at % 2)]!)));
  }
}
