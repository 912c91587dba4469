import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { ControlGroupState } from './control-groups.ts';
import {
  CONNECTION_HEAD_BYTES,
  CONNECTION_TOKEN_BYTES,
  type SandboxPrograms,
  type SpawnerEvent,
  type SpawnerRequest,
} from './spawner-messages.ts';
import { killStragglersFor } from './stragglers.ts';

/** The sockets of a sandbox that has come up. */
export type SandboxSockets = { control: Socket; lanes: Socket[] };

/** One sandbox, from the moment it was asked for. */
export type SpawnedSandbox = {
  id: number;
  /** Where the dispatcher puts what the runner shall see under /in. */
  directory: string;
  /** Settles when all sockets are connected; rejects when the sandbox ends before that. */
  sockets: Promise<SandboxSockets>;
  /** Settles when all of its processes are gone; tells what was written to stderr. */
  exited: Promise<string>;
  kill: () => void;
};

/** Starts sandboxes through a process of its own, and starts that process again when it dies. */
export type Spawner = {
  start: (lanes: number, uid: number | undefined) => SpawnedSandbox;
  /** The spawner's process id; it changes when it had to be started again. */
  pid: () => number | undefined;
  /** Whether sandboxes have control groups; `undefined` until the spawner has looked. */
  controlGroups: () => ControlGroupState | undefined;
  /** Ends all sandboxes and the spawner; settles when they are gone. */
  close: () => Promise<void>;
};

type Pending = {
  lanes: number;
  sockets: (Socket | undefined)[];
  resolveSockets: (sockets: SandboxSockets) => void;
  rejectSockets: (error: Error) => void;
  resolveExited: (stderr: string) => void;
};

/**
 * Starts the spawner's process.
 *
 * The sockets of a sandbox are connections that the spawner opens to a listening socket of the dispatcher's and hands to bubblewrap as file
 * descriptors (docs/decisions/0002-runner-sockets.md). A connection counts only with a token that is told to nobody else.
 */
export async function startSpawner(deps: {
  runDirectory: string;
  programs: SandboxPrograms;
  log: Logger;
}): Promise<Spawner> {
  const token = randomBytes(CONNECTION_TOKEN_BYTES);
  const pending = new Map<number, Pending>();
  // In the abstract namespace: no file that could be left behind, and no limit on the length of the state folder's path.
  const address = `\0playa-${randomBytes(16).toString('hex')}`;
  const server = await listen(address, (socket) => acceptSocket(socket, token, pending));
  let generation = 0;
  let nextId = 1;
  let closing = false;
  let controlGroups: ControlGroupState | undefined;
  let stragglersKilled: Promise<unknown> = Promise.resolve();
  let child = launch();

  function launch(): ChildProcess {
    generation++;
    const runDirectory = generationDirectory();
    mkdirSync(runDirectory, { recursive: true, mode: 0o711 });
    const started = fork(fileURLToPath(new URL('./spawner-main.ts', import.meta.url)), [], {
      // No more of the environment than a program needs to start: the dispatcher's may hold credentials.
      env: pick(process.env, ['PATH', 'NODE_COMPILE_CACHE']),
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    send(started, { type: 'configure', address, token: token.toString('hex'), runDirectory, programs: deps.programs });
    started.on('message', (event: SpawnerEvent) => receive(event));
    started.once('exit', (code, signal) => {
      loseAll(`the spawner ended (${signal ?? code})`);
      // It removes its folder itself unless it was killed. Its sandboxes end with it, or as their sockets are closed, or are stragglers.
      rmSync(runDirectory, { recursive: true, force: true });
      if (code !== 0) stragglersKilled = Promise.all([stragglersKilled, killStragglersFor(runDirectory)]);
      if (closing) return;
      deps.log.error({ code, signal }, 'spawner ended, starting another');
      child = launch();
    });
    started.on('error', (error) => deps.log.error({ err: error }, 'spawner failed'));
    return started;
  }

  function generationDirectory(): string {
    return join(deps.runDirectory, String(generation));
  }

  function receive(event: SpawnerEvent): void {
    if (event.type === 'controlGroups') {
      controlGroups = event.state;
      const said = event.state.available ? 'sandboxes have control groups' : 'sandboxes have no control groups';
      deps.log.info({ detail: event.state.detail }, said);
    }
    if (event.type !== 'exited') return;
    const sandbox = pending.get(event.id);
    if (sandbox === undefined) return;
    pending.delete(event.id);
    lose(sandbox, event.stderr === '' ? `it ended (${event.signal ?? event.code})` : event.stderr.trim());
  }

  function loseAll(reason: string): void {
    for (const sandbox of pending.values()) lose(sandbox, reason);
    pending.clear();
  }

  return {
    pid: () => child.pid,
    controlGroups: () => controlGroups,
    start: (lanes, uid) => {
      const id = nextId++;
      const sockets = Promise.withResolvers<SandboxSockets>();
      const exited = Promise.withResolvers<string>();
      pending.set(id, {
        lanes,
        sockets: Array.from({ length: lanes + 1 }, () => undefined),
        resolveSockets: sockets.resolve,
        rejectSockets: sockets.reject,
        resolveExited: exited.resolve,
      });
      const owner = child;
      send(owner, { type: 'start', id, lanes, uid });
      return {
        id,
        directory: join(generationDirectory(), String(id)),
        sockets: sockets.promise,
        exited: exited.promise,
        kill: () => send(owner, { type: 'kill', id }),
      };
    },
    close: async () => {
      closing = true;
      const exited = new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) resolve();
        else child.once('exit', () => resolve());
      });
      if (child.connected) child.disconnect();
      await exited;
      await stragglersKilled;
      server.close();
    },
  };
}

function pick(env: NodeJS.ProcessEnv, names: string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

function send(child: ChildProcess, request: SpawnerRequest): void {
  // A dead spawner answers by its exit, which loses all of its sandboxes.
  if (child.connected) child.send(request, () => undefined);
}

function lose(sandbox: Pending, reason: string): void {
  sandbox.rejectSockets(new Error(`the sandbox did not start: ${reason}`));
  for (const socket of sandbox.sockets) socket?.destroy();
  sandbox.resolveExited(reason);
}

function listen(address: string, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onSocket);
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Reads a connection's head, no byte more, and gives the connection to the sandbox that it belongs to. */
function acceptSocket(socket: Socket, token: Buffer, pending: Map<number, Pending>): void {
  const discard = (): void => void socket.destroy();
  socket.once('error', discard);
  socket.on('readable', function readHead() {
    const head = socket.read(CONNECTION_HEAD_BYTES) as Buffer | null;
    if (head === null) return;
    socket.off('readable', readHead);
    socket.off('error', discard);
    if (head.length !== CONNECTION_HEAD_BYTES || !timingSafeEqual(head.subarray(0, CONNECTION_TOKEN_BYTES), token)) {
      return discard();
    }
    const sandbox = pending.get(head.readUInt32LE(CONNECTION_TOKEN_BYTES));
    const index = head.readUInt32LE(CONNECTION_TOKEN_BYTES + 4);
    if (sandbox === undefined || index > sandbox.lanes || sandbox.sockets[index] !== undefined) return discard();
    sandbox.sockets[index] = socket;
    if (sandbox.sockets.every((known) => known !== undefined)) {
      const [control, ...lanes] = sandbox.sockets;
      sandbox.resolveSockets({ control: control!, lanes });
    }
  });
}
