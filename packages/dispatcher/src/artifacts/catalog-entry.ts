import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { Policy } from '../policy/policy.ts';
import { shortVersion, type Artifact, type Resolution, type Tier } from './artifact.ts';
import type { StoredArtifact } from './disk-store.ts';

/** The policy file beside a function, as it was read. */
export type PolicyFile = { etag: string; text: string };

/** Grants what the policy file or, without one, the manifest asks for. @throws {InvocationError} `artifact_refused` */
export type GrantPolicy = (name: string, manifest: ArtifactManifest, policyFile: string | undefined) => Policy;

/** What is known of one name. Exactly one of `fresh` and `refusal` is set; times are of the catalogue's clock. */
export type CatalogEntry = {
  name: string;
  /** The object that was read, and its etag. */
  key: string;
  etag: string;
  policyFile: PolicyFile | undefined;
  content: StoredArtifact | InvocationError;
  /** Ready answers, so that a request for what is known makes no garbage. */
  fresh: Resolution | undefined;
  stale: Resolution | undefined;
  refusal: InvocationError | undefined;
  /** When the content was read. */
  readAtMs: number;
  /** When the bucket was last seen to have this. */
  checkedAtMs: number;
  /** From then on it is checked again. */
  dueAtMs: number;
  /** Something said that it has changed: it is checked before it is used again. */
  changed: boolean;
  /** After a failure of the bucket: until then it is not asked again. */
  retryAtMs: number;
};

/** Members and objects around the texts of an entry, roughly. */
const OVERHEAD_BYTES = 3_000;

/** Makes an entry out of what was found; times are the caller's to set. */
export function createEntry(
  found: { name: string; key: string; etag: string; content: StoredArtifact | InvocationError },
  policyFile: PolicyFile | undefined,
  grant: GrantPolicy,
): CatalogEntry {
  const { content, name } = found;
  const entry: CatalogEntry = {
    ...found,
    policyFile,
    fresh: undefined,
    stale: undefined,
    refusal: undefined,
    readAtMs: -Infinity,
    checkedAtMs: -Infinity,
    dueAtMs: -Infinity,
    changed: false,
    retryAtMs: -Infinity,
  };
  try {
    if (content instanceof InvocationError) throw content;
    const { path, manifest } = content;
    const policy = grant(name, manifest, policyFile?.text);
    const artifact: Artifact = { name, path, manifest, version: shortVersion(manifest), policy };
    entry.fresh = { artifact, tier: 'ram', stale: false };
    entry.stale = { artifact, tier: 'ram', stale: true };
  } catch (error) {
    if (!(error instanceof InvocationError)) throw error;
    entry.refusal = error;
  }
  return entry;
}

/** The entry's answer. @throws its refusal */
export function answerOf(entry: CatalogEntry, tier: Tier = 'ram'): Resolution {
  if (entry.fresh === undefined) throw entry.refusal!;
  return tier === 'ram' ? entry.fresh : { ...entry.fresh, tier };
}

/** How much memory an entry takes, about. */
export function sizeOf(entry: CatalogEntry): number {
  return OVERHEAD_BYTES + 4 * entry.name.length + 2 * (entry.policyFile?.text.length ?? 0);
}
