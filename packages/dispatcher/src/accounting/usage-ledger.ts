import type { Logger } from 'pino';
import type { Invocation } from '../lifecycle/invocation.ts';
import type { Usage, UsageFilter } from './usage.ts';
import type { UsageDatabase } from './usage-database.ts';
import { createUsageMeter } from './usage-meter.ts';

/** Keeps account of what functions use. */
export type UsageLedger = {
  record: (invocation: Invocation) => void;
  /** All that was recorded up to now. Rejects when the database cannot be read. */
  read: (filter: UsageFilter) => Promise<Usage[]>;
  /** Writes what is left. */
  close: () => Promise<void>;
};

/** So much is lost at most when the server is killed. */
const WRITE_INTERVAL_MS = 1_000;

/** A ledger that gathers in memory and writes to `database` once a second; what cannot be written is tried again with the next. */
export function createUsageLedger(deps: {
  database: UsageDatabase;
  nowMs: () => number;
  monotonicMs: () => number;
  log: Logger;
}): UsageLedger {
  const meter = createUsageMeter(deps);
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let failing = false;

  const write = async (): Promise<void> => {
    const usage = meter.take();
    if (usage.length === 0) return;
    try {
      await deps.database.add(usage);
      if (failing) deps.log.info('usage is written again');
      failing = false;
    } catch (error) {
      meter.putBack(usage);
      if (!failing) deps.log.error({ err: error }, 'usage cannot be written; it is kept in memory and tried again');
      failing = true;
      plan();
    }
  };
  const writeNow = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(write);
    return writing;
  };
  const plan = (): void => {
    timer ??= setTimeout(() => void writeNow(), WRITE_INTERVAL_MS).unref();
  };

  return {
    record: (invocation) => {
      meter.record(invocation);
      plan();
    },
    read: async (filter) => {
      await writeNow();
      return deps.database.read(filter);
    },
    close: async () => {
      await writeNow();
      clearTimeout(timer);
      await deps.database.close();
    },
  };
}
