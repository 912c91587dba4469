import type { InvocationError } from '../outcome/invocation-error.ts';
import type { Tier } from './artifact.ts';
import type { StoredArtifact } from './disk-store.ts';
import type { IncomingObject } from './incoming-object.ts';

/** What compiling came to. */
export type CompiledVersion = { content: StoredArtifact | InvocationError; tier: Tier };

/** Compiles what lies in the bucket as WebAssembly. */
export type SourceCompiler = {
  /**
   * Compiles a source, or takes what was made of it before. A source is compiled once, however many names and callers wait.
   * @param etag of the source
   * @param settled whether an earlier version serves meanwhile: then the caller does not wait
   * @throws {ArtifactError | InvocationError} when it cannot be compiled
   */
  compile: (
    name: string,
    source: IncomingObject,
    etag: string,
    settled: boolean,
  ) => Promise<CompiledVersion | 'under_way'>;
  /** Whether something of that name is being compiled. */
  busyWith: (name: string) => boolean;
};
