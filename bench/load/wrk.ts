import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What one run of wrk measured. */
export type LoadResult = { requestsPerSecond: number; p50Ms: number; p99Ms: number; maxMs: number };

/** One line of load/report.lua. */
type Report = { requests: number; durationUs: number; p50Us: number; p99Us: number; maxUs: number; failures: number };

const SCRIPT = join(import.meta.dirname, 'report.lua');
/** A request that takes longer is a failure, not a latency. */
const TIMEOUT_S = 10;

/**
 * Requests `url` over so many connections, each with one request at a time, for so many seconds.
 * @throws when wrk is missing, nothing was answered, or any answer was not 2xx or 3xx: a fast error is no result
 */
export async function measureLoad(url: string, connections: number, seconds: number): Promise<LoadResult> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, `--timeout=${TIMEOUT_S}s`, '-s', SCRIPT, url];
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)('wrk', args));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('the command wrk is missing; install it: apt-get install wrk', { cause: error });
  }
  return readReport(stdout, url);
}

/** Reads what load/report.lua printed. Throws as `measureLoad`. */
export function readReport(stdout: string, url: string): LoadResult {
  const line = stdout.split('\n').find((candidate) => candidate.startsWith('{'));
  if (line === undefined) throw new Error(`wrk printed no result for ${url}:\n${stdout}`);
  const report = JSON.parse(line) as Report;
  if (report.requests === 0) throw new Error(`nothing was answered at ${url}`);
  if (report.failures > 0) throw new Error(`${report.failures} of ${report.requests} requests to ${url} failed`);
  return {
    requestsPerSecond: report.requests / (report.durationUs / 1e6),
    p50Ms: report.p50Us / 1000,
    p99Ms: report.p99Us / 1000,
    maxMs: report.maxUs / 1000,
  };
}
