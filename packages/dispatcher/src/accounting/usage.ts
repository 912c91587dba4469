import type { OutcomeCode } from '../outcome/registry.ts';

/** What the invocations of one function that ended in one way on one day have used together. */
export type Usage = {
  /** The day in UTC, `2026-11-21`. */
  day: string;
  /** Empty for requests that reached no function. */
  functionName: string;
  outcome: OutcomeCode;
  calls: number;
  fuel: number;
  /** CPU time of the guest, without waiting. */
  cpuUs: number;
  /** CPU time of the processes that served one request each, as the kernel counted it; it holds `cpuUs`. */
  processCpuUs: number;
  /** From the arrival of the request to the end of its answer. */
  wallUs: number;
  /** The most linear memory that one invocation had. */
  peakMemoryBytes: number;
  requestBytes: number;
  responseBytes: number;
  /** Sent and received over outgoing connections. */
  egressBytes: number;
};

/** Which usage is meant: of one function or all, from one day to another, both included. */
export type UsageFilter = { functionName?: string; fromDay?: string; toDay?: string };

/** The members that identify a row; all others add up, but for `peakMemoryBytes`, of which the largest counts. */
export const USAGE_KEYS = ['day', 'functionName', 'outcome'] as const;

/** The members that add up. */
export const USAGE_SUMS = [
  'calls',
  'fuel',
  'cpuUs',
  'processCpuUs',
  'wallUs',
  'requestBytes',
  'responseBytes',
  'egressBytes',
] as const satisfies (keyof Usage)[];

/** Adds one row to another of the same day, function and outcome. */
export function addUsage(to: Usage, from: Usage): void {
  for (const member of USAGE_SUMS) to[member] += from[member];
  to.peakMemoryBytes = Math.max(to.peakMemoryBytes, from.peakMemoryBytes);
}
