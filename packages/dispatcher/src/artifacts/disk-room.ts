import { statfsSync } from 'node:fs';
import { lstat, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_BYTES } from './block-writer.ts';

/** Keeps a folder of files within a bound; those go first that were used longest ago. */
export type DiskRoom = {
  /** Makes room for a file of so many bytes, within the bound and on the disk. Whether there is room is for the write to find out. */
  make: (bytes: number) => Promise<void>;
  /** Passes content on, and makes room for what it has beyond the bytes for which there is room already. */
  makeFor: (content: AsyncIterable<Buffer>, bytes: number) => AsyncIterable<Buffer>;
  /** A file was used, so many milliseconds ago. */
  used: (path: string, agoMs: number) => void;
  close: () => void;
};

/** Eviction begins above this part of the bound and goes down to the lower one, so that it is not needed again at once. */
const EVICT_ABOVE = 0.95;
const EVICT_TO = 0.85;
/** Where it is not known how long something becomes, room is made for so much of it at a time. */
const STEP_BYTES = 512 * 1024;
/** What a writer holds that has been passed on: there was room for it, and the disk does not show yet that it is taken. */
const HELD_BYTES = 2 * BLOCK_BYTES;
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
  filesInUse: () => ReadonlySet<string>;
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
      // Evicted meanwhile, by this server or by another, or on a disk that is read-only.
      await utimes(path, atMs / 1000, atMs / 1000).catch(() => undefined);
    }
  };
  const timer = setInterval(() => void flush(), FLUSH_MS);
  timer.unref();

  const scan = async (): Promise<RoomFile[]> => {
    const files = await listFiles(folder, deps.isOurs);
    knownBytes = sumOf(files);
    scannedAtMs = nowMs();
    return files;
  };

  /** Removes of `files` those that were used longest ago, until so many bytes are gone. */
  const remove = async (files: readonly RoomFile[], bytes: number): Promise<void> => {
    let removed = 0;
    for (const file of files.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
      if (removed >= bytes) break;
      await rm(file.path, { force: true });
      deps.onEvicted(file.path);
      removed += file.bytes;
    }
    knownBytes -= removed;
  };

  const makeRoom = async (bytes: number, heldBytes: number): Promise<void> => {
    if (nowMs() - scannedAtMs > RESCAN_MS) await scan();
    if (knownBytes + bytes > maxBytes * EVICT_ABOVE) {
      await flush();
      const files = await scan();
      await remove(files, knownBytes + bytes - maxBytes * EVICT_TO);
    }
    // What the kernel has in memory.
    const disk = statfsSync(folder);
    const missing = bytes + heldBytes - disk.bavail * disk.bsize;
    if (missing > 0) {
      await flush();
      // What a runner has mapped takes its room for as long as that runs: removing it would only lose it.
      const inUse = deps.filesInUse();
      const idle = (await scan()).filter(({ path }) => !inUse.has(path));
      // Where everything together would not be enough, nothing is given up for it.
      if (sumOf(idle) >= missing) await remove(idle, missing);
    }
    knownBytes += bytes;
  };

  const make = (bytes: number, heldBytes = 0): Promise<void> => {
    // One after the other: two at once would both count, and both remove, the same files.
    const mine = turn.then(() => makeRoom(bytes, heldBytes));
    turn = mine.catch(() => undefined);
    return mine;
  };

  return {
    make: (bytes) => make(bytes),
    makeFor: async function* (content, bytes) {
      let left = bytes;
      for await (const chunk of content) {
        left -= chunk.length;
        if (left < 0) {
          const more = Math.max(STEP_BYTES, -left);
          await make(more, HELD_BYTES);
          left += more;
        }
        yield chunk;
      }
    },
    used: (path, agoMs) => void used.set(path, Math.max(used.get(path) ?? 0, nowMs() - agoMs)),
    close: () => {
      clearInterval(timer);
      void flush();
    },
  };
}

type RoomFile = { path: string; bytes: number; usedAtMs: number };

function sumOf(files: readonly RoomFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function listFiles(folder: string, isOurs: (name: string) => boolean): Promise<RoomFile[]> {
  const files = [];
  for (const name of await readdir(folder)) {
    if (!isOurs(name)) continue;
    const path = join(folder, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isFile()) files.push({ path, bytes: stats.size, usedAtMs: stats.mtimeMs });
  }
  return files;
}
