import { Worker } from 'node:worker_threads';
import type { Usage, UsageFilter } from './usage.ts';
import type { UsageReply, UsageRequest } from './usage-database-worker.ts';

/** Usage that survives a restart. */
export type UsageDatabase = {
  /** Adds to what is there, all rows or none. */
  add: (usage: readonly Usage[]) => Promise<void>;
  /** What is there, by day, function and outcome. */
  read: (filter: UsageFilter) => Promise<Usage[]>;
  close: () => Promise<void>;
};

type Waiting = { resolve: (rows: Usage[]) => void; reject: (error: Error) => void };
type Question = UsageRequest extends infer Request
  ? Request extends unknown
    ? Omit<Request, 'number'>
    : never
  : never;

/**
 * Opens the SQLite database in a thread of its own, and makes it where there is none.
 * What goes wrong, at the opening too, is an error of the calls.
 */
export function openUsageDatabase(file: string): UsageDatabase {
  const thread = new Worker(new URL('./usage-database-worker.ts', import.meta.url), { workerData: { file } });
  const waiting = new Map<number, Waiting>();
  let number = 0;
  let broken: Error | undefined;

  thread.on('message', (reply: UsageReply) => {
    const waiter = waiting.get(reply.number);
    waiting.delete(reply.number);
    // Idle, it does not keep the program from ending.
    if (waiting.size === 0) thread.unref();
    if (reply.error === undefined) waiter?.resolve(reply.rows ?? []);
    else waiter?.reject(new Error(reply.error));
  });
  const end = (error: Error): void => {
    broken = error;
    for (const waiter of waiting.values()) waiter.reject(error);
    waiting.clear();
  };
  thread.on('error', end);
  thread.on('exit', () => end(broken ?? new Error('the database is closed')));
  thread.unref();

  const ask = (question: Question): Promise<Usage[]> => {
    if (broken !== undefined) return Promise.reject(broken);
    return new Promise((resolve, reject) => {
      waiting.set(++number, { resolve, reject });
      thread.ref();
      thread.postMessage({ number, ...question } as UsageRequest);
    });
  };

  return {
    add: async (usage) => {
      await ask({ add: usage });
    },
    read: (filter) => ask({ read: filter }),
    close: async () => {
      if (broken === undefined) await ask({ close: true });
      await thread.terminate();
    },
  };
}
