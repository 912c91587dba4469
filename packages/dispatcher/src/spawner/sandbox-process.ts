import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ControlGroups } from './control-groups.ts';
import { offerToOomKiller } from './oom-score.ts';
import { CONTROL_FD, sandboxArguments } from './sandbox-command.ts';
import { CONNECTION_HEAD_BYTES, CONNECTION_TOKEN_BYTES } from './spawner-messages.ts';

/** How a sandbox ended. */
export type SandboxExit = { code: number | null; signal: string | null; stderr: string };

/** A sandbox that was asked for. */
export type SandboxProcess = {
  /** Kills everything in it, as soon as it is known whom to kill. */
  kill: () => void;
  /** Settles when all its processes and its folder are gone. Never rejects. */
  exited: Promise<SandboxExit>;
};

/** What is needed to start a sandbox. */
export type SandboxRequest = {
  id: number;
  lanes: number;
  uid: number | undefined;
  address: string;
  token: Buffer;
  runDirectory: string;
  bubblewrap: string;
  runner: string;
  seccompFilter: string;
  controlGroups: ControlGroups;
  onStarted: (pid: number) => void;
};

const STDERR_LIMIT_BYTES = 4096;
/** Bubblewrap's two processes, the supervisor, and workers that have ended and are not waited for yet. */
const OTHER_PROCESSES = 16;

/** Starts a sandbox whose sockets are connections to the dispatcher. */
export function startSandbox(request: SandboxRequest): SandboxProcess {
  let innerPid: number | undefined;
  let killed = false;
  let ended = false;

  const kill = (): void => {
    killed = true;
    // The first process inside, never bubblewrap's outer one: killing that can leave the namespace alive
    // (https://github.com/containers/bubblewrap/issues/633). After the end the number may be somebody else's.
    if (innerPid === undefined || ended) return;
    request.controlGroups.kill(request.id);
    try {
      process.kill(innerPid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };

  const run = async (): Promise<SandboxExit> => {
    const directory = join(request.runDirectory, String(request.id));
    const sockets: Socket[] = [];
    try {
      // The sandbox has another user id, so it needs to pass through; only the dispatcher's user may list or write.
      mkdirSync(directory, { mode: 0o711 });
      for (let index = 0; index <= request.lanes; index++) sockets.push(openSocket(request, index));
      await Promise.all(sockets.map(connected));
      if (killed) return { code: null, signal: 'SIGKILL', stderr: '' };
      const child = spawnBubblewrap(request, directory, sockets);
      if (child.pid !== undefined) {
        // Before it forks, which takes it longer than this.
        offerToOomKiller(child.pid);
        request.controlGroups.enter(request.id, child.pid, request.lanes + OTHER_PROCESSES);
      }
      return await supervise(child, request, (pid) => {
        innerPid = pid;
        offerToOomKiller(pid);
        if (killed) kill();
      });
    } catch (error) {
      return { code: null, signal: null, stderr: error instanceof Error ? error.message : String(error) };
    } finally {
      ended = true;
      for (const socket of sockets) socket.destroy();
      request.controlGroups.remove(request.id);
      rmSync(directory, { recursive: true, force: true });
    }
  };

  return { kill, exited: run() };
}

function openSocket(request: SandboxRequest, index: number): Socket {
  const socket = connect({ path: request.address });
  // What comes in is the runner's to read.
  socket.pause();
  const head = Buffer.alloc(CONNECTION_HEAD_BYTES);
  request.token.copy(head);
  head.writeUInt32LE(request.id, CONNECTION_TOKEN_BYTES);
  head.writeUInt32LE(index, CONNECTION_TOKEN_BYTES + 4);
  socket.write(head);
  return socket;
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    // An empty write behind the head: called back when the head is with the kernel.
    socket.write('', () => {
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      resolve();
    });
  });
}

function spawnBubblewrap(request: SandboxRequest, directory: string, sockets: Socket[]): ChildProcess {
  const infoFd = CONTROL_FD + sockets.length;
  const filterFd = infoFd + 1;
  const owner = request.uid === undefined ? {} : { uid: request.uid, gid: request.uid };
  // Opened for each sandbox: a shared descriptor would share its offset, and the second sandbox would read nothing.
  const filter = openSync(request.seccompFilter, 'r');
  try {
    return spawn(
      request.bubblewrap,
      sandboxArguments({ runner: request.runner, inputDirectory: directory, lanes: request.lanes, infoFd, filterFd }),
      { stdio: ['ignore', 'ignore', 'pipe', ...sockets, 'pipe', filter], env: {}, cwd: '/', ...owner },
    );
  } finally {
    closeSync(filter);
    for (const socket of sockets) socket.destroy();
  }
}

function supervise(
  child: ChildProcess,
  request: SandboxRequest,
  onInnerPid: (pid: number) => void,
): Promise<SandboxExit> {
  return new Promise((resolve) => {
    let stderr = '';
    let info = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_LIMIT_BYTES);
    });
    const infoPipe = child.stdio.at(-2) as Readable | null;
    infoPipe?.setEncoding('utf8').on('data', (text: string) => {
      info += text;
      const pid = /"child-pid"\s*:\s*(\d+)/.exec(info)?.[1];
      if (pid === undefined || !info.includes('}')) return;
      onInnerPid(Number(pid));
      request.onStarted(Number(pid));
      infoPipe.destroy();
    });
    child.once('error', (error) => resolve({ code: null, signal: null, stderr: error.message }));
    // Bubblewrap ends after everything in its process-id namespace, so nothing holds the pipes any longer.
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
}
