import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer, type DnsAnswer, type DnsServer } from '../harness/dns-server.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { createLocalServers } from '../harness/local-servers.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let server: TestServer;
let dns: DnsServer;
let answers: (name: string) => DnsAnswer;
const servers = createLocalServers();

/** On both ends of such a connection one side may end before the other. */
const listen = (onSocket: (socket: Socket) => void, host?: string): Promise<number> =>
  servers.listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      onSocket(socket);
    }),
    host,
  );

const echo = (socket: Socket): void => void socket.pipe(socket);

beforeAll(async () => {
  bucket = makeBucket({ egress: await buildGuest('egress'), 'egress-0-3': await buildGuest('probe-0-3') });
  dns = await startDnsServer((name) => answers(name));
  server = await startServer(bucket.path, {
    'egress-allow': 'public,*.test,127.0.0.1',
    'egress-allow-private': '127.0.0.1,127.0.0.2',
    'egress-resolver': dns.address,
    'egress-connections': 5,
    'egress-idle-ms': 500,
    'egress-bytes': '4m',
    'wall-ms': 20_000,
  });
});

afterAll(async () => {
  await server.stop();
  servers.close();
  dns.close();
  bucket.remove();
});

const ask = async (path: string): Promise<string> => (await server.invoke(path)).text;
const all = (address: string) => (): DnsAnswer => ({ addresses: [address] });

describe('sockets', () => {
  test('each direction ends for itself', async () => {
    answers = all('127.0.0.1');
    const port = await listen((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('end', () => socket.end(`got ${text}`));
    });
    expect(await ask(`egress/half?host=a.test&port=${port}&send=hello`)).toBe(`ok: got hello from 127.0.0.1:${port}`);
    expect(await ask(`egress-0-3/connect?address=127.0.0.1:${port}&send=hello`)).toBe(
      'got hello sent: Ok(()) received: Ok(())',
    );
  });

  // What the C library of the guest makes of an error on a stream is its own affair: some say only that there was one.
  test('a server that resets is seen as that', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await ask(`egress/tcp?host=127.0.0.1&port=${port}&send=x`)).toMatch(
      /^error: (ConnectionReset|Uncategorized)/,
    );
  });

  test('a server that floods fills no memory: the guest reads what it wants, the rest stays outside', async () => {
    let sent = 0;
    const port = await listen((socket) => {
      const chunk = Buffer.alloc(64 * 1024, 'x');
      const write = (): void => {
        while (!socket.destroyed && sent < 200_000_000) {
          sent += chunk.length;
          if (!socket.write(chunk)) break;
        }
      };
      socket.on('drain', write);
      write();
    });
    expect(await ask(`egress/tcp?host=127.0.0.1&port=${port}&max=10`)).toBe('ok: xxxxxxxxxx');
    expect(sent).toBeLessThan(100_000_000);
  });

  test('a connection on which nothing moves is closed', async () => {
    const port = await listen(() => undefined);
    expect(await ask(`egress/tcp?host=127.0.0.1&port=${port}`)).toMatch(/^error: (TimedOut|Uncategorized)/);
  });

  test('an invocation transfers no more than it may', async () => {
    const port = await listen((socket) => socket.end(Buffer.alloc(5_000_000)));
    expect(await ask(`egress/tcp?host=127.0.0.1&port=${port}&max=9000000`)).toMatch(/^error: /);
  });

  test('an invocation has no more connections open than it may, and they are its own', async () => {
    const open = new Set<Socket>();
    const port = await listen((socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('end', () => socket.end());
      socket.resume();
    });
    expect(await ask(`egress/many?host=127.0.0.1&port=${port}&count=8`)).toMatch(/^5 open, then /);
    // What an invocation has left open ends with it.
    await waitUntil('no connection left', () => (open.size === 0 ? true : undefined));
    expect(await ask(`egress/many?host=127.0.0.1&port=${port}&count=5`)).toBe('5 open');
  });

  test('when the caller goes away, so does the connection', async () => {
    const connected = Promise.withResolvers<Socket>();
    const port = await listen((socket) => {
      socket.resume();
      connected.resolve(socket);
      // It keeps the connection from being idle.
      const tick = setInterval(() => socket.write('x'), 50);
      socket.on('close', () => clearInterval(tick));
    });
    const caller = new AbortController();
    const asked = server.invoke(`egress/tcp?host=127.0.0.1&port=${port}`, { signal: caller.signal });
    const socket = await connected.promise;
    // An error comes first where it is just being written to.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    caller.abort();
    await expect(asked).rejects.toThrow(/abort/);
    await closed;
  });

  test('there is no UDP', async () => {
    expect(await ask('egress/udp')).toMatch(/^error: Unsupported/);
    expect(await ask('egress-0-3/udp')).toBe('failed: ErrorCode::NotSupported');
  });

  test('a look-up gives the addresses of a name, which may then be dialled by the rule of the name', async () => {
    answers = all('127.0.0.2');
    const port = await listen(echo, '127.0.0.2');
    expect(await ask('egress/resolve?name=a.test')).toBe('ok: 127.0.0.2');
    expect(await ask('egress-0-3/resolve?name=a.test')).toBe('Ok([IpAddress::Ipv4((127, 0, 0, 2))])');
    // By its name it is allowed, by its address alone it is not.
    expect(await ask(`egress/half?host=a.test&port=${port}&send=hi`)).toMatch(/^ok: hi/);
    expect(await ask(`egress/half?host=127.0.0.2&port=${port}&send=hi`)).toBe('error: PermissionDenied');
  });
});

describe('names', () => {
  test('each look-up is judged for itself: a name that means something else by now reaches nothing', async () => {
    let asked = 0;
    let reached = 0;
    const port = await listen((socket) => {
      reached++;
      socket.end('reached');
    });
    // Public at first; the host itself from then on.
    answers = () => ({ addresses: [asked++ < 2 ? '192.0.2.77' : '127.0.0.3'] });
    for (let round = 0; round < 4; round++) {
      expect(await ask(`egress/fetch?url=http://rebind.example:${port}/`)).toContain('DestinationIpProhibited');
    }
    expect(reached).toBe(0);
  });

  test('of several addresses one that answers is taken', async () => {
    const port = await listen((socket) => socket.end('here'), '127.0.0.1');
    answers = () => ({ addresses: ['127.0.0.2', '127.0.0.1', '10.0.0.1'] });
    expect(await ask(`egress/tcp?host=a.test&port=${port}`)).toBe('ok: here');
  });

  test('a resolver that fails or is silent is an error of its own', async () => {
    answers = () => 'servfail';
    expect(await ask('egress/fetch?url=http://x.example/')).toContain('SERVFAIL');
    answers = () => 'nxdomain';
    expect(await ask('egress/fetch?url=http://x.example/')).toContain('NXDOMAIN');
    expect(await ask('egress/resolve?name=x.example')).toMatch(/^error: /);
    answers = () => undefined;
    expect(await ask('egress/fetch?url=http://x.example/')).toContain('DnsTimeout');
    expect(await ask('egress/fetch?url=http://x.example/&connectMs=20')).toContain('ConnectionTimeout');
  });

  test('what is not public by its name alone is not even looked up', async () => {
    const before = dns.questions.length;
    expect(await ask('egress/fetch?url=http://metadata.google.internal/')).toContain('DestinationIpProhibited');
    expect(await ask('egress/fetch?url=http://0x7f.3/')).toContain('DestinationIpProhibited');
    expect(dns.questions).toHaveLength(before);
  });
});

describe("a function's own rules", () => {
  test('net.allow takes the place of the default', async () => {
    answers = all('127.0.0.1');
    const upstream = createHttpServer((_, response) => response.end('hello'));
    const port = await servers.listen(upstream);
    bucket.putPolicy('narrow', `[net]\nallow = ["http://a.test:${port}"]\n`);
    bucket.put('narrow', await buildGuest('egress'));
    bucket.putPolicy('nothing', '[net]\nallow = []\n');
    bucket.put('nothing', await buildGuest('egress'));
    expect(await ask(`narrow/fetch?url=http://a.test:${port}/`)).toContain('body: hello');
    expect(await ask(`narrow/fetch?url=http://b.test:${port}/`)).toContain('HttpRequestDenied');
    expect(await ask(`narrow/fetch?url=http://a.test:${port + 1}/`)).toContain('HttpRequestDenied');
    const refused = await server.invoke(`nothing/fetch?url=http://a.test:${port}/`);
    expect(refused.text).toContain('HttpRequestDenied');
    const line = await server.log.waitFor(
      'a refusal',
      (entry) => entry.reqId === refused.requestId && entry.msg === 'function log',
    );
    expect(line['text']).toContain(`no rule allows a.test:${port}; add "tcp://a.test:${port}" to net.allow`);
  });
});

test('the ledger has a line for each connection, with what went over it', async () => {
  answers = all('127.0.0.1');
  const port = await listen((socket) => socket.once('data', () => socket.end('12345678')));
  const { requestId } = await server.invoke(`egress/tcp?host=led.test&port=${port}&send=abcd`);
  const line = await waitUntil('the line', () =>
    readEgressLedger(server.stateFolder).find((entry) => entry.requestId === requestId && entry.kind === 'connection'),
  );
  expect(line).toMatchObject({
    function: 'egress',
    host: '127.0.0.1',
    port,
    address: '127.0.0.1',
    addresses: ['127.0.0.1'],
    verdict: 'allowed',
    sentBytes: 4,
    receivedBytes: 8,
  });
});
