import { linkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { EgressGate } from '../egress/broker.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { EndedWorker, LoadMessage } from '../runner/control-messages.ts';
import type { Lane } from '../runner/lane.ts';
import type { Runner } from '../runner/runner.ts';
import type { BudgetedRunner } from './runner-budget.ts';
import type { PooledRunner } from './runner-pool.ts';

/** What a bound runner tells the function that it serves. */
export type BoundRunnerEvents = {
  /** A lane may be free. */
  available: () => void;
  /** The runner takes no more requests: it ended, was ended or refused its artifact. */
  gone: (runner: BoundRunner) => void;
};

/** How a function's runners are set up. */
export type RunnerPlan = Omit<LoadMessage, 'component' | 'lanes' | 'oneWorker'>;

/** The end of the worker that serves one lease: a lane may be lent again before whoever had it asks. */
export type WorkerEnd = { ended: EndedWorker | undefined; resolve: (() => void) | undefined };

/** A worker ends within a millisecond after DONE; on a busy machine it may wait for the processor. */
const LINGER_LIMIT_MS = 1_000;
/** Where the disk is full or read-only. */
const DISK_RETRY_AFTER_S = 2;

/**
 * Where a worker takes many requests that cost it less than this, one worker is enough as long as it keeps up: a second one that is awake costs more in
 * switches between processes, and takes a processor from the dispatcher, than it gives.
 */
const CHEAP_REQUEST_US = 100;
/** A worker that has been silent for this long with requests before it does not keep up. */
const SILENCE_MS = 5;

/** The reason of the error when an artifact is no longer on the disk: it can be fetched again. */
export const EVICTED = 'artifact_evicted';

/** A runner that has been given its artifact and serves one function until it ends. */
export class BoundRunner implements BudgetedRunner {
  readonly runner: Runner;
  /** Milliseconds on the monotonic clock. */
  readonly boundAtMs: number;
  readonly #plan: RunnerPlan;
  readonly #events: BoundRunnerEvents;
  readonly #nowMs: () => number;
  readonly #maxLanes: number;
  readonly #oneRequest: boolean;
  #lent = false;
  /** Lanes 0 … startedLanes − 1 have a worker. */
  #startedLanes = 1;
  #nextLane = 0;
  #leases = 0;
  #lastUsedMs: number;
  #retired = false;
  /** By lane, the end of the worker that serves what was lent last: the word of it can come before the last frames of the lane are read. */
  readonly #ends = new Map<Lane, WorkerEnd>();
  /** Ends that somebody waits for. */
  readonly #waiting = new Set<WorkerEnd>();
  #refusal: InvocationError | undefined;
  #linkPath: string | undefined;
  #loadUs: number | undefined;

  /** Links the artifact into the sandbox and sends LOAD. @throws when the link cannot be made. */
  constructor(deps: {
    pooled: PooledRunner;
    artifactPath: string;
    plan: RunnerPlan;
    /** What the function reaches outside. */
    gate?: EgressGate;
    maxLanes: number;
    /** The sandbox is for one request alone: it is lent once, and no worker follows its first. */
    oneRequest: boolean;
    nowMs: () => number;
    events: BoundRunnerEvents;
  }) {
    this.runner = deps.pooled.runner;
    this.#plan = deps.plan;
    this.#events = deps.events;
    this.#nowMs = deps.nowMs;
    this.#maxLanes = Math.min(deps.maxLanes, this.runner.lanes.length);
    this.#oneRequest = deps.oneRequest;
    this.#lastUsedMs = deps.nowMs();
    this.boundAtMs = this.#lastUsedMs;
    const linkPath = join(deps.pooled.directory, 'component');
    // Synchronous: it takes microseconds, a hop to the thread pool more.
    linkArtifact(deps.artifactPath, linkPath);
    // A sandbox for one request ends soon, and the spawner removes its folder with all that is in it.
    this.#linkPath = deps.oneRequest ? undefined : linkPath;
    this.runner.events = {
      hello: () => this.runner.fail(new Error('HELLO twice')),
      loaded: (message) => {
        this.#loadUs = message.loadUs;
        this.#unlink();
      },
      refused: (message) => {
        this.#refusal = new InvocationError('artifact_refused', message.detail, { reason: message.reason });
        this.runner.fail(this.#refusal);
      },
      laneReady: () => this.#events.available(),
      workerEnded: (lane, ended) => this.#workerEnded(lane, ended),
      failed: () => this.#over(),
    };
    this.runner.load({ component: '/in/component', ...deps.plan, lanes: [0], oneWorker: deps.oneRequest }, deps.gate);
  }

  /** Why the runner refused its artifact, once it has. */
  get refusal(): InvocationError | undefined {
    return this.#refusal;
  }

  get retired(): boolean {
    return this.#retired;
  }

  /** It can be lent, and was not lent before. */
  get unused(): boolean {
    return !this.#lent && !this.#retired;
  }

  get requestsPerWorker(): number {
    return this.#plan.requestsPerWorker;
  }

  /** How long the runner took to load the artifact, for the first who asks. */
  takeLoadUs(): number | undefined {
    const loadUs = this.#loadUs;
    this.#loadUs = undefined;
    return loadUs;
  }

  idleSinceMs(): number | undefined {
    return this.#leases === 0 ? this.#lastUsedMs : undefined;
  }

  /** A lane that can take a request now; `undefined` when there is none. A place on it is reserved. */
  lend(): Lane | undefined {
    if (this.#retired || (this.#oneRequest && this.#lent)) return undefined;
    const lane = this.#laneThatKeepsUp() ?? this.#leastBusyLane();
    if (lane === undefined) return undefined;
    this.#nextLane = lane.index + 1;
    this.#ends.set(lane, { ended: undefined, resolve: undefined });
    lane.reserve();
    this.#lent = true;
    this.#leases++;
    return lane;
  }

  #laneThatKeepsUp(): Lane | undefined {
    if (this.#plan.concurrency === 1) return undefined;
    for (let i = 0; i < this.#startedLanes; i++) {
      const lane = this.runner.lanes[i]!;
      if (!this.#hasPlace(lane)) continue;
      if (lane.openStreams === 0) return lane;
      if (lane.meanCpuUs < CHEAP_REQUEST_US && this.#nowMs() - lane.heardMs < SILENCE_MS) return lane;
    }
    return undefined;
  }

  #hasPlace(lane: Lane): boolean {
    return lane.servedRequests < this.#plan.requestsPerWorker && lane.openStreams < this.#plan.concurrency;
  }

  #leastBusyLane(): Lane | undefined {
    let best: Lane | undefined;
    let others = 0;
    for (let i = 0; i < this.#startedLanes; i++) {
      // In turn, so that a worker that was just forked has time to get ready.
      const lane = this.runner.lanes[(this.#nextLane + i) % this.#startedLanes]!;
      if (!this.#hasPlace(lane)) continue;
      if (best === undefined || lane.openStreams < best.openStreams) best = lane;
      if (lane.openStreams === 0) others++;
    }
    // One worker ahead of demand: the next request finds it ready instead of waiting for a fork.
    if (others <= 1 && this.#startedLanes < this.#maxLanes && this.#wantsMoreLanes(best)) {
      const lane = this.runner.lanes[this.#startedLanes++]!;
      this.runner.startWorker(lane);
      best ??= lane;
    }
    return best;
  }

  /** The invocation on a lent lane is over. */
  giveBack(): void {
    this.#leases--;
    this.#lastUsedMs = this.#nowMs();
  }

  /** Where the end of the worker will be noted that serves what was lent last on a lane. To be asked for at once, as the lane may be lent again. */
  endOf(lane: Lane): WorkerEnd {
    return this.#ends.get(lane)!;
  }

  /**
   * Resolves with what the supervisor saw of a lease's worker when it has ended; with `undefined` when the runner ended first. A worker
   * that lingers after its last request is killed, and with it the sandbox if need be.
   */
  workerEnded(lane: Lane, end: WorkerEnd): Promise<EndedWorker | undefined> {
    if (end.ended !== undefined || this.runner.over) return Promise.resolve(end.ended);
    return new Promise((resolve) => {
      let timer = setTimeout(() => {
        this.runner.killWorker(lane);
        timer = setTimeout(() => this.runner.fail(new Error('a worker was not killed in time')), LINGER_LIMIT_MS);
      }, LINGER_LIMIT_MS);
      this.#waiting.add(end);
      end.resolve = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve(end.ended);
      };
    });
  }

  /** Takes no more requests; ends as soon as nothing is under way. */
  retire(): void {
    this.#retired = true;
    if (this.#leases > 0 || this.runner.over) return;
    this.runner.end();
    this.#over();
  }

  /** Where one worker takes many requests, a second one helps only under load. */
  #wantsMoreLanes(best: Lane | undefined): boolean {
    return this.#plan.concurrency === 1 || best === undefined || best.openStreams > 0;
  }

  #workerEnded(lane: Lane, ended: EndedWorker): void {
    const end = this.#ends.get(lane);
    if (end === undefined) {
      // The only worker of one that was bound ahead was killed: a request would wait for nobody.
      if (this.#oneRequest) this.retire();
      return;
    }
    end.ended ??= ended;
    end.resolve?.();
  }

  #over(): void {
    this.#retired = true;
    this.#unlink();
    for (const end of this.#waiting) end.resolve?.();
    this.#events.gone(this);
  }

  #unlink(): void {
    if (this.#linkPath === undefined) return;
    try {
      unlinkSync(this.#linkPath);
    } catch (error) {
      // The spawner removes the whole folder when the sandbox has ended.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.#linkPath = undefined;
  }
}

function linkArtifact(artifactPath: string, linkPath: string): void {
  try {
    linkSync(artifactPath, linkPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      const detail = "The server's disk cannot take a sandbox for the function.";
      throw new InvocationError('disk_unavailable', detail, { cause: error, retryAfterS: DISK_RETRY_AFTER_S });
    }
    // The disk tier made room meanwhile; whoever asked for it brings it back.
    throw new InvocationError('internal', 'The platform failed.', { reason: EVICTED, cause: error });
  }
}
