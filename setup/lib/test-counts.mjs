/**
 * How many tests ended how.
 * @typedef {object} TestCounts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/**
 * @param {TestCounts[]} counts
 * @returns {TestCounts}
 */
export function sumCounts(counts) {
  return {
    passed: counts.reduce((sum, each) => sum + each.passed, 0),
    failed: counts.reduce((sum, each) => sum + each.failed, 0),
    skipped: counts.reduce((sum, each) => sum + each.skipped, 0),
  };
}

/**
 * Counts what `cargo test` printed: one summary for each program of tests.
 * @param {string} output
 * @param {boolean} succeeded whether cargo itself did
 * @returns {TestCounts} with one failure at least when cargo did not succeed: tests that do not compile count too
 */
export function countCargoTests(output, succeeded) {
  const summaries = [...output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored;/gm)];
  const counts = sumCounts(
    summaries.map(([, passed, failed, skipped]) => ({
      passed: Number(passed),
      failed: Number(failed),
      skipped: Number(skipped),
    })),
  );
  return succeeded || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

/**
 * Counts what vitest's JSON reporter wrote.
 * @param {string | undefined} report undefined when it wrote none
 * @param {boolean} succeeded whether vitest itself did
 * @returns {TestCounts} a file that could not be loaded counts as one failure, as does a failure outside of all tests
 */
export function countVitest(report, succeeded) {
  /** @type {{ testResults: { status: string, assertionResults: { status: string }[] }[] }} */
  const { testResults } = report === undefined ? { testResults: [] } : JSON.parse(report);
  const counts = sumCounts(
    testResults.map(({ status, assertionResults }) => {
      const failed = assertionResults.filter((test) => test.status === 'failed').length;
      const passed = assertionResults.filter((test) => test.status === 'passed').length;
      return {
        passed,
        failed: status === 'failed' && failed === 0 ? 1 : failed,
        skipped: assertionResults.length - passed - assertionResults.filter((test) => test.status === 'failed').length,
      };
    }),
  );
  return succeeded || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}
