import { describe, expect, test } from 'vitest';
import { createRunnerBudget, type BudgetedRunner } from '../../src/pool/runner-budget.ts';

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
      expect(budget.tryTake()).toBe(true);
      budget.add(runner(name, idle));
    }
    expect(budget.tryTake()).toBe(true);
    expect(ended).toEqual(['older']);
    budget.add(runner('busy', undefined));
    expect(budget.tryTake()).toBe(true);
    expect(ended).toEqual(['older', 'newer']);
    budget.add(runner('busy too', undefined));
    expect(budget.tryTake()).toBe(false);
    expect(budget.taken()).toBe(2);
  });

  test('calls whoever waited first when a place comes free, once', () => {
    const budget = createRunnerBudget(1, () => 0);
    expect(budget.tryTake()).toBe(true);
    expect(budget.tryTake()).toBe(false);
    const called: number[] = [];
    for (const number of [1, 2]) {
      budget.onFree(() => {
        called.push(number);
        return true;
      });
    }
    budget.giveBack(undefined);
    expect(called).toEqual([1]);
    budget.idle();
    budget.idle();
    expect(called).toEqual([1, 2]);
  });

  test('who waited and wants no place any more leaves it to the next', () => {
    const budget = createRunnerBudget(1, () => 0);
    budget.tryTake();
    const called: number[] = [];
    for (const number of [1, 2, 3]) {
      budget.onFree(() => {
        called.push(number);
        return number === 2;
      });
    }
    budget.idle();
    expect(called).toEqual([1, 2]);
    budget.giveBack(undefined);
    expect(called).toEqual([1, 2, 3]);
  });

  test('a runner gives its place back once, however often it is told to end', () => {
    const budget = createRunnerBudget(2, () => 0);
    budget.tryTake();
    const runner: BudgetedRunner = { idleSinceMs: () => 0, retire: () => budget.giveBack(runner) };
    budget.add(runner);
    budget.tryTake();
    budget.giveBack(runner);
    budget.giveBack(runner);
    expect(budget.taken()).toBe(1);
  });

  test('reaps what has been idle for longer than allowed', () => {
    const budget = createRunnerBudget(3, () => 1000);
    const ended: number[] = [];
    for (const idleSinceMs of [100, 899, 950]) {
      budget.tryTake();
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
});
