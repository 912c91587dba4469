import type { Logger } from 'pino';
import { InvocationError } from '../outcome/invocation-error.ts';
import { Runner } from '../runner/runner.ts';
import type { StreamNumbers } from '../runner/stream-numbers.ts';
import type { SpawnedSandbox, Spawner } from '../spawner/spawner.ts';
import type { UserIds } from './user-ids.ts';

/** A sandbox whose runner has said HELLO and is bound to no function yet. */
export type PooledRunner = {
  runner: Runner;
  /** What is put here appears in the sandbox under /in. */
  directory: string;
  /** Settles when the sandbox is gone; tells what it wrote to stderr. */
  exited: Promise<string>;
};

/** What the pool is like at the moment, for health and metrics. */
export type PoolState = { ready: number; starting: number; lastFailure: string | undefined };

/** Keeps sandboxes ready. */
export type RunnerPool = {
  /**
   * Takes a ready runner, or waits for one that is starting.
   * @throws {InvocationError} `sandbox_failed` when sandboxes cannot be started, `draining` when the pool is closed.
   */
  take: () => Promise<PooledRunner>;
  /** Takes back what was taken and not used; it ends where that is more than the pool keeps. */
  giveBack: (pooled: PooledRunner) => void;
  /**
   * Starts filling the pool; `take` does so as well. Settles when the first sandbox has started, or at once for a pool that keeps none ready.
   * @throws {Error} why the first one could not be started.
   */
  warm: () => Promise<void>;
  state: () => PoolState;
  /** Kills what is ready and starts nothing more. */
  close: () => void;
};

type Waiter = { resolve: (runner: PooledRunner) => void; reject: (error: Error) => void };

/** A sandbox that has not said HELLO by then is stuck. */
const START_LIMIT_MS = 10_000;
/** Pause after the first failed start; doubled with each further one, so that a broken host is not kept busy with failing. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Failed starts in a row until requests are refused: one may be the fault of a spawner that died, and the next start mends it. */
const FAILURES_UNTIL_REFUSAL = 3;
const PROTOCOL_VERSION = 1;
/**
 * How long a pool that still has runners waits with starting another. To start one takes a processor for some milliseconds, which the request that
 * has just taken one needs itself: begun at once, the start doubled the time to the first byte on two processors.
 */
const REFILL_DELAY_MS = 5;

/** A pool of runners with `lanes` lanes each that keeps `size` ready and starts at most `startsAtOnce` side by side. */
export function createRunnerPool(deps: {
  spawner: Spawner;
  userIds: UserIds;
  lanes: number;
  size: number;
  startsAtOnce: number;
  /** The engine's version that runners must have. */
  wasmtime: string;
  streamNumber: StreamNumbers;
  nowMs: () => number;
  log: Logger;
}): RunnerPool {
  const ready: PooledRunner[] = [];
  const waiters: Waiter[] = [];
  let starting = 0;
  let failures = 0;
  let lastFailure: string | undefined;
  let pause: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  let warmed = false;
  let closed = false;
  const firstStart = Promise.withResolvers<void>();
  // Only `warm` hands it out.
  firstStart.promise.catch(() => undefined);

  const refill = (): void => {
    if (!warmed) return;
    while (
      !closed &&
      pause === undefined &&
      starting < deps.startsAtOnce &&
      ready.length + starting < deps.size + waiters.length
    ) {
      starting++;
      void start();
    }
  };

  const refillLater = (): void => {
    later ??= setTimeout(() => {
      later = undefined;
      refill();
    }, REFILL_DELAY_MS);
  };

  const start = async (): Promise<void> => {
    try {
      const pooled = await startRunner(deps, onIdleFailure);
      starting--;
      failures = 0;
      lastFailure = undefined;
      firstStart.resolve();
      hand(pooled);
    } catch (error) {
      starting--;
      if (!closed) onFailure(error);
    }
    refill();
  };

  const hand = (pooled: PooledRunner): void => {
    if (closed) return pooled.runner.fail(new Error('the server stops'));
    const waiter = waiters.shift();
    if (waiter !== undefined) waiter.resolve(pooled);
    else if (ready.length < deps.size) ready.push(pooled);
    // Whom it was started for has left, or has got one that was given back.
    else pooled.runner.end();
  };

  const onFailure = (error: unknown): void => {
    lastFailure = error instanceof Error ? error.message : String(error);
    firstStart.reject(error);
    deps.log.error({ err: error, failures }, 'sandbox failed to start');
    // What was started side by side fails together, as when the spawner dies: that is one failure.
    if (pause === undefined) {
      failures++;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
      pause = setTimeout(() => {
        pause = undefined;
        refill();
      }, pauseMs);
    }
    if (failures < FAILURES_UNTIL_REFUSAL) return;
    for (const waiter of waiters.splice(0)) {
      waiter.reject(new InvocationError('sandbox_failed', 'No sandbox could be started.', { cause: error }));
    }
  };

  const onIdleFailure = (runner: Runner, error: Error): void => {
    const at = ready.findIndex((pooled) => pooled.runner === runner);
    if (at < 0) return;
    ready.splice(at, 1);
    if (!closed) deps.log.warn({ runner: runner.id, err: error }, 'waiting sandbox died');
    refill();
  };

  return {
    warm: () => {
      warmed = true;
      refill();
      return deps.size === 0 ? Promise.resolve() : firstStart.promise;
    },
    state: () => ({ ready: ready.length, starting, lastFailure }),
    take: () => {
      warmed = true;
      const pooled = ready.shift();
      if (pooled !== undefined) {
        if (ready.length > 0) refillLater();
        else refill();
        return Promise.resolve(pooled);
      }
      const { promise, resolve, reject } = Promise.withResolvers<PooledRunner>();
      if (pause === undefined || failures < FAILURES_UNTIL_REFUSAL) {
        waiters.push({ resolve, reject });
        refill();
      } else reject(new InvocationError('sandbox_failed', 'No sandbox could be started.', { cause: lastFailure }));
      return promise;
    },
    giveBack: (pooled) => {
      // It may have failed meanwhile, which nobody was told.
      if (!pooled.runner.over) hand(pooled);
    },
    close: () => {
      closed = true;
      clearTimeout(pause);
      clearTimeout(later);
      for (const waiter of waiters.splice(0)) {
        waiter.reject(new InvocationError('draining', 'The server is about to stop.'));
      }
      for (const pooled of ready.splice(0)) pooled.runner.fail(new Error('the server stops'));
    },
  };
}

async function startRunner(
  deps: {
    spawner: Spawner;
    userIds: UserIds;
    lanes: number;
    wasmtime: string;
    streamNumber: StreamNumbers;
    nowMs: () => number;
  },
  onIdleFailure: (runner: Runner, error: Error) => void,
): Promise<PooledRunner> {
  const uid = deps.userIds.take();
  const sandbox = deps.spawner.start(deps.lanes, uid);
  void sandbox.exited.then(() => deps.userIds.giveBack(uid));
  const limit = setTimeout(() => sandbox.kill(), START_LIMIT_MS);
  try {
    return await greet(deps, sandbox, onIdleFailure);
  } catch (error) {
    sandbox.kill();
    throw error;
  } finally {
    clearTimeout(limit);
  }
}

async function greet(
  deps: { wasmtime: string; streamNumber: StreamNumbers; nowMs: () => number },
  sandbox: SpawnedSandbox,
  onIdleFailure: (runner: Runner, error: Error) => void,
): Promise<PooledRunner> {
  const sockets = await sandbox.sockets;
  const hello = Promise.withResolvers<void>();
  const unexpected = (): void => runner.fail(new Error('the runner spoke before it was asked'));
  const runner: Runner = new Runner({
    id: sandbox.id,
    ...sockets,
    streamNumber: deps.streamNumber,
    nowMs: deps.nowMs,
    kill: sandbox.kill,
    end: sandbox.end,
    events: {
      hello: (message) => {
        if (message.protocol === PROTOCOL_VERSION && message.wasmtime === deps.wasmtime) return hello.resolve();
        hello.reject(
          new Error(
            `the runner speaks protocol ${message.protocol} with Wasmtime ${message.wasmtime}, ` +
              `this server ${PROTOCOL_VERSION} with ${deps.wasmtime}: build both from the same sources`,
          ),
        );
      },
      loaded: unexpected,
      refused: unexpected,
      laneReady: unexpected,
      workerEnded: unexpected,
      failed: (error) => {
        hello.reject(error);
        onIdleFailure(runner, error);
      },
    },
  });
  try {
    await hello.promise;
  } catch (error) {
    // What bubblewrap wrote says more than that the socket was closed.
    sandbox.kill();
    const stderr = await sandbox.exited;
    throw new Error(`the sandbox did not start: ${stderr}`, { cause: error });
  }
  return { runner, directory: sandbox.directory, exited: sandbox.exited };
}
