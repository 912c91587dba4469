import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { encodeJournal, JOURNAL_KEY, MAX_JOURNAL_BYTES, parseJournal, withChange } from '@playa/common/change-journal';
import {
  encodePointer,
  isPointer,
  MAX_POINTER_BYTES,
  MAX_PREVIOUS,
  parsePointer,
  pruneMarkKey,
  versionKey,
  type DeployedVersion,
  type FunctionPointer,
} from '@playa/common/function-pointer';
import type { ObjectSource, ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { readBody } from '../artifacts/read-object.ts';
import { decompressZstd, isZstd } from '../artifacts/zstd-content.ts';
import { CommandError } from './command.ts';

/** A function as the bucket has it. `pointer` is missing where somebody has put an artifact there by hand. */
export type BucketFunction = { name: string; etag: string; pointer: FunctionPointer | undefined; modifiedAtMs: number };

/** Functions in a bucket with their earlier versions. */
export type FunctionBucket = {
  read: (name: string) => Promise<BucketFunction | undefined>;
  /** A function that was removed, as it was. */
  readRemoved: (name: string) => Promise<FunctionPointer | undefined>;
  /** Keeps an artifact by its digest; what is there already stays. */
  keep: (sha256: string, artifact: ObjectSource) => Promise<void>;
  has: (sha256: string) => Promise<boolean>;
  /**
   * To be called when a pointer that has been written names an artifact which no pointer may have named before: waits until nobody is about to remove that.
   * @param artifact puts it back where it was removed
   * @returns whether the bucket has it
   */
  settle: (sha256: string, artifact?: ObjectSource) => Promise<boolean>;
  /**
   * Makes a kept version the present one, by compare-and-swap; of those who do so at once all are in the list of versions, and the last one is present.
   * @param update decides upon what is there; `undefined` leaves it
   */
  change: (
    name: string,
    update: (present: FunctionPointer | undefined) => Promise<FunctionPointer | undefined>,
  ) => Promise<{ before: FunctionPointer | undefined; after: FunctionPointer | undefined }>;
  /** Removes a function; it can be brought back. */
  remove: (name: string) => Promise<void>;
  /** Changes what is kept of a removed function, by compare-and-swap: `forget` all of it, `undefined` nothing. */
  changeRemoved: (
    name: string,
    update: (pointer: FunctionPointer) => FunctionPointer | 'forget' | undefined,
  ) => Promise<void>;
  /** All functions, in the order of their names; `source` where there is WebAssembly to compile only. */
  list: () => AsyncIterable<{ name: string; kind: 'artifact' | 'source' }>;
  /** Names of the functions that were removed and are remembered. */
  listRemoved: () => AsyncIterable<string>;
};

const ATTEMPTS = 20;
const REMOVED_PREFIX = '.playa/removed/';
const MAX_ARTIFACT_BYTES = 4 * 1024 ** 3;
const MARK_POLL_MS = 100;
/** A mark that is there for longer was left by a command that was killed. */
const MARK_WAIT_MS = 60_000;

/** Opens the functions of a bucket. */
export function openFunctionBucket(store: ObjectStore): FunctionBucket {
  const readPointer = async (key: string): Promise<Omit<BucketFunction, 'name'> | undefined> => {
    const object = await store.get(key);
    if (object === undefined || object === 'not_modified') return undefined;
    const { etag, modifiedAtMs } = object;
    if (object.bytes > MAX_POINTER_BYTES) {
      object.body.destroy();
      return { etag, modifiedAtMs, pointer: undefined };
    }
    const bytes = await readBody(object.body, MAX_POINTER_BYTES);
    return { etag, modifiedAtMs, pointer: isPointer(bytes) ? parsePointer(bytes) : undefined };
  };

  const has = async (sha256: string): Promise<boolean> => (await store.head(versionKey(sha256))) !== undefined;

  const read = async (name: string): Promise<BucketFunction | undefined> => {
    const found = await readPointer(keyOf(name));
    return found && { name, ...found };
  };

  const keep = async (sha256: string, artifact: ObjectSource): Promise<void> => {
    try {
      await store.put(versionKey(sha256), artifact, { ifNoneMatch: '*' });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  };

  /** An artifact that somebody has put under the name by hand becomes a version as any other. */
  const adopt = async ({ name, etag }: BucketFunction): Promise<FunctionPointer> => {
    const object = await store.get(keyOf(name));
    if (object === undefined || object === 'not_modified' || object.etag !== etag) throw changed(name);
    const bytes = await readBody(object.body, MAX_ARTIFACT_BYTES);
    const sha256 = await digestOf(bytes);
    await keep(sha256, bytes);
    const present = { sha256, deployedAt: new Date(object.modifiedAtMs).toISOString() };
    return { format: 1, present, previous: [] };
  };

  const present = async (name: string): Promise<{ etag: string; pointer: FunctionPointer } | undefined> => {
    const found = await read(name);
    return found && { etag: found.etag, pointer: found.pointer ?? (await adopt(found)) };
  };

  /** Tells servers that follow the journal. */
  const note = (name: string): Promise<void> =>
    swap(JOURNAL_KEY, async () => {
      const object = await store.get(JOURNAL_KEY);
      const found = object === undefined || object === 'not_modified' ? undefined : object;
      const journal = found && parseJournal(await readBody(found.body, MAX_JOURNAL_BYTES));
      const condition = found === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: found.etag };
      await store.put(JOURNAL_KEY, encodeJournal(withChange(journal, name)), condition);
    });

  return {
    read,
    readRemoved: async (name) => (await readPointer(removedKey(name)))?.pointer,
    keep,
    has,
    settle: async (sha256, artifact) => {
      for (let waitedMs = 0; waitedMs < MARK_WAIT_MS; waitedMs += MARK_POLL_MS) {
        if ((await store.head(pruneMarkKey(sha256))) === undefined) break;
        await pause(MARK_POLL_MS);
      }
      if (await has(sha256)) return true;
      if (artifact === undefined) return false;
      await keep(sha256, artifact);
      return true;
    },
    change: (name, update) =>
      swap(name, async () => {
        const before = await present(name);
        const after = await update(before?.pointer);
        if (after !== undefined) {
          const condition = before === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: before.etag };
          await store.put(keyOf(name), encodePointer(after), { ...condition, contentType: 'application/json' });
        }
        return { before: before?.pointer, after };
      }).then(async (change) => {
        if (change.after !== undefined) await note(name);
        return change;
      }),
    remove: (name) =>
      swap(name, async () => {
        const before = await present(name);
        if (before === undefined) throw new CommandError('not_found', `there is no function ${name} in the bucket`);
        await store.put(removedKey(name), encodePointer(before.pointer));
        await store.delete(keyOf(name), { ifMatch: before.etag });
      }).then(() => note(name)),
    changeRemoved: (name, update) =>
      swap(name, async () => {
        const key = removedKey(name);
        const found = await readPointer(key);
        if (found?.pointer === undefined) return;
        const after = update(found.pointer);
        if (after === undefined) return;
        if (after === 'forget') return store.delete(key, { ifMatch: found.etag });
        await store.put(key, encodePointer(after), { ifMatch: found.etag });
      }),
    listRemoved: async function* () {
      for await (const { key } of store.list(REMOVED_PREFIX)) {
        if (key.endsWith('.json')) yield key.slice(REMOVED_PREFIX.length, -'.json'.length);
      }
    },
    list: async function* () {
      let last: { name: string; kind: 'artifact' | 'source' } | undefined;
      for await (const { key } of store.list('')) {
        const [, name, kind] = /^(.+)\.(cwasm|wasm)$/s.exec(key) ?? [];
        if (name === undefined || name.split('/').some((segment) => segment.startsWith('.'))) continue;
        // An artifact comes before the source of the same name, and goes before it.
        if (last?.name === name) continue;
        last = { name, kind: kind === 'cwasm' ? 'artifact' : 'source' };
        yield last;
      }
    },
  };
}

function keyOf(name: string): string {
  return `${name}.cwasm`;
}

function removedKey(name: string): string {
  return `${REMOVED_PREFIX}${name}.json`;
}

function changed(name: string, cause?: unknown): CommandError {
  return new CommandError('conflict', `somebody else is changing ${name}; try again`, { cause });
}

/** What a function is when a version is made the present one. */
export function presentVersion(before: FunctionPointer | undefined, version: DeployedVersion): FunctionPointer {
  const earlier = before === undefined ? [] : [before.present, ...before.previous];
  const previous = earlier.filter(({ sha256 }) => sha256 !== version.sha256).slice(0, MAX_PREVIOUS);
  return { format: 1, present: version, previous };
}

async function digestOf(bytes: Buffer): Promise<string> {
  const hash = createHash('sha256');
  if (!isZstd(bytes)) return hash.update(bytes).digest('hex');
  const whole = (async function* () {
    yield bytes;
  })();
  for await (const chunk of decompressZstd(whole, MAX_ARTIFACT_BYTES)) hash.update(chunk);
  return hash.digest('hex');
}

/** Does it again as long as somebody else was faster. */
async function swap<T>(name: string, attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isConflict(error) && !(error instanceof CommandError && error.exit === 'conflict')) throw error;
      if (attempts >= ATTEMPTS) throw changed(name, error);
    }
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof ObjectStoreError && error.code === 'precondition_failed';
}
