import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitUntil } from '../../../../test/harness/wait-until.ts';
import { FunctionRunners, type Lease, type PendingLease, type RunnerScale } from '../../src/pool/function-runners.ts';
import { createRunnerBudget, type RunnerBudget } from '../../src/pool/runner-budget.ts';
import { scriptedPool, sinkUntil, type ScriptedPool, type ScriptedRunner } from './scripted-pool.ts';

const HEAD = { method: 'GET', scheme: 'http', authority: 'a', pathWithQuery: '/', remoteAddress: '', headers: [] };

let scripted: ScriptedPool;
beforeEach(() => (scripted = scriptedPool(4)));
afterEach(() => scripted.close());

function open(
  scale: Partial<RunnerScale> = {},
  budget: RunnerBudget = createRunnerBudget(10, () => 0),
): FunctionRunners {
  return new FunctionRunners({
    artifact: scripted.artifact,
    plan: {
      kind: 'component',
      fuel: 1,
      cpuMs: 1000,
      wallMs: 1000,
      memoryBytes: 1,
      instances: 1,
      memories: 1,
      tables: 1,
      tableElements: 1,
      resources: 1,
      hostcallBytes: 1,
      randomBytes: 1,
      responseHeaderBytes: 1,
      logBytes: 1,
      logLines: 1,
      requestsPerWorker: 1,
      concurrency: 1,
      env: [],
    },
    scale: {
      lanesPerRunner: 4,
      runnersPerFunction: 1,
      oneRequestPerRunner: false,
      concurrency: 1000,
      queueLength: 100,
      queueWaitMs: 60_000,
      ...scale,
    },
    pool: scripted.pool,
    budget,
    memoryIsShort: () => memoryIsShort,
    nowMs: () => now,
  });
}

let now = 0;

let memoryIsShort = false;

/** Waits until one is bound ahead that is being started. */
const nextIsBound = async (): Promise<void> => {
  const { length } = scripted.runners;
  await scripted.until(() => scripted.runners.length > length);
};

const lend = async (runners: FunctionRunners): Promise<Lease> => {
  const lent = runners.lend();
  return 'leave' in lent ? await lent.lease : lent;
};

/** Sends a request on the lease; resolves when it was answered. */
function send(lease: Lease): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sink = sinkUntil(resolve, (reason) => reject(new Error(reason)));
  lease.used = true;
  lease.lane.open(HEAD, sink).sendEnd([]);
  return promise;
}

describe('FunctionRunners', () => {
  test('two requests that waited for the same runner get different workers', async () => {
    const runners = open();
    const waiting = [lend(runners), lend(runners), lend(runners)];
    const lanes = (await Promise.all(waiting)).map(({ lane }) => lane.index);
    expect(new Set(lanes).size).toBe(3);
    expect(scripted.runners).toHaveLength(1);
  });

  test('a worker gets its one request; the lane is lent again when its successor has started', async () => {
    const runners = open({ lanesPerRunner: 1 });
    const first = await lend(runners);
    const answered = send(first);
    const second = lend(runners);
    await scripted.until(() => scripted.runners[0]!.requests.length === 1);
    scripted.runners[0]!.finish(0);
    await answered;
    first.giveBack();
    const lease = await second;
    expect(lease.lane).toBe(first.lane);
    expect(lease.lane.worker).toBe(2);
  });

  test('who had a lane before learns of its own worker, though the lane was lent again before it asked', async () => {
    const runners = open({ lanesPerRunner: 1 });
    const first = await lend(runners);
    const firstAnswered = send(first);
    const second = lend(runners);
    await scripted.until(() => scripted.runners[0]!.requests.length === 1);
    scripted.runners[0]!.answer(0);
    await firstAnswered;
    scripted.runners[0]!.replace(0);
    const next = await second;
    expect(next.lane).toBe(first.lane);
    const secondAnswered = send(next);
    await scripted.until(() => scripted.runners[0]!.requests.length === 2);
    expect(await first.bound.workerEnded(first.lane, first.end)).toMatchObject({ worker: 1 });
    const secondEnded = next.bound.workerEnded(next.lane, next.end);
    scripted.runners[0]!.finish(0);
    await secondAnswered;
    expect(await secondEnded).toMatchObject({ worker: 2 });
  });

  test('a sandbox for one request is not lent again, though its supervisor has the next worker ready', async () => {
    const runners = open({ lanesPerRunner: 1, runnersPerFunction: 4, oneRequestPerRunner: true });
    const first = await lend(runners);
    const answered = send(first);
    const second = lend(runners);
    await scripted.until(() => scripted.runners[0]!.requests.length === 1);
    scripted.runners[0]!.finish(0);
    await answered;
    // Between the end of its worker and its being given back there is time for the other one to find it free.
    expect((await second).bound).not.toBe(first.bound);
    first.giveBack();
    expect(scripted.runners[0]!.ended()).toBe(true);
  });

  test('a lease that was not used leaves the worker to the next request', async () => {
    const runners = open({ lanesPerRunner: 1 });
    const first = await lend(runners);
    first.giveBack();
    first.giveBack();
    const second = await lend(runners);
    const answered = send(second);
    await scripted.until(() => scripted.runners[0]!.requests.length === 1);
    scripted.runners[0]!.finish(0);
    await answered;
    expect(second.lane.worker).toBeLessThanOrEqual(2);
  });

  test('grows to further runners when all lanes are busy, and not beyond its share', async () => {
    const runners = open({ lanesPerRunner: 2, runnersPerFunction: 2 });
    const leases = await Promise.all(Array.from({ length: 4 }, () => lend(runners)));
    expect(new Set(leases.map(({ bound }) => bound)).size).toBe(2);
    const fifth = runners.lend();
    expect('leave' in fifth).toBe(true);
    expect(scripted.runners).toHaveLength(2);
    if ('leave' in fifth) {
      fifth.leave(new Error('gone'));
      await expect(fifth.lease).rejects.toThrow('gone');
    }
  });

  test('a full queue is refused at once, with the time to wait', async () => {
    const runners = open({ lanesPerRunner: 1, queueLength: 1 });
    await lend(runners);
    const waiting = runners.lend();
    expect(() => runners.lend()).toThrow(
      expect.objectContaining({ code: 'queue_full', reason: 'length', retryAfterS: 1 }),
    );
    if ('leave' in waiting) {
      waiting.leave(new Error('gone'));
      await expect(waiting.lease).rejects.toThrow('gone');
    }
  });

  test('who waits for too long is told so', async () => {
    const runners = open({ lanesPerRunner: 1, queueWaitMs: 500 });
    await lend(runners);
    await expect(lend(runners)).rejects.toMatchObject({ code: 'queue_full', reason: 'wait' });
  });

  test('sandboxes serve one request each and end', async () => {
    const runners = open({ oneRequestPerRunner: true, lanesPerRunner: 1, runnersPerFunction: 10 });
    const leases = await Promise.all([lend(runners), lend(runners), lend(runners)]);
    expect(scripted.runners).toHaveLength(3);
    for (const lease of leases) lease.giveBack();
    expect(leases.every(({ bound }) => bound.runner.over)).toBe(true);
    await nextIsBound();
  });

  test('a refused artifact is refused to all that wait, and to the next without another sandbox', async () => {
    const runners = open();
    const lease = await lend(runners);
    const lost = send(lease);
    scripted.runners[0]!.refuse();
    await expect(lost).rejects.toThrow('it exports nothing');
    expect(lease.bound.refusal).toMatchObject({ code: 'artifact_refused', reason: 'world' });
    expect(() => runners.lend()).toThrow(expect.objectContaining({ reason: 'world' }));
    expect(scripted.runners).toHaveLength(1);
  });

  test('a function without a place takes that of the one that is idle, and waits for one that is busy', async () => {
    const budget = createRunnerBudget(1, () => 0);
    const one = open({}, budget);
    const two = open({}, budget);
    const lease = await lend(one);
    const waiting = lend(two);
    expect(scripted.runners).toHaveLength(1);
    lease.giveBack();
    await waiting;
    expect(scripted.runners[0]!.ended()).toBe(true);
    expect(one.empty).toBe(true);
  });

  describe('with a runner for each request', () => {
    const serve = async (runners: FunctionRunners): Promise<void> => {
      const lease = await lend(runners);
      lease.giveBack();
    };
    const waiting = (): ScriptedRunner[] => scripted.runners.filter((runner) => !runner.ended());

    test('requests that follow each other find one that is bound already', async () => {
      const runners = open({ oneRequestPerRunner: true, runnersPerFunction: 10 });
      await serve(runners);
      expect(runners.empty).toBe(true);
      await serve(runners);
      await scripted.until(() => scripted.runners.length === 3);
      await Promise.resolve();
      for (let used = 3; used < 6; used++) {
        await serve(runners);
        await scripted.until(() => scripted.runners.length === used + 1 && waiting().length === 1);
      }
      runners.retire();
      expect(waiting()).toEqual([]);
    });

    test('one that is bound ahead and whose worker is killed is lent to nobody', async () => {
      const runners = open({ oneRequestPerRunner: true, runnersPerFunction: 10 });
      await serve(runners);
      await serve(runners);
      await nextIsBound();
      const ahead = scripted.runners.at(-1)!;
      ahead.replace(0);
      await waitUntil('it ends', () => ahead.ended() || undefined);
      const lease = await lend(runners);
      expect(lease.bound.runner).not.toBe(ahead.runner);
    });

    test('no runner is bound ahead for requests that are far apart', async () => {
      const runners = open({ oneRequestPerRunner: true, runnersPerFunction: 10 });
      for (let served = 1; served < 4; served++) {
        now += 10_001;
        await serve(runners);
        expect(scripted.runners).toHaveLength(served);
        expect(runners.empty).toBe(true);
      }
    });

    test('no runner is bound ahead in the place of what another function keeps', async () => {
      const budget = createRunnerBudget(1, () => 0);
      const one = open({}, budget);
      const two = open({ oneRequestPerRunner: true, runnersPerFunction: 10 }, budget);
      for (let round = 0; round < 3; round++) await serve(two);
      await serve(one);
      expect(two.empty).toBe(true);
      const kept = scripted.runners.at(-1)!;
      await serve(two);
      // To serve it the place had to be taken.
      expect(kept.ended()).toBe(true);
      await nextIsBound();
    });

    test('no runner is bound ahead in a place that another function waits for', async () => {
      const budget = createRunnerBudget(1, () => 0);
      const one = open({ oneRequestPerRunner: true, runnersPerFunction: 10 }, budget);
      const two = open({ oneRequestPerRunner: true, runnersPerFunction: 10 }, budget);
      const lease = await lend(one);
      const [other, another] = [lend(two), lend(one)];
      lease.giveBack();
      (await other).giveBack();
      expect(two.empty).toBe(true);
      (await another).giveBack();
      await nextIsBound();
    });

    test('those whose requests have left while they started go back to the pool', async () => {
      const budget = createRunnerBudget(10, () => 0);
      const runners = open({ oneRequestPerRunner: true, runnersPerFunction: 10 }, budget);
      now += 20_000;
      const pending = runners.lend() as PendingLease;
      pending.leave(new Error('gone'));
      await expect(pending.lease).rejects.toThrow('gone');
      await scripted.until(() => scripted.givenBack.length === 1);
      expect(runners.empty).toBe(true);
      expect(budget.taken()).toBe(0);
    });
  });

  test('a replaced version ends its idle runners at once and the busy ones afterwards', async () => {
    const runners = open({ lanesPerRunner: 1, runnersPerFunction: 2 });
    const [busy, idle] = await Promise.all([lend(runners), lend(runners)]);
    idle!.giveBack();
    runners.retire();
    const ended = (): boolean[] => scripted.runners.map((runner) => runner.ended());
    expect(ended().filter(Boolean)).toHaveLength(1);
    busy!.giveBack();
    expect(ended()).toEqual([true, true]);
  });

  test('the death of a runner lets others grow in its place', async () => {
    const runners = open({ lanesPerRunner: 1 });
    const lease = await lend(runners);
    const lost = send(lease);
    const waiting = lend(runners);
    scripted.runners[0]!.runner.fail(new Error('killed'));
    await expect(lost).rejects.toThrow('killed');
    await waiting;
    expect(scripted.runners).toHaveLength(2);
  });

  test('no more are lent than may run at once; the next gets the place', async () => {
    const runners = open({ concurrency: 2 });
    const first = await lend(runners);
    await lend(runners);
    const third = runners.lend();
    expect(third).toHaveProperty('leave');
    first.giveBack();
    await expect('leave' in third ? third.lease : third).resolves.toHaveProperty('lane');
  });

  test('without memory for a sandbox a function that has none is refused, others go on', async () => {
    const running = open();
    await lend(running);
    memoryIsShort = true;
    try {
      await lend(running);
      expect(() => open().lend()).toThrow(expect.objectContaining({ code: 'memory_short', retryAfterS: 2 }));
    } finally {
      memoryIsShort = false;
    }
  });
});
