import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { ToolResult, ToolTask } from './tool-worker.ts';

/** What the outside of a tool's process saw. `output` is the last 64 KiB of what it, and code that it ran, printed. */
export type ToolReport =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly reason: 'failed' | 'crashed' | 'timeout'; readonly message: string };

/** How a tool's process is run. */
export type ToolLimits = {
  /** The process and its children are killed after this time. */
  readonly timeoutMs: number;
  /** The process's folder, for its temporary files too. */
  readonly folder: string;
  readonly signal?: AbortSignal;
};

const MAX_OUTPUT_BYTES = 65_536;

/**
 * Runs one task in a process of its own (tool-worker.ts). The process sees no environment variable of this one, as
 * what a tool sees could end up in the component.
 *
 * @throws the signal's reason when it is aborted
 */
export async function runTool(task: ToolTask, limits: ToolLimits): Promise<ToolReport> {
  limits.signal?.throwIfAborted();
  const child = fork(join(import.meta.dirname, 'tool-worker.ts'), [], {
    cwd: limits.folder,
    env: { TMPDIR: limits.folder },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own: the tool starts processes, which must not outlive it.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_BYTES);
    });
  }
  const killGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, limits.timeoutMs);
  limits.signal?.addEventListener('abort', killGroup, { once: true });
  try {
    const { result, ended } = await new Promise<{ result: ToolResult | undefined; ended: string }>(
      (resolve, reject) => {
        let received: ToolResult | undefined;
        child.once('message', (message: ToolResult) => {
          received = message;
        });
        child.once('error', reject);
        child.once('close', (code, signal) => resolve({ result: received, ended: signal ?? `exit code ${code}` }));
        child.send(task);
      },
    );
    limits.signal?.throwIfAborted();
    if (timedOut) return { ok: false, reason: 'timeout', message: output };
    if (result === undefined) return { ok: false, reason: 'crashed', message: `${ended}\n${output}`.trim() };
    return result.ok
      ? { ok: true, output }
      : { ok: false, reason: 'failed', message: `${result.message}\n${output}`.trim() };
  } finally {
    clearTimeout(timer);
    limits.signal?.removeEventListener('abort', killGroup);
  }
}
