import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import type { PooledRunner, RunnerPool } from '../../src/pool/runner-pool.ts';
import { encodeFrame, FrameType } from '../../src/runner/frame.ts';
import { createFrameDecoder } from '../../src/runner/frame-decoder.ts';
import type { ResponseSink } from '../../src/runner/invocation-stream.ts';
import { Runner } from '../../src/runner/runner.ts';
import { createLaneSockets } from '../../src/runner/lane-socket.ts';
import { createStreamNumbers } from '../../src/runner/stream-numbers.ts';
import { socketPair } from '../runner/socket-pair.ts';

/** The runner's side of the sockets, played by a test: it starts workers when asked to, and ends them when told to. */
export type ScriptedRunner = {
  runner: Runner;
  /** Numbers of the lanes that a REQUEST came on, in order. */
  requests: number[];
  /** Answers the oldest open request of a lane, which has cost the guest so much. */
  answer: (lane: number, guestCpuUs?: number) => void;
  /** Ends the worker of a lane and lets another follow. */
  replace: (lane: number) => void;
  /** Both, in this order; which of them is read first is left open, as they go through two sockets. */
  finish: (lane: number) => void;
  /** Refuses the artifact. */
  refuse: () => void;
  /** Killed, or told to end. */
  ended: () => boolean;
};

const ignore = (): void => undefined;

/** Takes no notice of an answer but of its end. */
export function sinkUntil(done: () => void, lost: (reason: string) => void = ignore): ResponseSink {
  return { response: ignore, body: ignore, end: ignore, log: ignore, writable: ignore, flush: ignore, done, lost };
}

/** A pool whose runners a test plays, and an artifact for them. */
export type ScriptedPool = {
  pool: RunnerPool;
  runners: ScriptedRunner[];
  /** Numbers of runners that were taken and not used. */
  givenBack: number[];
  artifact: Artifact;
  /** Resolves when the condition holds; checked after every frame that a runner was sent. */
  until: (condition: () => boolean) => Promise<void>;
  close: () => void;
};

export function scriptedPool(lanes: number, nowMs: () => number = () => performance.now()): ScriptedPool {
  const folder = mkdtempSync(join(tmpdir(), 'playa-pool-'));
  const path = join(folder, 'artifact');
  writeFileSync(path, '');
  const runners: ScriptedRunner[] = [];
  const givenBack: number[] = [];
  let checks: (() => void)[] = [];
  const check = (): void => checks.forEach((each) => each());
  const artifact = { name: 'f', path, manifest: { kind: 'component' } } as unknown as Artifact;
  const pool: RunnerPool = {
    warm: () => Promise.resolve(),
    state: () => ({ ready: 0, starting: 0, lastFailure: undefined }),
    close: () => undefined,
    giveBack: ({ runner }) => {
      givenBack.push(runner.id);
      check();
    },
    take: async () => {
      const { pooled, scripted } = await startScripted(runners.length + 1, lanes, folder, nowMs, check);
      runners.push(scripted);
      return pooled;
    },
  };
  return {
    pool,
    runners,
    givenBack,
    artifact,
    until: (condition) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!condition()) return;
          checks = checks.filter((each) => each !== look);
          resolve();
        };
        checks.push(look);
        look();
      }),
    close: () => {
      for (const { runner } of runners) runner.fail(new Error('the test is over'));
      rmSync(folder, { recursive: true });
    },
  };
}

async function startScripted(
  id: number,
  laneCount: number,
  folder: string,
  nowMs: () => number,
  check: () => void,
): Promise<{ pooled: PooledRunner; scripted: ScriptedRunner }> {
  const pairs = await Promise.all(Array.from({ length: laneCount + 1 }, () => socketPair()));
  const [control, ...lanes] = pairs.map(([mine]) => mine) as [Socket, ...Socket[]];
  const [theirControl, ...theirLanes] = pairs.map(([, theirs]) => theirs) as [Socket, ...Socket[]];
  for (const socket of [control, ...lanes]) socket.on('error', () => undefined);
  let ended = false;
  let worker = 0;
  const requests: number[] = [];
  const open = lanes.map((): number[] => []);
  const workers = new Map<number, number>();
  const tell = (type: number, message: object): void => {
    control.write(encodeFrame(type, 0, Buffer.from(JSON.stringify(message))));
  };
  const start = (lane: number, more: object = {}): void => {
    workers.set(lane, ++worker);
    tell(FrameType.worker, { lane, ...more, started: worker });
  };
  const controlDecoder = createFrameDecoder((type, _stream, payload) => {
    const message = JSON.parse(payload.toString()) as { lanes: number[]; lane: number };
    if (type === FrameType.load) {
      tell(FrameType.loaded, { world: 'http-0.2', loadUs: 1 });
      // As the runner does: it says nothing of the start of the lanes that LOAD names.
      for (const lane of message.lanes) workers.set(lane, ++worker);
    }
    if (type === FrameType.worker) start(message.lane);
    check();
  });
  control.on('data', (chunk: Buffer) => controlDecoder.push(chunk));
  lanes.forEach((socket, lane) => {
    const decoder = createFrameDecoder((type, stream) => {
      if (type === FrameType.request) {
        requests.push(lane);
        open[lane]!.push(stream);
      }
      check();
    });
    socket.on('data', (chunk: Buffer) => decoder.push(chunk));
  });
  const runner = new Runner({
    id,
    control: theirControl,
    lanes: theirLanes.map(createLaneSockets()),
    streamNumber: createStreamNumbers(),
    nowMs,
    end: () => void (ended = true),
    kill: () => {
      ended = true;
      for (const socket of [control, ...lanes]) socket.destroy();
    },
    events: {
      hello: () => undefined,
      loaded: () => undefined,
      refused: () => undefined,
      laneReady: () => undefined,
      workerEnded: () => undefined,
      failed: () => undefined,
    },
  });
  const answer = (lane: number, guestCpuUs = 0): void => {
    const stream = open[lane]!.shift()!;
    const head = encodeFrame(FrameType.response, stream, Buffer.from([200, 0, 0, 0]));
    const end = encodeFrame(FrameType.end, stream, Buffer.from([0, 0]));
    const done = Buffer.concat([Buffer.from([2, 0]), Buffer.from('ok'), Buffer.alloc(2 + 36)]);
    done.writeUInt32LE(guestCpuUs, 2 + 2 + 2 + 8);
    lanes[lane]!.write(Buffer.concat([head, end, encodeFrame(FrameType.done, stream, done)]));
  };
  const replace = (lane: number): void => {
    start(lane, { ended: { worker: workers.get(lane)!, status: 0, signal: 0, cpuUs: 1, maxRssKb: 1 } });
  };
  const scripted: ScriptedRunner = {
    runner,
    requests,
    ended: () => ended,
    refuse: () => tell(FrameType.refused, { reason: 'world', detail: 'it exports nothing' }),
    answer,
    replace,
    finish: (lane) => {
      answer(lane);
      replace(lane);
    },
  };
  return { pooled: { runner, directory: makeInput(folder, id), exited: Promise.resolve('') }, scripted };
}

function makeInput(folder: string, id: number): string {
  return mkdtempSync(join(folder, `${id}-`));
}
