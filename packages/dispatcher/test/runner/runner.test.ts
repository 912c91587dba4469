import { once } from 'node:events';
import { expect, test } from 'vitest';
import { encodeFrame, FrameType } from '../../src/runner/frame.ts';
import { Runner, type RunnerEvents } from '../../src/runner/runner.ts';
import { createStreamNumbers } from '../../src/runner/stream-numbers.ts';
import { createLaneSockets } from '../../src/runner/lane-socket.ts';
import { socketPair } from './socket-pair.ts';

test('a runner that ends has its last word read, though the ends of its lanes are seen first', async () => {
  const [control, theirControl] = await socketPair();
  const [theirLane, accepted] = await socketPair();
  const laneSocket = createLaneSockets()(accepted);
  const events: string[] = [];
  const ended = Promise.withResolvers<void>();
  const ignore = (): void => undefined;
  const handlers: RunnerEvents = {
    hello: ignore,
    loaded: ignore,
    refused: ({ reason }) => events.push(`refused: ${reason}`),
    laneReady: ignore,
    workerEnded: ignore,
    failed: ({ message }) => {
      events.push(`failed: ${message}`);
      ended.resolve();
    },
  };
  const runner = new Runner({
    id: 1,
    control,
    lanes: [laneSocket],
    streamNumber: createStreamNumbers(),
    nowMs: () => performance.now(),
    kill: ignore,
    end: ignore,
    events: handlers,
  });
  theirLane.destroy();
  await once(laneSocket.socket, 'close');
  expect(runner.over).toBe(false);
  theirControl.end(encodeFrame(FrameType.refused, 0, Buffer.from('{"reason":"world","detail":"it exports nothing"}')));
  await ended.promise;
  expect(events).toEqual(['refused: world', 'failed: the runner ended']);
  theirControl.destroy();
});

test('a runner that closes a lane and stays is given up', async () => {
  const [control, theirControl] = await socketPair();
  const [theirLane, accepted] = await socketPair();
  const laneSocket = createLaneSockets()(accepted);
  const ignore = (): void => undefined;
  const failed = Promise.withResolvers<Error>();
  const runner = new Runner({
    id: 1,
    control,
    lanes: [laneSocket],
    streamNumber: createStreamNumbers(),
    nowMs: () => performance.now(),
    kill: ignore,
    end: ignore,
    events: {
      hello: ignore,
      loaded: ignore,
      refused: ignore,
      laneReady: ignore,
      workerEnded: ignore,
      failed: failed.resolve,
    },
  });
  theirLane.destroy();
  expect((await failed.promise).message).toBe('lane 0 closed');
  expect(runner.over).toBe(true);
  theirControl.destroy();
});
