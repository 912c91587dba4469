// What a function may write. It must type-check as it is.
import type { ExecutionContext, ExportedHandler, FetchHandler } from '@playa/types';
import page from './page.html';

type Env = { NAME?: string; TOKEN: string };

async function upload(request: Request): Promise<Response> {
  const form = await request.formData();
  const file = form.get('file');
  if (!(file instanceof File)) return new Response('no file', { status: 400 });
  return Response.json({ name: file.name, size: file.size, bytes: [...(await file.bytes())] });
}

function lines(text: AsyncIterable<string>): ReadableStream<Uint8Array> {
  return ReadableStream.from(text).pipeThrough(new TextEncoderStream()).pipeThrough(new CompressionStream('gzip'));
}

async function verify(token: string, jwk: JsonWebKey): Promise<boolean> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
  const key = await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['verify']);
  const signature = Uint8Array.from(atob(token), (character) => character.charCodeAt(0));
  return crypto.subtle.verify(algorithm, key, signature, new TextEncoder().encode(token));
}

export default {
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    context.waitUntil(new Promise((resolve) => setTimeout(resolve, 10)));
    context.passThroughOnException();
    if (pathname === '/upload') return upload(request);
    if (pathname === '/page') return new Response(page, { headers: [['content-type', 'text/html']] });
    if (pathname === '/out') {
      const response = await fetch(`https://example.com/?${searchParams}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${env.TOKEN}` },
        body: request.body,
        signal: AbortSignal.any([AbortSignal.timeout(1_000), request.signal]),
      });
      for await (const chunk of response.clone().body ?? []) console.log(chunk.length);
      return new Response(response.body, response);
    }
    const random = crypto.getRandomValues(new Uint8Array(4));
    const known = await verify(env.NAME ?? 'world', { kty: 'RSA' });
    async function* greet() {
      yield `hello ${random.length} ${known}`;
    }
    return new Response(lines(greet()));
  },
} satisfies ExportedHandler<Env>;

export const named: FetchHandler = (request, env, context: ExecutionContext) => {
  const name: string | undefined = env['ANY'];
  return new Response(`${request.method} ${name} ${typeof context}`);
};

addEventListener('fetch', (event) => {
  event.respondWith(Promise.resolve(new Response(event.request.url)));
  event.waitUntil(Promise.resolve());
});
