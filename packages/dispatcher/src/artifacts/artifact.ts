import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import type { Policy } from '../policy/policy.ts';

/** One version of one function, verified and on the local disk. A new version is a new object. */
export type Artifact = {
  /** The function's name, `acme/resize`. */
  name: string;
  /** The verified file. It never changes; a runner gets a hard link to it. */
  path: string;
  manifest: ArtifactManifest;
  /** How it is called in `x-playa-version`. */
  version: string;
  /** What it may use. */
  policy: Policy;
};

const VERSION_DIGITS = 16;

/** The first digits of the digest of a version's native code: enough to tell versions of one function apart. */
export function shortVersion(manifest: ArtifactManifest): string {
  return manifest.elf.sha256.slice(0, VERSION_DIGITS);
}

/** Where an artifact was found: known to this process, on the disk from an earlier time, fetched from the bucket, or compiled here. */
export type Tier = 'ram' | 'disk' | 'bucket' | 'compile';

/** The answer to a look-up. */
export type Resolution = {
  artifact: Artifact;
  tier: Tier;
  /** It was not checked in time: the check is under way, or the bucket does not answer. */
  stale: boolean;
};
