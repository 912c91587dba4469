import type { BenchOptions, ScenarioResult } from '../main.ts';
import { judge, type Requirement } from '../report/requirement.ts';
import type { Measurement } from '../report/results-file.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { median } from '../statistics.ts';
import { buildGuest } from '../../test/harness/artifacts.ts';
import { makeBucket } from '../../test/harness/test-bucket.ts';
import { startServer } from '../../test/harness/test-server.ts';

const WALL_MS = 500;
/** More than a loop uses up in that time. */
const FUEL = 9_000_000_000_000_000;
const REQUESTS_PER_ROUND = 4;
/** A function in an endless loop has its answer within the limit and this. */
const LATE_MS: Requirement = { floor: 200, aim: 50, better: 'lower' };

/** How long after its limit the answer comes for a function that loops, and for one that waits for ever. */
export async function runLimits({ rounds }: BenchOptions): Promise<ScenarioResult> {
  const bucket = makeBucket({ probe: await buildGuest('probe') });
  const measurements: Measurement[] = [];
  let floorsHold = true;
  const rows: string[][] = [];
  for (const isolation of ['instance', 'process', 'sandbox']) {
    const server = await startServer(bucket.path, { isolation, 'wall-ms': WALL_MS, fuel: FUEL });
    try {
      await server.invoke('probe');
      for (const path of ['loop', 'never']) {
        const samples: number[] = [];
        for (let index = 0; index < rounds * REQUESTS_PER_ROUND; index++) {
          const startedMs = performance.now();
          const answer = await server.invoke(`probe/${path}`);
          samples.push(performance.now() - startedMs - WALL_MS);
          if (answer.status !== 504)
            throw new Error(`${path} in ${isolation} was answered with ${answer.status}: ${answer.text}`);
        }
        const worst = Math.max(...samples);
        const verdict = judge(worst, LATE_MS);
        floorsHold &&= verdict !== 'below';
        rows.push([
          `${path}, ${isolation}`,
          formatNumber(median(samples)),
          formatNumber(worst),
          verdict === 'below' ? 'MISSED' : 'holds',
        ]);
        measurements.push({ scenario: 'limits', params: { path, isolation, limitMs: WALL_MS }, unit: 'ms', samples });
      }
    } finally {
      await server.dispose();
    }
  }
  bucket.remove();
  const head = [`late after a limit of ${WALL_MS} ms`, 'median ms', 'worst ms', `≤ ${LATE_MS.floor} ms`];
  return { text: formatTable(head, rows), measurements, floorsHold };
}
