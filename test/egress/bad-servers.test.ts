import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { hasOpenssl, makeAuthority, type Authority } from '../harness/certificates.ts';
import { startDnsServer, type DnsServer } from '../harness/dns-server.ts';
import { createLocalServers } from '../harness/local-servers.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const OPENSSL = hasOpenssl();
if (!OPENSSL) console.log('skipped: there is no openssl command to make certificates with');

const PART = 64 * 1024;
/** What a server may have sent before anybody says that it was too much. */
const MAX_SENT_BYTES = 200_000_000;

let authority: Authority | undefined;
let bucket: TestBucket;
let server: TestServer;
let dns: DnsServer;
const servers = createLocalServers();

/** Sends a beginning, then the same bytes again and again, as fast as they are taken. */
function flood(socket: Socket, begin: string | Buffer, again: string | Buffer): { sentBytes: number } {
  const state = { sentBytes: 0 };
  const part = Buffer.concat(Array<Buffer>(Math.ceil(PART / again.length)).fill(Buffer.from(again as string)));
  const write = (): void => {
    if (socket.destroyed || state.sentBytes >= MAX_SENT_BYTES) return;
    state.sentBytes += part.length;
    // One at a time: where the other side reads as fast as this one writes, a loop of writes would never end.
    if (socket.write(part)) setImmediate(write);
    else socket.once('drain', write);
  };
  socket.write(begin);
  write();
  return state;
}

beforeAll(async () => {
  if (OPENSSL) authority = makeAuthority();
  bucket = makeBucket({ egress: await buildGuest('egress'), probe: await buildGuest('probe') });
  bucket.putPolicy('short', '[limits]\nwall-ms = 1000\n');
  bucket.put('short', await buildGuest('egress'));
  dns = await startDnsServer(() => ({ addresses: ['127.0.0.1'] }));
  server = await startServer(bucket.path, {
    'egress-allow': '*.test',
    'egress-allow-private': '127.0.0.1',
    'egress-resolver': dns.address,
    ...(authority === undefined ? {} : { 'egress-roots': authority.file }),
    'egress-bytes': '64m',
    'wall-ms': 20_000,
  });
});

afterAll(async () => {
  await server.stop();
  servers.close();
  dns.close();
  bucket.remove();
  authority?.remove();
});

/** What becomes of a request; another function answers meanwhile. */
async function fetched(url: string): Promise<string> {
  const asked = server.invoke(`egress/fetch?url=${url}&connectMs=2000&firstByteMs=2000&betweenBytesMs=2000`);
  expect((await server.invoke('probe')).status).toBe(200);
  const { text, status } = await asked;
  // It is an error that the function is told of, and it goes on.
  expect([status, text]).toEqual([200, expect.stringMatching(/failed: |broken: /)]);
  return text;
}

describe('a server that floods', () => {
  test.each([
    ['informational answers', '', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'],
    ['a status line', 'HTTP/1.1 200 ', 'x'],
    ['a field', 'HTTP/1.1 200 OK\r\nx: ', 'y'],
    ['fields', 'HTTP/1.1 200 OK\r\n', 'x: y\r\n'],
    ['an extension of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;', 'x'],
    ['the size of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '0'],
    ['trailers', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n', 'x: y\r\n'],
    ['a body without end', 'HTTP/1.1 200 OK\r\n\r\n', 'x'],
    // Of which the function reads all: that ends it when its time is over.
    ['chunks of one byte', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
    ['what nobody has asked for', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx'],
  ])('with %s', async (what, begin, again) => {
    let state = { sentBytes: 0 };
    const port = await servers.listen(
      createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (state = flood(socket, begin, again)));
      }),
    );
    const url = `http://flood.test:${port}/`;
    if (what === 'what nobody has asked for') {
      expect((await server.invoke(`egress/fetch?url=${url}`)).text).toContain('status: 204 bytes: 0');
    } else if (what === 'chunks of one byte') {
      expect((await server.invoke(`short/fetch?url=${url}`)).text).toContain('wall_exceeded');
    } else await fetched(url);
    expect(state.sentBytes).toBeLessThan(MAX_SENT_BYTES);
  });
});

describe.runIf(OPENSSL)('a server of TLS', () => {
  const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
  /** Each is a field of its own with a name of one letter. */
  const FIELDS = Buffer.from('\0\x01x\x01y', 'latin1');

  test.each([
    ['pings', SETTINGS, frame(6, 0, 0, Buffer.alloc(8))],
    ['settings', SETTINGS, SETTINGS],
    ['empty data', Buffer.concat([SETTINGS, frame(1, 4, 1, Buffer.from([0x88]))]), frame(0, 0, 1, Buffer.alloc(0))],
    [
      'continuations',
      Buffer.concat([SETTINGS, frame(1, 0, 1, Buffer.from([0x88]))]),
      frame(9, 0, 1, Buffer.concat(Array<Buffer>(2_000).fill(FIELDS))),
    ],
    ['informational answers', SETTINGS, frame(1, 4, 1, Buffer.from('\x08\x03103', 'latin1'))],
    ['window updates', SETTINGS, frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))],
    ['resets of streams that are not there', SETTINGS, frame(3, 0, 9, Buffer.alloc(4))],
    ['frames that are too large', SETTINGS, frame(0, 0, 1, Buffer.alloc(100_000))],
    ['frames that nobody knows', SETTINGS, frame(0xbb, 0, 0, Buffer.alloc(100))],
  ])('that floods a connection of HTTP/2 with %s', async (_what, begin, again) => {
    let state = { sentBytes: 0 };
    const options = { ...authority!.issue('DNS:flood.test'), ALPNProtocols: ['h2'] };
    const port = await servers.listen(
      createTlsServer(options, (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (state = flood(socket, begin, again)));
      }),
    );
    await fetched(`https://flood.test:${port}/`);
    expect(state.sentBytes).toBeLessThan(MAX_SENT_BYTES);
  });

  test.each([
    ['says nothing', '', ''],
    ['floods instead of a handshake', '', '\x16\x03\x03\x40\x00'],
    ['answers with an alert', '\x15\x03\x03\x00\x02\x02\x28', ''],
    ['sends half a record for ever', '\x16\x03\x03\x40\x00\x02', '\0'],
  ])('that %s', async (_what, begin, again) => {
    const port = await servers.listen(
      createServer((socket) => {
        socket.on('error', () => undefined);
        if (again === '') socket.write(Buffer.from(begin, 'latin1'));
        else flood(socket, Buffer.from(begin, 'latin1'), Buffer.from(again, 'latin1'));
        socket.resume();
      }),
    );
    expect(await fetched(`https://handshake.test:${port}/`)).toMatch(/failed: ErrorCode::(Tls|Connection)/);
  });
});
