import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { execa } from 'execa';
import { BuildError } from '../build-error.ts';
import { WASMTIME_VERSION } from './engine-version.ts';

/** Where to look for the `wasmtime` command. */
export type WasmtimeSearch = {
  /** Value of `--wasmtime`. */
  readonly option?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** The one that set-up builds. */
  readonly builtPath: string;
};

const VERSION_TIMEOUT_MS = 10_000;

/** The one that set-up builds where PATH has none of the right version. */
export const BUILT_WASMTIME = join(import.meta.dirname, '../../../../build/bin/wasmtime');

/**
 * Finds a `wasmtime` of exactly WASMTIME_VERSION: the one named by `--wasmtime` or PLAYA_WASMTIME, which must match,
 * else the one set-up built, else the first matching one on PATH.
 *
 * @returns its absolute path
 * @throws BuildError `wasmtime_version`, `wasmtime_missing`, naming what was found instead
 */
export async function findWasmtime({ option, env, builtPath }: WasmtimeSearch): Promise<string> {
  const named = option ?? (env['PLAYA_WASMTIME'] || undefined);
  if (named !== undefined) {
    const path = resolve(named);
    const version = await versionOf(path);
    if (version === WASMTIME_VERSION) return path;
    const origin = option === undefined ? 'PLAYA_WASMTIME' : '--wasmtime';
    if (version === undefined) {
      throw new BuildError(
        'toolchain',
        'wasmtime_missing',
        `${origin} names ${path}, which is no wasmtime command that runs here`,
      );
    }
    throw new BuildError(
      'toolchain',
      'wasmtime_version',
      `${path} is wasmtime ${version}; exactly ${WASMTIME_VERSION} is needed`,
      {
        hint: 'The runner loads only what was compiled by its own version.',
      },
    );
  }
  const others: string[] = [];
  for (const path of [builtPath, ...onPath(env)]) {
    const version = await versionOf(path);
    if (version === WASMTIME_VERSION) return path;
    if (version !== undefined) others.push(`${path} is wasmtime ${version}`);
  }
  const hint = `Build it with: npm start (set-up builds it once), or put wasmtime ${WASMTIME_VERSION} on PATH, or name one with --wasmtime.`;
  if (others.length > 0) {
    throw new BuildError(
      'toolchain',
      'wasmtime_version',
      `wasmtime ${WASMTIME_VERSION} is needed, but ${others.join(', ')}`,
      { hint },
    );
  }
  throw new BuildError('toolchain', 'wasmtime_missing', `there is no wasmtime command; ${WASMTIME_VERSION} is needed`, {
    hint,
  });
}

function onPath(env: NodeJS.ProcessEnv): string[] {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(resolve(folder), 'wasmtime'));
}

/** The version of a command, or undefined when it is not there or is no wasmtime. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK);
  } catch {
    return undefined;
  }
  const { failed, stdout } = await execa(path, ['--version'], {
    reject: false,
    timeout: VERSION_TIMEOUT_MS,
    stdin: 'ignore',
  });
  if (failed) return undefined;
  return /^wasmtime(?:-cli)? (\S+)/.exec(stdout)?.[1];
}
