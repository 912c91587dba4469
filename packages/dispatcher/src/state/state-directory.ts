import { accessSync, chmodSync, constants, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../config/config-error.ts';
import { seccompFilter } from '../spawner/seccomp-filter.ts';
import { killStragglers } from '../spawner/stragglers.ts';
import { openProgramFolder } from './program-folder.ts';

/** The folders of one running server. */
export type StateDirectory = {
  /** Shared by all servers that use the same state folder. */
  root: string;
  /** This server's own; holds the folders of its sandboxes. */
  run: string;
  /** The runner's binary as the sandboxes' users can reach it. */
  runner: string;
  /** The spawner's binary. */
  spawner: string;
  /** The sandboxes' seccomp filter. */
  seccompFilter: string;
  /** Puts a further program where the sandboxes' users can reach it. */
  install: (name: string, file: string) => string;
  /** Removes what is this server's own. */
  remove: () => void;
};

/**
 * Makes the state folder, removes what servers left behind that were killed together with their spawner, and puts copies of the
 * runner's and the spawner's binary there: the source tree may lie where a sandbox's user cannot reach it, and may be rebuilt while this server runs.
 * @param binaries the two as set-up has built them
 * @param stores names of folders below it that others keep things in: a server that could not write there would start, and refuse every request
 * @throws {ConfigError} when the folder cannot be made or written to, or a binary is missing.
 */
export function openStateDirectory(
  path: string,
  binaries: { runner: string; spawner: string },
  stores: readonly string[],
): StateDirectory {
  const root = resolve(path);
  const runner = readBinary('runner', binaries.runner);
  const spawner = readBinary('spawner', binaries.spawner);
  try {
    return openFolders(root, { runner, spawner }, stores);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const hint =
      code === 'ENOSPC' ? 'make room there, or choose another with --state-dir' : 'choose another with --state-dir';
    throw new ConfigError(`the state folder ${root} cannot be used: ${message}; ${hint}`, { cause: error });
  }
}

function openFolders(
  root: string,
  binaries: { runner: Buffer; spawner: Buffer },
  stores: readonly string[],
): StateDirectory {
  makePassable(root);
  makePassable(join(root, 'run'));
  makePassable(join(root, 'bin'));
  for (const store of stores) {
    const folder = join(root, store);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  }
  removeAbandoned(join(root, 'run'), killStragglers);
  const run = join(root, 'run', runName(process.pid));
  makePassable(run);
  const programs = openProgramFolder(join(root, 'bin'), runName(process.pid));
  removeAbandoned(programs.users, () => undefined);
  const state = {
    root,
    run,
    runner: programs.install('playa-runner', binaries.runner),
    spawner: programs.install('playa-spawner', binaries.spawner),
    seccompFilter: programs.install('seccomp-filter', seccompFilter(process.arch)),
    install: (name: string, file: string) => programs.install(name, readFileSync(file)),
    remove: () => {
      programs.leave();
      rmSync(run, { recursive: true, force: true });
    },
  };
  programs.removeUnused();
  return state;
}

/** Others may pass through, none may list or write. */
function makePassable(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o711);
}

/** A process id alone could be somebody else's by now; together with the time of its start it is unique until the next boot. */
function runName(pid: number): string {
  return `${pid}-${startTime(pid) ?? 'unknown'}`;
}

function startTime(pid: number): string | undefined {
  try {
    // The 22nd field; the second one, the command's name in parentheses, may hold spaces (proc_pid_stat(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[19];
  } catch {
    return undefined;
  }
}

/** Removes the folders of servers that are gone. */
function removeAbandoned(folders: string, before: (folder: string) => void): void {
  for (const name of readdirSync(folders)) {
    if (name === runName(Number(name.split('-')[0]))) continue;
    before(join(folders, name));
    rmSync(join(folders, name), { recursive: true, force: true });
  }
}

function readBinary(name: 'runner' | 'spawner', binary: string): Buffer {
  try {
    return readFileSync(binary);
  } catch (error) {
    const hint = `build it with npm start, or name another with --${name}`;
    throw new ConfigError(`the ${name} ${binary} cannot be read: ${(error as Error).message}; ${hint}`, {
      cause: error,
    });
  }
}
