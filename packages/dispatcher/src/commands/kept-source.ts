import type { ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { CommandError } from './command.ts';
import type { BuiltArtifact } from './built-artifact.ts';

/** Where the bucket keeps components by digest. */
export function sourceKey(sha256: string): string {
  return `.playa/sources/${sha256}.wasm`;
}

/** Keeps the component that an artifact was compiled from; what is there already stays. */
export async function keepSource(store: ObjectStore, { component, manifest }: BuiltArtifact): Promise<void> {
  if (component === undefined) {
    throw new CommandError('usage', '--keep-source needs a source; this is an artifact, whose source is not at hand');
  }
  try {
    await store.put(sourceKey(manifest.source.sha256), { path: component }, { ifNoneMatch: '*' });
  } catch (error) {
    if (!(error instanceof ObjectStoreError && error.code === 'precondition_failed')) throw error;
  }
}
