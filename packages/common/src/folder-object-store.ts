import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { withExactLength } from './exact-length.ts';
import { describeFile, folderError, undefinedWhereMissing } from './folder-file.ts';
import { listFolder } from './folder-list.ts';
import { watchFolderTree } from './folder-watch.ts';
import { removeObjectFile, writeObjectFile } from './folder-write.ts';
import { checkObjectKey, checkObjectPrefix } from './object-key.ts';
import type { GetOptions, ObjectContent, ObjectInfo, ObjectStore } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';

const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * A local folder as a bucket: a file is an object, its path below `root` the key. The folder need not exist yet.
 * Conditions of writes hold among all that write through this store on one machine; `cp` asks nobody.
 */
export function createFolderObjectStore(root: string): ObjectStore {
  const pathOf = (key: string): string => {
    checkObjectKey(key);
    return join(root, key);
  };
  return {
    description: `folder ${root}`,
    head: async (key, options) => {
      options?.signal?.throwIfAborted();
      return head(pathOf(key));
    },
    get: async (key, options = {}) => {
      options.signal?.throwIfAborted();
      return get(pathOf(key), key, options);
    },
    list: (prefix, options) => {
      checkObjectPrefix(prefix);
      return listFolder(root, prefix, options?.signal);
    },
    put: async (key, source, options = {}) => {
      options.signal?.throwIfAborted();
      return writeObjectFile(pathOf(key), source, options);
    },
    delete: async (key, options = {}) => {
      options.signal?.throwIfAborted();
      return removeObjectFile(pathOf(key), options);
    },
    watch: (onChange) => watchFolderTree(root, onChange),
    close: async () => {},
  };
}

async function head(path: string): Promise<ObjectInfo | undefined> {
  const stats = await stat(path).catch(undefinedWhereMissing);
  return stats?.isFile() ? describeFile(stats) : undefined;
}

async function get(
  path: string,
  key: string,
  { ifNoneMatch, range, signal }: GetOptions,
): Promise<ObjectContent | 'not_modified' | undefined> {
  // Not blocking: a named pipe in a bucket must not hang its reader.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(undefinedWhereMissing);
  if (file === undefined) return undefined;
  try {
    const stats = await file.stat();
    const info = stats.isFile() ? describeFile(stats) : undefined;
    if (info === undefined || info.etag === ifNoneMatch) {
      await file.close();
      return info && 'not_modified';
    }
    const first = range?.first ?? 0;
    const end = Math.min(info.bytes, (range?.last ?? Infinity) + 1);
    if (range !== undefined && (first >= info.bytes || end <= first)) {
      throw new ObjectStoreError('invalid', `the range from ${first} is outside ${key}, which has ${info.bytes} bytes`);
    }
    if (first === end) {
      await file.close();
      return { ...info, body: Readable.from([]) };
    }
    const highWaterMark = READ_CHUNK_BYTES;
    const content = file.createReadStream({ start: first, end: end - 1, highWaterMark, ...(signal && { signal }) });
    // Whoever reads it gets the error; until then nobody may be reading.
    content.on('error', () => {});
    return { ...info, body: withExactLength(content, end - first, key, signal) };
  } catch (error) {
    await file.close();
    throw folderError(error);
  }
}
