import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { ArtifactError } from '@playa/common/artifact-error';
import type { ObjectContent, ObjectInfo, ObjectStore } from '@playa/common/object-store';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { Artifact } from './artifact.ts';
import type { DiskStore } from './disk-store.ts';
import { MAX_POLICY_BYTES } from '../policy/parse-policy.ts';
import type { Policy } from '../policy/policy.ts';
import { checkEngine, type HostEngine } from './engine-check.ts';

/** Finds the current version of a function. */
export type ArtifactCatalog = {
  /**
   * The current version: from memory where it was looked up a moment ago and no change was seen, else from the bucket, once however many wait.
   * @throws {InvocationError} `function_not_found`, `artifact_refused`, `bucket_unavailable`.
   */
  resolve: (name: string) => Artifact | Promise<Artifact>;
  /** A version is no longer on the disk: the next look-up fetches it again. */
  evicted: (artifact: Artifact) => void;
  close: () => void;
};

/** What is known of one name. Exactly one of `artifact` and `refusal` is set. */
type Entry = {
  etag: string;
  /** Of the policy file beside it; empty where there is none. */
  policyEtag: string;
  checkedAtMs: number;
  artifact?: Artifact;
  refusal?: InvocationError;
};

/** Also without a word from the watch, which can lose events, a change is seen after this. */
const REVALIDATE_MS = 1_000;
/** An object that is not complete and was changed less than this ago is probably being written. */
const SETTLE_MS = 1_500;
const SETTLE_POLL_MS = 25;
const ARTIFACT_SUFFIX = '.cwasm';
const POLICY_SUFFIX = '.toml';

/** A catalogue over a bucket. `onRetired` is told when a version was replaced or removed. */
export function createArtifactCatalog(deps: {
  bucket: ObjectStore;
  disk: DiskStore;
  engine: HostEngine;
  maxNames: number;
  /** Grants what the policy file or, without one, the manifest asks for. @throws {InvocationError} `artifact_refused`. */
  grant: (name: string, manifest: ArtifactManifest, policyFile: string | undefined) => Policy;
  onRetired: (artifact: Artifact) => void;
  nowMs: () => number;
  log: Logger;
}): ArtifactCatalog {
  const entries = new LRUCache<string, Entry>({ max: deps.maxNames });
  const refreshing = new Map<string, Promise<Artifact>>();
  /** Counts what the watch has seen, so that a look-up that began before a change does not count as after it. */
  const changes = new Map<string, number>();

  const watch = deps.bucket.watch?.((key) => {
    if (key === undefined) {
      for (const entry of entries.values()) entry.checkedAtMs = -Infinity;
      for (const name of refreshing.keys()) changes.set(name, (changes.get(name) ?? 0) + 1);
      return;
    }
    const name = /^(.*)\.(?:cwasm|toml)$/s.exec(key)?.[1];
    if (name === undefined) return;
    const entry = entries.peek(name);
    if (entry !== undefined) entry.checkedAtMs = -Infinity;
    if (refreshing.has(name)) changes.set(name, (changes.get(name) ?? 0) + 1);
  });

  const forget = (name: string): void => {
    const artifact = entries.peek(name)?.artifact;
    entries.delete(name);
    if (artifact !== undefined) deps.onRetired(artifact);
  };

  const refresh = async (name: string): Promise<Artifact> => {
    const before = changes.get(name) ?? 0;
    const checkedAtMs = deps.nowMs();
    const info = await lookUp(deps.bucket, `${name}${ARTIFACT_SUFFIX}`);
    if (info === undefined) {
      forget(name);
      throw new InvocationError('function_not_found', 'The bucket has no such function.');
    }
    const policyEtag = (await lookUp(deps.bucket, `${name}${POLICY_SUFFIX}`))?.etag ?? '';
    let entry = entries.get(name);
    if (entry?.etag !== info.etag || entry.policyEtag !== policyEtag) {
      const admitted = await admit(name, info, entry);
      if (admitted === undefined) {
        forget(name);
        throw new InvocationError('function_not_found', 'The bucket has no such function.');
      }
      const replaced = entry?.artifact;
      entry = admitted;
      if (replaced !== undefined && replaced !== entry.artifact) deps.onRetired(replaced);
      entries.set(name, entry);
    }
    // Seen to change while it was looked up: the next request looks again.
    entry.checkedAtMs = (changes.get(name) ?? 0) === before ? checkedAtMs : -Infinity;
    if (entry.artifact === undefined) throw entry.refusal!;
    return entry.artifact;
  };

  /** Brings a version into the disk tier. Waits for one that is being written; meanwhile the previous version serves. */
  const admit = async (name: string, first: ObjectInfo, previous: Entry | undefined): Promise<Entry | undefined> => {
    let info: ObjectInfo | undefined = first;
    for (;;) {
      const policy = await readPolicyFile(name);
      const content = await openObject(deps.bucket, `${name}${ARTIFACT_SUFFIX}`);
      if (content === undefined) return undefined;
      info = content;
      const policyEtag = policy?.etag ?? '';
      const refusal = await store(name, content.body, policy?.text);
      if (!(refusal instanceof InvocationError)) {
        return { etag: info.etag, policyEtag, checkedAtMs: 0, artifact: refusal };
      }
      const complete = refusal.reason !== 'not_an_artifact' || Date.now() - info.modifiedAtMs > SETTLE_MS;
      if (complete) {
        deps.log.warn({ function: name, err: refusal, reason: refusal.reason }, 'artifact refused');
        return { etag: info.etag, policyEtag, checkedAtMs: 0, refusal };
      }
      if (previous?.artifact !== undefined) return previous;
      await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    }
  };

  const readPolicyFile = async (name: string): Promise<{ etag: string; text: string } | undefined> => {
    const content = await openObject(deps.bucket, `${name}${POLICY_SUFFIX}`);
    if (content === undefined) return undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of content.body) {
        chunks.push(chunk);
        bytes += chunk.length;
        // What is beyond is read no further; the text is then refused by whoever grants.
        if (bytes > MAX_POLICY_BYTES) break;
      }
    } catch (error) {
      throw unavailable(deps.bucket, error);
    }
    return { etag: content.etag, text: Buffer.concat(chunks).toString('utf8') };
  };

  const store = async (
    name: string,
    body: AsyncIterable<Buffer>,
    policyFile: string | undefined,
  ): Promise<Artifact | InvocationError> => {
    try {
      const { path, manifest } = await deps.disk.admit(body);
      checkEngine(manifest, deps.engine);
      return { name, path, manifest, policy: deps.grant(name, manifest, policyFile) };
    } catch (error) {
      if (error instanceof InvocationError) return error;
      if (!(error instanceof ArtifactError)) throw unavailable(deps.bucket, error);
      return new InvocationError('artifact_refused', error.message, { reason: error.reason, cause: error });
    }
  };

  return {
    resolve: (name) => {
      const entry = entries.get(name);
      if (entry !== undefined && deps.nowMs() - entry.checkedAtMs < REVALIDATE_MS) {
        if (entry.artifact === undefined) throw entry.refusal!;
        return entry.artifact;
      }
      let pending = refreshing.get(name);
      if (pending === undefined) {
        pending = refresh(name).finally(() => {
          refreshing.delete(name);
          changes.delete(name);
        });
        refreshing.set(name, pending);
      }
      return pending;
    },
    evicted: (artifact) => {
      if (entries.peek(artifact.name)?.artifact === artifact) forget(artifact.name);
    },
    close: () => watch?.close(),
  };
}

async function lookUp(bucket: ObjectStore, key: string): Promise<ObjectInfo | undefined> {
  try {
    return await bucket.head(key);
  } catch (error) {
    throw unavailable(bucket, error);
  }
}

async function openObject(bucket: ObjectStore, key: string): Promise<ObjectContent | undefined> {
  try {
    const content = await bucket.get(key);
    // Said only to those who name an etag.
    return content === 'not_modified' ? undefined : content;
  } catch (error) {
    throw unavailable(bucket, error);
  }
}

function unavailable(bucket: ObjectStore, cause: unknown): InvocationError {
  const detail = 'The bucket could not be read.';
  return new InvocationError('bucket_unavailable', detail, { cause: new Error(bucket.description, { cause }) });
}
