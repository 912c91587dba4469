/**
 * The program that compiles one function of the bucket and ends. It is apart from the dispatcher, as it reads what anybody may have written and
 * takes its time; the compiler itself runs in a sandbox.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BuildError } from '@playa/build-cwasm/build-error';
import { compileArguments, lastCause } from '@playa/build-cwasm/compile/compile';
import { chooseTarget } from '@playa/build-cwasm/compile/target';
import { detectWorld } from '@playa/build-cwasm/component/world';
import type { CompileRequest, CompileResult } from './compile-messages.ts';
import { runInSandbox, type SandboxedExit } from './compile-sandbox.ts';

/** On the scale of nice(1). */
const PRIORITY = 10;
const VERSION_TIMEOUT_MS = 10_000;
/** How bubblewrap begins its complaints: then it is not the compiler that failed. */
const BUBBLEWRAP_FAILED = /^(?:bwrap|sh|\/bin\/sh): /m;
/** Rust's words for memory that is not there. */
const OUT_OF_MEMORY = /memory allocation|out of memory|Cannot allocate memory|os error 12/i;

// What serves goes first where processors are short; the sandbox inherits it.
setPriority(PRIORITY);

process.once('message', (request: CompileRequest) => {
  void compile(request)
    .catch((error: Error): CompileResult => ({ ok: false, refused: false, message: error.message }))
    .then((result) => process.send!(result, () => process.exit(0)));
});
// The sandbox ends with this process.
process.once('disconnect', () => process.exit(1));

async function compile(request: CompileRequest): Promise<CompileResult> {
  const found = await versionOf(request.compiler);
  if (found !== request.wasmtime) {
    const what = found === undefined ? 'is no wasmtime command that runs here' : `is wasmtime ${found}`;
    const message = `the compiler ${what}; exactly ${request.wasmtime} is needed`;
    return { ok: false, refused: true, reason: 'no_compiler', message };
  }
  let world;
  try {
    ({ world } = detectWorld(await readFile(join(request.folder, 'source.wasm'))));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    const message = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
    return { ok: false, refused: true, reason: error.code, message };
  }
  const target = chooseTarget(undefined, undefined, process.arch);
  const exit = await runInSandbox(request, compileArguments('/source.wasm', '/code', target));
  if (exit.code !== 0) return describeFailure(exit, request);
  const engine = { target: target.triple, cpu: target.cpu };
  return { ok: true, kind: world === 'module' ? 'module' : 'component', world, engine };
}

function describeFailure({ code, signal, stderr, timedOut }: SandboxedExit, request: CompileRequest): CompileResult {
  if (timedOut) return limit(`it took longer to compile than ${request.limits.wallMs} ms`);
  if (OUT_OF_MEMORY.test(stderr))
    return limit(`it took more memory than ${request.limits.memoryBytes} bytes to compile`);
  if (/File too large|os error 27/.test(stderr)) return limit('its native code is longer than an artifact may be');
  if (BUBBLEWRAP_FAILED.test(stderr)) return { ok: false, refused: false, message: stderr.trim() };
  const reason = lastCause(stderr);
  if (reason !== undefined) {
    return { ok: false, refused: true, reason: 'invalid_wasm', message: `the compiler refuses it: ${reason}` };
  }
  // Bubblewrap tells of a signal by a status above 128.
  const how = signal ?? (code !== null && code > 128 ? `signal ${code - 128}` : `status ${code}`);
  return limit(`the compiler was ended (${how}); mostly it needs more memory or time than it may have`);
}

function limit(message: string): CompileResult {
  return { ok: false, refused: true, reason: 'compile_limit', message };
}

async function versionOf(compiler: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(compiler, ['--version'], { timeout: VERSION_TIMEOUT_MS, env: {} });
    return /^wasmtime(?:-cli)? (\S+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
