import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** A PostgreSQL server of the test's own, on loopback. */
export type PostgresServer = {
  port: number;
  user: string;
  password: string;
  stop: () => Promise<void>;
};

const INSTALLATIONS = '/usr/lib/postgresql';

/** Where the newest installed PostgreSQL has its programs; `undefined` where there is none. */
export function findPostgres(): string | undefined {
  if (!existsSync(INSTALLATIONS)) return undefined;
  const versions = readdirSync(INSTALLATIONS).toSorted((left, right) => Number(right) - Number(left));
  return versions
    .map((version) => join(INSTALLATIONS, version, 'bin'))
    .find((folder) => ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))));
}

/**
 * Makes a database in `folder` and starts its server, which asks for a password by SCRAM-SHA-256. It does not run as root: a test that does
 * gives it the user `postgres`.
 * @param programs what `findPostgres` has found
 */
export async function startPostgres(programs: string, folder: string, port: number): Promise<PostgresServer> {
  const [user, password] = ['playa', 'correct horse'];
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  mkdirSync(data);
  writeFileSync(passwordFile, password);
  const account = process.getuid!() === 0 ? readAccount('postgres') : undefined;
  if (account !== undefined) {
    for (const path of [folder, data, passwordFile]) chownSync(path, account.uid, account.gid);
  }
  const options = { ...account, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
  const make = ['-D', data, '-U', user, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--no-sync'];
  await promisify(execFile)(join(programs, 'initdb'), make, options);
  const flags = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-F'];
  const child = spawn(join(programs, 'postgres'), flags, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const ready = Promise.withResolvers<void>();
  createInterface(child.stderr).on('line', (line) => {
    lines.push(line);
    if (line.includes('ready to accept connections')) ready.resolve();
  });
  void exited.then(() => ready.reject(new Error(`PostgreSQL has ended:\n${lines.join('\n')}`)));
  await ready.promise;
  return {
    port,
    user,
    password,
    stop: async () => {
      // Connections are cut.
      child.kill('SIGINT');
      await exited;
    },
  };
}

function readAccount(name: string): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`there is no user ${name}, whom PostgreSQL could run as`);
  const [uid, gid] = line.split(':').slice(2, 4).map(Number);
  return { uid: uid!, gid: gid! };
}
