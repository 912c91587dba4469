import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describeFile, folderError, undefinedWhereMissing } from './folder-file.ts';
import type { DeleteOptions, ObjectSource, PutOptions } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';

/** A lock is held for two system calls: one this old was left by a process that died. */
const STALE_LOCK_MS = 10_000;
const LOCK_POLL_MS = 5;

/** Writes the whole content beside and renames it while the lock is held, so that condition and change are one step. */
export async function writeObjectFile(
  path: string,
  source: ObjectSource,
  { ifMatch, ifNoneMatch, signal }: PutOptions,
): Promise<{ etag: string }> {
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.partial`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(partial, 'wx', 0o644);
    try {
      await file.writeFile(source instanceof Uint8Array ? source : createReadStream(source.path), { signal });
      await file.sync();
      return await underLock(path, async () => {
        await checkCondition(path, ifMatch, ifNoneMatch);
        await rename(partial, path);
        // By the handle, as somebody may have put another file in its place already.
        return { etag: describeFile(await file.stat()).etag };
      });
    } finally {
      await file.close();
    }
  } catch (error) {
    throw folderError(error);
  } finally {
    await rm(partial, { force: true }).catch(() => {});
  }
}

/** Removes the file of an object. */
export async function removeObjectFile(path: string, { ifMatch }: DeleteOptions): Promise<void> {
  const stats = await stat(path).catch(undefinedWhereMissing);
  if (stats === undefined && ifMatch === undefined) return;
  if (stats?.isDirectory()) {
    if (ifMatch === undefined) return;
    throw new ObjectStoreError('precondition_failed', `${basename(path)} is missing`);
  }
  try {
    await underLock(path, async () => {
      await checkCondition(path, ifMatch, undefined);
      await rm(path, { force: true });
    });
  } catch (error) {
    throw folderError(error);
  }
}

async function checkCondition(path: string, ifMatch?: string, ifNoneMatch?: '*'): Promise<void> {
  if (ifMatch === undefined && ifNoneMatch === undefined) return;
  const stats = await stat(path).catch(undefinedWhereMissing);
  const etag = stats?.isFile() ? describeFile(stats).etag : undefined;
  if (ifNoneMatch !== undefined && etag !== undefined) {
    throw new ObjectStoreError('precondition_failed', `${basename(path)} is there already`);
  }
  if (ifMatch !== undefined && etag !== ifMatch) {
    const found = etag === undefined ? 'is missing' : 'has another content by now';
    throw new ObjectStoreError('precondition_failed', `${basename(path)} ${found}`);
  }
}

async function underLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const lock = join(dirname(path), `.${basename(path)}.lock`);
  for (;;) {
    const file = await open(lock, 'wx').catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      const stats = await stat(lock).catch(() => undefined);
      if (stats !== undefined && Date.now() - stats.mtimeMs > STALE_LOCK_MS) await rm(lock, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
      return undefined;
    });
    if (file === undefined) continue;
    await file.close();
    try {
      return await action();
    } finally {
      await rm(lock, { force: true });
    }
  }
}
