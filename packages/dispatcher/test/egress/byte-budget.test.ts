import { expect, test } from 'vitest';
import { createByteBudget } from '../../src/egress/byte-budget.ts';

const PER_MINUTE = 60_000;

function open(maxFunctions = 10): { budget: ReturnType<typeof createByteBudget>; clock: { ms: number } } {
  const clock = { ms: 1_000 };
  return { budget: createByteBudget({ maxFunctions, nowMs: () => clock.ms }), clock };
}

test("a minute's worth may pass at once, then as much as time gives back", () => {
  const { budget, clock } = open();
  expect(budget.spend('f', PER_MINUTE, PER_MINUTE)).toBe(true);
  expect(budget.isLeft('f', PER_MINUTE)).toBe(false);
  clock.ms += 10_000;
  expect(budget.isLeft('f', PER_MINUTE)).toBe(true);
  expect(budget.spend('f', 10_000, PER_MINUTE)).toBe(true);
  expect(budget.spend('f', 1, PER_MINUTE)).toBe(false);
});

test('what was too much is owed', () => {
  const { budget, clock } = open();
  expect(budget.spend('f', PER_MINUTE + 5_000, PER_MINUTE)).toBe(false);
  clock.ms += 5_000;
  expect(budget.isLeft('f', PER_MINUTE)).toBe(false);
  clock.ms += 1_000;
  expect(budget.isLeft('f', PER_MINUTE)).toBe(true);
});

test('no more gathers than a minute gives', () => {
  const { budget, clock } = open();
  budget.spend('f', 1, PER_MINUTE);
  clock.ms += 3_600_000;
  expect(budget.spend('f', PER_MINUTE, PER_MINUTE)).toBe(true);
  expect(budget.spend('f', 1, PER_MINUTE)).toBe(false);
});

test('each function has its own, and zero is none', () => {
  const { budget } = open();
  budget.spend('f', PER_MINUTE, PER_MINUTE);
  expect(budget.isLeft('g', PER_MINUTE)).toBe(true);
  expect(budget.isLeft('h', 0)).toBe(false);
  expect(budget.spend('h', 1, 0)).toBe(false);
});

test('a policy that changes holds at once', () => {
  const { budget } = open();
  budget.spend('f', 50_000, PER_MINUTE);
  expect(budget.spend('f', 100, 100)).toBe(true);
  expect(budget.isLeft('f', 100)).toBe(false);
});

test('those that were used longest ago are forgotten', () => {
  const { budget } = open(2);
  for (const name of ['f', 'g', 'h']) budget.spend(name, PER_MINUTE, PER_MINUTE);
  expect(budget.isLeft('h', PER_MINUTE)).toBe(false);
  expect(budget.isLeft('f', PER_MINUTE)).toBe(true);
});
