import { execa } from 'execa';
import { BuildError } from '../build-error.ts';
import type { Target } from './target.ts';
import { cpuArguments } from './target.ts';

/**
 * Arguments of `wasmtime compile`: exactly the settings of the runner; `--target` keeps the features of this machine's processor out.
 */
export function compileArguments(input: string, output: string, target: Target): string[] {
  return [
    ...['compile', '-C', 'cache=n', '-W', 'fuel=1,epoch-interruption=y', '--target', target.triple],
    ...cpuArguments(target.cpu),
    ...['-o', output, input],
  ];
}

/** Longest time of one compilation; a JavaScript function takes some 8 s on two processors. */
const COMPILE_TIMEOUT_MS = 900_000;

/**
 * Compiles a module or component to native code.
 *
 * @param wasmtime path of a command of the right version, from findWasmtime
 * @param output is written by the command
 * @throws BuildError `invalid_wasm`, `target_unsupported`, `disk_full`, `output_unwritable`, `compile_failed`; the signal's reason when it is aborted
 */
export async function compileWasm(
  wasmtime: string,
  input: string,
  output: string,
  target: Target,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const {
    failed,
    timedOut,
    exitCode,
    signal: killedBy,
    stderr,
  } = await execa(wasmtime, compileArguments(input, output, target), {
    reject: false,
    stdin: 'ignore',
    stdout: 'ignore',
    timeout: COMPILE_TIMEOUT_MS,
    // Settings in the environment (WASMTIME_BACKTRACE_DETAILS, …) would change the code.
    extendEnv: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (!failed) return;
  if (timedOut) {
    throw new BuildError('toolchain', 'compile_failed', `compiling did not end within ${COMPILE_TIMEOUT_MS / 1000} s`, {
      toolOutput: stderr,
    });
  }
  if (/No space left on device|os error 28/.test(stderr)) {
    throw new BuildError('output', 'disk_full', 'the disk of the output folder is full', { toolOutput: stderr });
  }
  if (killedBy !== undefined) {
    throw new BuildError('toolchain', 'compile_failed', `the compiler was ended by ${killedBy}`, {
      hint: killedBy === 'SIGKILL' ? 'Most likely the machine ran out of memory.' : 'Try again.',
      toolOutput: stderr,
    });
  }
  if (/failed to write output/.test(stderr)) {
    throw new BuildError('output', 'output_unwritable', 'the compiler cannot write to the output folder', {
      toolOutput: stderr,
    });
  }
  if (/[Ss]upport for this target/.test(stderr)) {
    throw new BuildError('toolchain', 'target_unsupported', `${wasmtime} cannot compile for ${target.triple}`, {
      hint: 'Build where the function is to run, or name a wasmtime with the feature all-arch by --wasmtime.',
      toolOutput: stderr,
    });
  }
  const reason = lastCause(stderr);
  throw new BuildError(
    'source',
    'invalid_wasm',
    `the compiler refuses the WebAssembly: ${reason ?? `exit code ${exitCode}`}`,
    {
      toolOutput: stderr,
    },
  );
}

/** The innermost of the causes that wasmtime prints as "0: …" lines, else its first line. */
export function lastCause(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trim());
  const causes = lines.flatMap((line) => /^\d+: (.*)$/.exec(line)?.[1] ?? []);
  return causes.at(-1) ?? lines.find((line) => line.startsWith('Error: '))?.slice('Error: '.length);
}
