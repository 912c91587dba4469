import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_KEYS } from './artifacts.ts';
import { open, send, type Answer, type RequestOptions } from './http-client.ts';
import { collectLogLines, type LogLines } from './log-lines.ts';
import { describeProcesses, listDescendants, listMountsOf, listUsersOf, type ProcessEntry } from './process-tree.ts';
import { PROJECT, runnerFile, spawnerFile } from './project.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';
import { waitUntil } from './wait-until.ts';

/** Options of `playa serve` by their flags without the dashes, such as `wall-ms`. */
export type ServerOptions = Record<string, string | number>;

/** What the program is started in. */
export type Surroundings = {
  /** Variables beside those that every test server has. */
  env?: Readonly<Record<string, string>>;
  /** A command that becomes the program: it gets it, with its arguments, behind its own, and must exec it. */
  command?: readonly string[];
};

/** How the program ended. */
export type Ending = { code: number | null; signal: NodeJS.Signals | null };

/** The shipped program, running. */
export type TestServer = {
  url: string;
  port: number;
  pid: number;
  log: LogLines;
  stateFolder: string;
  bucketFolder: string;
  /** Requests `path` below `/invoke/`. */
  invoke: (path: string, options?: RequestOptions) => Promise<Answer>;
  /** Like `invoke`, and resolves with the head, the body unread. */
  openInvoke: (path: string, options?: RequestOptions) => ReturnType<typeof open>;
  /** Requests any path. */
  get: (path: string) => Promise<Answer>;
  signal: (signal: NodeJS.Signals) => void;
  /** Settles when the program has ended and nobody holds its output any more: its spawner ends last. */
  ended: Promise<Ending>;
  /** All processes below the program. */
  processes: () => ProcessEntry[];
  /** Stops it with SIGTERM, and throws unless it ends with status 0 and leaves no process, mount or run folder behind. Disposes of it. */
  stop: () => Promise<void>;
  /** Throws unless nothing of it is left. For after it was killed. */
  expectNothingLeft: () => Promise<void>;
  /** Kills it if it still runs, and removes its folders. Later calls do nothing. */
  dispose: () => Promise<void>;
};

/**
 * Starts `playa serve` through its own command on a free port, and waits until it says that it listens.
 * @param bucketFolder the bucket
 * @param options flags beside those that every test server has
 * @param folder where its state is kept; a new one without it
 */
export async function startServer(
  bucketFolder: string,
  options: ServerOptions = {},
  folder?: string,
  surroundings: Surroundings = {},
): Promise<TestServer> {
  const own = folder === undefined ? makeTemporaryFolder('server') : { path: folder, remove: () => undefined };
  const stateFolder = String(options['state-dir'] ?? join(own.path, 'state'));
  mkdirSync(stateFolder, { recursive: true });
  const child = launch(bucketFolder, own.path, { 'state-dir': stateFolder, ...options }, surroundings);
  const log = collectLogLines(child.stdout!);
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Ending);
  const listening = await log
    .waitFor('listening', (line) => line.msg === 'listening')
    .catch((error: Error) => {
      child.kill('SIGKILL');
      throw new Error(`the server did not start: ${stderr}\n${error.message}`);
    });
  const url = listening['url'] as string;

  const expectNothingLeft = async (): Promise<void> => {
    const left = (): ProcessEntry[] => listUsersOf(own.path);
    await waitUntil(
      'no process left',
      () => (left().length === 0 ? true : undefined),
      () => describeProcesses(left()),
    );
    const mounts = listMountsOf(own.path);
    if (mounts.length > 0) throw new Error(`mounts left:\n${mounts.join('\n')}`);
  };
  const kill = (): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  };
  // A test that fails before it comes to its end must not leave a server behind.
  process.once('exit', kill);
  void ended.then(() => process.off('exit', kill));
  const dispose = async (): Promise<void> => {
    kill();
    await ended;
    own.remove();
  };
  const invoke = (path: string, request?: RequestOptions): Promise<Answer> => send(`${url}/invoke/${path}`, request);

  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid!,
    log,
    stateFolder,
    bucketFolder,
    invoke,
    openInvoke: (path, request) => open(`${url}/invoke/${path}`, request),
    get: (path) => send(`${url}${path}`),
    signal: (signal) => void child.kill(signal),
    ended,
    processes: () => listDescendants(child.pid!),
    stop: async () => {
      try {
        child.kill('SIGTERM');
        const { code, signal } = await ended;
        if (code !== 0) throw new Error(`it ended with ${code ?? signal}\n${stderr}\n${tail(log)}`);
        await expectNothingLeft();
        const runs = readdirSync(join(stateFolder, 'run')).filter((name) => name.startsWith(`${child.pid}-`));
        if (runs.length > 0) throw new Error(`run folders left: ${runs.join(' ')}`);
      } finally {
        await dispose();
      }
    },
    expectNothingLeft,
    dispose,
  };
}

function launch(
  bucketFolder: string,
  folder: string,
  options: ServerOptions,
  { env = {}, command = [] }: Surroundings,
): ChildProcess {
  const flags = Object.entries({
    bucket: bucketFolder,
    listen: '127.0.0.1:0',
    keys: TEST_KEYS,
    runner: runnerFile(),
    spawner: spawnerFile(),
    ...options,
  }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const strayFile = openSync('/etc/hostname', 'r');
  const [program, ...args] = [...command, PROJECT.playa, 'serve', '--no-config', ...flags];
  const child = spawn(program!, args, {
    // Its own folder: what is left of it is found by that. No more of the environment than a program needs.
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...env },
    // An open file that the program did not ask for, as a careless parent leaves one: it must not reach a sandbox.
    stdio: ['ignore', 'pipe', 'pipe', ...Array.from({ length: 27 }, () => 'ignore' as const), strayFile],
  });
  closeSync(strayFile);
  return child;
}

function tail(log: LogLines): string {
  return [...log.lines.slice(-6).map((line) => JSON.stringify(line)), ...log.other.slice(-6)].join('\n');
}
