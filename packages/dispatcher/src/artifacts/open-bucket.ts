import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { isBucketUrl } from '@playa/common/object-stores/bucket-url';
import { defaultObjectStoreDeps, openObjectStore } from '@playa/common/object-stores/open-object-store';
import { ConfigError } from '../config/config-error.ts';

/** The bucket of the server. */
export type Bucket = {
  /** As the log names it: its folder, or its URL. */
  name: string;
  store: ObjectStore;
  /** Whether functions can be had. A remote bucket that is down makes no server unready: what is known goes on being served. */
  usable: () => Promise<boolean>;
};

/** Only its answer matters, not whether it is there. */
const PROBE_KEY = 'playa-probe';

/**
 * Opens the bucket that `--bucket` names. A remote one is asked once, behind the start, so that a wrong key is in the log before the first
 * request fails; the server starts nonetheless, as it may have functions on its disk.
 * @throws {ConfigError} for a folder that is not there, or a URL that names no bucket
 */
export async function openBucket(location: string, log: Logger): Promise<Bucket> {
  if (!isBucketUrl(location)) return openFolder(location);
  const store = await openRemote(location);
  store.head(PROBE_KEY).catch((error: unknown) => {
    log.warn({ err: error, bucket: store.description }, 'the bucket cannot be read');
  });
  return { name: location, store, usable: async () => true };
}

async function openFolder(location: string): Promise<Bucket> {
  const store = await openRemote(location.startsWith('file:') ? location : resolve(location));
  const folder = store.description.replace(/^folder /, '');
  const usable = async (): Promise<boolean> => (await stat(folder).catch(() => undefined))?.isDirectory() === true;
  if (!(await usable())) {
    throw new ConfigError(`the bucket ${folder} is not a folder; make it, or name another with --bucket`);
  }
  return { name: folder, store, usable };
}

async function openRemote(location: string): Promise<ObjectStore> {
  try {
    return await openObjectStore(location, defaultObjectStoreDeps());
  } catch (error) {
    if (!(error instanceof ObjectStoreError)) throw error;
    throw new ConfigError(`--bucket: ${error.message}`, { cause: error });
  }
}
