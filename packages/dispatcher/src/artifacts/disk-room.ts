import { lstat, readdir, rm, statfs, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** Keeps a folder of files within a bound; those go first that were used longest ago. */
export type DiskRoom = {
  /** Makes room for a file of so many bytes, within the bound and on the disk. Whether there is room is for the write to find out. */
  make: (bytes: number) => Promise<void>;
  /** A file was used just now. */
  used: (path: string) => void;
  close: () => void;
};

/** Eviction begins above this part of the bound and goes down to the lower one, so that it is not needed again at once. */
const EVICT_ABOVE = 0.95;
const EVICT_TO = 0.85;
/** Other servers write to the folder too: what this one knows of it is looked up again after this time. */
const RESCAN_MS = 60_000;
/** The order of use outlives the process in the files' times, which other servers see too. */
const FLUSH_MS = 10 * 60_000;

/**
 * Watches over a folder that several servers may share.
 * @param isOurs tells the store's files from foreign ones, which are neither counted nor removed
 */
export function createDiskRoom(deps: {
  folder: string;
  maxBytes: number;
  isOurs: (name: string) => boolean;
  nowMs: () => number;
  onEvicted: (path: string) => void;
}): DiskRoom {
  const { folder, maxBytes, nowMs } = deps;
  /** Since the last flush. */
  const used = new Map<string, number>();
  let knownBytes = 0;
  let scannedAtMs = -Infinity;
  let turn: Promise<void> = Promise.resolve();

  const flush = async (): Promise<void> => {
    const times = [...used];
    used.clear();
    for (const [path, atMs] of times) {
      const at = new Date(atMs);
      // Evicted meanwhile, by this server or by another, or on a disk that is read-only.
      await utimes(path, at, at).catch(() => undefined);
    }
  };
  const timer = setInterval(() => void flush(), FLUSH_MS);
  timer.unref();

  const evict = async (keepBytes: number): Promise<void> => {
    await flush();
    const files = await listFiles(folder, deps.isOurs);
    let total = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of files.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
      if (total <= keepBytes) break;
      await rm(file.path, { force: true });
      deps.onEvicted(file.path);
      total -= file.bytes;
    }
    knownBytes = total;
    scannedAtMs = nowMs();
  };

  const makeRoom = async (bytes: number): Promise<void> => {
    if (nowMs() - scannedAtMs > RESCAN_MS) {
      const files = await listFiles(folder, deps.isOurs);
      knownBytes = files.reduce((sum, file) => sum + file.bytes, 0);
      scannedAtMs = nowMs();
    }
    if (knownBytes + bytes > maxBytes * EVICT_ABOVE) await evict(Math.max(0, maxBytes * EVICT_TO - bytes));
    const disk = await statfs(folder);
    const missing = bytes - disk.bavail * disk.bsize;
    // Where everything together would not be enough, nothing is given up for it.
    if (missing > 0 && missing <= knownBytes) await evict(knownBytes - missing);
    knownBytes += bytes;
  };

  return {
    make: (bytes) => {
      // One after the other: two at once would both count, and both remove, the same files.
      const mine = turn.then(() => makeRoom(bytes));
      turn = mine.catch(() => undefined);
      return mine;
    },
    used: (path) => void used.set(path, nowMs()),
    close: () => {
      clearInterval(timer);
      void flush();
    },
  };
}

async function listFiles(
  folder: string,
  isOurs: (name: string) => boolean,
): Promise<{ path: string; bytes: number; usedAtMs: number }[]> {
  const files = [];
  for (const name of await readdir(folder)) {
    if (!isOurs(name)) continue;
    const path = join(folder, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isFile()) files.push({ path, bytes: stats.size, usedAtMs: stats.mtimeMs });
  }
  return files;
}
