import type { Stats } from 'node:fs';
import type { ObjectInfo } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';

/** Inode and change time are in it, so that a file replaced within the clock's resolution by one of the same length still differs. */
export function describeFile(stats: Stats): ObjectInfo {
  return {
    etag: `${stats.ino}-${stats.size}-${stats.mtimeMs}-${stats.ctimeMs}`,
    bytes: stats.size,
    modifiedAtMs: stats.mtimeMs,
  };
}

/** For `catch`: nothing there is `undefined`, any other failure the error that a store throws. */
export function undefinedWhereMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENAMETOOLONG') return undefined;
  throw folderError(error);
}

/** An error of the file system as the one that a store throws; others, such as an abort, as they are. */
export function folderError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof ObjectStoreError || code === undefined || code === 'ABORT_ERR') return error;
  return new ObjectStoreError(storeCode(code), message, { cause: error });
}

function storeCode(code: string): 'access_denied' | 'invalid' | 'unavailable' {
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'access_denied';
  // A folder stands where the object should, a file where its folder should, or the name is too long for the file system.
  if (code === 'EISDIR' || code === 'EEXIST' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 'invalid';
  return 'unavailable';
}

/** Names of files that are not objects: being written, or locks. */
export function isPrivateFile(name: string): boolean {
  return /^\..*\.(?:[0-9a-f]{16}\.partial|lock)$/.test(name);
}
