import { describe, expect, test } from 'vitest';
import { createRetryPolicy, RETRY_DEFAULTS } from '@playa/common/object-stores/retry-policy';

describe('retries', () => {
  test('with full jitter: anything from nothing to a bound that doubles up to its own', () => {
    const settings = { ...RETRY_DEFAULTS, attempts: 10, baseMs: 100, maxMs: 1_000 };
    const pauses = (random: number): unknown[] => {
      const policy = createRetryPolicy(settings, () => random);
      return [1, 2, 3, 4, 5, 9, 10].map((attempt) => policy.pauseMs(attempt, undefined));
    };
    expect(pauses(1)).toEqual([100, 200, 400, 800, 1000, 1000, undefined]);
    expect(pauses(0)).toEqual([0, 0, 0, 0, 0, 0, undefined]);
  });

  test('not sooner than the server wants, and not at all where that is long', () => {
    const policy = createRetryPolicy({ ...RETRY_DEFAULTS, maxRetryAfterMs: 500 }, () => 0.1);
    expect(policy.pauseMs(1, 400)).toBe(400);
    expect(policy.pauseMs(1, 0)).toBe(10);
    expect(policy.pauseMs(1, 501)).toBeUndefined();
  });

  test('within a budget that successes fill again', () => {
    const policy = createRetryPolicy({ ...RETRY_DEFAULTS, budget: 2 }, () => 0);
    const retry = (): unknown => policy.pauseMs(1, undefined);
    expect([retry(), retry(), retry()]).toEqual([0, 0, undefined]);
    for (let count = 0; count < 9; count++) policy.succeeded();
    expect(retry()).toBeUndefined();
    policy.succeeded();
    policy.succeeded();
    expect([retry(), retry()]).toEqual([0, undefined]);
    for (let count = 0; count < 1000; count++) policy.succeeded();
    expect([retry(), retry(), retry()]).toEqual([0, 0, undefined]);
  });
});
