import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { connectRaw } from '../harness/raw-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  const probe = await buildGuest('probe');
  bucket = makeBucket({ probe, 'acme/resize': probe, 'größe und maß': probe, 'v1.2': probe, 'a.cwasm/b': probe });
  server = await startServer(bucket.path);
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

/** In the header when the function had finished before it was sent, else in the trailers. */
const fuelOf = (answer: Answer): number => Number(answer.headers['x-playa-fuel'] ?? answer.trailers['x-playa-fuel']);

describe('names', () => {
  test.each([
    ['probe.cwasm', /^HTTP\/1.1 200 /],
    ['probe', /^HTTP\/1.1 200 /],
    ['probe/', /^HTTP\/1.1 200 /],
    ['probe.cwasm/headers', /"target":"\/headers"/],
    ['probe/headers?a=b&c', /"target":"\/headers\?a=b&c"/],
    ['probe?a=b', /^HTTP\/1.1 200 /],
    ['probe.cwasm?x=.cwasm', /^HTTP\/1.1 200 /],
    ['probe.cwasm/headers/../x%2Fy', /no such route/],
    ['acme/resize.cwasm', /^HTTP\/1.1 200 /],
    ['acme/resize.cwasm/headers?w=1', /"target":"\/headers\?w=1"/],
    ['gr%C3%B6%C3%9Fe%20und%20ma%C3%9F.cwasm', /^HTTP\/1.1 200 /],
    ['v1.2/headers', /"target":"\/headers"/],
    ['v1.2.cwasm/headers?q=a%2Fb%20c', /"target":"\/headers\?q=a%2Fb%20c"/],
  ])('/invoke/%s', async (path, expected) => {
    const connection = await connectRaw(server.port);
    connection.write(`GET /invoke/${path} HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n`);
    expect(await connection.closed).toMatch(expected);
  });

  test.each([
    ['nothing-here', 404, 'function_not_found'],
    ['nothing-here.cwasm', 404, 'function_not_found'],
    ['acme/nothing.cwasm', 404, 'function_not_found'],
    ['acme', 404, 'function_not_found'],
    ['', 400, 'name_invalid'],
    ['.cwasm', 400, 'name_invalid'],
    ['..', 400, 'name_invalid'],
    ['../probe.cwasm', 400, 'name_invalid'],
    ['acme/../probe.cwasm', 400, 'name_invalid'],
    ['%2e%2e/probe.cwasm', 400, 'name_invalid'],
    ['%2e%2e%2fprobe.cwasm', 400, 'name_invalid'],
    ['a.cwasm%2Fb', 400, 'name_invalid'],
    ['acme%2fresize.cwasm', 400, 'name_invalid'],
    ['acme//resize.cwasm', 400, 'name_invalid'],
    ['/probe.cwasm', 400, 'name_invalid'],
    ['.hidden.cwasm', 400, 'name_invalid'],
    ['acme/.hidden.cwasm', 400, 'name_invalid'],
    ['probe%00.cwasm', 400, 'name_invalid'],
    ['pro%0Abe.cwasm', 400, 'name_invalid'],
    ['pro%7Fbe.cwasm', 400, 'name_invalid'],
    ['pro%5Cbe.cwasm', 400, 'name_invalid'],
    ['%FF%FE.cwasm', 400, 'name_invalid'],
    ['%zz.cwasm', 400, 'name_invalid'],
    ['%E2%80%AEprobe.cwasm', 400, 'name_invalid'],
    ['5000 times x', 400, 'name_invalid'],
    ['250 times x', 404, 'function_not_found'],
  ])('/invoke/%s is refused with %i %s', async (shown, status, code) => {
    const path = shown.replace(/^(\d+) times (.)$/, (_, count, letter) => `${letter.repeat(Number(count))}.cwasm`);
    const connection = await connectRaw(server.port);
    // Written by hand: an HTTP client would tidy the path up.
    connection.write(`GET /invoke/${path} HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n`);
    const answer = await connection.closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { code: string; requestId: string };
    expect(problem.code).toBe(code);
    expect((await server.log.invocation(problem.requestId)).outcome).toBe(code);
  });

  test('a folder of a name with .cwasm is no function', async () => {
    expect((await server.invoke('a.cwasm')).status).toBe(404);
  });
});

describe('what the function is told', () => {
  test('request line, authority, scheme and all fields in order, duplicates too', async () => {
    const connection = await connectRaw(server.port);
    connection.write(
      'PATCH /invoke/probe/headers?q=%20 HTTP/1.1\r\nHost: my.example:99\r\nX-Twice: one\r\nX-Other: ä\r\n' +
        'x-twice: two\r\nconnection: close\r\n\r\n',
    );
    const answer = await connection.closed;
    const seen = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as {
      method: string;
      target: string;
      scheme: string;
      authority: string;
      headers: [string, string][];
    };
    expect(seen).toMatchObject({
      method: 'PATCH',
      target: '/headers?q=%20',
      scheme: 'http',
      authority: 'my.example:99',
    });
    expect(seen.headers.filter(([name]) => name.toLowerCase() === 'x-twice').map(([, value]) => value)).toEqual([
      'one',
      'two',
    ]);
    expect(seen.headers.map(([name]) => name.toLowerCase())).not.toContain('connection');
  });

  test.each(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'])('method %s', async (method) => {
    const answer = await server.invoke('probe/headers', { method });
    expect(JSON.parse(answer.text)).toMatchObject({ method });
  });

  test('HEAD is answered without a body', async () => {
    const answer = await server.invoke('probe/headers', { method: 'HEAD' });
    expect(answer).toMatchObject({ status: 200, text: '', complete: true });
    expect(answer.headers['content-type']).toBe('application/json');
  });

  test('no environment, no file, no network, no listening', async () => {
    const environment = await server.invoke('probe/env');
    expect(JSON.parse(environment.text)).toMatchObject({ variables: [] });
    for (const path of ['/etc/passwd', '/in/component', '/runner', 'x']) {
      expect((await server.invoke(`probe/file?path=${path}`)).text).toMatch(/^error: /);
    }
    expect((await server.invoke('probe/file?path=/&list=1')).text).toMatch(/^error: /);
    expect((await server.invoke('probe/file?path=/tmp/x&write=1')).text).toMatch(/^error: /);
    expect((await server.invoke(`probe/connect?address=127.0.0.1:${server.port}`)).text).toMatch(/^error: /);
    expect((await server.invoke('probe/listen')).text).toMatch(/^error: /);
    expect((await server.invoke('probe/resolve?name=localhost')).text).toMatch(/^error: /);
    const url = `http://127.0.0.1:${server.port}/healthz`;
    expect((await server.invoke(`probe/outgoing?url=${url}`)).text).toMatch(/^(refused|failed): /);
  });

  test('random numbers differ from request to request', async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, () => server.invoke('probe/random?bytes=32')));
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(16);
  });
});

describe('what the client is told', () => {
  test('status, fields and trailers of the function', async () => {
    expect((await server.invoke('probe/status?code=418')).status).toBe(418);
    expect(await server.invoke('probe/status?code=204&empty=1')).toMatchObject({ status: 204, text: '' });
    expect(await server.invoke('probe/status?code=304&empty=1')).toMatchObject({ status: 304, text: '' });
    const answer = await server.invoke('probe/set-header?name=x-made-up&value=%e4');
    expect(answer.headers['x-made-up']).toBe('ä');
    const trailing = await server.invoke('probe/trailers?name=x-sum&value=42');
    expect(trailing).toMatchObject({ text: 'with trailers\n', trailers: { 'x-sum': '42' } });
  });

  test('fuel and timings: in the header of a short answer, in the trailers of a long one', async () => {
    const short = await server.invoke('probe');
    expect(Number(short.headers['x-playa-fuel'])).toBeGreaterThan(0);
    expect(short.headers['server-timing']).toMatch(/route;dur=[\d.]+, artifact;dur=.*pool;dur=.*guest;dur=/);
    const long = await server.invoke('probe/stream?chunks=3&delayMs=20');
    expect(long.headers['x-playa-fuel']).toBeUndefined();
    expect(Number(long.trailers['x-playa-fuel'])).toBeGreaterThan(0);
    expect(long.trailers['server-timing']).toMatch(/guest;dur=/);
  });

  test('fuel is the same for the same work, and more for more', async () => {
    const fuels = [];
    for (const rounds of [1000, 1000, 2000]) {
      fuels.push(fuelOf(await server.invoke(`probe/spin?rounds=${rounds}`)));
    }
    expect(fuels[0]).toBe(fuels[1]);
    expect(fuels[2]! - fuels[1]!).toBeGreaterThanOrEqual(1000);
  });

  test('the account in the log has what the answer had', async () => {
    const answer = await server.invoke('acme/resize.cwasm/echo', { body: 'twelve bytes' });
    expect(await server.log.invocation(answer.requestId)).toMatchObject({
      function: 'acme/resize',
      method: 'POST',
      status: 200,
      outcome: 'ok',
      isolation: 'process',
      requestBytes: 12,
      responseBytes: 12,
      fuel: fuelOf(answer),
    });
  });

  test('what the function writes to stdout and stderr is in the log, bounded', async () => {
    const answer = await server.invoke('probe/log?text=marker-of-the-test&bytes=30');
    const lines = await server.log.waitFor(
      'a line of the function',
      (line) => line.msg === 'function log' && line['reqId'] === answer.requestId && line['source'] === 'stderr',
    );
    expect(lines['text']).toContain('marker-of-the-test');
    const flood = await server.invoke('probe/log?bytes=10000000');
    expect(flood.status).toBe(200);
    await server.log.invocation(flood.requestId);
    const kept = server.log.lines
      .filter((line) => line.msg === 'function log' && line['reqId'] === flood.requestId)
      .reduce((sum, line) => sum + String(line['text']).length, 0);
    expect(kept).toBeGreaterThan(1000);
    expect(kept).toBeLessThanOrEqual(65_536);
  });
});

test('a connection serves one request after another', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let index = 0; index < 20; index++) {
    const answer = await server.invoke('probe/echo', { agent, body: `body ${index}` });
    expect(answer.text).toBe(`body ${index}`);
  }
  agent.destroy();
});

test('pipelined requests are answered in order', async () => {
  const connection = await connectRaw(server.port);
  const paths = ['probe/sleep?ms=30', 'probe/status?code=201', 'nothing', 'probe/echo'];
  connection.write(paths.map((path) => `GET /invoke/${path} HTTP/1.1\r\nhost: f\r\n\r\n`).join(''));
  connection.write('GET /invoke/probe/status?code=202 HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n');
  const statuses = [...(await connection.closed).matchAll(/HTTP\/1.1 (\d+) /g)].map((match) => match[1]);
  expect(statuses).toEqual(['200', '201', '404', '200', '202']);
});

test('health and readiness', async () => {
  expect(await server.get('/healthz')).toMatchObject({ status: 200 });
  const ready = await server.get('/readyz');
  expect(ready.status).toBe(200);
  expect(JSON.parse(ready.text)).toMatchObject({ status: 'ready' });
  expect(problemOf(await server.get('/elsewhere'))).toMatchObject({ status: 404 });
});
