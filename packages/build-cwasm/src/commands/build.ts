import { keyStoreFolder } from '@playa/common/key-store';
import type { BuildResult } from '../build-function.ts';
import { buildFunction, stepsOf } from '../build-function.ts';
import { BuildError } from '../build-error.ts';
import { chooseTarget } from '../compile/target.ts';
import { BUILT_WASMTIME, findWasmtime } from '../compile/wasmtime-command.ts';
import type { OptionRow, ParsedOptions } from '../options.ts';
import { createProgress, silentProgress } from '../progress.ts';
import { classifySource } from '../source.ts';
import type { Terminal } from '../terminal.ts';

export const BUILD_OPTIONS: readonly OptionRow[] = [
  {
    name: 'output',
    short: 'o',
    value: 'FILE',
    help: 'the artifact (default: the name of SOURCE with .cwasm, in the present folder)',
  },
  { name: 'name', value: 'NAME', help: 'the name in the manifest (default: the name of SOURCE without its extension)' },
  {
    name: 'cpu',
    value: 'LEVEL',
    help: 'baseline, x86-64-v2 or x86-64-v3; a host below the level refuses the artifact (default: baseline)',
  },
  {
    name: 'target',
    value: 'TRIPLE',
    help: 'x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu (default: that of this machine)',
  },
  { name: 'keys', value: 'FOLDER', help: 'the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)' },
  {
    name: 'wasmtime',
    value: 'PATH',
    help: 'the compiler (default: $PLAYA_WASMTIME, else the one set-up built, else a matching one on PATH)',
  },
  { name: 'json', help: 'write one JSON object to stdout and nothing else, also for an error' },
  { name: 'help', short: 'h', help: 'show this text' },
  { name: 'version', short: 'V', help: 'show the version' },
];

/** `build-cwasm SOURCE`: builds a function and says where it is. */
export async function runBuild(options: ParsedOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const [path, ...more] = options.positionals;
  if (path === undefined || more.length > 0) {
    const message =
      path === undefined ? 'name the source to build' : `one source at a time: ${more.join(' ')} is too much`;
    throw new BuildError('usage', 'usage', message, {
      hint: 'build-cwasm SOURCE [-o OUT.cwasm]; see: build-cwasm --help',
    });
  }
  const json = options.isSet('json');
  const target = chooseTarget(options.text('target'), options.text('cpu'), process.arch);
  const source = await classifySource(path);
  const wasmtime = await findWasmtime({
    option: options.text('wasmtime'),
    env: terminal.env,
    builtPath: BUILT_WASMTIME,
  });
  const name = options.text('name') ?? source.name;
  const result = await buildFunction({
    source,
    output: options.text('output') ?? `${source.name}.cwasm`,
    name,
    target,
    wasmtime,
    keysFolder: options.text('keys') ?? keyStoreFolder(terminal.env),
    progress: json
      ? silentProgress
      : createProgress(name, stepsOf(source), { stream: terminal.stderr, now: () => performance.now() }),
    now: () => new Date(),
    signal,
  });
  terminal.stdout.write(json ? `${JSON.stringify(asJson(result))}\n` : `${describe(result)}\n`);
}

function asJson(result: BuildResult): object {
  return {
    ok: true,
    output: result.output,
    bytes: result.bytes,
    key: result.key,
    warnings: result.warnings,
    ...result.manifest,
  };
}

function describe({ output, bytes, manifest }: BuildResult): string {
  const size = bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  return `${output} (${size}, ${manifest.world}, ${manifest.engine.cpu})`;
}
