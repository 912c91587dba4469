// What a function must not write, as the engine does not have it. Each line must be an error.
import type { ExportedHandler } from '@playa/types';

// @ts-expect-error a handler returns a Response
export const text: ExportedHandler = { fetch: () => 'text' };
// @ts-expect-error a handler returns a Response
export const plain: ExportedHandler = { fetch: () => ({ status: 200, body: 'x' }) };
// @ts-expect-error environment variables are texts
export type NumberEnv = ExportedHandler<{ COUNT: number }>;
// @ts-expect-error there is no handler
export const nothing: ExportedHandler = {};

export const absent = [
  // @ts-expect-error no web sockets
  new WebSocket('wss://example.com'),
  // @ts-expect-error no cache
  caches.default,
  // @ts-expect-error no DOM
  document.title,
  // @ts-expect-error no storage
  localStorage.getItem('a'),
  // @ts-expect-error no URLPattern
  new URLPattern({ pathname: '/x' }),
  // @ts-expect-error no channels
  new MessageChannel(),
  // @ts-expect-error no Wasm inside
  WebAssembly.compile(new Uint8Array()),
  // @ts-expect-error no encryption
  crypto.subtle.encrypt({ name: 'AES-GCM' }, {} as CryptoKey, new Uint8Array()),
  // @ts-expect-error keys are not made
  crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
  // @ts-expect-error AES keys are of no use
  crypto.subtle.importKey('raw', new Uint8Array(), { name: 'AES-GCM' }, false, ['sign']),
  // @ts-expect-error not in the engine
  Response.error(),
  // @ts-expect-error only gzip and deflate
  new CompressionStream('br'),
  // @ts-expect-error options of a browser's cache
  fetch('https://example.com', { cache: 'no-store' }),
  // @ts-expect-error Node's globals come with Node's types
  process.env['A'],
];
