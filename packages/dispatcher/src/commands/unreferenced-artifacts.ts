import { pruneMarkKey, versionKey, VERSIONS_PREFIX, type FunctionPointer } from '@playa/common/function-pointer';
import type { ListedObject, ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { forEachAtOnce } from './at-once.ts';
import { CommandError } from './command.ts';
import type { FunctionBucket } from './function-bucket.ts';

/** Requests side by side. */
const AT_ONCE = 8;
/** What nobody refers to and was uploaded this lately may be on its way to becoming a version: uploading comes before naming it. */
const FRESH_MS = 60 * 60_000;
/** A mark this old was left by a command that was killed. */
const STALE_MARK_MS = 10 * 60_000;

/** Artifacts that were removed, or would be. */
export type RemovedArtifacts = { artifacts: string[]; bytes: number };

/**
 * Removes artifacts that no function refers to, none that was removed and can be brought back either.
 *
 * Somebody may be naming one at the very same time. Each is marked first, and the pointers are read once more after that: who has named it before is seen then,
 * and who names it after finds the mark, waits until it is gone, and puts the artifact back (`settle` of FunctionBucket).
 *
 * @param dropped digests that have just been taken out of lists: they go even if they were uploaded lately. With `dryRun` they are still in them
 */
export async function removeUnreferenced(
  store: ObjectStore,
  functions: FunctionBucket,
  dropped: readonly string[],
  dryRun: boolean,
): Promise<RemovedArtifacts> {
  const kept: { sha256: string; object: ListedObject }[] = [];
  for await (const object of store.list(VERSIONS_PREFIX)) {
    const sha256 = /^([0-9a-f]{64})\.cwasm$/.exec(object.key.slice(VERSIONS_PREFIX.length))?.[1];
    if (sha256 !== undefined) kept.push({ sha256, object });
  }
  const references = await countReferences(functions);
  if (dryRun) for (const sha256 of dropped) references.set(sha256, (references.get(sha256) ?? 1) - 1);
  const old = new Set(dropped);
  const candidates = kept.filter(({ sha256, object }) => {
    const isFresh = Date.now() - object.modifiedAtMs < FRESH_MS && !old.has(sha256);
    return !references.get(sha256) && !isFresh;
  });
  const removed: RemovedArtifacts = { artifacts: [], bytes: 0 };
  const count = ({ sha256, object }: (typeof candidates)[number]): void => {
    removed.artifacts.push(sha256);
    removed.bytes += object.bytes;
  };
  if (candidates.length === 0) return removed;
  if (dryRun) {
    candidates.forEach(count);
    return removed;
  }

  const marked: typeof candidates = [];
  try {
    await forEachAtOnce(candidates, AT_ONCE, async (candidate) => {
      if (await mark(store, candidate.sha256)) marked.push(candidate);
    });
    const named = await countReferences(functions);
    await forEachAtOnce(marked, AT_ONCE, async (candidate) => {
      if (named.has(candidate.sha256)) return;
      await store.delete(versionKey(candidate.sha256));
      count(candidate);
    });
  } finally {
    await forEachAtOnce(marked, AT_ONCE, ({ sha256 }) => store.delete(pruneMarkKey(sha256)));
  }
  return removed;
}

/** Whether it is ours to remove: somebody else may be at it. */
async function mark(store: ObjectStore, sha256: string): Promise<boolean> {
  const key = pruneMarkKey(sha256);
  const content = Buffer.from(`${JSON.stringify({ playa: 'prune', by: crypto.randomUUID() })}\n`);
  const before = await store.head(key);
  if (before !== undefined && Date.now() - before.modifiedAtMs < STALE_MARK_MS) return false;
  try {
    await store.put(key, content, before === undefined ? { ifNoneMatch: '*' } : { ifMatch: before.etag });
    return true;
  } catch (error) {
    if (error instanceof ObjectStoreError && error.code === 'precondition_failed') return false;
    throw error;
  }
}

/**
 * How often each digest is referred to.
 * @throws {CommandError} where what a function is cannot be read: then nobody knows what it refers to
 */
async function countReferences(functions: FunctionBucket): Promise<Map<string, number>> {
  const references = new Map<string, number>();
  const add = (pointer: FunctionPointer | undefined): void => {
    if (pointer === undefined) return;
    for (const { sha256 } of [pointer.present, ...pointer.previous]) {
      references.set(sha256, (references.get(sha256) ?? 0) + 1);
    }
  };
  const readAll = async (names: AsyncIterable<string>, read: (name: string) => Promise<FunctionPointer | undefined>) =>
    forEachAtOnce(names, AT_ONCE, async (name) => {
      const pointer = await read(name).catch((cause: Error) => {
        const message = `what ${name} refers to cannot be read, so no artifact is removed: ${cause.message}`;
        throw new CommandError('failed', message, { cause });
      });
      add(pointer);
    });
  // In this order: a function that is being removed is written to the second place before it leaves the first.
  await readAll(deployed(functions), async (name) => (await functions.read(name))?.pointer);
  await readAll(functions.listRemoved(), (name) => functions.readRemoved(name));
  return references;
}

async function* deployed(functions: FunctionBucket): AsyncGenerator<string> {
  for await (const { name, kind } of functions.list()) if (kind === 'artifact') yield name;
}
