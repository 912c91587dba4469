import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildFunction } from '../harness/artifacts.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const SOURCE = `export default {
  async fetch(request) {
    const url = new URL(request.url).searchParams.get('url');
    if (url.endsWith('/moved')) {
      const answer = await fetch(url);
      return new Response(answer.status + ' ' + answer.headers.get('location'));
    }
    try {
      const answers = await Promise.all([1, 2, 3, 4].map((n) => fetch(url + n, { method: 'POST', body: 'number ' + n })));
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      return Response.json(texts);
    } catch (error) {
      return new Response('failed: ' + error, { status: 502 });
    }
  },
};
`;

let upstream: Server;
let bucket: TestBucket;
let server: TestServer;
const folder = makeTemporaryFolder('javascript');

beforeAll(async () => {
  const file = join(folder.path, 'gather.js');
  writeFileSync(file, SOURCE);
  bucket = makeBucket({ gather: await buildFunction(file) });
  let waiting: (() => void)[] = [];
  upstream = createServer((request, response) => {
    if (request.url === '/moved') return void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      // Answered when all four are there: one after the other they would wait for ever.
      waiting.push(() => response.end(`${request.url} got ${body}`));
      if (waiting.length < 4) return;
      for (const answer of waiting) answer();
      waiting = [];
    });
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  server = await startServer(bucket.path, { 'egress-allow': '127.0.0.1', 'egress-allow-private': '127.0.0.1' });
}, 300_000);

afterAll(async () => {
  await server.stop();
  upstream.close();
  bucket.remove();
  folder.remove();
});

test('fetch() of a JavaScript function reaches what it may, several at once', async () => {
  const { port } = upstream.address() as AddressInfo;
  const answer = await server.invoke(`gather?url=${encodeURIComponent(`http://127.0.0.1:${port}/`)}`);
  expect(JSON.parse(answer.text)).toEqual([1, 2, 3, 4].map((n) => `/${n} got number ${n}`));
});

test('a redirect is for the function to follow', async () => {
  const { port } = upstream.address() as AddressInfo;
  const answer = await server.invoke(`gather?url=${encodeURIComponent(`http://127.0.0.1:${port}/moved`)}`);
  expect(answer.text).toBe('302 http://169.254.169.254/');
});

test('what it may not reach is an error that it can catch', async () => {
  const answer = await server.invoke(`gather?url=${encodeURIComponent('http://169.254.169.254/')}`);
  expect(answer.status).toBe(502);
  expect(answer.text).toMatch(/^failed: /);
});
