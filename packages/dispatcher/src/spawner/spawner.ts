import { randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createLaneSockets, type LaneSocket, type LaneSockets } from '../runner/lane-socket.ts';
import { sandboxArguments } from './sandbox-command.ts';
import {
  CONNECTION_HEAD_BYTES,
  CONNECTION_TOKEN_BYTES,
  type ControlGroupState,
  type SandboxPrograms,
  type SpawnerEvent,
} from './spawner-messages.ts';
import { describeExit, startSpawnerProcess, type SpawnerProcess } from './spawner-process.ts';
import { killStragglersFor } from './stragglers.ts';

/** The sockets of a sandbox that has come up. */
export type SandboxSockets = { control: Socket; lanes: LaneSocket[] };

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
  /** For one whose sockets are closed now, with which it ends: it is killed when it does not at once. */
  end: () => void;
};

/** Starts sandboxes through a process of its own, and starts that process again when it dies. */
export type Spawner = {
  start: (lanes: number, uid: number | undefined) => SpawnedSandbox;
  /** The spawner's process id; it changes when it had to be started again, and is `undefined` as long as none runs. */
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
  /** Runs while it is expected to end by itself. */
  limit: NodeJS.Timeout | undefined;
};

/** Pause before a spawner is started after one that did not come to work; doubled with each further one, so that a broken host is not kept busy with failing. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** To end takes a sandbox a few milliseconds of a processor, which others may want too. */
const END_LIMIT_MS = 100;

/**
 * Starts the spawner's process.
 *
 * The sockets of a sandbox are connections that the spawner opens to a listening socket of the dispatcher's and hands to bubblewrap as file
 * descriptors (docs/decisions/0002-runner-sockets.md). A connection counts only with a token that is told to nobody else.
 */
export async function startSpawner(deps: {
  runDirectory: string;
  /** The spawner's binary. */
  spawner: string;
  programs: SandboxPrograms;
  log: Logger;
}): Promise<Spawner> {
  const { bubblewrap, runner, seccompFilter } = deps.programs;
  const token = randomBytes(CONNECTION_TOKEN_BYTES);
  const pending = new Map<number, Pending>();
  // In the abstract namespace: no file that could be left behind, and no limit on the length of the state folder's path.
  const socketName = `playa-${randomBytes(16).toString('hex')}`;
  const laneSockets = createLaneSockets();
  const server = await listen(`\0${socketName}`, (socket) => acceptSocket(socket, token, pending, laneSockets));
  let generation = 0;
  let nextId = 1;
  let controlGroups: ControlGroupState | undefined;
  let failures = 0;
  let lastEnd = '';
  let pause: NodeJS.Timeout | undefined;
  let stragglersKilled: Promise<unknown> = Promise.resolve();
  let onEnd: (() => void) | undefined;
  let current: SpawnerProcess | undefined;
  launch();

  function launch(): void {
    pause = undefined;
    generation++;
    const runDirectory = generationDirectory();
    mkdirSync(runDirectory, { recursive: true });
    // The sandboxes' users pass through, whatever the server's mask is.
    chmodSync(runDirectory, 0o711);
    current = startSpawnerProcess(deps.spawner, {
      event: receive,
      ended: (reason, clean) => {
        current = undefined;
        lastEnd = `the spawner ended (${reason})`;
        loseAll(lastEnd);
        // It removes its folder itself unless it was killed. Its sandboxes end with it, or as their sockets are closed, or are stragglers.
        rmSync(runDirectory, { recursive: true, force: true });
        if (!clean) stragglersKilled = Promise.all([stragglersKilled, killStragglersFor(runDirectory)]);
        if (onEnd === undefined) relaunch(reason);
        else onEnd();
      },
    });
    current.send({
      type: 'configure',
      socketName,
      token: token.toString('hex'),
      runDirectory,
      bubblewrap,
      seccompFilter,
    });
  }

  function relaunch(reason: string): void {
    failures++;
    // One that came to work is followed by the next at once: requests may be waiting.
    const pauseMs = failures === 1 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 2, 10));
    deps.log.error({ reason, pauseMs }, 'spawner ended, starting another');
    if (pauseMs === 0) launch();
    else pause = setTimeout(launch, pauseMs);
  }

  function generationDirectory(): string {
    return join(deps.runDirectory, String(generation));
  }

  function receive(event: SpawnerEvent): void {
    if (event.type === 'controlGroups') {
      failures = 0;
      controlGroups = event.state;
      const said = event.state.available ? 'sandboxes have control groups' : 'sandboxes have no control groups';
      deps.log.info({ detail: event.state.detail }, said);
      return;
    }
    const sandbox = pending.get(event.id);
    if (sandbox === undefined) return;
    pending.delete(event.id);
    lose(sandbox, event.stderr === '' ? `it ended (${describeExit(event)})` : event.stderr.trim());
  }

  function loseAll(reason: string): void {
    for (const sandbox of pending.values()) lose(sandbox, reason);
    pending.clear();
  }

  return {
    pid: () => current?.pid,
    controlGroups: () => controlGroups,
    start: (lanes, uid) => {
      const id = nextId++;
      const directory = join(generationDirectory(), String(id));
      const sockets = Promise.withResolvers<SandboxSockets>();
      const exited = Promise.withResolvers<string>();
      const sandbox: Pending = {
        lanes,
        sockets: Array.from({ length: lanes + 1 }, () => undefined),
        resolveSockets: sockets.resolve,
        rejectSockets: sockets.reject,
        resolveExited: exited.resolve,
        limit: undefined,
      };
      const owner = current;
      if (owner === undefined) lose(sandbox, lastEnd);
      else {
        pending.set(id, sandbox);
        const args = sandboxArguments({ runner, inputDirectory: directory, lanes });
        owner.send({ type: 'start', id, lanes, uid, arguments: args });
      }
      const kill = (): void => owner?.send({ type: 'kill', id });
      return {
        id,
        directory,
        sockets: sockets.promise,
        exited: exited.promise,
        kill,
        end: () => {
          if (pending.has(id)) sandbox.limit ??= setTimeout(kill, END_LIMIT_MS);
        },
      };
    },
    close: async () => {
      clearTimeout(pause);
      const ended = Promise.withResolvers<void>();
      onEnd = ended.resolve;
      if (current === undefined) ended.resolve();
      else current.close();
      await ended.promise;
      await stragglersKilled;
      server.close();
    },
  };
}

function lose(sandbox: Pending, reason: string): void {
  clearTimeout(sandbox.limit);
  // To make an error, with its stack, takes longer than all the rest.
  if (!isConnected(sandbox)) sandbox.rejectSockets(new Error(`the sandbox did not start: ${reason}`));
  for (const socket of sandbox.sockets) socket?.destroy();
  sandbox.resolveExited(reason);
}

function isConnected({ sockets }: Pending): boolean {
  return sockets.every((socket) => socket !== undefined);
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
function acceptSocket(socket: Socket, token: Buffer, pending: Map<number, Pending>, laneSockets: LaneSockets): void {
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
    if (isConnected(sandbox)) {
      const [control, ...lanes] = sandbox.sockets;
      sandbox.resolveSockets({ control: control!, lanes: lanes.map((lane) => laneSockets(lane!)) });
    }
  });
}
