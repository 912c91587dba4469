import { execFile, type ExecFileException } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest, TEST_KEYS } from '../harness/artifacts.ts';
import { PROJECT, runnerFile, spawnerFile } from '../harness/project.ts';
import { mountsMissing, underMount } from '../harness/small-disk.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';

let bucket: TestBucket;
let folder: { path: string; remove: () => void };

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe') });
  folder = makeTemporaryFolder('start');
});

afterAll(() => {
  bucket.remove();
  folder.remove();
});

type Run = { code: number; stdout: string; stderr: string };

/** Runs `playa` to its end, in the folder of the test; `command` becomes it, where it is given. */
function playa(args: readonly string[], env: NodeJS.ProcessEnv = {}, command: readonly string[] = []): Promise<Run> {
  const [program, ...rest] = [...command, PROJECT.playa, ...args];
  return new Promise((resolve) => {
    execFile(
      program!,
      rest,
      { cwd: folder.path, env: { PATH: process.env['PATH'], HOME: folder.path, ...env }, timeout: 20_000 },
      (error: ExecFileException | null, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
      },
    );
  });
}

/** Arguments of a server that would start. */
const serve = (...more: string[]): string[] => [
  ...['serve', '--bucket', bucket.path, '--listen', '127.0.0.1:0', '--keys', TEST_KEYS],
  ...['--state-dir', join(folder.path, 'state'), '--runner', runnerFile(), '--spawner', spawnerFile()],
  ...more,
];

describe('what cannot start says why, on stderr, with status 2', () => {
  test.each([
    ['an unknown flag', ['--wall-clock', '1'], /unknown argument --wall-clock/],
    ['a value that is no number', ['--pool-size', 'many'], /--pool-size: "many"/],
    ['a value out of range', ['--pool-size', '100000'], /--pool-size: "100000" is outside/],
    ['an unknown isolation', ['--isolation', 'none'], /--isolation: "none" is not one of sandbox, process, instance/],
    ['a flag without its value', ['--fuel'], /--fuel needs a value/],
    ['an address without a port', ['--listen', 'localhost'], /HOST:PORT|twice/],
  ])('%s', async (_what, more, message) => {
    const { code, stdout, stderr } = await playa(more[0] === '--listen' ? ['serve', ...more] : serve(...more));
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
  });

  test('a bucket that is not there, or is a file', async () => {
    for (const path of [join(folder.path, 'missing'), TEST_KEYS + '/signing.pem']) {
      const { code, stderr } = await playa(['serve', '--bucket', path, '--listen', '127.0.0.1:0', '--no-config']);
      expect([code, stderr]).toEqual([2, expect.stringContaining(path)]);
    }
  });

  test('a port that is taken, and nothing is left running', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const address = `127.0.0.1:${port}`;
    const args = serve().map((argument) => (argument === '127.0.0.1:0' ? address : argument));
    const { code, stderr } = await playa(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(address)]);
    expect(readdirSync(join(folder.path, 'state/run'))).toEqual([]);
    other.close();
  });

  test('an unknown environment variable and an unknown key', async () => {
    const variable = await playa(serve(), { PLAYA_POOLSIZE: '1' });
    expect([variable.code, variable.stderr]).toEqual([2, expect.stringContaining('PLAYA_POOLSIZE')]);
    writeFileSync(join(folder.path, 'other.toml'), 'pool_size = 1\n');
    const key = await playa(serve('--config', 'other.toml'));
    expect([key.code, key.stderr]).toEqual([2, expect.stringContaining('pool_size')]);
  });

  test('a bubblewrap that is not there', async () => {
    const { code, stderr } = await playa(serve('--bubblewrap', '/nowhere/bwrap'));
    expect([code, stderr]).toEqual([2, expect.stringContaining('/nowhere/bwrap')]);
  });

  test('a runner that is not there', async () => {
    const { code, stderr } = await playa([
      'serve',
      '--bucket',
      bucket.path,
      '--runner',
      '/nowhere/runner',
      '--state-dir',
      join(folder.path, 'state'),
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('/nowhere/runner')]);
  });
});

test('a flag wins over the environment, the environment over the file', async () => {
  writeFileSync(join(folder.path, 'playa.toml'), 'pool-size = 0\nisolation = "instance"\nfuel = "nonsense"\n');
  const file = await playa(serve());
  expect([file.code, file.stderr]).toEqual([2, expect.stringContaining('fuel in playa.toml')]);
  writeFileSync(join(folder.path, 'playa.toml'), 'pool-size = 1\nlisten = "nonsense"\n');
  const ignored = await playa(['serve', '--no-config', '--listen', 'flag']);
  expect(ignored.stderr).toContain('--listen');
  const environment = await playa(['serve', '--no-config'], { PLAYA_LISTEN: 'variable' });
  expect(environment.stderr).toContain('PLAYA_LISTEN');
});

test('help and version end with status 0 and list every option', async () => {
  const help = await playa(['serve', '--help']);
  expect(help.code).toBe(0);
  for (const flag of ['--bucket', '--listen', '--isolation', '--wall-ms', '--fuel', '--memory-bytes', '--drain-ms']) {
    expect(help.stdout).toContain(flag);
  }
  expect((await playa(['--version'])).stdout).toMatch(/^playa \d+\.\d+\.\d+/);
  expect((await playa(['dance'])).code).toBe(2);
});

const mounts = mountsMissing();
describe.skipIf(mounts !== undefined)(
  `a state folder that takes nothing${mounts === undefined ? '' : ` (${mounts})`}`,
  () => {
    const state = (name: string): string => {
      const path = join(folder.path, 'states', name);
      for (const store of ['run', 'bin', 'artifacts', 'incoming', 'names'])
        mkdirSync(join(path, store), { recursive: true });
      return path;
    };
    /** Starts where a folder is mounted over, and expects that it does not. */
    const refuse = async (path: string, ...mount: Parameters<typeof underMount>): Promise<string> => {
      const args = serve('--no-config').map((arg) => (arg === join(folder.path, 'state') ? path : arg));
      const { code, stdout, stderr } = await playa(args, {}, underMount(...mount));
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`the state folder ${path} cannot be used: `);
      expect(stderr).toContain('--state-dir');
      expect(stderr.trim().split('\n')).toHaveLength(1);
      return stderr;
    };

    test('because all of it is read-only', async () => {
      const path = state('whole');
      expect(await refuse(path, path, 'read-only')).toContain('EROFS');
    });

    test.each(['run', 'bin', 'artifacts', 'incoming', 'names'])('because %s in it is read-only', async (store) => {
      const path = state(store);
      const stderr = await refuse(path, join(path, store), 'read-only');
      expect(stderr).toContain('EROFS');
      expect(stderr).toContain(join(path, store));
    });

    test('because the disk is full', async () => {
      const path = state('full');
      const stderr = await refuse(path, path, 'small', '1m');
      expect(stderr).toContain('ENOSPC');
      expect(stderr).toContain('make room there');
    });
  },
);

describe('where no sandbox can be started the server does not start, and leaves nothing', () => {
  const runFolders = (): string[] => readdirSync(join(folder.path, 'state', 'run'));

  test('a bubblewrap that fails is quoted', async () => {
    const refusing = join(folder.path, 'refusing-bwrap');
    writeFileSync(refusing, '#!/bin/sh\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n');
    chmodSync(refusing, 0o755);
    const { code, stdout, stderr } = await playa(serve('--no-config', '--bubblewrap', refusing));
    expect(code).toBe(2);
    expect(stdout).not.toContain('"listening"');
    expect(stderr).toMatch(/no sandbox can be started: .*setting up uid map: Permission denied/);
    expect(runFolders()).toEqual([]);
  });

  test('a runner that is none', async () => {
    const fake = join(folder.path, 'no-runner');
    writeFileSync(fake, '#!/bin/sh\necho hello\n');
    chmodSync(fake, 0o755);
    const { code, stderr } = await playa(
      serve('--no-config', '--pool-size', '1').map((arg) => (arg === runnerFile() ? fake : arg)),
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/no sandbox can be started: .*runner/);
    expect(runFolders()).toEqual([]);
  });
});

test('two servers may share bucket, keys and state folder', async () => {
  const state = join(folder.path, 'shared');
  mkdirSync(state);
  chmodSync(state, 0o755);
  const servers = await Promise.all([1, 2].map(() => startServer(bucket.path, { 'state-dir': state })));
  const answers = await Promise.all(servers.map((server) => server.invoke('probe')));
  expect(answers.map((answer) => answer.text)).toEqual(['probe\n', 'probe\n']);
  await servers[0]!.stop();
  expect((await servers[1]!.invoke('probe')).status).toBe(200);
  await servers[1]!.stop();
  expect(readdirSync(join(state, 'run'))).toEqual([]);
});
