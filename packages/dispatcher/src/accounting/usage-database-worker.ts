// The thread that owns the database: a write may wait for the disk, and the dispatcher must not.

import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { USAGE_KEYS, USAGE_SUMS, type Usage, type UsageFilter } from './usage.ts';

/** What the thread is asked; each is answered with {@link UsageReply} of the same number. */
export type UsageRequest =
  | { number: number; add: readonly Usage[] }
  | { number: number; read: UsageFilter }
  | { number: number; close: true };

/** How it went. */
export type UsageReply = { number: number; rows?: Usage[]; error?: string };

const MEMBERS = [...USAGE_KEYS, ...USAGE_SUMS, 'peakMemoryBytes'] as const;
const SCHEMA_VERSION = 1;

const database = open((workerData as { file: string }).file);
const insert = database.prepare(
  `INSERT INTO usage (${MEMBERS.join(', ')}) VALUES (${MEMBERS.map((member) => `:${member}`).join(', ')})
   ON CONFLICT (${USAGE_KEYS.join(', ')}) DO UPDATE SET
   ${USAGE_SUMS.map((member) => `${member} = ${member} + excluded.${member}`).join(', ')},
   peakMemoryBytes = max(peakMemoryBytes, excluded.peakMemoryBytes)`,
);
const select = database.prepare(
  `SELECT ${MEMBERS.join(', ')} FROM usage
   WHERE (:functionName IS NULL OR functionName = :functionName)
   AND (:fromDay IS NULL OR day >= :fromDay) AND (:toDay IS NULL OR day <= :toDay)
   ORDER BY day, functionName, outcome`,
);

parentPort!.on('message', (request: UsageRequest) => {
  try {
    parentPort!.postMessage(answer(request));
  } catch (error) {
    parentPort!.postMessage({ number: request.number, error: (error as Error).message } satisfies UsageReply);
  }
  if ('close' in request) parentPort!.close();
});

function open(file: string): DatabaseSync {
  const opened = new DatabaseSync(file, { timeout: 5000 });
  // Several servers may share a state folder, so writers wait for each other. With a write-ahead log a crash loses what was written last, and nothing else.
  opened.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  const version = opened.prepare('PRAGMA user_version').get()!['user_version'] as number;
  if (version > SCHEMA_VERSION) throw new Error(`${file} was written by a newer version of Playa`);
  const sums = [...USAGE_SUMS, 'peakMemoryBytes'].map((member) => `${member} INTEGER NOT NULL`);
  opened.exec(
    `CREATE TABLE IF NOT EXISTS usage (${USAGE_KEYS.map((member) => `${member} TEXT NOT NULL`).join(', ')}, ${sums.join(', ')},
     PRIMARY KEY (${USAGE_KEYS.join(', ')})) STRICT, WITHOUT ROWID;
     PRAGMA user_version = ${SCHEMA_VERSION}`,
  );
  return opened;
}

function answer(request: UsageRequest): UsageReply {
  const { number } = request;
  if ('add' in request) add(request.add);
  else if ('read' in request) {
    const { functionName = null, fromDay = null, toDay = null } = request.read;
    return { number, rows: select.all({ functionName, fromDay, toDay }) as Usage[] };
  } else database.close();
  return { number };
}

function add(rows: readonly Usage[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const row of rows) insert.run(row);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
