import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFile, isPrivateFile, undefinedWhereMissing } from './folder-file.ts';
import type { ListedObject } from './object-store.ts';

/**
 * The files below `root` whose path begins with `prefix`, in the order of the paths' bytes. Links to files count as files,
 * links to folders are not followed, as they may lead round.
 */
export async function* listFolder(
  root: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  yield* walk(root, '', prefix, signal);
}

async function* walk(
  root: string,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  signal?.throwIfAborted();
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(undefinedWhereMissing);
  for (const { path, entry } of inOrder(folder, entries ?? [])) {
    if (entry.isDirectory()) {
      if (path.startsWith(prefix) || prefix.startsWith(path)) yield* walk(root, path, prefix, signal);
    } else if (path.startsWith(prefix) && !isPrivateFile(entry.name)) {
      const stats = await stat(join(root, path)).catch(undefinedWhereMissing);
      if (stats?.isFile()) yield { key: path, ...describeFile(stats) };
    }
  }
}

/** A folder is compared with its slash: `a.b` comes before `a/b`, and `a/b` before `a0`. */
function inOrder(folder: string, entries: Dirent[]): { path: string; entry: Dirent }[] {
  const named = entries.map((entry) => {
    const path = folder + entry.name + (entry.isDirectory() ? '/' : '');
    return { path, entry, bytes: Buffer.from(path) };
  });
  return named.toSorted((a, b) => Buffer.compare(a.bytes, b.bytes));
}
