import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { ProtocolViolation } from '../../packages/dispatcher/src/runner/frame.ts';
import type { ResponseSink } from '../../packages/dispatcher/src/runner/invocation-stream.ts';
import { Lane } from '../../packages/dispatcher/src/runner/lane.ts';
import type { FuzzTarget } from '../fuzz-target.ts';

const FIXTURES = new URL('../../test/fixtures/frames.json', import.meta.url);
const HEAD = {
  method: 'GET',
  scheme: 'http',
  authority: 'f',
  pathWithQuery: '/',
  remoteAddress: '127.0.0.1',
  headers: [],
};

/** What a runner that was taken over may write to a lane on which invocations are open. */
export const LANE_FRAMES: FuzzTarget = {
  name: 'frames of a lane',
  seeds: () => readFixtures().map((hex) => Buffer.from(hex, 'hex')),
  read: (input) => {
    let take: ((chunk: Buffer) => void) | undefined;
    const laneSocket = { socket: createSocket(), start: (taker: (chunk: Buffer) => void) => void (take = taker) };
    let violation: Error | undefined;
    const lane = new Lane(0, laneSocket, {
      // The fixtures' frames are for the streams 1, 3, 5 …
      streamNumber: (slot) => slot * 2 + 1,
      nowMs: () => 0,
      fail: (error) => (violation = error),
      closed: () => undefined,
    });
    for (let count = 0; count < 4; count++) {
      lane.reserve();
      lane.open(HEAD, SINK);
    }
    // In two pieces, as sockets cut where they like.
    const cut = input.length >> 1;
    take!(input.subarray(0, cut));
    take!(input.subarray(cut));
    if (violation !== undefined) throw violation;
  },
  isRefusal: (error) => error instanceof ProtocolViolation,
};

const nothing = (): void => undefined;
const SINK: ResponseSink = {
  origin: { requestId: 'r', rootRequestId: 'r', depth: 0, traceContext: undefined, note: nothing },
  response: nothing,
  body: nothing,
  end: nothing,
  log: nothing,
  writable: nothing,
  flush: nothing,
  done: nothing,
  lost: nothing,
};

function createSocket(): Socket {
  const writable = { writableLength: 0, write: () => true, cork: nothing, uncork: nothing, resume: nothing };
  return Object.assign(new EventEmitter(), writable) as unknown as Socket;
}

function readFixtures(): string[] {
  const found: string[] = [];
  const collect = (value: unknown): void => {
    if (typeof value === 'string' && /^(?:[0-9a-f]{2}){12,}$/.test(value)) found.push(value);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  collect(JSON.parse(readFileSync(FIXTURES, 'utf8')));
  return found;
}
