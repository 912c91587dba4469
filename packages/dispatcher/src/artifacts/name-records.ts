import { createHash, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What is on the disk under a name. A pointer only: what it names is verified before it is used. */
export type NameRecord = {
  /** The object that was read, and its etag. */
  object: string;
  etag: string;
  /** The file in the disk store. */
  blob: string;
  /** The policy file beside the function. */
  policy: { etag: string; text: string } | undefined;
  /** When the bucket was last seen to have this, in milliseconds since 1970. */
  checkedAtMs: number;
};

/** What the disk tier knows of a bucket, by names of functions and keys of versions, so that a server which starts while the bucket is down has its functions. */
export type NameRecords = {
  /** `undefined` where there is none that can be read. */
  read: (key: string) => Promise<NameRecord | undefined>;
  /** Remembers; a disk that does not take it is no failure, as everything works without. */
  write: (key: string, record: Omit<NameRecord, 'checkedAtMs'>) => Promise<void>;
  /** The bucket still has it. Written down at most once a minute for a key. */
  checked: (key: string) => Promise<void>;
  forget: (key: string) => Promise<void>;
};

/** Where they are, below the state folder. */
export const NAME_RECORDS_FOLDER = 'names';

const CHECK_INTERVAL_MS = 60_000;
/** Of functions that were not asked for in so long nothing is remembered. */
const KEEP_MS = 30 * 24 * 60 * 60 * 1000;
const FILE = /^[0-9a-f]{64}\.json$/;
const MAX_RECORD_BYTES = 512 * 1024;

/**
 * Opens the records of one bucket.
 * @param bucket says which bucket: several share the folder
 */
export async function openNameRecords(deps: {
  directory: string;
  bucket: string;
  nowMs: () => number;
  /** Told when a record is about to be published. */
  atRecorded?: () => void;
}): Promise<NameRecords> {
  const folder = join(deps.directory, NAME_RECORDS_FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  void removeOld(folder, deps.nowMs() - KEEP_MS);
  const fileOf = (key: string): string =>
    join(folder, `${createHash('sha256').update(`${deps.bucket}\0${key}`).digest('hex')}.json`);

  let turn: Promise<void> = Promise.resolve();
  /** One after the other: nobody waits for them, and what was asked for last must be what stays. */
  const inTurn = (change: () => Promise<void>): Promise<void> => (turn = turn.then(change));

  const write = async (key: string, { object, etag, blob, policy }: Omit<NameRecord, 'checkedAtMs'>): Promise<void> => {
    const path = fileOf(key);
    const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
    try {
      const now = new Date(deps.nowMs());
      await writeFile(temporary, JSON.stringify({ bucket: deps.bucket, key, object, etag, blob, policy }), {
        flag: 'wx',
        mode: 0o600,
      });
      await utimes(temporary, now, now);
      deps.atRecorded?.();
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  };

  const checked = async (key: string): Promise<void> => {
    const path = fileOf(key);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined || deps.nowMs() - stats.mtimeMs < CHECK_INTERVAL_MS) return;
    const now = new Date(deps.nowMs());
    await utimes(path, now, now).catch(() => undefined);
  };

  return {
    read: async (key) => {
      const path = fileOf(key);
      try {
        // Synchronous: a function that is new has none, which is known at once; by way of another thread its request would wait.
        const stats = statSync(path, { throwIfNoEntry: false });
        if (stats === undefined) return undefined;
        if (!stats.isFile() || stats.size > MAX_RECORD_BYTES) return undefined;
        const record = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
        const { object, etag, blob } = record;
        if (typeof object !== 'string' || typeof etag !== 'string' || typeof blob !== 'string') return undefined;
        if (record['key'] !== key || record['bucket'] !== deps.bucket) return undefined;
        return { object, etag, blob, policy: asPolicy(record['policy']), checkedAtMs: stats.mtimeMs };
      } catch {
        // Missing, damaged or foreign: as if it had never been written.
        return undefined;
      }
    },
    write: (key, record) => inTurn(() => write(key, record)),
    checked: (key) => inTurn(() => checked(key)),
    forget: (key) => inTurn(() => rm(fileOf(key), { force: true }).catch(() => undefined)),
  };
}

function asPolicy(value: unknown): NameRecord['policy'] {
  if (value === undefined) return undefined;
  const { etag, text } = value as Record<string, unknown>;
  // A function must never run without the policy that it has: better ask the bucket again.
  if (typeof etag !== 'string' || typeof text !== 'string') throw new TypeError('a damaged record');
  return { etag, text };
}

async function removeOld(folder: string, beforeMs: number): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const path = join(folder, name);
    const stats = await stat(path).catch(() => undefined);
    // Also what a process left that died while it wrote: such a name has more behind the digits.
    if (stats === undefined || stats.mtimeMs > beforeMs) continue;
    if (FILE.test(name) || /^[0-9a-f]{64}\.json\./.test(name)) await rm(path, { force: true }).catch(() => undefined);
  }
}
