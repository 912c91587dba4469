import { expect, test } from 'vitest';
import { createRateLimiter } from '../../src/admission/rate-limiter.ts';

test('lets a burst through, then the rate, each key on its own', () => {
  let nowMs = 0;
  const limiter = createRateLimiter({ maxKeys: 10, nowMs: () => nowMs });
  const taken = (key: string): number => {
    let count = 0;
    while (limiter.take(key, 5) === 0) count++;
    return count;
  };
  expect(taken('a')).toBe(10);
  expect(taken('b')).toBe(10);
  nowMs = 1000;
  expect(taken('a')).toBe(5);
  nowMs = 60_000;
  expect(taken('a')).toBe(10);
});

test('says when the next may come', () => {
  const limiter = createRateLimiter({ maxKeys: 10, nowMs: () => 0 });
  expect([limiter.take('a', 0.1), limiter.take('a', 0.1)]).toEqual([0, 10]);
});

test('remembers a bounded number of keys', () => {
  const limiter = createRateLimiter({ maxKeys: 2, nowMs: () => 0 });
  for (const key of ['a', 'a', 'b', 'c']) expect(limiter.take(key, 1)).toBe(0);
  expect(limiter.take('a', 1)).toBe(0);
});
