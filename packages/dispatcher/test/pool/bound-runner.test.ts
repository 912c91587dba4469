import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LoadMessage } from '../../src/runner/control-messages.ts';
import type { Lane } from '../../src/runner/lane.ts';
import { BoundRunner } from '../../src/pool/bound-runner.ts';
import { scriptedPool, sinkUntil, type ScriptedPool } from './scripted-pool.ts';

const HEAD = { method: 'GET', scheme: 'http', authority: 'a', pathWithQuery: '/', remoteAddress: '', headers: [] };
const CONCURRENCY = 8;

let nowMs = 0;
let scripted: ScriptedPool;
beforeEach(() => (scripted = scriptedPool(2, () => nowMs)));
afterEach(() => scripted.close());

/** A runner whose workers take several requests at once. */
async function bind(): Promise<BoundRunner> {
  return new BoundRunner({
    pooled: await scripted.pool.take(),
    artifactPath: scripted.artifact.path,
    plan: { requestsPerWorker: 1_000_000, concurrency: CONCURRENCY } as LoadMessage,
    maxLanes: 2,
    oneRequest: false,
    nowMs: () => nowMs,
    events: { available: () => undefined, gone: () => undefined },
  });
}

/** Sends a request on the lane that is lent; `answered` resolves after it was. */
function send(bound: BoundRunner): { lane: Lane; answered: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const lane = bound.lend()!;
  lane.open(HEAD, sinkUntil(resolve)).sendEnd([]);
  return { lane, answered: promise };
}

/** Serves requests one after another until what they cost is known. */
async function serve(bound: BoundRunner, requests: number, guestCpuUs: number): Promise<void> {
  const runner = scripted.runners.at(-1)!;
  for (let count = 0; count < requests; count++) {
    const seen = runner.requests.length;
    const { lane, answered } = send(bound);
    await scripted.until(() => runner.requests.length > seen);
    runner.answer(lane.index, guestCpuUs);
    await answered;
    bound.giveBack();
  }
}

const lendAll = (bound: BoundRunner, count: number): number[] =>
  Array.from({ length: count }, () => send(bound).lane.index);

describe('BoundRunner, where a worker takes many requests', () => {
  test('cheap requests stay with one worker as long as it has places', async () => {
    const bound = await bind();
    await serve(bound, 100, 20);
    expect(lendAll(bound, CONCURRENCY + 2)).toEqual([...Array<number>(CONCURRENCY).fill(0), 1, 1]);
  });

  test('dear requests, and those of which nothing is known yet, are spread', async () => {
    const bound = await bind();
    expect(lendAll(bound, 4).toSorted()).toEqual([0, 0, 1, 1]);
    const dear = await bind();
    await serve(dear, 100, 5_000);
    expect(lendAll(dear, 4).toSorted()).toEqual([0, 0, 1, 1]);
  });

  test('a worker that is silent is given no more while another one has nothing to do', async () => {
    const bound = await bind();
    await serve(bound, 100, 20);
    expect(lendAll(bound, 2)).toEqual([0, 0]);
    nowMs += 50;
    // The first of them has the other worker started, which takes longer than it may have to wait where it is.
    expect(lendAll(bound, 3)).toEqual([0, 1, 1]);
  });

  test('a worker that has just got its first request after a pause keeps up', async () => {
    const bound = await bind();
    await serve(bound, 100, 20);
    nowMs += 10_000;
    expect(lendAll(bound, 3)).toEqual([0, 0, 0]);
  });
});
