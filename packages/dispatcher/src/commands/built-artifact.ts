import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { readTrailer, type ArtifactManifest } from '@playa/common/artifact-trailer';
import { keyStoreFolder } from '@playa/common/key-store';
import type { CommandInput, CommandOption } from './command.ts';

/** Options of commands that build. */
export const BUILD_OPTIONS: readonly CommandOption[] = [
  { name: 'cpu', value: 'LEVEL', help: 'baseline, x86-64-v2 or x86-64-v3 (default: baseline)' },
  { name: 'target', value: 'TRIPLE', help: 'for another machine than this one' },
  { name: 'keys', value: 'FOLDER', help: 'the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)' },
  { name: 'wasmtime', value: 'PATH', help: 'the compiler (default: the one set-up built, else one on PATH)' },
];

/** An artifact in a folder of its own. */
export type BuiltArtifact = {
  path: string;
  manifest: ArtifactManifest;
  /** The component or module that was compiled; missing where the artifact was given as it is. */
  component: string | undefined;
};

/** The key store that the command line or the environment names. */
export function keysFolder(input: CommandInput): string {
  return input.text('keys') ?? keyStoreFolder(input.terminal.env);
}

/** Builds a source, or takes an artifact as it is, uses it, and removes it. Progress goes to stderr. @throws {BuildError} */
export async function withBuilt<T>(
  input: CommandInput,
  source: string,
  use: (built: BuiltArtifact) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'playa-deploy-'));
  const path = join(folder, 'function.cwasm');
  try {
    if (extname(source).toLowerCase() === '.cwasm') {
      await copyFile(source, path);
      return await use({ path, manifest: (await readTrailer(path)).manifest, component: undefined });
    }
    const component = join(folder, 'component.wasm');
    await build(input, source, path, component);
    return await use({ path, manifest: (await readTrailer(path)).manifest, component });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function build(input: CommandInput, path: string, output: string, component: string): Promise<void> {
  // Loaded when needed: the bundler alone takes longer than most of these commands.
  const [{ buildFunction, stepsOf }, { classifySource }, { chooseTarget }, command, progress] = await Promise.all([
    import('@playa/build-cwasm/build-function'),
    import('@playa/build-cwasm/source'),
    import('@playa/build-cwasm/compile/target'),
    import('@playa/build-cwasm/compile/wasmtime-command'),
    import('@playa/build-cwasm/progress'),
  ]);
  const source = await classifySource(path);
  const { env, stderr } = input.terminal;
  const name = basename(path, extname(path));
  await buildFunction({
    source,
    output,
    component,
    name,
    target: chooseTarget(input.text('target'), input.text('cpu'), process.arch),
    wasmtime: await command.findWasmtime({ option: input.text('wasmtime'), env, builtPath: command.BUILT_WASMTIME }),
    keysFolder: keysFolder(input),
    progress: input.json
      ? progress.silentProgress
      : progress.createProgress(name, stepsOf(source), { stream: stderr, now: () => performance.now() }),
    now: () => new Date(),
  });
}
