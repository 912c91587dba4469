import type { Artifact } from '../artifacts/artifact.ts';
import type { EgressGate } from '../egress/broker.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { Lane } from '../runner/lane.ts';
import { BoundRunner, type RunnerPlan, type WorkerEnd } from './bound-runner.ts';
import type { RunnerBudget } from './runner-budget.ts';
import type { PooledRunner, RunnerPool } from './runner-pool.ts';

/** A lane that is lent for one invocation. */
export type Lease = {
  lane: Lane;
  bound: BoundRunner;
  /** What became of the worker that serves it. */
  end: WorkerEnd;
  /** Set by whoever sends a request on the lane. */
  used: boolean;
  giveBack: () => void;
};

/** A place in the queue: `leave` gives it up and rejects `lease` with the error. */
export type PendingLease = { lease: Promise<Lease>; leave: (error: Error) => void };

/** How many runners a function may have, and who may wait for them. */
export type RunnerScale = {
  lanesPerRunner: number;
  runnersPerFunction: number;
  /** Sandboxes end after their first request. */
  oneRequestPerRunner: boolean;
  /** Invocations at once. */
  concurrency: number;
  queueLength: number;
  queueWaitMs: number;
};

/** How long a function keeps its only runner while others wait for one: long against the start of a sandbox, short against their patience. */
const TURN_MS = 250;
/** Requests that come within this time after one another follow each other: for the next one a runner of its own is bound ahead. */
const AHEAD_WITHIN_MS = 10_000;

type Waiter = { resolve: (lease: Lease) => void; reject: (error: Error) => void };

/** The runners of one version of one function, and the queue before them. */
export class FunctionRunners {
  readonly artifact: Artifact;
  readonly #plan: RunnerPlan;
  readonly #gate: EgressGate | undefined;
  readonly #scale: RunnerScale;
  readonly #pool: RunnerPool;
  readonly #budget: RunnerBudget;
  readonly #nowMs: () => number;
  readonly #bound: BoundRunner[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;
  #leases = 0;
  #binding = 0;
  #awaitsBudget = false;
  #retired = false;
  /** A version that a runner has refused would be refused by the next one too. */
  #refusal: InvocationError | undefined;
  #lastUsedMs: number;
  /** When a runner was asked for the last time, and the time before. */
  #lentMs = -Infinity;
  #lentBeforeMs = -Infinity;
  readonly #memoryIsShort: () => boolean;

  constructor(deps: {
    artifact: Artifact;
    plan: RunnerPlan;
    gate?: EgressGate;
    scale: RunnerScale;
    pool: RunnerPool;
    budget: RunnerBudget;
    memoryIsShort: () => boolean;
    nowMs: () => number;
  }) {
    this.artifact = deps.artifact;
    this.#plan = deps.plan;
    this.#gate = deps.gate;
    this.#scale = deps.scale;
    this.#pool = deps.pool;
    this.#budget = deps.budget;
    this.#memoryIsShort = deps.memoryIsShort;
    this.#nowMs = deps.nowMs;
    this.#lastUsedMs = deps.nowMs();
  }

  /** Nothing runs, waits or is being started. */
  get empty(): boolean {
    return this.#bound.length === 0 && this.#binding === 0 && this.#waiters.length === 0;
  }

  get lastUsedMs(): number {
    return this.#lastUsedMs;
  }

  /**
   * Lends a lane, at once where one is free, else as soon as one is.
   * Errors, those of a pending lease too: {@link InvocationError} `queue_full`, `memory_short`, `sandbox_failed`, `artifact_refused`, `draining`.
   */
  lend(): Lease | PendingLease {
    this.#lastUsedMs = this.#nowMs();
    this.#lentBeforeMs = this.#lentMs;
    this.#lentMs = this.#lastUsedMs;
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#bound.length === 0 && this.#binding === 0 && this.#memoryIsShort()) {
      const detail = 'The server has no memory for another sandbox at the moment.';
      throw new InvocationError('memory_short', detail, { retryAfterS: 2 });
    }
    if (this.#leases >= this.#scale.concurrency) return this.#wait();
    if (this.#waiters.length === 0) {
      const lease = this.#tryLend(1);
      if (lease !== undefined) return lease;
    } else this.#grow(this.#waiters.length + 1);
    return this.#wait();
  }

  /** Lends nothing new: idle runners end now, busy ones after what they do; who waits is still served. */
  retire(): void {
    this.#retired = true;
    if (this.#waiters.length === 0) this.#retireBound();
  }

  /** Ends everything at once. Who waits gets `draining`. */
  close(): void {
    this.#closed = true;
    this.#rejectWaiters(new InvocationError('draining', 'The server is about to stop.'));
    for (const bound of [...this.#bound]) bound.runner.fail(new Error('the server stops'));
  }

  #retireBound(): void {
    for (const bound of [...this.#bound]) bound.retire();
  }

  /** `wanted`: for how many invocations a lane is looked for. */
  #tryLend(wanted: number): Lease | undefined {
    for (const bound of this.#bound) {
      const lane = bound.lend();
      if (lane !== undefined) return this.#lease(bound, lane);
    }
    this.#grow(wanted);
    return undefined;
  }

  #lease(bound: BoundRunner, lane: Lane): Lease {
    let returned = false;
    this.#leases++;
    const lease: Lease = {
      lane,
      bound,
      end: bound.endOf(lane),
      used: false,
      giveBack: () => {
        if (returned) return;
        returned = true;
        this.#leases--;
        if (!lease.used) lane.cancelReservation();
        this.#returned(bound);
      },
    };
    return lease;
  }

  #returned(bound: BoundRunner): void {
    bound.giveBack();
    this.#lastUsedMs = this.#nowMs();
    if (this.#scale.oneRequestPerRunner || bound.retired || this.#owes(bound)) bound.retire();
    if (this.#scale.oneRequestPerRunner) this.#bindAhead();
    else this.#serveWaiters();
    if (this.#retired && this.#waiters.length === 0) this.#retireBound();
    if (bound.idleSinceMs() !== undefined) this.#budget.idle();
  }

  /** Whether another function, which waits for a place, should have this runner's: beyond a fair share at once, within a shorter one after a turn. */
  #owes(bound: BoundRunner): boolean {
    const share = this.#budget.share();
    if (share === Infinity) return false;
    const own = this.#bound.reduce((count, each) => count + (each.retired ? 0 : 1), 0);
    return own > Math.max(1, share) || (share === 0 && this.#nowMs() - bound.boundAtMs >= TURN_MS);
  }

  #wait(): PendingLease {
    const { queueLength, queueWaitMs } = this.#scale;
    if (this.#waiters.length >= queueLength) {
      const detail = `${queueLength} requests wait for this function already.`;
      throw new InvocationError('queue_full', detail, { reason: 'length', retryAfterS: 1 });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const waiter: Waiter = { resolve, reject };
    this.#waiters.push(waiter);
    const leave = (error: Error): void => {
      const at = this.#waiters.indexOf(waiter);
      if (at < 0) return;
      this.#waiters.splice(at, 1);
      reject(error);
    };
    const timer = setTimeout(() => {
      const detail = `No runner was free within ${queueWaitMs} ms.`;
      leave(new InvocationError('queue_full', detail, { reason: 'wait', retryAfterS: 1 }));
    }, queueWaitMs);
    return { lease: promise.finally(() => clearTimeout(timer)), leave };
  }

  #serveWaiters(): void {
    while (this.#waiters.length > 0 && this.#leases < this.#scale.concurrency) {
      const lease = this.#tryLend(this.#waiters.length);
      if (lease === undefined) return;
      this.#waiters.shift()!.resolve(lease);
    }
  }

  #rejectWaiters(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** Binds a further runner where that helps and is allowed. */
  #grow(wanted: number): void {
    const { oneRequestPerRunner, runnersPerFunction } = this.#scale;
    if (this.#closed || this.#binding >= (oneRequestPerRunner ? wanted : 1)) return;
    let runners = this.#binding;
    for (const bound of this.#bound) if (!bound.retired) runners++;
    if (runners >= runnersPerFunction) return;
    if (this.#memoryIsShort()) return;
    if (this.#budget.tryTake(this, runners === 0)) {
      this.#binding++;
      void this.#bind();
    } else if (!this.#awaitsBudget) {
      this.#awaitsBudget = true;
      this.#budget.onFree(() => {
        this.#awaitsBudget = false;
        const before = this.#binding;
        this.#serveWaiters();
        return this.#awaitsBudget || this.#binding > before;
      });
    }
  }

  /** Where each request takes a runner of its own and requests follow each other, the next one finds one that is bound and has loaded. */
  #bindAhead(): void {
    if (this.#waiters.length > 0 || this.#binding > 0 || !this.#wantsAhead() || this.#memoryIsShort()) return;
    // Not in the place of what others keep: they would do the same, and sandboxes be started for nobody.
    if (!this.#budget.hasFreePlace() || !this.#budget.tryTake(this, false)) return;
    this.#binding++;
    void this.#bind();
  }

  #wantsAhead(): boolean {
    if (this.#closed || this.#retired || this.#refusal !== undefined) return false;
    if (this.#lentMs - this.#lentBeforeMs > AHEAD_WITHIN_MS) return false;
    return this.#bound.length < this.#scale.runnersPerFunction && !this.#bound.some((bound) => bound.unused);
  }

  async #bind(): Promise<void> {
    let pooled: PooledRunner | undefined;
    try {
      pooled = await this.#pool.take();
      if (this.#scale.oneRequestPerRunner && this.#waiters.length === 0 && !this.#wantsAhead()) {
        // Who asked for it has left meanwhile: it may serve any other function.
        this.#binding--;
        this.#budget.giveBack(undefined);
        this.#pool.giveBack(pooled);
        if (this.empty) this.#budget.leave(this);
        return;
      }
      const bound: BoundRunner = new BoundRunner({
        pooled,
        artifactPath: this.artifact.path,
        plan: this.#plan,
        ...(this.#gate === undefined ? {} : { gate: this.#gate }),
        maxLanes: this.#scale.lanesPerRunner,
        oneRequest: this.#scale.oneRequestPerRunner,
        nowMs: this.#nowMs,
        events: { available: () => this.#serveWaiters(), gone: (gone) => this.#gone(gone) },
      });
      this.#bound.push(bound);
      this.#budget.add(bound);
      this.#binding--;
    } catch (error) {
      this.#binding--;
      this.#budget.giveBack(undefined);
      pooled?.runner.fail(error as Error);
      if (this.empty) this.#budget.leave(this);
      // With other runners alive, who waits is served by them.
      if (this.#bound.length === 0) this.#rejectWaiters(error as Error);
      return;
    }
    this.#serveWaiters();
    // Who asked for it may have left meanwhile, or the version may have been replaced.
    if (this.#retired && this.#waiters.length === 0) this.#retireBound();
    // Or nobody has: whoever waits for a place takes that of one that only waits.
    else if (this.#bound.some((bound) => bound.unused)) this.#budget.idle();
  }

  #gone(bound: BoundRunner): void {
    const at = this.#bound.indexOf(bound);
    if (at >= 0) this.#bound.splice(at, 1);
    this.#budget.giveBack(bound);
    if (bound.refusal !== undefined) {
      // One that is the platform's fault may go by.
      if (bound.refusal.reason !== 'internal') this.#refusal = bound.refusal;
      this.#rejectWaiters(bound.refusal);
    } else if (this.#waiters.length > 0) this.#serveWaiters();
    if (this.empty) this.#budget.leave(this);
  }
}
