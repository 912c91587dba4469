import { createReadStream } from 'node:fs';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { Agent, errors, type Dispatcher } from 'undici';
import type { PreparedBody } from './prepared-body.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { Pairs } from '../sigv4/canonical-request.ts';

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
};

/** An answer; the body must be consumed or destroyed. */
export type HttpAnswer = {
  status: number;
  /** One value of a header, by its name in lower case. */
  header: (name: string) => string | undefined;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Readable;
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
    connect: { timeout: timeouts.connectMs, ...(lookup && { lookup }) },
    headersTimeout: timeouts.firstByteMs,
    bodyTimeout: timeouts.betweenBytesMs,
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    // S3 has no HTTP/2, and one way of doing things is tested.
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  return { send: (request) => send(agent, request), close: () => agent.destroy() };
}

async function send(agent: Agent, request: HttpRequest): Promise<HttpAnswer> {
  const { origin, path, method, signal } = request;
  signal?.throwIfAborted();
  const headers = request.headers.flatMap(([name, value]) => [name, value]);
  let answer: Dispatcher.ResponseData;
  try {
    answer = await agent.request({
      origin,
      path,
      method: method as Dispatcher.HttpMethod,
      headers,
      body: openBody(request.body),
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unreachable(error, origin);
  }
  // Without a listener, an error that nobody waits for yet would end the process.
  answer.body.on('error', () => {});
  return {
    status: answer.statusCode,
    headers: answer.headers,
    header: (name) => {
      const value = answer.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: answer.body,
  };
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
