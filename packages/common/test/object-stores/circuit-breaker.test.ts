import { beforeEach, describe, expect, test } from 'vitest';
import { createCircuitBreaker, type CircuitBreaker } from '@playa/common/object-stores/circuit-breaker';

describe('circuit breaker', () => {
  let nowMs: number;
  let random: number;
  let breaker: CircuitBreaker;
  beforeEach(() => {
    nowMs = 0;
    random = 0;
    const settings = { failures: 3, pauseMs: 100, maxPauseMs: 350 };
    breaker = createCircuitBreaker(settings, { nowMs: () => nowMs, random: () => random });
  });
  const fail = (times: number): void => {
    for (let count = 0; count < times; count++) breaker.failed();
  };

  test('opens after failures in a row only', () => {
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.waitMs()).toBe(0);
    fail(1);
    expect(breaker.waitMs()).toBe(100);
  });

  test('lets one through when its time is over, and closes when that goes well', () => {
    fail(3);
    nowMs = 99;
    expect(breaker.waitMs()).toBe(1);
    nowMs = 100;
    expect(breaker.waitMs()).toBe(0);
    expect(breaker.waitMs()).toBe(100);
    breaker.succeeded();
    expect([breaker.waitMs(), breaker.waitMs()]).toEqual([0, 0]);
  });

  test('pauses for longer each time, up to a bound, with some chance in it', () => {
    fail(3);
    const pauses = [];
    for (let round = 0; round < 4; round++) {
      nowMs += breaker.waitMs();
      expect(breaker.waitMs()).toBe(0);
      fail(1);
      pauses.push(breaker.waitMs());
    }
    expect(pauses).toEqual([200, 350, 350, 350]);
    nowMs += breaker.waitMs();
    breaker.succeeded();
    random = 0.8;
    fail(3);
    expect(breaker.waitMs()).toBe(120);
  });

  test('who gives up while trying leaves it to the next', () => {
    fail(3);
    nowMs = 100;
    expect(breaker.waitMs()).toBe(0);
    breaker.abandoned();
    expect(breaker.waitMs()).toBe(0);
    expect(breaker.waitMs()).toBe(100);
  });
});
