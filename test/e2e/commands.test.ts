import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { buildGoGuest, findGo } from '../harness/go-guest.ts';
import { problemOf } from '../harness/http-client.ts';
import { connectRaw } from '../harness/raw-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const GO = findGo();
/** Building a Go program the first time builds Go's standard library for wasip1. */
const GO_BUILD_MS = 600_000;

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket({
    component: await buildGuest('command-component'),
    module: await buildGuest('command-module'),
    'acme/module': await buildGuest('command-module'),
  });
  server = await startServer(bucket.path);
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

/** The environment of a CGI program, from the lines it answers with. */
function environmentOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

describe.each(['component', 'module'])('a wasi:cli %s as CGI', (name) => {
  test('is told of the request by the variables of RFC 3875', async () => {
    const connection = await connectRaw(server.port);
    connection.write(
      `POST /invoke/${name}/environment?a=b%20c HTTP/1.1\r\nHost: my.example:99\r\nX-Test: yes\r\nAccept: a\r\naccept: b\r\n` +
        'Content-Type: text/x\r\nContent-Length: 4\r\nProxy: evil\r\nAuthorization: secret\r\nconnection: close\r\n\r\nbody',
    );
    const environment = environmentOf(await connection.closed);
    expect(environment).toMatchObject({
      GATEWAY_INTERFACE: 'CGI/1.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      REQUEST_METHOD: 'POST',
      QUERY_STRING: 'a=b%20c',
      PATH_INFO: '/environment',
      SERVER_NAME: 'my.example',
      SERVER_PORT: '99',
      REMOTE_ADDR: '127.0.0.1',
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '4',
      HTTP_HOST: 'my.example:99',
      HTTP_X_TEST: 'yes',
    });
    expect(environment['HTTP_ACCEPT']).toMatch(/^a, ?b$/);
    // RFC 3875 §9.2 and https://httpoxy.org: what could be taken for something else is not passed on.
    expect(environment).not.toHaveProperty('HTTP_PROXY');
  });

  test.each([
    ['/', 200, 'command\n'],
    ['/status?code=201', 201, 'status\n'],
    ['/status?code=404', 404, 'status\n'],
    ['/nothing', 404, 'no such route\n'],
    ['/no-type', 200, 'body\n'],
  ])('%s answers %i', async (path, status, text) => {
    expect(await server.invoke(`${name}${path}`)).toMatchObject({ status, text, complete: true });
  });

  test('redirects, repeats fields and logs to stderr', async () => {
    const redirect = await server.invoke(`${name}/redirect`);
    expect(redirect.status).toBe(302);
    expect(redirect.headers.location).toBe('https://example.com/elsewhere');
    expect((await server.invoke(`${name}/duplicates`)).headers['set-cookie']).toEqual(['a=1', 'b=2']);
    const logged = await server.invoke(`${name}/stderr`);
    const line = await server.log.waitFor(
      'stderr',
      (entry) => entry['reqId'] === logged.requestId && entry['source'] === 'stderr',
    );
    expect(line['text']).toContain('a line on stderr');
  });

  test('has its request as stdin, to the end', async () => {
    expect((await server.invoke(`${name}/echo`, { body: 'stdin' })).text).toBe('stdin');
    expect(JSON.parse((await server.invoke(`${name}/upload`)).text)).toMatchObject({ bytes: 0 });
  });

  test.each([
    ['/no-header', 502, 'response_invalid'],
    ['/bad-header', 502, 'response_invalid'],
    ['/bad-status', 502, 'response_invalid'],
    ['/half-header', 502, 'response_invalid'],
    ['/status?code=99', 502, 'response_invalid'],
    ['/status?code=100', 502, 'response_invalid'],
    ['/header-flood?bytes=100000', 502, 'header_too_large'],
    ['/silent', 502, 'no_response'],
    ['/exit?code=7', 502, 'trap'],
    ['/panic', 502, 'trap'],
    ['/memory', 507, 'memory_exceeded'],
  ])('%s is answered with %i %s, and the next request works', async (path, status, code) => {
    const answer = await server.invoke(`${name}${path}`);
    expect(problemOf(answer)).toMatchObject({ status, code });
    expect((await server.log.invocation(answer.requestId)).outcome).toBe(code);
    expect((await server.invoke(name)).text).toBe('command\n');
  });

  test('an answer that ends with an error is cut', async () => {
    const answer = await server
      .invoke(`${name}/answer-then-exit?code=1`)
      .catch((error: NodeJS.ErrnoException) => error);
    // Where the failure was known before anything was sent, it is the answer.
    const cut = answer instanceof Error || !answer.complete || answer.status === 502;
    expect(cut).toBe(true);
    expect((await server.invoke(name)).status).toBe(200);
  });

  test('sees no file, not even its own', async () => {
    expect((await server.invoke(`${name}/file`)).text).toMatch(/^Err/);
  });
});

test('a name with a slash is a command as well', async () => {
  const environment = environmentOf((await server.invoke('acme/module.cwasm/environment?x')).text);
  expect(environment).toMatchObject({ PATH_INFO: '/environment', QUERY_STRING: 'x' });
});

test.runIf(GO !== undefined)(
  'a Go program with net/http/cgi',
  async () => {
    bucket.put('go', await buildGoGuest(GO!));
    const hello = await server.invoke('go/some/path?q=1', { headers: { 'x-test': 'seen' } });
    expect(hello.text).toBe(`GET /some/path host=127.0.0.1:${server.port} query=q=1 header=seen\n`);
    expect(hello.headers['content-type']).toBe('text/plain');
    const body = 'Go reads its stdin. '.repeat(50_000);
    const echo = await server.invoke('go/echo', { body });
    expect(echo).toMatchObject({ status: 200, complete: true });
    expect(echo.text).toBe(body);
    expect((await server.invoke('go/status?code=418')).status).toBe(418);
    expect((await server.invoke('go/panic')).status).toBeGreaterThanOrEqual(500);
    expect((await server.invoke('go')).status).toBe(200);
  },
  GO_BUILD_MS,
);
