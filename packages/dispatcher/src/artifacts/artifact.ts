import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import type { Policy } from '../policy/policy.ts';

/** One version of one function, verified and on the local disk. A new version is a new object. */
export type Artifact = {
  /** The function's name, `acme/resize`. */
  name: string;
  /** The verified file. It never changes; a runner gets a hard link to it. */
  path: string;
  manifest: ArtifactManifest;
  /** What it may use. */
  policy: Policy;
};
