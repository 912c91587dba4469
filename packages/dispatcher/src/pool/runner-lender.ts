import type { Artifact } from '../artifacts/artifact.ts';
import type { Egress } from '../egress/open-egress.ts';
import { loadLimits } from '../policy/load-limits.ts';
import { FunctionRunners, type Lease, type PendingLease } from './function-runners.ts';
import type { RunnerBudget } from './runner-budget.ts';
import type { RunnerPool } from './runner-pool.ts';

/** Lends lanes of runners to invocations. */
export type RunnerLender = {
  /**
   * Lends a lane of a runner that is bound to this version of the function.
   * @throws {InvocationError} as {@link FunctionRunners.lend}.
   */
  lend: (artifact: Artifact) => Lease | PendingLease;
  /** A version of a function was replaced or removed: its runners end when they are idle. */
  retire: (artifact: Artifact) => void;
  /** The files that runners have mapped, or are about to: removing one gives back no room. */
  filesInUse: () => ReadonlySet<string>;
  /** Ends all runners at once. */
  close: () => void;
};

/** How often idle runners are looked for. */
const REAP_INTERVAL_MS = 1_000;
/** Linear memory, stack and fragmentation of a process that serves many requests are given back now and then. */
const REQUESTS_PER_INSTANCE_WORKER = 1_000_000;

/** Makes the lender. `pools` has one pool of runners with many lanes, and one of runners that serve a single request. */
export function createRunnerLender(deps: {
  pools: { many: RunnerPool; single: RunnerPool };
  budget: RunnerBudget;
  egress: Pick<Egress, 'gate' | 'roots'>;
  /** Processes in one sandbox that can serve at once. */
  lanesPerRunner: number;
  /** Invocations that a process takes at once with isolation `instance`. */
  concurrency: number;
  /** Processes of one runner with isolation `instance`: more than there are cores only cost. */
  instanceWorkers: number;
  maxRunners: number;
  memoryIsShort: () => boolean;
  /** A version comes into use, or has come out of it: its last use was so many milliseconds ago. */
  onUsed: (artifact: Artifact, agoMs: number) => void;
  runnerIdleMs: number;
  nowMs: () => number;
}): RunnerLender {
  const functions = new Map<Artifact, FunctionRunners>();

  const create = (artifact: Artifact): FunctionRunners => {
    const { limits, isolation, env } = artifact.policy;
    const shared = isolation === 'instance';
    return new FunctionRunners({
      artifact,
      plan: {
        kind: artifact.manifest.kind,
        ...loadLimits(limits),
        requestsPerWorker: shared ? REQUESTS_PER_INSTANCE_WORKER : 1,
        concurrency: shared ? deps.concurrency : 1,
        env,
        ...(deps.egress.roots === '' ? {} : { egressRoots: deps.egress.roots }),
      },
      gate: deps.egress.gate(artifact.name, artifact.policy),
      scale: {
        lanesPerRunner: shared ? Math.min(deps.instanceWorkers, deps.lanesPerRunner) : deps.lanesPerRunner,
        runnersPerFunction: isolation === 'sandbox' ? deps.maxRunners : limits.runnersPerFunction,
        oneRequestPerRunner: isolation === 'sandbox',
        concurrency: limits.concurrency,
        queueLength: limits.queueLength,
        queueWaitMs: limits.queueWaitMs,
      },
      pool: isolation === 'sandbox' ? deps.pools.single : deps.pools.many,
      budget: deps.budget,
      memoryIsShort: deps.memoryIsShort,
      nowMs: deps.nowMs,
    });
  };

  const reaper = setInterval(() => {
    deps.budget.reap(deps.runnerIdleMs);
    const now = deps.nowMs();
    const limit = now - deps.runnerIdleMs;
    for (const [artifact, runners] of functions) {
      if (!runners.empty || runners.lastUsedMs >= limit) continue;
      functions.delete(artifact);
      deps.budget.leave(runners);
      deps.onUsed(artifact, now - runners.lastUsedMs);
    }
  }, REAP_INTERVAL_MS);
  reaper.unref();

  return {
    lend: (artifact) => {
      let runners = functions.get(artifact);
      if (runners === undefined) {
        runners = create(artifact);
        functions.set(artifact, runners);
        deps.onUsed(artifact, 0);
      }
      return runners.lend();
    },
    retire: (artifact) => functions.get(artifact)?.retire(),
    filesInUse: () => new Set([...functions].filter(([, { empty }]) => !empty).map(([{ path }]) => path)),
    close: () => {
      clearInterval(reaper);
      for (const runners of functions.values()) runners.close();
      functions.clear();
    },
  };
}
