import { describe, expect, test } from 'vitest';
import { countCargoTests, countVitest, sumCounts } from '../../setup/lib/test-counts.mjs';

const CARGO = `
running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
`;

function report(...files: { status: string; tests: string[] }[]): string {
  return JSON.stringify({
    testResults: files.map(({ status, tests }) => ({
      status,
      assertionResults: tests.map((each) => ({ status: each })),
    })),
  });
}

test('cargo: all programs of tests are summed', () => {
  expect(countCargoTests(CARGO, false)).toEqual({ passed: 3, failed: 1, skipped: 1 });
});

test('cargo: what does not compile is a failure', () => {
  expect(countCargoTests('error[E0425]: cannot find value', false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

describe('vitest', () => {
  test('counts all states', () => {
    const files = [
      { status: 'passed', tests: ['passed', 'pending', 'todo', 'skipped'] },
      { status: 'failed', tests: ['passed', 'failed', 'failed'] },
    ];
    expect(countVitest(report(...files), false)).toEqual({ passed: 2, failed: 2, skipped: 3 });
  });

  test('a file that cannot be loaded is a failure', () => {
    const files = [
      { status: 'failed', tests: [] },
      { status: 'passed', tests: ['passed'] },
    ];
    expect(countVitest(report(...files), false)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test('a failure outside of all tests is one', () => {
    expect(countVitest(report({ status: 'passed', tests: ['passed'] }), false)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    });
  });

  test('no report is a failure', () => {
    expect(countVitest(undefined, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

test('sums', () => {
  expect(
    sumCounts([
      { passed: 1, failed: 2, skipped: 3 },
      { passed: 10, failed: 20, skipped: 30 },
    ]),
  ).toEqual({
    passed: 11,
    failed: 22,
    skipped: 33,
  });
});
