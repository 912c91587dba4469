import { watch as watchFolder, type FSWatcher, type Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Closable, ObjectContent, ObjectInfo, ObjectStore } from './object-store.ts';

const READ_CHUNK_BYTES = 1024 * 1024;

/** A local folder as a bucket: a file is an object, its path below `root` the key. The folder need not exist yet. */
export function createFolderObjectStore(root: string): ObjectStore {
  return {
    description: `folder ${root}`,
    head: (key) => head(join(root, key)),
    get: (key) => get(join(root, key)),
    watch: (onChange) => watchTree(root, onChange),
  };
}

async function head(path: string): Promise<ObjectInfo | undefined> {
  const stats = await stat(path).catch(undefinedWhereMissing);
  return stats?.isFile() ? describe(stats) : undefined;
}

async function get(path: string): Promise<ObjectContent | undefined> {
  const file = await open(path, 'r').catch(undefinedWhereMissing);
  if (file === undefined) return undefined;
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    return undefined;
  }
  return { ...describe(stats), body: file.createReadStream({ highWaterMark: READ_CHUNK_BYTES }) };
}

/** Inode and change time are in it, so that a file replaced within the clock's resolution by one of the same length still differs. */
function describe(stats: Stats): ObjectInfo {
  return {
    etag: `${stats.ino}-${stats.size}-${stats.mtimeMs}-${stats.ctimeMs}`,
    bytes: stats.size,
    modifiedAtMs: stats.mtimeMs,
  };
}

function undefinedWhereMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENAMETOOLONG') return undefined;
  throw error;
}

/**
 * Watches a folder and all below it, one inotify watch a folder. Node's own recursive watch is not used: it walks every file
 * of the tree at start and keeps one watch for each.
 */
function watchTree(root: string, onChange: (key: string | undefined) => void): Closable {
  const watchers = new Map<string, FSWatcher>();
  let closed = false;

  const forget = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };

  const add = async (folder: string): Promise<void> => {
    if (closed || watchers.has(folder)) return;
    try {
      const watcher = watchFolder(join(root, folder), { persistent: false });
      watchers.set(folder, watcher);
      watcher.on('error', () => forget(folder));
      watcher.on('change', (_kind, file) => {
        if (typeof file !== 'string') return onChange(undefined);
        const key = join(folder, file);
        onChange(key);
        void addIfFolder(key);
      });
      // What was put in before the watch began has raised no event.
      for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
        if (entry.isDirectory()) await addIfFolder(join(folder, entry.name));
      }
    } catch {
      // Gone again, or not readable: the owner of the store looks objects up now and then anyway.
      forget(folder);
    }
  };

  const addIfFolder = async (key: string): Promise<void> => {
    const stats = await stat(join(root, key)).catch(() => undefined);
    if (stats?.isDirectory()) {
      await add(key);
      onChange(undefined);
    } else if (stats === undefined) forget(key);
  };

  void add('');
  return {
    close: () => {
      closed = true;
      for (const folder of watchers.keys()) forget(folder);
    },
  };
}
