import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { digestFile } from '@playa/common/digest-file';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { openSigningKey } from '@playa/common/key-store';
import { BuildError } from './build-error.ts';
import { BUILDER } from './builder.ts';
import { compileWasm } from './compile/compile.ts';
import { COMPILE_FLAGS, WASMTIME_VERSION } from './compile/engine-version.ts';
import type { Target } from './compile/target.ts';
import { parseWat } from './component/parse-wat.ts';
import { detectWorld } from './component/world.ts';
import { bundleFunction } from './javascript/bundle.ts';
import { componentizeBundle } from './javascript/componentize.ts';
import type { Progress } from './progress.ts';
import { openArtifactWriter } from './sign/artifact-writer.ts';
import type { Source } from './source.ts';

/** What is to be built, and with what. */
export type BuildRequest = {
  readonly source: Source;
  /** Path of the `.cwasm`. */
  readonly output: string;
  /** Where the component or module that is compiled is to be kept. */
  readonly component?: string;
  readonly name: string;
  readonly target: Target;
  /** Path of the command, from findWasmtime. */
  readonly wasmtime: string;
  readonly keysFolder: string;
  readonly progress: Progress;
  readonly now: () => Date;
  readonly signal?: AbortSignal;
};

/** What was built. */
export type BuildResult = {
  /** Absolute path. */
  readonly output: string;
  readonly bytes: number;
  readonly manifest: Omit<ArtifactManifest, 'format' | 'key' | 'elf'>;
  readonly key: string;
  readonly warnings: readonly string[];
};

/** How many steps a source takes, for the progress display. */
export function stepsOf(source: Source): number {
  if (source.kind === 'typescript' || source.kind === 'javascript') return 4;
  return source.kind === 'wat' ? 3 : 2;
}

/**
 * Builds one function: source ▸ WebAssembly ▸ world ▸ native code ▸ signed artifact. Leaves nothing behind when it fails.
 *
 * @throws BuildError, ArtifactError, KeyStoreError; the signal's reason when it is aborted
 */
export async function buildFunction(request: BuildRequest): Promise<BuildResult> {
  const { source, target, progress, signal } = request;
  const output = resolve(request.output);
  const writer = await openArtifactWriter(output);
  const folder = await makeTemporaryFolder();
  try {
    const key = await openSigningKey(request.keysFolder);
    const warnings: string[] = [];
    const wasm = await makeWasm(request, folder, warnings);
    if (request.component !== undefined) await copyFile(wasm, request.component);
    const report = detectWorld(await readFile(wasm));
    warnings.push(...report.warnings);
    for (const warning of warnings) progress.warn(warning);
    progress.step('compiling to native code');
    await compileWasm(request.wasmtime, wasm, writer.temporaryPath, target, signal);
    progress.step('signing');
    const manifest: BuildResult['manifest'] = {
      name: request.name,
      kind: report.world === 'module' ? 'module' : 'component',
      source: { kind: source.kind, sha256: (await digestFile(wasm)).sha256 },
      engine: { wasmtime: WASMTIME_VERSION, target: target.triple, cpu: target.cpu, flags: COMPILE_FLAGS },
      world: report.world,
      builtAt: request.now().toISOString(),
      builder: BUILDER,
    };
    const bytes = await writer.publish(manifest, key);
    progress.end('done');
    return { output, bytes, manifest, key: key.id, warnings };
  } finally {
    progress.end('failed');
    await writer.discard();
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeTemporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'build-cwasm-')).catch((cause: NodeJS.ErrnoException) => {
    throw new BuildError(
      'output',
      'temporary_folder',
      `no temporary folder can be made in ${tmpdir()} (${cause.code})`,
      {
        hint: 'Set TMPDIR to a folder with some 50 MB of room.',
        cause,
      },
    );
  });
}

/** Path of the module or component: made in the folder, or the source itself. */
async function makeWasm(
  { source, progress, signal }: BuildRequest,
  folder: string,
  warnings: string[],
): Promise<string> {
  if (source.kind === 'wat') {
    progress.step('reading the text format');
    return parseWat(source.path, folder, signal);
  }
  if (source.kind !== 'typescript' && source.kind !== 'javascript') return source.path;
  progress.step('bundling');
  const bundle = await bundleFunction(source.path);
  warnings.push(...bundle.warnings);
  progress.step('making the component');
  return componentizeBundle(bundle, folder, signal === undefined ? {} : { signal });
}
