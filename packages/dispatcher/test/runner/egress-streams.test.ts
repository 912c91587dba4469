import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/egress/address.ts';
import type { Connection, ConnectionSink, EgressGate, LookupSink } from '../../src/egress/broker.ts';
import { encodeFrame, FrameType, INITIAL_CREDIT_BYTES } from '../../src/runner/frame.ts';
import { createFrameDecoder } from '../../src/runner/frame-decoder.ts';
import type { InvocationStream, ResponseSink } from '../../src/runner/invocation-stream.ts';
import { Lane } from '../../src/runner/lane.ts';
import { createLaneSockets } from '../../src/runner/lane-socket.ts';
import { createStreamNumbers } from '../../src/runner/stream-numbers.ts';
import { createRandom } from '../random.ts';
import { socketPair } from './socket-pair.ts';

const HEAD = { method: 'GET', scheme: 'http', authority: 'a', pathWithQuery: '/', remoteAddress: '', headers: [] };
const SINK: ResponseSink = {
  origin: {
    requestId: 'request-1',
    rootRequestId: 'request-1',
    depth: 0,
    traceContext: undefined,
    note: () => undefined,
  },
  response: () => undefined,
  body: () => undefined,
  end: () => undefined,
  log: () => undefined,
  writable: () => undefined,
  flush: () => undefined,
  done: () => undefined,
  lost: () => undefined,
};

/** What the lane asked of its gate, and did with the connection that it was given. */
type Asked = { host: string; sink: ConnectionSink; calls: string[] };

type Frame = { type: number; stream: number; payload: Buffer };

type Setting = {
  lane: Lane;
  worker: Socket;
  stream: InvocationStream;
  asked: Asked[];
  lookups: LookupSink[];
  failure: Promise<Error>;
  /** The next frame that the lane sends on an even stream. */
  frame: () => Promise<Frame>;
  /** Resolves when everything that was written to the lane has been read. */
  settled: (until: () => boolean) => Promise<void>;
};

const sockets: Socket[] = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));

function text16(text: string): Buffer {
  const bytes = Buffer.alloc(2 + text.length);
  bytes.writeUInt16LE(text.length);
  bytes.write(text, 2, 'latin1');
  return bytes;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

const dial = (invocation: number, number = 2): Buffer =>
  encodeFrame(FrameType.dial, number, Buffer.concat([u32(invocation), text16('a.test'), Buffer.from([80, 0])]));
const resolve = (invocation: number, number = 2): Buffer =>
  encodeFrame(FrameType.resolve, number, Buffer.concat([u32(invocation), text16('a.test')]));
const body = (number: number, bytes: number): Buffer => encodeFrame(FrameType.body, number, Buffer.alloc(bytes, 'x'));
const end = (number: number): Buffer => encodeFrame(FrameType.end, number, Buffer.from([0, 0]));
const credit = (number: number, bytes: number): Buffer => encodeFrame(FrameType.credit, number, u32(bytes));
const close = (number: number): Buffer => encodeFrame(FrameType.close, number, Buffer.from([0]));

async function open(keepsConnections = false): Promise<Setting> {
  const [worker, accepted] = await socketPair();
  const own = createLaneSockets()(accepted);
  worker.on('error', () => undefined);
  const failed = Promise.withResolvers<Error>();
  const lane = new Lane(0, own, {
    streamNumber: createStreamNumbers(),
    nowMs: () => performance.now(),
    fail: (error) => {
      own.socket.destroy();
      failed.resolve(error);
    },
    closed: failed.resolve,
  });
  sockets.push(own.socket, worker);
  const asked: Asked[] = [];
  const lookups: LookupSink[] = [];
  const connection = (calls: string[]): Connection => ({
    write: (chunk) => calls.push(`write ${chunk.length}`),
    end: () => calls.push('end'),
    release: (bytes) => calls.push(`release ${bytes}`),
    close: () => calls.push('close'),
  });
  const gate: EgressGate = {
    outlives: () => keepsConnections,
    dial: (_, host, _port, sink) => {
      const calls: string[] = [];
      asked.push({ host, sink, calls });
      return connection(calls);
    },
    resolve: (_, _name, sink) => {
      lookups.push(sink);
      return connection([]);
    },
  };
  lane.egress.gate = gate;
  lane.reserve();
  const stream = lane.open(HEAD, SINK);
  const frames: Frame[] = [];
  const decoder = createFrameDecoder((type, number, payload) => {
    if (number % 2 === 0) frames.push({ type, stream: number, payload: Buffer.from(payload) });
  });
  worker.on('data', (chunk: Buffer) => decoder.push(chunk));
  return {
    lane,
    worker,
    stream,
    asked,
    lookups,
    failure: failed.promise,
    frame: async () => {
      while (frames.length === 0) await once(worker, 'data');
      return frames.shift()!;
    },
    settled: async (until) => {
      while (!until()) await new Promise(setImmediate);
    },
  };
}

/** Opens a connection and reads DIALED. */
async function connected(setting: Setting): Promise<Asked> {
  setting.worker.write(dial(setting.stream.number));
  await setting.settled(() => setting.asked.length > 0);
  const asked = setting.asked[0]!;
  asked.sink.connected(parseAddress('9.9.9.9')!, 80);
  expect((await setting.frame()).type).toBe(FrameType.dialed);
  return asked;
}

describe('even streams', () => {
  test('bytes go both ways, each side ends and closes for itself', async () => {
    const setting = await open();
    const { sink, calls, host } = await connected(setting);
    expect(host).toBe('a.test');
    setting.worker.write(Buffer.concat([body(2, 5), end(2)]));
    await setting.settled(() => calls.includes('end'));
    expect(calls).toEqual(['write 5', 'end']);
    sink.data(Buffer.from('answer'));
    sink.end();
    sink.closed('ordinary');
    const frames = [await setting.frame(), await setting.frame(), await setting.frame()];
    expect(frames.map(({ type }) => type)).toEqual([FrameType.body, FrameType.end, FrameType.close]);
    // The number is free again only after the worker's own CLOSE.
    setting.worker.write(Buffer.concat([close(2), dial(setting.stream.number)]));
    await setting.settled(() => setting.asked.length === 2);
    expect(calls.at(-1)).toBe('close');
  });

  test('no more is sent than was granted, and what was granted is released', async () => {
    const setting = await open();
    const { sink, calls } = await connected(setting);
    sink.data(Buffer.alloc(INITIAL_CREDIT_BYTES + 100));
    // One frame, which is read in parts.
    let sentBytes = 0;
    while (sentBytes < INITIAL_CREDIT_BYTES) sentBytes += (await setting.frame()).payload.length;
    expect(sentBytes).toBe(INITIAL_CREDIT_BYTES);
    expect(calls).toEqual([]);
    setting.worker.write(credit(2, INITIAL_CREDIT_BYTES));
    expect((await setting.frame()).payload).toHaveLength(100);
    expect(calls).toEqual([`release ${INITIAL_CREDIT_BYTES}`]);
  });

  test('credit is granted for what has left', async () => {
    const setting = await open();
    const { sink } = await connected(setting);
    setting.worker.write(body(2, INITIAL_CREDIT_BYTES));
    sink.written(INITIAL_CREDIT_BYTES);
    const granted = await setting.frame();
    expect([granted.type, granted.payload.readUInt32LE()]).toEqual([FrameType.credit, INITIAL_CREDIT_BYTES]);
  });

  test('what an invocation leaves open is ended, unless its process serves others', async () => {
    for (const keeps of [false, true]) {
      const setting = await open(keeps);
      const { calls } = await connected(setting);
      const done = Buffer.concat([text16('trap'), text16(''), Buffer.alloc(36)]);
      setting.worker.write(encodeFrame(FrameType.done, setting.stream.number, done));
      await setting.settled(() => setting.stream.closed);
      expect(calls).toEqual(keeps ? [] : ['close']);
    }
  });

  test('when the worker is gone, so are its connections', async () => {
    const setting = await open();
    const { calls, sink } = await connected(setting);
    setting.lane.lose('signal 9');
    expect(calls).toEqual(['close']);
    // What comes late is for nobody.
    sink.data(Buffer.from('late'));
    sink.closed('reset');
  });

  const afterDial: [string, (invocation: number) => Buffer][] = [
    ['BODY before DIALED', () => body(2, 1)],
    ['END before DIALED', () => end(2)],
    ['a second DIAL', dial],
    ['a RESOLVE on its stream', resolve],
    ['CREDIT for what was not sent', () => credit(2, 1)],
    ['a frame that only a dispatcher sends', () => encodeFrame(FrameType.dialed, 2, Buffer.alloc(8))],
    ['a frame of an invocation', () => encodeFrame(FrameType.log, 2, Buffer.from([1, 65]))],
    ['CLOSE twice', () => Buffer.concat([close(2), close(2)])],
    ['BODY after CLOSE', () => Buffer.concat([close(2), body(2, 1)])],
    ['CLOSE with a reason', () => encodeFrame(FrameType.close, 2, Buffer.from([1]))],
    ['another stream that is not open', () => body(4, 1)],
  ];
  test.each(afterDial)('%s is a violation', async (_what, frames) => {
    const setting = await open();
    setting.worker.write(Buffer.concat([dial(setting.stream.number), frames(setting.stream.number)]));
    expect(await setting.failure).toMatchObject({ name: 'ProtocolViolation' });
  });

  const onceConnected: [string, Buffer][] = [
    ['more than was granted', Buffer.concat([body(2, INITIAL_CREDIT_BYTES), body(2, 1)])],
    ['an empty BODY', body(2, 0)],
    ['BODY after END', Buffer.concat([end(2), body(2, 1)])],
    ['END twice', Buffer.concat([end(2), end(2)])],
    ['END with trailers', encodeFrame(FrameType.end, 2, Buffer.from([1, 0, 1, 0, 97, 1, 0, 98]))],
    ['credit overflow', credit(2, 0xffff_ffff)],
  ];
  test.each(onceConnected)('on a connection, %s is a violation', async (_what, frames) => {
    const setting = await open();
    await connected(setting);
    setting.worker.write(frames);
    expect(await setting.failure).toMatchObject({ name: 'ProtocolViolation' });
  });

  test.each([
    ['that is not under way', (number: number) => number + 2],
    ['with an even number', () => 4],
  ])('a connection for an invocation %s is a violation', async (_what, other) => {
    const setting = await open();
    setting.worker.write(dial(other(setting.stream.number)));
    expect(await setting.failure).toMatchObject({ name: 'ProtocolViolation' });
  });

  test('more streams than a worker of ours opens are a violation', async () => {
    const setting = await open();
    const many = Array.from({ length: 513 }, (_, at) => dial(setting.stream.number, 2 + 2 * at));
    setting.worker.write(Buffer.concat(many));
    expect(await setting.failure).toMatchObject({ message: 'too many even streams' });
  });

  test('survives any bytes', async () => {
    const random = createRandom(7);
    for (let round = 0; round < 200; round++) {
      const setting = await open(round % 2 === 0);
      const { number } = setting.stream;
      const seeds = [
        dial(number),
        resolve(number, 4),
        body(2, 3),
        end(2),
        credit(2, 5),
        close(2),
        close(4),
        body(4, 1),
      ];
      const bytes = Buffer.concat([
        dial(number),
        ...Array.from({ length: 1 + random(5) }, () => seeds[random(seeds.length)]!),
      ]);
      for (let flips = random(4); flips > 0; flips--) bytes[random(bytes.length)] = random(256);
      setting.worker.end(bytes);
      expect(await setting.failure).toBeInstanceOf(Error);
      setting.lane.lose('over');
      for (const { sink } of setting.asked) {
        sink.connected(parseAddress('::1')!, 1);
        sink.data(Buffer.from('x'));
        sink.closed('reset');
      }
    }
  });
});
