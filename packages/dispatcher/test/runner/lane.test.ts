import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeFrame, FrameType, INITIAL_CREDIT_BYTES } from '../../src/runner/frame.ts';
import { createFrameDecoder } from '../../src/runner/frame-decoder.ts';
import type { InvocationStream, ResponseSink } from '../../src/runner/invocation-stream.ts';
import { Lane } from '../../src/runner/lane.ts';
import { createLaneSockets } from '../../src/runner/lane-socket.ts';
import { createRandom } from '../random.ts';
import { socketPair } from './socket-pair.ts';

const HEAD = { method: 'GET', scheme: 'http', authority: 'a', pathWithQuery: '/', remoteAddress: '', headers: [] };

const laneSockets = createLaneSockets();

/** A lane, the worker's end of its socket, and everything that happened. */
async function openLane(): Promise<{ lane: Lane; worker: Socket; failure: Promise<Error> }> {
  const [worker, accepted] = await socketPair();
  const laneSocket = laneSockets(accepted);
  const { socket } = laneSocket;
  worker.on('error', () => undefined);
  const failed = Promise.withResolvers<Error>();
  const lane = new Lane(0, laneSocket, {
    // Predictable, so that a test can write frames ahead.
    streamNumber: (slot) => slot * 2 + 1,
    nowMs: () => performance.now(),
    fail: (error) => {
      socket.destroy();
      failed.resolve(error);
    },
    closed: (error) => failed.resolve(error),
  });
  open.push(worker, socket);
  // As the pool does it before a lane is lent.
  for (let i = 0; i < 3; i++) lane.reserve();
  return { lane, worker, failure: failed.promise };
}

const open: Socket[] = [];
afterEach(() => open.splice(0).forEach((socket) => socket.destroy()));

type Event = [string, ...unknown[]];

function recorder(): { sink: ResponseSink; events: Event[]; ended: Promise<void> } {
  const events: Event[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const sink: ResponseSink = {
    response: (head) => events.push(['response', head.status, head.headers]),
    body: (chunk) => events.push(['body', chunk.toString('latin1')]),
    end: (trailers) => events.push(['end', trailers]),
    log: (source, bytes) => events.push(['log', source, bytes.toString()]),
    writable: () => events.push(['writable']),
    flush: () => events.push(['flush']),
    done: (done) => {
      events.push(['done', done.outcome, done.fuel]);
      resolve();
    },
    lost: (reason) => {
      events.push(['lost', reason]);
      resolve();
    },
  };
  return { sink, events, ended: promise };
}

const text16 = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'latin1');
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.length);
  return Buffer.concat([length, bytes]);
};

function headers(list: string[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16LE(list.length / 2);
  return Buffer.concat([count, ...list.map(text16)]);
}

function response(stream: number, status: number, fields: string[] = []): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(status);
  return encodeFrame(FrameType.response, stream, Buffer.concat([head, headers(fields)]));
}

const body = (stream: number, text: string | Buffer): Buffer => encodeFrame(FrameType.body, stream, Buffer.from(text));
const end = (stream: number, trailers: string[] = []): Buffer => encodeFrame(FrameType.end, stream, headers(trailers));

function doneFrame(stream: number, outcome = 'ok', fuel = 7): Buffer {
  const numbers = Buffer.alloc(36);
  numbers.writeBigUInt64LE(BigInt(fuel), 0);
  return encodeFrame(FrameType.done, stream, Buffer.concat([text16(outcome), text16(''), numbers]));
}

function credit(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(bytes);
  return encodeFrame(FrameType.credit, stream, payload);
}

describe('Lane', () => {
  test('hands over what came together before it flushes', async () => {
    const { lane, worker } = await openLane();
    const { sink, events, ended } = recorder();
    const { number } = lane.open(HEAD, sink);
    worker.write(
      Buffer.concat([
        response(number, 201, ['a', 'ä']),
        body(number, 'hi'),
        end(number, ['t', '1']),
        doneFrame(number),
      ]),
    );
    await ended;
    await new Promise(setImmediate);
    expect(events).toEqual([
      ['response', 201, ['a', 'ä']],
      ['body', 'hi'],
      ['end', ['t', '1']],
      ['done', 'ok', 7],
      ['flush'],
    ]);
    expect(lane.openStreams).toBe(2);
  });

  test('many requests at once go out in parts, each whole with its END', async () => {
    const { lane, worker } = await openLane();
    const reads: number[] = [];
    const decoder = createFrameDecoder((type) => {
      if (type === FrameType.request) reads[reads.length - 1]!++;
    });
    const all = Promise.withResolvers<void>();
    worker.on('data', (chunk: Buffer) => {
      reads.push(0);
      decoder.push(chunk);
      expect(decoder.pendingBytes()).toBe(0);
      if (reads.reduce((sum, count) => sum + count) === 20) all.resolve();
    });
    // What was sent before the turn of the event loop is over.
    let sentBytes = 0;
    for (let count = 0; count < 20; count++) {
      lane.reserve();
      lane.open(HEAD, recorder().sink).sendEnd([]);
      if (count === 15) sentBytes = open.at(-1)!.bytesWritten;
    }
    await all.promise;
    expect(sentBytes).toBeGreaterThan(0);
    expect(sentBytes).toBeLessThan(open.at(-1)!.bytesWritten);
  });

  test("leaves connection-level fields and the platform's own out", async () => {
    const { lane, worker } = await openLane();
    const { sink, events, ended } = recorder();
    const { number } = lane.open(HEAD, sink);
    const fields = [
      'Connection',
      'close',
      'x',
      '1',
      'Transfer-Encoding',
      'chunked',
      'Keep-Alive',
      '5',
      'Upgrade',
      'h2c',
      'X-Playa-Fuel',
      '0',
    ];
    worker.write(Buffer.concat([response(number, 200, fields), end(number), doneFrame(number)]));
    await ended;
    expect(events[0]).toEqual(['response', 200, ['x', '1']]);
  });

  test('sends CANCEL in place of a missing END after DONE, and nothing after it', async () => {
    const { lane, worker } = await openLane();
    const { sink, ended } = recorder();
    const stream = lane.open(HEAD, sink);
    const sent: number[] = [];
    const decoder = createFrameDecoder((type) => sent.push(type));
    worker.on('data', (chunk: Buffer) => decoder.push(chunk));
    worker.write(Buffer.concat([response(stream.number, 200), end(stream.number), doneFrame(stream.number)]));
    await ended;
    stream.sendBody(Buffer.from('late'));
    stream.sendEnd([]);
    stream.cancel();
    const marker = lane.open(HEAD, recorder().sink);
    marker.sendEnd([]);
    while (sent.length < 4) await once(worker, 'data');
    expect(sent).toEqual([FrameType.request, FrameType.cancel, FrameType.request, FrameType.end]);
  });

  const violations: [string, (stream: InvocationStream) => Buffer][] = [
    ['a stream that is not open', (stream) => response(stream.number + 2, 200)],
    ['a control frame', (stream) => encodeFrame(FrameType.loaded, stream.number, Buffer.from('{}'))],
    ['an unknown type', (stream) => encodeFrame(0x7f, stream.number, Buffer.alloc(0))],
    ['a frame only a dispatcher sends', (stream) => encodeFrame(FrameType.request, stream.number, Buffer.alloc(0))],
    ['BODY before RESPONSE', (stream) => body(stream.number, 'x')],
    ['END before RESPONSE', (stream) => end(stream.number)],
    ['RESPONSE twice', (stream) => Buffer.concat([response(stream.number, 200), response(stream.number, 200)])],
    [
      'BODY after END',
      (stream) => Buffer.concat([response(stream.number, 200), end(stream.number), body(stream.number, 'x')]),
    ],
    ['END twice', (stream) => Buffer.concat([response(stream.number, 200), end(stream.number), end(stream.number)])],
    ['DONE twice', (stream) => Buffer.concat([doneFrame(stream.number, 'trap'), doneFrame(stream.number, 'trap')])],
    ['DONE ok before END', (stream) => Buffer.concat([response(stream.number, 200), doneFrame(stream.number)])],
    ['an empty BODY', (stream) => Buffer.concat([response(stream.number, 200), body(stream.number, '')])],
    ['status 99', (stream) => response(stream.number, 99)],
    ['status 100', (stream) => response(stream.number, 100)],
    ['status 600', (stream) => response(stream.number, 600)],
    ['a field name with a space', (stream) => response(stream.number, 200, ['a b', '1'])],
    ['an empty field name', (stream) => response(stream.number, 200, ['', '1'])],
    ['a line break in a value', (stream) => response(stream.number, 200, ['a', '1\r\nb: 2'])],
    ['a NUL in a trailer', (stream) => Buffer.concat([response(stream.number, 200), end(stream.number, ['a', '\0'])])],
    [
      'more body than credit',
      (stream) =>
        Buffer.concat([
          response(stream.number, 200),
          body(stream.number, Buffer.alloc(INITIAL_CREDIT_BYTES)),
          body(stream.number, 'x'),
        ]),
    ],
    ['credit for what was not sent', (stream) => credit(stream.number, 1)],
    ['credit overflow', (stream) => credit(stream.number, 0xffff_ffff)],
    ['LOG from nowhere', (stream) => encodeFrame(FrameType.log, stream.number, Buffer.from([3, 65]))],
    ['a LOG without a source', (stream) => encodeFrame(FrameType.log, stream.number, Buffer.alloc(0))],
    [
      'a header count that lies',
      (stream) => encodeFrame(FrameType.response, stream.number, Buffer.from([200, 0, 9, 0])),
    ],
    ['bytes behind the fields', (stream) => encodeFrame(FrameType.end, stream.number, Buffer.from([0, 0, 0]))],
    ['a DONE that is cut short', (stream) => encodeFrame(FrameType.done, stream.number, Buffer.from([2, 0, 111, 107]))],
  ];

  test.each(violations)('%s is a violation', async (_what, frames) => {
    const { lane, worker, failure } = await openLane();
    const stream = lane.open(HEAD, recorder().sink);
    worker.write(frames(stream));
    expect(await failure).toMatchObject({ name: 'ProtocolViolation' });
  });

  test('brings a lane back after a death in the middle of a frame', async () => {
    const { lane, worker } = await openLane();
    const first = recorder();
    const { number } = lane.open(HEAD, first.sink);
    const nonce = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7));
    const synced = Promise.withResolvers<void>();
    worker.write(Buffer.concat([response(number, 200), body(number, 'whole'), body(number, 'half').subarray(0, 14)]));
    while (first.events.length < 3) await new Promise(setImmediate);
    lane.resync(nonce, 'signal 9', synced.resolve);
    worker.write(nonce.subarray(0, 10));
    worker.write(nonce.subarray(10));
    await synced.promise;
    expect(first.events.at(-1)).toEqual(['lost', 'signal 9']);
    const second = recorder();
    const next = lane.open(HEAD, second.sink);
    worker.write(Buffer.concat([response(next.number, 204), end(next.number), doneFrame(next.number)]));
    await second.ended;
    expect(second.events[0]).toEqual(['response', 204, []]);
  });

  test('survives any bytes: each stream ends in a violation or is still open', async () => {
    const random = createRandom(4);
    const seeds = [response(1, 200, ['a', 'b']), body(1, 'x'), end(1), doneFrame(1), credit(1, 1)];
    for (let round = 0; round < 300; round++) {
      const { lane, worker, failure } = await openLane();
      lane.open(HEAD, recorder().sink);
      const bytes = Buffer.concat(Array.from({ length: 1 + random(4) }, () => seeds[random(seeds.length)]!));
      for (let flips = random(6); flips > 0; flips--) bytes[random(bytes.length)] = random(256);
      worker.end(bytes);
      // The end of the socket is a failure as well, so this always settles.
      expect(await failure).toBeInstanceOf(Error);
    }
  });
});
