import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CompileRequest, CompileResult } from './compile-messages.ts';

/** How much later than the sandbox's limit the process around it is killed. */
const GRACE_MS = 15_000;
/** Source and native code of one function are in files; what the process holds is the source alone. */
const MAX_HEAP_MIB = 512;

/** Compiles in a process of its own. Never rejects. */
export function runCompileJob(request: CompileRequest, signal: AbortSignal): Promise<CompileResult> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ ok: false, refused: false, message: 'the server is about to stop' });
    const child = fork(fileURLToPath(new URL('./compile-main.ts', import.meta.url)), [], {
      // No more of the environment than a program needs to start: the dispatcher's may hold credentials.
      env: process.env['NODE_COMPILE_CACHE'] ? { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] } : {},
      execArgv: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${MAX_HEAP_MIB}`],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    let result: CompileResult | undefined;
    const kill = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(kill, request.limits.wallMs + GRACE_MS);
    signal.addEventListener('abort', kill, { once: true });
    const end = (message: string): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      resolve(result ?? { ok: false, refused: false, message });
    };
    child.once('message', (message: CompileResult) => {
      result = message;
    });
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, endedBy) => end(`the compiling process ended (${endedBy ?? code})`));
    child.send(request, () => undefined);
  });
}
