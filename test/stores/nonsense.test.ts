import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { createRandom } from '../harness/random.ts';
import { keysOf } from './faulty-gateway.ts';
import { openGatewayStore } from './gateway-store.ts';

const HEAD = 'HTTP/1.1 200 OK\r\nETag: "x"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n';
const MIB = 1024 * 1024;

let server: Server;
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** A server that does the same with every connection as soon as it is asked something. */
async function openStoreOver(answer: (socket: Socket) => void) {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return openGatewayStore(url, {
    pause: async () => {},
    breaker: { failures: 1_000_000 },
    timeouts: { connectMs: 1_000, firstByteMs: 300, betweenBytesMs: 300 },
  });
}

/** Writes again and again, for as long as somebody listens. */
function drip(socket: Socket, text: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(text), everyMs);
  socket.on('close', () => clearInterval(timer));
}

test.each<[string, (socket: Socket) => void]>([
  ['closes', (socket) => socket.end()],
  ['talks something else', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  ['sends half a head', (socket) => socket.end('HTTP/1.1 200 OK\r\nETag: "x')],
  ['sends a head without end', (socket) => drip(socket, `X-${'a'.repeat(1000)}: b\r\n`, 1)],
  ['sends a head slowly', (socket) => socket.write(HEAD) && drip(socket, 'X: y\r\n', 50)],
  ['sends a very large head', (socket) => socket.end(`${HEAD}X: ${'y'.repeat(MIB)}\r\n\r\n`)],
  ['continues for ever', (socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n', 50)],
  ['announces a negative length', (socket) => socket.end(`${HEAD}Content-Length: -1\r\n\r\n`)],
  ['announces two lengths', (socket) => socket.end(`${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`)],
  ['announces no length', (socket) => socket.end(`${HEAD}\r\nxx`)],
  ['announces what no number holds', (socket) => socket.end(`${HEAD}Content-Length: 99999999999999999999\r\n\r\nx`)],
  ['stops within a chunk', (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\nx`)],
  [
    'switches protocols',
    (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
  ],
  [
    'fails with a document without end',
    (socket) => {
      socket.write('HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n');
      drip(socket, `400\r\n${'x'.repeat(1024)}\r\n`, 1);
    },
  ],
])('a server that %s is unavailable', async (_what, answer) => {
  const store = await openStoreOver(answer);
  const reading = (async () => {
    const content = await store.get('a');
    if (typeof content === 'object') for await (const _ of content.body);
  })();
  await expect(reading).rejects.toMatchObject({ name: 'ObjectStoreError', code: 'unavailable' });
  await store.close();
});

test('whatever bytes it sends, the store fails in its own words or finds an object', async () => {
  const random = createRandom(7);
  const parts = [HEAD, '\r\n', '\r\n\r\n', 'HTTP/1.1 ', '200', '404', '206 ', '304 Not', 'Content-Length: 3\r\n', 'x'];
  parts.push(
    'Transfer-Encoding: chunked\r\n',
    '3\r\nabc\r\n0\r\n\r\n',
    'Content-Range: bytes 0-2/9\r\n',
    '\0',
    '<Error>',
  );
  parts.push('Connection: close\r\n', '<Code>NoSuchKey</Code>', '</Error>', 'Location: /x\r\n', '307 ', '\u00ff', ': ');
  const store = await openStoreOver((socket) => {
    socket.end(Array.from({ length: random.below(12) }, () => random.pick(parts)).join(''), 'latin1');
  });
  const kinds = new Set<string>();
  const operations = [
    async () => {
      const content = await store.get('a', { range: { first: 0, last: 2 } });
      if (typeof content === 'object') for await (const _ of content.body);
      return content;
    },
    () => store.head('a'),
    () => keysOf(store),
    () => store.put('a', Buffer.from('x')),
    () => store.delete('a'),
  ];
  for (let count = 0; count < 300; count++) {
    const caught = await operations[count % operations.length]!().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (caught !== undefined) expect(caught).toBeInstanceOf(ObjectStoreError);
    kinds.add(caught === undefined ? 'found' : (caught as ObjectStoreError).code);
  }
  expect([...kinds]).toContain('unavailable');
  await store.close();
});
