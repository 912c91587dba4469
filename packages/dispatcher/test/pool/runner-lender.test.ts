import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import type { EgressGate } from '../../src/egress/broker.ts';
import type { Lease } from '../../src/pool/function-runners.ts';
import { createRunnerBudget } from '../../src/pool/runner-budget.ts';
import { createRunnerLender, type RunnerLender } from '../../src/pool/runner-lender.ts';
import { scriptedPool, type ScriptedPool } from './scripted-pool.ts';

let now: number;
let scripted: ScriptedPool;
let used: [name: string, agoMs: number][];
let lender: RunnerLender;

beforeEach(() => {
  now = 1000;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  scripted = scriptedPool(1, () => now);
  used = [];
  lender = createRunnerLender({
    pools: { many: scripted.pool, single: scripted.pool },
    budget: createRunnerBudget(10, () => now),
    egress: { gate: () => ({}) as EgressGate, roots: '' },
    lanesPerRunner: 1,
    concurrency: 1,
    instanceWorkers: 1,
    maxRunners: 10,
    memoryIsShort: () => false,
    onUsed: ({ name }, agoMs) => void used.push([name, agoMs]),
    runnerIdleMs: 100,
    nowMs: () => now,
  });
});
afterEach(() => {
  lender.close();
  scripted.close();
  vi.useRealTimers();
});

const lend = async (artifact: Artifact): Promise<Lease> => {
  const lent = lender.lend(artifact);
  return 'leave' in lent ? await lent.lease : lent;
};

const artifactOf = (name: string): Artifact => {
  const limits = { runnersPerFunction: 1, concurrency: 1, queueLength: 1, queueWaitMs: 1000 };
  const policy = { limits, isolation: 'process', env: [] };
  return { ...scripted.artifact, name, policy } as unknown as Artifact;
};

test('versions that come out of use at the same moment are told apart by their last use', async () => {
  const [a, b] = [artifactOf('a'), artifactOf('b')];
  const first = await lend(a);
  const second = await lend(b);
  now = 2000;
  second.giveBack();
  now = 2300;
  first.giveBack();
  used.length = 0;
  now = 3000;
  vi.advanceTimersByTime(1000);
  expect([...lender.filesInUse()]).toEqual([]);
  expect(used).toEqual([
    ['a', 700],
    ['b', 1000],
  ]);
});
