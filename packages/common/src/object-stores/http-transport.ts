import { createReadStream } from 'node:fs';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { Agent, errors, type Dispatcher } from 'undici';
import type { ObjectBody } from '../object-store.ts';
import type { PreparedBody } from './prepared-body.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { Pairs } from '../sigv4/canonical-request.ts';
import { createPulledBody, type PulledBody } from './pulled-body.ts';
import { createReadingConnector } from './reading-connector.ts';

/** A request as it goes over the wire: `path` and query are sent exactly so. */
export type HttpRequest = {
  method: string;
  /** `https://host:port`. */
  origin: string;
  /** Encoded, with its query. */
  path: string;
  headers: Pairs;
  body?: PreparedBody | undefined;
  signal?: AbortSignal | undefined;
  /** Whether a chunk of the body holds only until the second one after it is asked for. Else it is whoever's who reads it. */
  lentChunks?: boolean | undefined;
};

/** An answer; the body must be consumed or destroyed. */
export type HttpAnswer = {
  status: number;
  /** One value of a header, by its name in lower case. */
  header: (name: string) => string | undefined;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: ObjectBody;
};

/** Sends requests, and follows nothing, retries nothing, decodes nothing. */
export type HttpTransport = {
  /** @throws {ObjectStoreError} `unavailable`; or the reason of the signal */
  send: (request: HttpRequest) => Promise<HttpAnswer>;
  close: () => Promise<void>;
};

/** How long each step may take. */
export type HttpTimeouts = { connectMs: number; firstByteMs: number; betweenBytesMs: number };

/** A bucket in another part of the world connects within 300 ms and answers within a second. */
export const TIMEOUT_DEFAULTS: HttpTimeouts = { connectMs: 3_000, firstByteMs: 5_000, betweenBytesMs: 5_000 };

/** Connections to one server; further requests wait for one. */
const MAX_CONNECTIONS = 64;
const KEEP_ALIVE_MS = 15_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** A transport over connections that are kept. `lookup` finds addresses in place of the system. */
export function createHttpTransport(timeouts: HttpTimeouts, lookup?: LookupFunction): HttpTransport {
  const agent = new Agent({
    // S3 has no HTTP/2, and one way of doing things is tested.
    connect: createReadingConnector(
      { timeout: timeouts.connectMs, allowH2: false, ...(lookup && { lookup }) },
      MAX_HEADER_BYTES,
    ),
    headersTimeout: timeouts.firstByteMs,
    bodyTimeout: timeouts.betweenBytesMs,
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  return { send: (request) => send(agent, request), close: () => agent.destroy() };
}

function send(agent: Agent, request: HttpRequest): Promise<HttpAnswer> {
  const { origin, path, signal } = request;
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  let controller: Dispatcher.DispatchController | undefined;
  let content: PulledBody | undefined;

  const fail = (error: Error): void => {
    signal?.removeEventListener('abort', giveUp);
    const reason = signal?.aborted ? signal.reason : error;
    content?.fail(reason);
    reject(signal?.aborted ? reason : unreachable(error, origin));
  };
  const giveUp = (): void => {
    controller?.abort(signal!.reason);
    fail(signal!.reason);
  };
  if (signal?.aborted) return Promise.reject(signal.reason);
  signal?.addEventListener('abort', giveUp);

  const method = request.method as Dispatcher.HttpMethod;
  const headers = request.headers.flatMap(([name, value]) => [name, value]);
  agent.dispatch(
    { origin, path, method, headers, body: openBody(request.body) },
    {
      onRequestStart: (started) => {
        controller = started;
        if (signal?.aborted) started.abort(signal.reason);
      },
      onResponseStart: (started, status, fields) => {
        // Others are about what will be answered.
        if (status < 200) return;
        content = createPulledBody(started);
        resolve({ status, headers: fields, header: (name) => firstOf(fields[name]), body: content.body });
      },
      onResponseData: (_, chunk) => content!.give(request.lentChunks === true ? chunk : Buffer.from(chunk)),
      onResponseEnd: () => {
        signal?.removeEventListener('abort', giveUp);
        content!.end();
      },
      onResponseError: (_, error) => fail(error),
    },
  );
  return promise;
}

function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function openBody(body: PreparedBody | undefined): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? body : createReadStream(body.path);
}

function unreachable(error: unknown, origin: string): ObjectStoreError {
  if (error instanceof errors.HeadersTimeoutError) {
    return new ObjectStoreError('unavailable', `${origin} did not answer in time`, { cause: error });
  }
  if (error instanceof errors.ConnectTimeoutError) {
    return new ObjectStoreError('unavailable', `${origin} cannot be reached: connecting took too long`, {
      cause: error,
    });
  }
  const { code, message } = error as NodeJS.ErrnoException;
  return new ObjectStoreError('unavailable', `${origin} cannot be reached: ${code ?? message}`, { cause: error });
}
