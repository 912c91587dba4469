import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import type { ArtifactError } from '@playa/common/artifact-error';
import type { Closable, ObjectStore } from '@playa/common/object-store';
import { ownText } from '@playa/common/own-text';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { Artifact, Resolution, Tier } from './artifact.ts';
import { answerOf, createEntry, sizeOf, type CatalogEntry, type GrantPolicy } from './catalog-entry.ts';
import type { DiskStore } from './disk-store.ts';
import { isDamage, type FunctionReader } from './function-reader.ts';
import type { NameRecords } from './name-records.ts';
import { withinTime } from './within-time.ts';
import type { AcceptTrailer } from './verify-file.ts';

/** Finds the current version of a function. */
export type ArtifactCatalog = {
  /**
   * The current version: from memory, else from the disk, else from the bucket, once however many wait.
   * @throws {InvocationError} `function_not_found`, `artifact_refused`, `bucket_unavailable`, `disk_unavailable`, `compiling`.
   */
  resolve: (name: string) => Resolution | Promise<Resolution>;
  /** A version is no longer on the disk: the next look-up fetches it again. */
  evicted: (artifact: Artifact) => void;
  /** A version was in use so many milliseconds ago: it stays on the disk longer than what was in use before. */
  used: (artifact: Artifact, agoMs: number) => void;
  /** The bucket may have something else under the name, or under any: the next request for it asks before it is served. */
  invalidate: (name?: string) => void;
  /** What is trusted has changed: versions that are refused now end, and what was refused is looked at again. */
  recheck: (refusalOf: (manifest: ArtifactManifest) => ArtifactError | undefined) => void;
  close: () => void;
};

/** When what is known is asked for again, and how long it serves where that fails. */
export type Freshness = {
  revalidateMs: number;
  /**
   * Whether requests are answered with what is known while it is checked again, for one more `revalidateMs`. Without, they wait for the check, as
   * is right for a bucket on the same machine.
   */
  background: boolean;
  /** How long what a bucket had is served when it cannot be asked. */
  maxStaleMs: number;
  /** How long a name is remembered that the bucket did not have; 0 asks every time. */
  negativeMs: number;
  /** How long a caller waits for the bucket or the compiler. */
  waitMs: number;
};

/** After a failure the bucket is asked again for a known name no sooner than this. */
const RETRY_MS = 2_000;
/** How long a caller waits for a check before it gets what was known earlier. */
const STALE_WAIT_MS = 1_000;
/** Names that the bucket does not have. They have a place of their own: callers can think of any number. */
const MAX_MISSING = 10_000;
/** What was refused for being damaged is read again after this. */
const REREAD_MS = 60_000;
const BUSY_RETRY_AFTER_S = 5;
const FOLLOWED_REVALIDATE_MS = 10 * 60_000;

/** A catalogue over a bucket. `onRetired` is told when a version was replaced or removed. */
export function createArtifactCatalog(deps: {
  bucket: ObjectStore;
  reader: FunctionReader;
  disk: DiskStore;
  records: NameRecords;
  accept: AcceptTrailer;
  freshness: Freshness;
  maxNames: number;
  /** Of what is known in memory. */
  maxBytes: number;
  grant: GrantPolicy;
  isCompiling: (name: string) => boolean;
  /** Whether whoever follows the bucket's changes would have said so if what was checked then had changed. */
  isFollowed: (checkedAtMs: number) => boolean;
  onRetired: (artifact: Artifact) => void;
  nowMs: () => number;
  random: () => number;
  log: Logger;
}): ArtifactCatalog {
  const { freshness, nowMs, reader, records } = deps;
  const entries = new LRUCache<string, CatalogEntry>({
    max: deps.maxNames,
    maxSize: deps.maxBytes,
    sizeCalculation: sizeOf,
    dispose: (entry, _name, reason) => {
      if (reason === 'evict' && entry.fresh !== undefined) deps.onRetired(entry.fresh.artifact);
    },
  });
  const missing = new LRUCache<string, number>({ max: MAX_MISSING });
  const refreshing = new Map<string, Promise<Resolution>>();
  /** Counts what was seen to change, so that a look-up that began before a change does not count as after it. */
  const changes = new Map<string, number>();

  const invalidate = (name?: string): void => {
    if (name === undefined) {
      missing.clear();
      for (const entry of entries.values()) entry.changed = true;
      for (const each of refreshing.keys()) changes.set(each, (changes.get(each) ?? 0) + 1);
      return;
    }
    missing.delete(name);
    const entry = entries.peek(name);
    if (entry !== undefined) {
      entry.changed = true;
      // What was refused is looked at anew, also where the bucket says that it is the same.
      if (entry.content instanceof InvocationError) entry.etag = '';
    }
    if (refreshing.has(name)) changes.set(name, (changes.get(name) ?? 0) + 1);
  };

  const watch: Closable | undefined = deps.bucket.watch?.((key) => {
    if (key === undefined) return invalidate();
    const name = /^(.*)\.(?:cwasm|wasm|toml)$/s.exec(key)?.[1];
    if (name !== undefined) invalidate(name);
  });

  const retire = (entry: CatalogEntry | undefined, successor?: CatalogEntry): void => {
    const artifact = entry?.fresh?.artifact;
    if (artifact !== undefined && artifact !== successor?.fresh?.artifact) deps.onRetired(artifact);
  };

  const forget = (name: string): void => {
    const entry = entries.peek(name);
    entries.delete(name);
    retire(entry);
  };

  const keep = (entry: CatalogEntry, checkedAtMs: number): void => {
    const jitter = 0.9 + 0.2 * deps.random();
    entry.checkedAtMs = checkedAtMs;
    entry.dueAtMs = checkedAtMs + freshness.revalidateMs * jitter;
    entry.retryAtMs = -Infinity;
    const replaced = entries.peek(entry.name);
    if (replaced !== entry) {
      entries.set(entry.name, entry);
      retire(replaced, entry);
    }
  };

  /** What an earlier process, or another one on the same folder, has left. */
  const readDisk = async (name: string): Promise<CatalogEntry | undefined> => {
    const record = await records.read(name);
    const content = record === undefined ? undefined : await deps.disk.open(record.blob, deps.accept);
    if (record === undefined || content === undefined) return undefined;
    const entry = createEntry({ name, key: record.object, etag: record.etag, content }, record.policy, deps.grant);
    const ageMs = Math.max(0, Date.now() - record.checkedAtMs);
    entry.checkedAtMs = nowMs() - ageMs;
    entry.dueAtMs = entry.checkedAtMs + freshness.revalidateMs;
    return entry;
  };

  const refresh = async (name: string): Promise<Resolution> => {
    const before = changes.get(name) ?? 0;
    const startedAtMs = nowMs();
    let tier: Tier = 'ram';
    let known = entries.peek(name);
    if (known === undefined) {
      known = await readDisk(name);
      if (known !== undefined) tier = 'disk';
      if (known?.fresh !== undefined && freshness.background && startedAtMs < known.dueAtMs) {
        keep(known, known.checkedAtMs);
        return answerOf(known, tier);
      }
    }
    // It may have been damaged on the way, each time: the bucket would say for ever that it is the same.
    if (known !== undefined && isDamage(known.content) && startedAtMs - known.readAtMs > REREAD_MS) known.etag = '';
    let entry: CatalogEntry;
    try {
      const settled = known?.fresh !== undefined;
      const [found, policy] = await Promise.all([
        reader.find(name, known, settled),
        reader.readPolicy(name, known?.policyFile?.etag),
      ]);
      if (found === undefined) {
        forget(name);
        void records.forget(name);
        if (freshness.negativeMs > 0 && (changes.get(name) ?? 0) === before) missing.set(name, nowMs());
        throw new InvocationError('function_not_found', 'The bucket has no such function.');
      }
      const policyFile = policy === 'not_modified' ? known?.policyFile : policy;
      const same = found === 'not_modified' && policyFile?.etag === known?.policyFile?.etag;
      if (same) {
        entry = known!;
        void records.checked(name);
      } else {
        const content = found === 'not_modified' ? known! : found;
        const { key, etag } = content;
        entry = createEntry({ name, key, etag, content: content.content }, policyFile, deps.grant);
        entry.readAtMs = found === 'not_modified' ? known!.readAtMs : startedAtMs;
        if (found !== 'not_modified') tier = found.tier;
        if (entry.refusal !== undefined) logRefusal(entry);
        if (!(entry.content instanceof InvocationError)) {
          // For the next process: nobody has to wait for it.
          void records.write(name, { object: key, etag, blob: entry.content.blob, policy: policyFile });
        }
      }
    } catch (error) {
      return serveStale(known, error);
    }
    entry.changed = (changes.get(name) ?? 0) !== before;
    keep(entry, startedAtMs);
    if (!(entry.content instanceof InvocationError)) deps.disk.used(entry.content.path, 0);
    return answerOf(entry, tier);
  };

  const logRefusal = ({ name, refusal }: CatalogEntry): void =>
    deps.log.warn({ function: name, err: refusal, reason: refusal!.reason }, 'artifact refused');

  /** The bucket could not be asked: what it had last serves on, for a time. */
  const serveStale = (known: CatalogEntry | undefined, error: unknown): Resolution => {
    const gone = error instanceof InvocationError && error.code === 'function_not_found';
    if (gone || known === undefined || nowMs() - known.checkedAtMs > freshness.maxStaleMs) throw error;
    const { checkedAtMs, dueAtMs } = known;
    deps.log.warn({ function: known.name, err: error }, 'the bucket could not be asked; the last known version serves');
    keep(known, checkedAtMs);
    known.dueAtMs = dueAtMs;
    known.retryAtMs = nowMs() + RETRY_MS;
    if (known.stale === undefined) throw known.refusal!;
    return known.stale;
  };

  /** What is put into the bucket without a word in its journal is seen after a while nonetheless. */
  const isFollowed = ({ checkedAtMs }: CatalogEntry, now: number): boolean =>
    now - checkedAtMs < FOLLOWED_REVALIDATE_MS && deps.isFollowed(checkedAtMs);

  const refreshOnce = (asked: string): Promise<Resolution> => {
    let pending = refreshing.get(asked);
    if (pending === undefined) {
      // What is known of it outlives the request, whose URL the name is a part of.
      const name = ownText(asked);
      pending = refresh(name).finally(() => {
        refreshing.delete(name);
        changes.delete(name);
      });
      refreshing.set(name, pending);
      // Those who wait get the error; in the background there may be nobody.
      pending.catch(() => undefined);
    }
    return pending;
  };

  const wait = async (name: string, entry: CatalogEntry | undefined): Promise<Resolution> => {
    const canServe = entry?.stale !== undefined && nowMs() - entry.checkedAtMs < freshness.maxStaleMs;
    const limitMs = canServe && freshness.background ? Math.min(STALE_WAIT_MS, freshness.waitMs) : freshness.waitMs;
    const resolution = await withinTime(refreshOnce(name), limitMs);
    if (resolution !== undefined) return resolution;
    if (canServe) return entry.stale!;
    const retryAfterS = BUSY_RETRY_AFTER_S;
    if (deps.isCompiling(name)) {
      throw new InvocationError('compiling', 'The function is being compiled for the first time.', { retryAfterS });
    }
    throw new InvocationError('bucket_unavailable', 'The bucket did not deliver in time.', { retryAfterS });
  };

  return {
    resolve: (name) => {
      const entry = entries.get(name);
      const now = nowMs();
      if (entry === undefined) {
        const missedAtMs = missing.get(name);
        if (missedAtMs !== undefined && now - missedAtMs < freshness.negativeMs) {
          throw new InvocationError('function_not_found', 'The bucket has no such function.');
        }
        return wait(name, undefined);
      }
      if (!entry.changed && (now < entry.dueAtMs || isFollowed(entry, now))) return answerOf(entry);
      if (entry.stale !== undefined) {
        const failing = now < entry.retryAtMs && now - entry.checkedAtMs < freshness.maxStaleMs;
        if (failing) return entry.stale;
        if (freshness.background && !entry.changed && now < entry.dueAtMs + freshness.revalidateMs) {
          void refreshOnce(name);
          return entry.stale;
        }
      }
      return wait(name, entry);
    },
    evicted: (artifact) => {
      if (entries.peek(artifact.name)?.fresh?.artifact === artifact) forget(artifact.name);
    },
    used: ({ path }, agoMs) => deps.disk.used(path, agoMs),
    invalidate,
    recheck: (refusalOf) => {
      for (const entry of [...entries.values()]) {
        const { name } = entry;
        if (entry.content instanceof InvocationError) {
          // Without its etag it is read, and judged, anew.
          entry.etag = '';
          invalidate(name);
          continue;
        }
        const refusal = refusalOf(entry.content.manifest);
        if (refusal === undefined) continue;
        const reason = { reason: refusal.reason, cause: refusal };
        const refused = new InvocationError('artifact_refused', refusal.message, reason);
        const next = createEntry({ ...entry, content: refused }, entry.policyFile, deps.grant);
        logRefusal(next);
        keep(next, entry.checkedAtMs);
        void records.forget(name);
      }
    },
    close: () => watch?.close(),
  };
}
