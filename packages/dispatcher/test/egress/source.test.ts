import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { connectWithRing } from '../../src/egress/read-ring.ts';
import { READ_WINDOW_BYTES, sourceOf, type Source } from '../../src/egress/source.ts';
import { createRandom } from '../random.ts';

const servers: Server[] = [];
const opened: { destroy: () => void }[] = [];
afterEach(() => {
  opened.splice(0).forEach((socket) => socket.destroy());
  servers.splice(0).forEach((server) => server.close());
});

/** A number that every four bytes of a stream tell where they stand. */
function pattern(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at / 4, at);
  return made;
}

/** A connection to a server that does what `serve` says. */
async function connectTo(serve: (socket: Socket) => void): Promise<Source> {
  const server = createServer((socket) => {
    opened.push(socket);
    socket.on('error', () => undefined);
    serve(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const source = connectWithRing({ host: '127.0.0.1', port, allowHalfOpen: true });
  opened.push(source.socket);
  await once(source.socket, 'connect');
  return source;
}

/** A stream of this process, of which `serve` has the other end. */
async function pairWith(serve: (socket: Socket) => void): Promise<Source> {
  const [own, other] = duplexPair();
  opened.push(own, other);
  serve(other as unknown as Socket);
  return sourceOf(own);
}

function floodFrom(socket: Socket): void {
  const part = Buffer.alloc(100_000, 7);
  const write = (): void => {
    while (!socket.destroyed && socket.write(part));
  };
  socket.on('drain', () => setImmediate(write));
  write();
}

/** Turns of the event loop, until nothing has come in many of them; or more than is right. */
async function standstill(received: () => number, boundBytes = Infinity): Promise<void> {
  for (let quiet = 0, before = -1; quiet < 100 && received() <= boundBytes; quiet++) {
    if (received() !== before) quiet = 0;
    before = received();
    await new Promise(setImmediate);
  }
}

describe.each([
  ['a socket', connectTo, READ_WINDOW_BYTES],
  // What has been read of a stream of this process is one chunk of its own making at most.
  ['a stream of this process', pairWith, READ_WINDOW_BYTES + 100_000],
])('of %s', (_what, open, boundBytes) => {
  test('no more is taken than the window holds, from one that sends for ever', async () => {
    const source = await open(floodFrom);
    let received = 0;
    source.start((chunk) => (received += chunk.length));
    await standstill(() => received, boundBytes);
    expect(received).toBeGreaterThan(READ_WINDOW_BYTES / 2);
    expect(received).toBeLessThanOrEqual(boundBytes);
    let released = 0;
    for (let round = 0; round < 20; round++) {
      source.release(received - released);
      released = received;
      await standstill(() => received - released, boundBytes);
      expect(received - released).toBeGreaterThan(READ_WINDOW_BYTES / 2);
      expect(received - released).toBeLessThanOrEqual(boundBytes);
    }
  });

  test('what was not released keeps its bytes, whatever the sizes of reads and releases', async () => {
    const random = createRandom(11);
    const whole = pattern(5_000_000);
    const source = await open((socket) => {
      let at = 0;
      const write = (): void => {
        while (at < whole.length) {
          const bytes = 1 + random(at % 3 === 0 ? 200_000 : 3_000);
          const more = socket.write(whole.subarray(at, (at += bytes)));
          if (!more) return void socket.once('drain', write);
        }
        socket.end();
      };
      write();
    });
    const held: Buffer[] = [];
    const parts: Buffer[] = [];
    let heldBytes = 0;
    const release = (): void => {
      const count = 1 + random(held.length);
      const released = held.splice(0, count);
      // Looked at as late as may be: when they are let go.
      for (const chunk of released) parts.push(Buffer.from(chunk));
      const bytes = released.reduce((sum, chunk) => sum + chunk.length, 0);
      heldBytes -= bytes;
      source.release(bytes);
    };
    const ended = once(source.socket, 'end');
    source.start((chunk) => {
      held.push(chunk);
      heldBytes += chunk.length;
      setImmediate(() => {
        if (random(3) === 0 || heldBytes > READ_WINDOW_BYTES / 2) while (held.length > 0) release();
      });
    });
    await ended;
    while (held.length > 0) release();
    expect(Buffer.compare(Buffer.concat(parts), whole)).toBe(0);
  });

  test('nothing is taken before it is started', async () => {
    const source = await open((socket) => void socket.end('hello'));
    await standstill(() => 0);
    const texts: string[] = [];
    const ended = once(source.socket, 'end');
    source.start((chunk) => texts.push(chunk.toString()));
    await ended;
    expect(texts.join('')).toBe('hello');
  });
});
