import { describe, expect, test } from 'vitest';
import { createRunnerBudget, type BudgetedRunner } from '../../src/pool/runner-budget.ts';

const OWNER = {};

describe('createRunnerBudget', () => {
  test('ends the runner that has been idle for longest when all places are taken', () => {
    const budget = createRunnerBudget(2, () => 100);
    const ended: string[] = [];
    const runner = (name: string, idleSinceMs: number | undefined): BudgetedRunner => {
      const self: BudgetedRunner = {
        idleSinceMs: () => idleSinceMs,
        retire: () => {
          ended.push(name);
          budget.giveBack(self);
        },
      };
      return self;
    };
    for (const [name, idle] of [
      ['newer', 50],
      ['older', 10],
    ] as const) {
      expect(budget.tryTake(OWNER, true)).toBe(true);
      budget.add(runner(name, idle));
    }
    expect(budget.tryTake(OWNER, true)).toBe(true);
    expect(ended).toEqual(['older']);
    budget.add(runner('busy', undefined));
    expect(budget.tryTake(OWNER, true)).toBe(true);
    expect(ended).toEqual(['older', 'newer']);
    budget.add(runner('busy too', undefined));
    expect(budget.tryTake(OWNER, true)).toBe(false);
    expect(budget.taken()).toBe(2);
  });

  test('calls whoever waited first when a place comes free, once', () => {
    const budget = createRunnerBudget(1, () => 0);
    expect(budget.tryTake(OWNER, true)).toBe(true);
    expect(budget.tryTake(OWNER, true)).toBe(false);
    const called: number[] = [];
    for (const number of [1, 2]) {
      budget.onFree(() => {
        called.push(number);
        return budget.tryTake(OWNER, true);
      });
    }
    budget.giveBack(undefined);
    expect(called).toEqual([1]);
    budget.giveBack(undefined);
    budget.giveBack(undefined);
    expect(called).toEqual([1, 2]);
  });

  test('who waited and wants no place any more leaves it to the next', () => {
    const budget = createRunnerBudget(1, () => 0);
    budget.tryTake(OWNER, true);
    const called: number[] = [];
    for (const number of [1, 2, 3]) {
      budget.onFree(() => {
        called.push(number);
        return number === 2 && budget.tryTake(OWNER, true);
      });
    }
    budget.giveBack(undefined);
    expect(called).toEqual([1, 2]);
    budget.giveBack(undefined);
    expect(called).toEqual([1, 2, 3]);
  });

  test('who could not use the place does not keep it from those behind', () => {
    const budget = createRunnerBudget(4, () => 0);
    for (let place = 0; place < 4; place++) budget.tryTake(OWNER, true);
    const called: string[] = [];
    const wait = (name: string, first: boolean): void =>
      budget.onFree(() => {
        called.push(name);
        if (!budget.tryTake(OWNER, first)) wait(name, first);
        return true;
      });
    wait('one that has many', false);
    wait('one that has none', true);
    budget.giveBack(undefined);
    expect(called).toEqual(['one that has many', 'one that has none']);
    expect([budget.taken(), budget.share()]).toEqual([4, 4]);
  });

  test('the last quarter is for functions that have no runner yet', () => {
    const budget = createRunnerBudget(8, () => 0);
    for (let place = 0; place < 6; place++) expect(budget.tryTake(OWNER, false)).toBe(true);
    expect(budget.tryTake(OWNER, false)).toBe(false);
    expect(budget.tryTake(OWNER, true)).toBe(true);
    expect(budget.tryTake(OWNER, true)).toBe(true);
    expect(budget.tryTake(OWNER, true)).toBe(false);
  });

  test('a runner gives its place back once, however often it is told to end', () => {
    const budget = createRunnerBudget(2, () => 0);
    budget.tryTake(OWNER, true);
    const runner: BudgetedRunner = { idleSinceMs: () => 0, retire: () => budget.giveBack(runner) };
    budget.add(runner);
    budget.tryTake(OWNER, true);
    budget.giveBack(runner);
    budget.giveBack(runner);
    expect(budget.taken()).toBe(1);
  });

  test('reaps what has been idle for longer than allowed', () => {
    const budget = createRunnerBudget(3, () => 1000);
    const ended: number[] = [];
    for (const idleSinceMs of [100, 899, 950]) {
      budget.tryTake(OWNER, true);
      const runner: BudgetedRunner = {
        idleSinceMs: () => idleSinceMs,
        retire: () => {
          ended.push(idleSinceMs);
          budget.giveBack(runner);
        },
      };
      budget.add(runner);
    }
    budget.reap(100);
    expect(ended).toEqual([100, 899]);
    expect(budget.taken()).toBe(1);
  });

  test('who may keep how many: all while nobody waits, else an equal part, and none where there are more than places', () => {
    const budget = createRunnerBudget(4, () => 0);
    const owners = Array.from({ length: 5 }, () => ({}));
    const shares: number[] = [];
    for (const owner of owners) {
      if (!budget.tryTake(owner, true)) budget.onFree(() => false);
      shares.push(budget.share());
    }
    expect(shares).toEqual([Infinity, Infinity, Infinity, Infinity, 0]);
    budget.leave(owners[0]!);
    budget.leave(owners[1]!);
    expect(budget.share()).toBe(1);
  });
});
