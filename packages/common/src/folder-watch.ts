import { watch as watchFolder, type FSWatcher } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isPrivateFile } from './folder-file.ts';
import type { Closable } from './object-store.ts';

/**
 * Watches a folder and all below it, one inotify watch a folder. Node's own recursive watch is not used: it walks every file
 * of the tree at start and keeps one watch for each.
 */
export function watchFolderTree(root: string, onChange: (key: string | undefined) => void): Closable {
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
        if (isPrivateFile(file)) return;
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
