import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';

/** Tells whether there is memory for another sandbox. */
export type MemoryGauge = { isShort: () => boolean };

/** Reading takes tens of microseconds, so it is not done for each request. */
const READ_INTERVAL_MS = 200;

/**
 * Compares the memory at hand with what must stay free. What is at hand is the least of what the kernel says is available
 * (`MemAvailable`, proc(5)) and what the process's own cgroup leaves.
 */
export function createMemoryGauge(deps: {
  minFreeBytes: number;
  nowMs: () => number;
  readAvailableBytes?: () => number;
}): MemoryGauge {
  const read = deps.readAvailableBytes ?? readAvailableBytes;
  let readAtMs = -Infinity;
  let short = false;
  return {
    isShort: () => {
      const now = deps.nowMs();
      if (now - readAtMs >= READ_INTERVAL_MS) {
        readAtMs = now;
        short = read() < deps.minFreeBytes;
      }
      return short;
    },
  };
}

/** A twentieth of the machine's memory, at most 256 MiB. */
export function defaultMinFreeBytes(): number {
  return Math.min(256 * 1024 * 1024, Math.floor(totalmem() / 20));
}

function readAvailableBytes(): number {
  const machine = readNumber('/proc/meminfo', /^MemAvailable:\s+(\d+) kB/m);
  const available = machine === undefined ? freemem() : machine * 1024;
  const limit = readNumber('/sys/fs/cgroup/memory.max', /^(\d+)$/m);
  const used = readNumber('/sys/fs/cgroup/memory.current', /^(\d+)$/m);
  return limit === undefined || used === undefined ? available : Math.min(available, limit - used);
}

/** A file that is not there, or holds no number (`max`), is no bound. */
function readNumber(file: string, pattern: RegExp): number | undefined {
  try {
    const match = pattern.exec(readFileSync(file, 'utf8'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}
