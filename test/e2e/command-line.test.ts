import { execFile, type ExecFileException } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest, TEST_KEYS } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { PROJECT, runnerFile, spawnerFile } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let folder: { path: string; remove: () => void };

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe') });
  folder = makeTemporaryFolder('command-line');
});

afterAll(() => {
  bucket.remove();
  folder.remove();
});

type Run = { code: number; stdout: string; stderr: string };

/** Runs `playa` to its end, in the folder of the test. */
function playa(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return new Promise((resolve) => {
    execFile(
      PROJECT.playa,
      [...args],
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

test('playa keys makes, lists and exports keys, and refuses other words', async () => {
  const env = { PLAYA_KEYS: join(folder.path, 'own-keys') };
  const made = await playa(['keys', 'create'], env);
  const id = /[0-9a-f]{16}/.exec(made.stdout)?.[0];
  expect([made.code, typeof id]).toEqual([0, 'string']);
  const listed = await playa(['keys', 'list', '--json'], env);
  expect(JSON.stringify(JSON.parse(listed.stdout))).toContain(id);
  expect((await playa(['keys', 'export'], env)).stdout).toMatch(/^-----BEGIN PUBLIC KEY-----/);
  expect((await playa(['keys', 'nonsense'], env)).code).toBe(2);
});

test('where sandboxes stop working, requests are refused and /readyz says why, until they work again', async () => {
  const flag = join(folder.path, 'broken');
  const bubblewrap = join(folder.path, 'sometimes');
  writeFileSync(bubblewrap, `#!/bin/sh\n[ -e ${flag} ] && exit 1\nexec bwrap "$@"\n`);
  chmodSync(bubblewrap, 0o755);
  const options = { bubblewrap, isolation: 'sandbox', 'pool-size': 1, 'queue-wait-ms': 60_000 };
  const server = await startServer(bucket.path, options);
  expect((await server.invoke('probe')).status).toBe(200);
  writeFileSync(flag, '');
  const refused = await waitUntil('a refusal', async () => {
    const answer = await server.invoke('probe');
    return answer.status === 200 ? undefined : answer;
  });
  expect(problemOf(refused)).toMatchObject({ status: 503, code: 'sandbox_failed' });
  const ready = await server.get('/readyz');
  expect([ready.status, ready.text]).toEqual([503, expect.stringContaining('sandbox')]);
  expect((await server.get('/healthz')).status).toBe(200);
  rmSync(flag);
  await waitUntil('it works again', async () => ((await server.invoke('probe')).status === 200 ? true : undefined));
  expect((await server.get('/readyz')).status).toBe(200);
  await server.stop();
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
