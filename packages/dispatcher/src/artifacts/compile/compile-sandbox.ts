import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { CompileRequest } from './compile-messages.ts';

/** How a command in a sandbox ended. `stderr` is the last of what it wrote. */
export type SandboxedExit = { code: number | null; signal: NodeJS.Signals | null; stderr: string; timedOut: boolean };

const STDERR_LIMIT_BYTES = 16 * 1024;
const INFO_FD = 3;
const FILTER_FD = 4;
const KIB = 1024;
/** `ulimit -f` counts in these. */
const BLOCK_BYTES = 512;
/** Processor time is the wall's, on so many processors at most. */
const MAX_PROCESSORS = 64;

/**
 * The arguments of bubblewrap for the compiler: all namespaces of its own, no capabilities, an empty read-only root with the compiler, the source, and one file
 * that it may write; no network, no /proc, no /dev, no environment. What it compiles may be anybody's.
 */
export function compileSandboxArguments(request: CompileRequest, command: readonly string[]): string[] {
  return [
    ...['--unshare-all', '--cap-drop', 'ALL', '--die-with-parent', '--new-session', '--clearenv', '--tmpfs', '/'],
    ...['--ro-bind', request.compiler, '/compiler', '--ro-bind', `${request.folder}/source.wasm`, '/source.wasm'],
    ...['--bind', `${request.folder}/code`, '/code', '--remount-ro', '/', '--chdir', '/'],
    ...['--info-fd', String(INFO_FD), '--seccomp', String(FILTER_FD), '/compiler', ...command],
  ];
}

/** A shell's script that sets the limits and becomes its arguments. */
export function limitScript({ limits }: CompileRequest): string {
  const seconds = Math.ceil(limits.wallMs / 1000) * MAX_PROCESSORS;
  const limit = [
    `ulimit -t ${seconds}`,
    `ulimit -v ${Math.ceil(limits.memoryBytes / KIB)}`,
    `ulimit -f ${Math.ceil(limits.outputBytes / BLOCK_BYTES)}`,
    'ulimit -c 0',
  ];
  return `${limit.join(' && ')} && exec "$@"`;
}

/** Runs the compiler in a sandbox; what is left of it is killed when the time is over or this process ends. */
export function runInSandbox(request: CompileRequest, command: readonly string[]): Promise<SandboxedExit> {
  const filter = openSync(request.seccompFilter, 'r');
  const owner = request.uid === undefined ? {} : { uid: request.uid, gid: request.uid };
  const words = ['-c', limitScript(request), 'sh', request.bubblewrap, ...compileSandboxArguments(request, command)];
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', words, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', filter],
      env: {},
      cwd: '/',
      ...owner,
    });
  } finally {
    closeSync(filter);
  }
  return supervise(child, request.limits.wallMs);
}

function supervise(child: ChildProcess, wallMs: number): Promise<SandboxedExit> {
  return new Promise((resolve, reject) => {
    let stderr = '';
    let info = '';
    let innerPid: number | undefined;
    let timedOut = false;
    // The first process inside: killing bubblewrap's outer one can leave the others alive
    // (https://github.com/containers/bubblewrap/issues/633).
    const kill = (): void => {
      if (innerPid === undefined) child.kill('SIGKILL');
      else process.kill(innerPid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, wallMs);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_LIMIT_BYTES);
    });
    (child.stdio[INFO_FD] as Readable).setEncoding('utf8').on('data', (text: string) => {
      info += text;
      const pid = /"child-pid"\s*:\s*(\d+)/.exec(info)?.[1];
      if (pid === undefined) return;
      innerPid = Number(pid);
      if (timedOut) kill();
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr, timedOut });
    });
  });
}
