import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { hasOpenssl, makeAuthority, type Authority } from '../harness/certificates.ts';
import { startDnsServer, type DnsServer } from '../harness/dns-server.ts';
import { createLocalServers } from '../harness/local-servers.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const OPENSSL = hasOpenssl();
if (!OPENSSL) console.log('skipped: there is no openssl command to make certificates with');

let authority: Authority;
let bucket: TestBucket;
let server: TestServer;
let shared: TestServer;
let dns: DnsServer;
const servers = createLocalServers();

const hello: RequestListener = (request, response) => {
  response.end(`${request.method} ${request.url} host=${request.headers.host} port=${request.socket.remotePort}`);
};

/** A server that writes these bytes in answer to a request's head, then does what it is told. */
const raw = (bytes: string, after: 'end' | 'reset' | 'stay'): Promise<number> =>
  servers.listen(
    createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(bytes, () => {
          if (after === 'end') socket.end();
          if (after === 'reset') socket.resetAndDestroy();
        });
      });
    }),
  );

beforeAll(async () => {
  if (!OPENSSL) return;
  authority = makeAuthority();
  bucket = makeBucket({ egress: await buildGuest('egress'), 'egress-0-3': await buildGuest('probe-0-3') });
  dns = await startDnsServer((name) => (name.endsWith('.test') ? { addresses: ['127.0.0.1'] } : 'nxdomain'));
  const options = {
    'egress-allow': 'public,*.test,127.0.0.1',
    'egress-allow-private': '127.0.0.1',
    'egress-resolver': dns.address,
    'egress-roots': authority.file,
    'wall-ms': 20_000,
  };
  server = await startServer(bucket.path, options);
  shared = await startServer(bucket.path, { ...options, isolation: 'instance', 'processes-per-runner': 1 });
});

afterAll(async () => {
  if (!OPENSSL) return;
  await server.stop();
  await shared.stop();
  servers.close();
  dns.close();
  bucket.remove();
  authority.remove();
});

const fetched = async (url: string, more = ''): Promise<string> =>
  (await server.invoke(`egress/fetch?url=${encodeURIComponent(url)}${more}`)).text;

describe.runIf(OPENSSL)('HTTPS', () => {
  test('a name with a certificate that is trusted is reached, by HTTP/1.1', async () => {
    const port = await servers.listen(createHttpsServer(authority.issue('DNS:a.test'), hello));
    const text = await fetched(`https://a.test:${port}/x?y=1`);
    expect(text).toContain('status: 200');
    expect(text).toContain(`GET /x?y=1 host=a.test:${port}`);
    expect(await fetched(`https://A.TEST.:${port}/`)).toContain('status: 200');
  });

  test('HTTP/2 is spoken where the server offers it, with many requests on one connection', async () => {
    const sessions: unknown[] = [];
    const made = createSecureServer({ ...authority.issue('DNS:two.test'), allowHTTP1: false }, (request, response) => {
      response.end(`version ${request.httpVersion} authority=${request.headers[':authority']}`);
    });
    made.on('session', (session) => sessions.push(session));
    const port = await servers.listen(made);
    const text = await fetched(`https://two.test:${port}/`, '&times=3');
    expect(text.match(/version 2\.0/g)).toHaveLength(3);
    expect(text).toContain(`authority=two.test:${port}`);
    expect(sessions).toHaveLength(1);
  });

  test('invocations that a process serves side by side share a connection of HTTP/2, large bodies and all', async () => {
    const sessions: unknown[] = [];
    const made = createSecureServer(authority.issue('DNS:many.test'), (_, response) =>
      response.end(Buffer.alloc(300_000, 2)),
    );
    made.on('session', (session) => sessions.push(session));
    const port = await servers.listen(made);
    const ask = async (): Promise<string> => (await shared.invoke(`egress/fetch?url=https://many.test:${port}/`)).text;
    expect(await ask()).toContain('bytes: 300000 sum: 600000');
    const texts = await Promise.all(Array.from({ length: 20 }, ask));
    for (const text of texts) expect(text).toContain('status: 200 bytes: 300000 sum: 600000');
    expect(sessions).toHaveLength(1);
  });

  test('an address in a certificate is as good as a name', async () => {
    const port = await servers.listen(createHttpsServer(authority.issue('IP:127.0.0.1'), hello));
    expect(await fetched(`https://127.0.0.1:${port}/`)).toContain('status: 200');
  });

  test.each([
    ['expired', 'DNS:b.test', true],
    ['for another name', 'DNS:other.test', false],
  ])('a certificate that is %s is refused', async (_what, name, expired) => {
    const port = await servers.listen(createHttpsServer(authority.issue(name, expired), hello));
    expect(await fetched(`https://b.test:${port}/`)).toContain('failed: ErrorCode::TlsCertificateError');
  });

  test('a certificate that nobody vouches for is refused', async () => {
    const other = makeAuthority();
    const port = await servers.listen(createHttpsServer(other.issue('DNS:c.test'), hello));
    expect(await fetched(`https://c.test:${port}/`)).toContain('failed: ErrorCode::TlsCertificateError');
    other.remove();
  });

  test('a server that does not speak TLS is an error of the protocol', async () => {
    const port = await servers.listen(createHttpServer(hello));
    expect(await fetched(`https://d.test:${port}/`)).toMatch(/failed: ErrorCode::Tls/);
  });

  test('a guest with TLS of its own over a socket reaches it too', async () => {
    const port = await servers.listen(createHttpsServer(authority.issue('DNS:e.test'), hello));
    const roots = encodeURIComponent(authority.root);
    const text = (await server.invoke(`egress/tls?host=e.test&port=${port}&roots=${roots}`)).text;
    expect(text).toMatch(/^ok: HTTP\/1\.1 200 OK/);
    const wrong = await server.invoke(`egress/tls?host=f.test&port=${port}&roots=${roots}`);
    expect(wrong.text).toMatch(/^error: /);
  });

  test('WASI 0.3 reaches it, several requests side by side', async () => {
    const port = await servers.listen(createHttpsServer(authority.issue('DNS:g.test'), hello));
    const url = `https://g.test:${port}/z`;
    const { text } = await server.invoke(`egress-0-3/outgoing-parallel?times=4&url=${url}`);
    expect(text.match(/status: 200 body: GET \/z host=g\.test/g)).toHaveLength(4);
    expect((await server.invoke(`egress-0-3/outgoing?url=http://169.254.169.254/`)).text).toContain(
      'DestinationIpProhibited',
    );
  });
});

describe.runIf(OPENSSL)('HTTP', () => {
  test('the host field says where a request goes, whatever the guest has set', async () => {
    const port = await servers.listen(createHttpServer(hello));
    expect(await fetched(`http://a.test:${port}/`, '&host=evil.example')).toContain(`host=a.test:${port}`);
  });

  test('a connection serves several requests of an invocation, and never those of another process', async () => {
    const port = await servers.listen(createHttpServer(hello));
    const ports = async (): Promise<string[]> =>
      (await fetched(`http://a.test:${port}/`, '&times=3')).match(/port=\d+/g)!;
    const [first, second] = [await ports(), await ports()];
    expect(new Set(first).size).toBe(1);
    expect(new Set(second).size).toBe(1);
    expect(first[0]).not.toBe(second[0]);
  });

  test('where a process serves many requests, it keeps connections between them', async () => {
    const port = await servers.listen(createHttpServer(hello));
    const ask = async (): Promise<string> =>
      (await shared.invoke(`egress/fetch?url=http://a.test:${port}/`)).text.match(/port=\d+/)![0];
    const first = await ask();
    expect(await ask()).toBe(first);
  });

  test('a connection that the server has closed meanwhile is replaced', async () => {
    const made = createHttpServer(hello);
    const port = await servers.listen(made);
    const ask = async (): Promise<string> => (await shared.invoke(`egress/fetch?url=http://a.test:${port}/`)).text;
    expect(await ask()).toContain('status: 200');
    made.closeAllConnections();
    expect(await ask()).toContain('status: 200');
  });

  test('a redirect is not followed: where it leads to is judged like all else', async () => {
    const port = await servers.listen(
      createHttpServer((_, response) => {
        response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
      }),
    );
    expect(await fetched(`http://a.test:${port}/`)).toContain('status: 302');
    expect(await fetched('http://169.254.169.254/latest/meta-data/')).toContain('DestinationIpProhibited');
  });

  test('trailers arrive', async () => {
    const port = await raw(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n',
      'end',
    );
    expect(await fetched(`http://a.test:${port}/`)).toMatch(/bytes: 2 .*trailer x-sum: 7 body: hi/);
  });

  test.each([
    [
      'a body shorter than announced',
      'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour',
      'end',
      /broken: .*incomplete/i,
    ],
    ['a body that is reset', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour', 'reset', /broken: |failed: /],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'end', /broken: |failed: /],
    ['nothing', '', 'end', /failed: ErrorCode::(HttpResponseIncomplete|ConnectionTerminated)/],
    ['a reset', '', 'reset', /failed: ErrorCode::(HttpResponseIncomplete|ConnectionTerminated)/],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n', 'end', /failed: ErrorCode::HttpProtocolError/],
    [
      'a line break in a field name',
      'HTTP/1.1 200 OK\r\nx\n y: z\r\n\r\n',
      'end',
      /failed: ErrorCode::HttpProtocolError/,
    ],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 'end', /failed: |broken: /],
    [
      'fields without end',
      `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(60_000)}`,
      'stay',
      /failed: ErrorCode::HttpResponseHeaderSectionSize|failed: ErrorCode::HttpProtocolError/,
    ],
  ] as const)('a server that answers with %s', async (_what, bytes, after, expected) => {
    const port = await raw(bytes, after);
    expect(await fetched(`http://a.test:${port}/`)).toMatch(expected);
  });

  test('a server that never answers is given up when the guest says so', async () => {
    const port = await raw('', 'stay');
    expect(await fetched(`http://a.test:${port}/`, '&firstByteMs=50')).toContain('ConnectionReadTimeout');
    const slow = await raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour', 'stay');
    expect(await fetched(`http://a.test:${slow}/`, '&betweenBytesMs=50')).toMatch(/broken: .*read timeout/);
  });

  test('nobody listens, no such name', async () => {
    const made = createTcpServer();
    const port = await servers.listen(made);
    made.close();
    expect(await fetched(`http://a.test:${port}/`)).toContain('ErrorCode::ConnectionRefused');
    expect(await fetched('http://nobody.example/')).toContain('NXDOMAIN');
  });

  test('line breaks cannot be put anywhere', async () => {
    const { text } = await server.invoke(`egress/inject?value=${encodeURIComponent('a\r\nx: y')}`);
    expect(text).toBe('field false name false path false authority false method false');
  });

  test('a request whose length is a lie is refused, and the server does not take it for whole', async () => {
    const seen: string[] = [];
    const port = await servers.listen(
      createHttpServer((request, response) => {
        let bytes = 0;
        request.on('data', (chunk: Buffer) => (bytes += chunk.length));
        request.on('end', () => seen.push(`whole ${bytes}`));
        request.on('error', () => seen.push('cut'));
        request.on('end', () => response.end('thanks'));
      }),
    );
    const post = async (bytes: number, declared: number): Promise<string> =>
      (await server.invoke(`egress/post?url=http://a.test:${port}/&bytes=${bytes}&declared=${declared}`)).text;
    expect(await post(100, 100)).toContain('status: 200');
    expect(await post(10, 100)).toContain('HttpRequestBodySize');
    expect(await post(200, 100)).toContain('HttpRequestBodySize');
    expect(seen.filter((what) => what.startsWith('whole'))[0]).toBe('whole 100');
    expect(seen).not.toContain('whole 10');
    expect(seen).not.toContain('whole 200');
  });

  test('a large body streams through, in both directions', async () => {
    const port = await servers.listen(
      createHttpServer((request, response) => {
        if (request.method === 'POST') {
          let bytes = 0;
          request.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => response.end(String(bytes)));
        } else response.end(Buffer.alloc(20_000_000, 1));
      }),
    );
    expect(await fetched(`http://a.test:${port}/`)).toContain('bytes: 20000000 sum: 20000000');
    const { text } = await server.invoke(`egress/post?url=http://a.test:${port}/&bytes=20000000`);
    expect(text).toContain('body: 20000000');
    const passed = await server.invoke(`egress/pass?url=http://a.test:${port}/`);
    expect(passed.body).toHaveLength(20_000_000);
  });

  test('a guest that is waiting uses no processor time', async () => {
    const port = await raw('', 'stay');
    const { requestId } = await server.invoke(`egress/fetch?url=http://a.test:${port}/&firstByteMs=400`);
    const account = await server.log.invocation(requestId);
    expect(account['guestCpuUs']).toBeLessThan(100_000);
    expect(account['guestUs']).toBeGreaterThan(400_000);
  });
});
