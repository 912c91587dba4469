import { ArtifactError } from '@playa/common/artifact-error';
import {
  isPointer,
  MAX_POINTER_BYTES,
  parsePointer,
  versionKey,
  type FunctionPointer,
} from '@playa/common/function-pointer';
import type { ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { InvocationError } from '../outcome/invocation-error.ts';
import { MAX_POLICY_BYTES } from '../policy/parse-policy.ts';
import type { Tier } from './artifact.ts';
import { DiskError } from './disk-error.ts';
import type { DiskStore, StoredArtifact } from './disk-store.ts';
import { ObjectChangedError } from './incoming-object.ts';
import type { NameRecords } from './name-records.ts';
import { asIncoming, bodyOf, readBody, type OpenObject } from './read-object.ts';
import type { SourceCompiler } from './compile/source-compiler.ts';
import type { AcceptTrailer } from './verify-file.ts';

/** What the bucket has under a name: code, or why that is refused. */
export type FoundVersion = {
  /** The object that was read. */
  key: string;
  etag: string;
  content: StoredArtifact | InvocationError;
  tier: Tier;
};

/** What is known of a name already, to be asked for changes only. */
export type KnownVersion = { key: string; etag: string };

/** Reads functions from a bucket into the disk tier. */
export type FunctionReader = {
  /**
   * @param settled whether an earlier version can serve meanwhile: then one that is still being written, or compiled, counts as not modified
   * @returns `undefined` where there is no function of the name
   * @throws {InvocationError} `bucket_unavailable`, `disk_unavailable`
   */
  find: (
    name: string,
    known: KnownVersion | undefined,
    settled: boolean,
  ) => Promise<FoundVersion | 'not_modified' | undefined>;
  /** The policy file beside a function. @throws {InvocationError} `bucket_unavailable` */
  readPolicy: (
    name: string,
    etag: string | undefined,
  ) => Promise<{ etag: string; text: string } | 'not_modified' | undefined>;
};

/** An object that is not complete and was changed less than this ago is probably being written, where writing takes effect at once. */
const SETTLE_MS = 1_500;
const SETTLE_POLL_MS = 25;
/** How often an object that changes under the reader's hands, or whose body breaks off, is read anew. */
const ATTEMPTS = 3;
const RETRY_AFTER_S = 2;
/** Reasons of refusals. */
const DAMAGE: ReadonlySet<string> = new Set(['not_an_artifact', 'format', 'signature']);

/** A reader over a bucket. */
export function createFunctionReader(deps: {
  bucket: ObjectStore;
  disk: DiskStore;
  records: NameRecords;
  accept: AcceptTrailer;
  /** An artifact is on its way, and will have to be accepted soon. */
  onArriving: () => void;
  compiler: SourceCompiler;
}): FunctionReader {
  const { bucket, disk, records, accept } = deps;
  const written = bucket.watch !== undefined;

  const find = async (
    name: string,
    known: KnownVersion | undefined,
    settled: boolean,
  ): Promise<FoundVersion | 'not_modified' | undefined> => {
    const key = `${name}.cwasm`;
    for (let attempt = 1; ; attempt++) {
      const object = await bucket.get(key, { ...unlessKnown(key, known), lentChunks: true });
      if (object === 'not_modified') return object;
      if (object === undefined) return findSource(name, known, settled);
      const mayBeIncomplete = written && Date.now() - object.modifiedAtMs < SETTLE_MS;
      try {
        const found = await admit(key, object);
        const incomplete = mayBeIncomplete && isNoArtifact(found.content);
        // What comes over a network may have been damaged on the way, for which its owner is not to blame.
        const mayBeDamaged = !written && isDamage(found.content) && attempt < ATTEMPTS;
        if (mayBeDamaged) continue;
        if (!incomplete) return found;
      } catch (error) {
        if (error instanceof VersionMissingError && attempt >= ATTEMPTS) {
          return ofMissingVersion(object, error, key, settled);
        }
        const again = error instanceof ObjectChangedError || error instanceof ObjectStoreError;
        if (!again || (attempt >= ATTEMPTS && !mayBeIncomplete)) throw error;
        if (!mayBeIncomplete) continue;
      }
      if (settled) return 'not_modified';
      await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    }
  };

  const admit = async (key: string, object: OpenObject): Promise<FoundVersion> => {
    const { etag } = object;
    try {
      if (object.bytes > MAX_POINTER_BYTES) {
        return { key, etag, content: await admitFrom(key, object), tier: 'bucket' };
      }
      const bytes = await readBody(object.body, MAX_POINTER_BYTES);
      if (isPointer(bytes)) return { key, etag, ...(await follow(parsePointer(bytes))) };
      const incoming = asIncoming(bucket, key, { ...object, body: bodyOf(bytes) });
      return { key, etag, content: await disk.admit(incoming, accept), tier: 'bucket' };
    } catch (error) {
      return { key, etag, content: asRefusal(error), tier: 'bucket' };
    }
  };

  const admitFrom = (key: string, object: OpenObject): Promise<StoredArtifact> => {
    deps.onArriving();
    return disk.admit(asIncoming(bucket, key, object), accept);
  };

  /** What a pointer names never changes, so that it is asked for once only. */
  const follow = async ({ present }: FunctionPointer): Promise<Pick<FoundVersion, 'content' | 'tier'>> => {
    const key = versionKey(present.sha256);
    const record = await records.read(key);
    const kept = record === undefined ? undefined : await disk.open(record.blob, accept);
    if (kept !== undefined) return { content: kept, tier: 'disk' };
    const object = await bucket.get(key, { lentChunks: true });
    if (object === undefined || object === 'not_modified') {
      throw new VersionMissingError(`the pointer names an artifact that the bucket does not have: ${key}`);
    }
    const content = await admitFrom(key, object);
    await records.write(key, { object: key, etag: object.etag, blob: content.blob, policy: undefined });
    return { content, tier: 'bucket' };
  };

  const findSource = async (
    name: string,
    known: KnownVersion | undefined,
    settled: boolean,
  ): Promise<FoundVersion | 'not_modified' | undefined> => {
    const key = `${name}.wasm`;
    const object = await bucket.get(key, unlessKnown(key, known));
    if (object === undefined || object === 'not_modified') return object;
    const { etag } = object;
    try {
      const compiled = await deps.compiler.compile(name, asIncoming(bucket, key, object), etag, settled);
      return compiled === 'under_way' ? 'not_modified' : { key, etag, ...compiled };
    } catch (error) {
      return { key, etag, content: asRefusal(error), tier: 'compile' };
    }
  };

  const readPolicy = async (
    name: string,
    etag: string | undefined,
  ): Promise<{ etag: string; text: string } | 'not_modified' | undefined> => {
    const object = await bucket.get(`${name}.toml`, etag === undefined ? {} : { ifNoneMatch: etag });
    if (object === undefined || object === 'not_modified') return object;
    // What is beyond the limit is read no further; the text is then refused by whoever grants.
    const text = (await readBody(object.body, MAX_POLICY_BYTES)).toString('utf8');
    return { etag: object.etag, text };
  };

  return {
    find: (name, known, settled) => find(name, known, settled).catch(fail),
    readPolicy: (name, etag) => readPolicy(name, etag).catch(fail),
  };

  function fail(error: unknown): never {
    throw asFailure(bucket, error);
  }
}

/** What a pointer names is not there. Mostly the pointer has moved on since it was read, and what it named was removed. */
class VersionMissingError extends ObjectChangedError {}

/** Where an earlier version can serve it goes on, as when the bucket is down: whoever deploys may be about to put the artifact back. */
function ofMissingVersion({ etag }: OpenObject, { message }: Error, key: string, settled: boolean): FoundVersion {
  if (settled) throw new ObjectStoreError('unavailable', message);
  return { key, etag, content: asRefusal(new ArtifactError('not_an_artifact', message)), tier: 'bucket' };
}

/** Without an etag, what is known is read anew. */
function unlessKnown(key: string, known: KnownVersion | undefined): { ifNoneMatch?: string } {
  return known?.key === key && known.etag !== '' ? { ifNoneMatch: known.etag } : {};
}

/** Whether something is refused for what a fault on the way could have made of it. */
export function isDamage(content: FoundVersion['content']): boolean {
  return content instanceof InvocationError && DAMAGE.has(content.reason ?? '');
}

function isNoArtifact(content: FoundVersion['content']): boolean {
  return content instanceof InvocationError && content.reason === 'not_an_artifact';
}

/** @returns what the caller is told of an artifact that is not accepted; throws everything else */
function asRefusal(error: unknown): InvocationError {
  if (error instanceof InvocationError && error.code === 'artifact_refused') return error;
  if (!(error instanceof ArtifactError)) throw error;
  return new InvocationError('artifact_refused', error.message, { reason: error.reason, cause: error });
}

function asFailure(bucket: ObjectStore, error: unknown): unknown {
  if (error instanceof InvocationError) return error;
  if (error instanceof DiskError) {
    const detail = "The server's disk cannot take the function.";
    return new InvocationError('disk_unavailable', detail, { cause: error, retryAfterS: RETRY_AFTER_S });
  }
  const cause = new Error(bucket.description, { cause: error });
  const reason = error instanceof ObjectStoreError ? error.code : undefined;
  return new InvocationError('bucket_unavailable', 'The bucket could not be read.', {
    reason,
    cause,
    retryAfterS: RETRY_AFTER_S,
  });
}
