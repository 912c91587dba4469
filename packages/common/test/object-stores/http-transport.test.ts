import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createHttpTransport,
  TIMEOUT_DEFAULTS,
  type HttpAnswer,
  type HttpTransport,
} from '@playa/common/object-stores/http-transport';
import { createLocalServers, type LocalServers } from '../../../../test/harness/local-servers.ts';

const LONG = randomBytes(6_000_000);

/** What the server does when a request has come. */
let answer: (socket: Socket) => Promise<void> | void;
let servers: LocalServers;
let sockets: Socket[];
let origin: string;
let transport: HttpTransport;
beforeEach(async () => {
  servers = createLocalServers();
  sockets = [];
  const port = await servers.onConnection((socket) => {
    sockets.push(socket);
    socket.on('data', () => void answer(socket));
  });
  origin = `http://127.0.0.1:${port}`;
  transport = createHttpTransport(TIMEOUT_DEFAULTS);
});
afterEach(async () => {
  await transport.close();
  servers.close();
  for (const socket of sockets) socket.destroy();
});

async function ask(lentChunks: boolean, signal?: AbortSignal): Promise<HttpAnswer> {
  // Until then the connection counts as busy with the request before.
  await turn();
  return transport.send({ method: 'GET', origin, path: '/', headers: [], lentChunks, signal });
}

const head = (bytes: number, more = ''): string => `HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n${more}\r\n`;
const write = (socket: Socket, bytes: string | Buffer): Promise<void> =>
  new Promise((resolve) => socket.write(bytes, () => resolve()));
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Reads as whoever is slow does, and looks whether a chunk and the one before it stay what they are for as long as they are held. */
async function readSlowly(content: HttpAnswer, turns: number): Promise<Buffer> {
  const copies: Buffer[] = [];
  let before: Buffer | undefined;
  for await (const chunk of content.body) {
    copies.push(Buffer.from(chunk));
    for (let count = 0; count < turns; count++) await turn();
    expect(chunk.equals(copies.at(-1)!)).toBe(true);
    if (before !== undefined) expect(before.equals(copies.at(-2)!)).toBe(true);
    before = chunk;
  }
  return Buffer.concat(copies);
}

describe('what is long', () => {
  const chunked = (pieceBytes: number): Buffer => {
    const parts = [Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')];
    for (let at = 0; at < LONG.length; at += pieceBytes) {
      const piece = LONG.subarray(at, at + pieceBytes);
      parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
  };
  const whole = Buffer.concat([Buffer.from(head(LONG.length)), LONG]);

  describe.each([0, 1, 20])('held for %i turns of the event loop', (turns) => {
    test.each([
      ['at once', whole],
      ['in chunks of 300,000 bytes', chunked(300_000)],
      ['in chunks of 70,001 bytes', chunked(70_001)],
      ['in chunks of 5,000 bytes', chunked(5_000)],
    ])('sent %s: arrives as it is, however often a connection is used', async (_, bytes) => {
      answer = (socket) => write(socket, bytes);
      for (let count = 0; count < 3; count++) {
        expect(sha256(await readSlowly(await ask(true), turns))).toBe(sha256(LONG));
      }
      expect(sockets).toHaveLength(1);
    });

    test('of a server that closes behind it', async () => {
      answer = (socket) =>
        void socket.end(Buffer.concat([Buffer.from(head(LONG.length, 'connection: close\r\n')), LONG]));
      expect(sha256(await readSlowly(await ask(true), turns))).toBe(sha256(LONG));
    });
  });

  test('in pieces of any length, so that reads are short and long by turns', async () => {
    answer = async (socket) => {
      for (let at = 0, bytes = 1; at < whole.length; at += bytes, bytes = (bytes * 7919) % 700_001) {
        await write(socket, whole.subarray(at, at + bytes));
        await turn();
      }
    };
    expect(sha256(await readSlowly(await ask(true), 2))).toBe(sha256(LONG));
  });

  test('is of whoever reads it where chunks are not lent', async () => {
    answer = (socket) => write(socket, whole);
    for (let count = 0; count < 2; count++) {
      const chunks: Buffer[] = [];
      for await (const chunk of (await ask(false)).body) chunks.push(chunk);
      expect(sha256(Buffer.concat(chunks))).toBe(sha256(LONG));
    }
  });

  test('its memory is used again where chunks are lent', async () => {
    answer = (socket) => write(socket, whole);
    const memory = new Set<ArrayBufferLike>();
    for (let count = 0; count < 3; count++) {
      for await (const chunk of (await ask(true)).body) if (chunk.length > 64 * 1024) memory.add(chunk.buffer);
    }
    // Three, and what was put together of pieces that came while nobody read.
    expect(memory.size).toBeLessThan(10);
    expect(memory.size).toBeGreaterThan(0);
  });
});

test('a head that comes byte by byte behind something long is as it was sent', async () => {
  let answers = 0;
  const value = 'v'.repeat(3_000);
  answer = async (socket) => {
    if (answers++ === 0) return write(socket, Buffer.concat([Buffer.from(head(LONG.length)), LONG]));
    for (const byte of head(4, `x-slow: ${value}\r\n`)) await write(socket, byte);
    await write(socket, 'done');
  };
  for await (const _ of (await ask(true)).body);
  const second = await ask(true);
  expect(second.header('x-slow')).toBe(value);
  expect((await readSlowly(second, 1)).toString()).toBe('done');
  expect(sockets).toHaveLength(1);
});

describe('what ends early', () => {
  test('a connection that breaks: what came is had, then the error', async () => {
    answer = async (socket) => {
      await write(socket, head(1_000) + 'x'.repeat(10));
      socket.resetAndDestroy();
    };
    const { body } = await ask(true);
    await expect(async () => {
      for await (const _ of body);
    }).rejects.toThrow(/ECONNRESET|closed/);
  });

  test('a signal while somebody waits for a chunk: its reason', async () => {
    answer = (socket) => write(socket, head(1_000) + 'x');
    const controller = new AbortController();
    const { body } = await ask(true, controller.signal);
    const reason = new Error('enough');
    await expect(async () => {
      for await (const _ of body) controller.abort(reason);
    }).rejects.toBe(reason);
  });

  test('a signal before the head: its reason, at once', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    answer = () => controller.abort(reason);
    await expect(ask(true, controller.signal)).rejects.toBe(reason);
    await expect(ask(true, controller.signal)).rejects.toBe(reason);
  });

  test('a reader that leaves ends the connection, and the next request has another', async () => {
    answer = (socket) => write(socket, Buffer.concat([Buffer.from(head(LONG.length)), LONG]));
    for await (const _ of (await ask(true)).body) break;
    expect(sha256(await readSlowly(await ask(true), 0))).toBe(sha256(LONG));
    expect(sockets).toHaveLength(2);
  });

  test('a body that is given up unread fails for whoever reads it then', async () => {
    answer = (socket) => write(socket, head(1_000) + 'x');
    const { body } = await ask(true);
    body.destroy();
    await expect(body[Symbol.asyncIterator]().next()).rejects.toThrow('given up');
  });

  test('an answer without a body leaves its connection for the next request', async () => {
    answer = (socket) => write(socket, 'HTTP/1.1 304 Not Modified\r\n\r\n');
    for (let count = 0; count < 3; count++) (await ask(false)).body.destroy();
    expect(sockets).toHaveLength(1);
  });
});
