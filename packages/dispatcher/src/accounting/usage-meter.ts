import { ownText } from '@playa/common/own-text';
import type { Invocation } from '../lifecycle/invocation.ts';
import { addUsage, type Usage } from './usage.ts';

/** Adds up what invocations use until it is written. */
export type UsageMeter = {
  /** Counts an invocation that is over. */
  record: (invocation: Invocation) => void;
  /** What was counted since the last call. */
  take: () => Usage[];
  /** Counts again what could not be written. */
  putBack: (usage: readonly Usage[]) => void;
};

/** @param nowMs the wall clock in milliseconds since 1970, which decides on the day */
export function createUsageMeter(deps: { nowMs: () => number; monotonicMs: () => number }): UsageMeter {
  let byKey = new Map<string, Usage>();

  const rowOf = (day: string, functionName: string, outcome: Usage['outcome']): Usage => {
    const key = `${day} ${outcome} ${functionName}`;
    let row = byKey.get(key);
    if (row === undefined) {
      row = {
        day,
        functionName: ownText(functionName),
        outcome,
        calls: 0,
        fuel: 0,
        cpuUs: 0,
        processCpuUs: 0,
        wallUs: 0,
        peakMemoryBytes: 0,
        requestBytes: 0,
        responseBytes: 0,
        egressBytes: 0,
      };
      byKey.set(key, row);
    }
    return row;
  };

  let day = '';
  let dayEndsAtMs = 0;
  const today = (): string => {
    const now = deps.nowMs();
    if (now >= dayEndsAtMs) {
      day = new Date(now).toISOString().slice(0, 10);
      dayEndsAtMs = Date.parse(`${day}T00:00:00Z`) + 24 * 60 * 60 * 1000;
    }
    return day;
  };

  return {
    record: (invocation) => {
      const { done, endedWorker, artifact, outcome } = invocation;
      // A name that is no function's would let callers fill the account.
      const known = artifact !== undefined || outcome === 'artifact_refused';
      const row = rowOf(today(), known ? (invocation.functionName ?? '') : '', outcome);
      row.calls++;
      row.wallUs += Math.max(0, Math.round((deps.monotonicMs() - invocation.startedMs) * 1000));
      row.requestBytes += invocation.requestBytes;
      row.responseBytes += invocation.responseBytes;
      row.egressBytes += invocation.egressBytes;
      row.processCpuUs += endedWorker?.cpuUs ?? 0;
      if (done === undefined || artifact === undefined) return;
      // What a worker says of itself is believed within what it could have used.
      const { limits } = artifact.policy;
      row.fuel += Math.min(done.fuel, limits.fuel);
      row.cpuUs += Math.min(done.guestCpuUs, endedWorker?.cpuUs ?? Infinity);
      row.peakMemoryBytes = Math.max(row.peakMemoryBytes, Math.min(done.peakMemoryBytes, limits.memoryBytes));
    },
    take: () => {
      const taken = [...byKey.values()];
      byKey = new Map();
      return taken;
    },
    putBack: (usage) => {
      for (const row of usage) addUsage(rowOf(row.day, row.functionName, row.outcome), row);
    },
  };
}
