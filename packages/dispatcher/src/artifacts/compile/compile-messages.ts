import type { ArtifactManifest } from '@playa/common/artifact-manifest';

/** One compilation, as the dispatcher asks a process of its own for it. */
export type CompileRequest = {
  /** The folder of the job: `source.wasm` and `code`, an empty file that the sandbox's user may write. */
  folder: string;
  compiler: string;
  /** The compiler must be of this version. */
  wasmtime: string;
  bubblewrap: string;
  seccompFilter: string;
  /** The sandbox's user where the dispatcher may choose one. */
  uid: number | undefined;
  limits: CompileLimits;
};

/** What a compilation may use. */
export type CompileLimits = {
  wallMs: number;
  memoryBytes: number;
  /** Of the native code. */
  outputBytes: number;
};

/** How a compilation ended. */
export type CompileResult =
  | {
      ok: true;
      kind: ArtifactManifest['kind'];
      world: ArtifactManifest['world'];
      engine: Pick<ArtifactManifest['engine'], 'target' | 'cpu'>;
    }
  /** The source cannot be compiled, by this server at least: asking again does not help. */
  | { ok: false; refused: true; reason: string; message: string }
  /** It did not come to that. */
  | { ok: false; refused: false; message: string };
