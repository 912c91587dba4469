import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openSigningKey } from '@playa/common/key-store';
import { revoke } from '@playa/common/trust';
import { buildGuest } from '../harness/artifacts.ts';
import { compilePrebuilt, forge } from '../harness/forged-artifacts.ts';
import { PROJECT } from '../harness/project.ts';
import { runPlaya, type PlayaRun } from '../harness/run-playa.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';

const PROBE = join(PROJECT.prebuilt, 'probe.wasm');
let bucket: TestBucket;
let oldVersion: string;
let newVersion: string;
let folder: ReturnType<typeof makeTemporaryFolder>;

beforeAll(async () => {
  oldVersion = await buildGuest('probe');
  newVersion = await buildGuest('probe-0-3');
});
beforeEach(() => {
  bucket = makeBucket();
  folder = makeTemporaryFolder('deploy');
});
afterEach(() => {
  bucket.remove();
  folder.remove();
});

const playa = (...args: string[]): Promise<PlayaRun> => runPlaya([...args, '--bucket', bucket.path]);
const versionsOf = async (name: string): Promise<string[]> => {
  const { json } = await playa('list', name, '--json');
  return (json['versions'] as { sha256: string }[]).map(({ sha256 }) => sha256);
};

test('deploy, deploy again, go back, remove, bring back: each answers at once', async () => {
  const server = await startServer(bucket.path);
  const answer = async (): Promise<string> => (await server.invoke('acme/hello.cwasm')).text;
  const deploy = (artifact: string): Promise<PlayaRun> =>
    playa('deploy', artifact, '--name', 'acme/hello', '--url', server.url);
  try {
    const first = await deploy(PROBE);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^acme\/hello is deployed as version [0-9a-f]{12}\n/);
    expect(first.stdout).toContain(`${server.url}/invoke/acme/hello.cwasm\n`);
    expect(await answer()).toBe('probe\n');
    expect((await deploy(newVersion)).code).toBe(0);
    expect(await answer()).toBe('probe 0.3\n');
    expect((await deploy(newVersion)).stdout).toContain('is there already');
    expect(await versionsOf('acme/hello')).toHaveLength(2);

    expect((await playa('rollback', 'acme/hello')).stdout).toMatch(/is at [0-9a-f]{12} again/);
    expect(await answer()).toBe('probe\n');
    const [, other] = await versionsOf('acme/hello');
    expect((await playa('rollback', 'acme/hello', '--to', other!.slice(0, 8))).code).toBe(0);
    expect(await answer()).toBe('probe 0.3\n');

    expect((await playa('remove', 'acme/hello.cwasm')).code).toBe(0);
    expect((await server.invoke('acme/hello')).status).toBe(404);
    expect((await playa('rollback', 'acme/hello')).code).toBe(0);
    expect(await answer()).toBe('probe 0.3\n');
    expect((await playa('list')).stdout).toMatch(/^acme\/hello {2}[0-9a-f]{12} {2}\d{4}-/);
  } finally {
    await server.stop();
  }
});

test('what was put there by hand is kept as a version, and listed as what it is', async () => {
  bucket.put('hello', oldVersion);
  copyFileSync(PROBE, join(bucket.path, 'source.wasm'));
  expect((await playa('list', '--json')).json['functions']).toMatchObject([
    { name: 'hello', kind: 'artifact' },
    { name: 'source', kind: 'source' },
  ]);
  expect((await playa('deploy', newVersion, '--name', 'hello')).code).toBe(0);
  expect((await playa('rollback', 'hello')).code).toBe(0);
  const server = await startServer(bucket.path);
  expect((await server.invoke('hello')).text).toBe('probe\n');
  await server.stop();
});

test('of many who deploy at once all are versions, and none is lost', async () => {
  const elf = await compilePrebuilt('probe');
  const files = await Promise.all(
    Array.from({ length: 5 }, async (_, index) => {
      const file = join(folder.path, `${index}.cwasm`);
      writeFileSync(file, await forge(elf, { name: `version-${index}` }));
      return file;
    }),
  );
  const runs = await Promise.all(files.map((file) => playa('deploy', file, '--name', 'busy', '--json')));
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  const deployed = runs.map(({ json }) => json['version'] as string);
  expect((await versionsOf('busy')).toSorted()).toEqual(deployed.toSorted());
});

test('a policy goes with it; one that is wrong stops it', async () => {
  const policy = join(folder.path, 'policy.toml');
  writeFileSync(policy, '[env]\nWHO = "deploy"\n');
  expect((await playa('deploy', oldVersion, '--name', 'f', '--policy', policy)).code).toBe(0);
  expect(readFileSync(join(bucket.path, 'f.toml'), 'utf8')).toContain('WHO');
  writeFileSync(policy, 'unknown = 1\n');
  const refused = await playa('deploy', newVersion, '--name', 'f', '--policy', policy);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('unknown');
  expect(await versionsOf('f')).toHaveLength(1);
});

describe('what goes wrong has a code, a message, and JSON where that is asked for', () => {
  test.each<[string, string[], number, RegExp]>([
    ['no source', ['deploy'], 2, /SOURCE is missing/],
    ['too many', ['list', 'a', 'b'], 2, /b is too much/],
    ['an unknown option', ['list', '--colour'], 2, /--colour/],
    ['a name that is none', ['remove', '../x'], 2, /cannot be the name/],
    ['a missing source', ['deploy', '/nowhere/x.ts'], 1, /does not exist/],
    ['a source that is nothing', ['deploy', '/etc/hostname', '--name', 'x'], 1, /no kind that can be built/],
    ['a function that is not there', ['remove', 'x'], 3, /no function x/],
    ['a version that is not there', ['rollback', 'x'], 3, /no function x/],
    ['how many versions stay is not said', ['prune', 'x'], 2, /--keep is missing/],
    ['how many versions stay is no number', ['prune', '--keep', '-1'], 2, /--keep/],
    ['two functions to prune', ['prune', 'x', 'y', '--keep', '1'], 2, /y is too much/],
    ['a function that is not there, pruned', ['prune', 'x', '--keep', '1'], 3, /no function x/],
    ['a function that is not there, verified', ['verify', 'x'], 3, /no function x/],
    ['a function that is not there, rebuilt', ['rebuild', 'x'], 3, /no function x/],
  ])('%s', async (_what, args, code, message) => {
    const plain = await playa(...args);
    expect(plain).toMatchObject({ code, stdout: '' });
    expect(plain.stderr).toMatch(message);
    const json = await playa(...args, '--json');
    expect(json).toMatchObject({ code, stderr: '', json: { ok: false } });
    expect((json.json['error'] as { message: string }).message).toMatch(message);
  });

  test('an earlier version that does not exist', async () => {
    await playa('deploy', oldVersion, '--name', 'f');
    expect(await playa('rollback', 'f')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('no earlier version'),
    });
    expect(await playa('rollback', 'f', '--to', 'abcdef')).toMatchObject({ code: 3 });
    expect(await playa('rollback', 'f', '--to', 'x')).toMatchObject({ code: 2 });
  });

  test('a server that does not answer', async () => {
    const run = await playa('deploy', oldVersion, '--name', 'f', '--url', 'http://127.0.0.1:1', '--timeout', '0.1');
    expect(run).toMatchObject({ code: 6, stdout: expect.stringContaining('did not answer') });
  });

  test.each(['deploy', 'list', 'remove', 'rollback', 'prune', 'verify', 'rebuild'])(
    '%s has a help',
    async (command) => {
      const { code, stdout } = await runPlaya([command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`playa ${command} `);
      expect(stdout).toContain('Exit codes:');
      expect((await runPlaya(['help'])).stdout).toContain(`  ${command} `);
    },
  );
});

describe('verify', () => {
  const verify = (...args: string[]): Promise<PlayaRun> => runPlaya(['verify', ...args]);

  test('a file, a compressed one, a URL and a function of a bucket', async () => {
    expect(await verify(oldVersion)).toMatchObject({ code: 0, stdout: expect.stringContaining('would be loaded') });
    const compressed = join(folder.path, 'compressed');
    writeFileSync(compressed, zstdCompressSync(readFileSync(oldVersion)));
    expect(await verify(compressed)).toMatchObject({ code: 0 });
    await playa('deploy', oldVersion, '--name', 'f');
    const { json } = await playa('verify', 'f', '--json');
    expect(json).toMatchObject({ ok: true, refusal: null, signedBy: 'own' });
    const web = createServer((request, response) => {
      if (request.url === '/f.cwasm') response.end(readFileSync(oldVersion));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    const url = await new Promise<string>((resolve) =>
      web.once('listening', () => resolve(`http://127.0.0.1:${(web.address() as AddressInfo).port}`)),
    );
    expect(await verify(`${url}/f.cwasm`)).toMatchObject({ code: 0 });
    expect(await verify(`${url}/g.cwasm`)).toMatchObject({ code: 1, stderr: expect.stringContaining('answers 404') });
    web.close();
  });

  test('what would be refused, and why', async () => {
    const file = join(folder.path, 'f.cwasm');
    const elf = await compilePrebuilt('probe');
    const changed = readFileSync(oldVersion);
    changed[5000] = changed[5000]! ^ 1;
    const stranger = await openSigningKey(join(folder.path, 'stranger'));
    const cases: [Buffer, RegExp][] = [
      [changed, /not what was signed/],
      [await forge(elf, {}, stranger), /not trusted/],
      [
        await forge(elf, {
          engine: { wasmtime: '48.0.7', target: 'x86_64-unknown-linux-gnu', cpu: 'baseline', flags: [] },
        }),
        /48\.0\.7/,
      ],
    ];
    for (const [content, message] of cases) {
      writeFileSync(file, content);
      expect(await verify(file)).toMatchObject({ code: 5, stdout: expect.stringMatching(message) });
    }
    writeFileSync(file, 'junk');
    expect(await verify(file)).toMatchObject({ code: 5, stderr: expect.stringContaining('not an artifact') });
    expect(await verify('/nowhere')).toMatchObject({ code: 1 });
  });
});

describe('rebuild', () => {
  test('compares the code with what the component compiles to', async () => {
    expect((await playa('deploy', PROBE, '--name', 'f', '--keep-source')).code).toBe(0);
    expect(await playa('rebuild', 'f', '--verify')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('is what its component'),
    });
    expect(await playa('rebuild', 'f', '--verify', '--from', PROBE)).toMatchObject({ code: 0 });
    const other = join(PROJECT.prebuilt, 'probe-0-3.wasm');
    expect(await playa('rebuild', 'f', '--verify', '--from', other)).toMatchObject({ code: 5 });
    // A builder that was taken over signs other code under the source's digest.
    const source = JSON.parse((await playa('verify', 'f', '--json')).stdout).manifest.source;
    const forged = join(folder.path, 'forged.cwasm');
    writeFileSync(forged, await forge(await compilePrebuilt('probe-0-3'), { source }));
    await playa('deploy', forged, '--name', 'f');
    expect(await playa('rebuild', 'f', '--verify')).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('is NOT what'),
    });
    expect(await playa('rebuild', 'f')).toMatchObject({ code: 0 });
    expect(await playa('rebuild', 'f', '--verify')).toMatchObject({ code: 0 });
    rmSync(join(bucket.path, '.playa/sources'), { recursive: true });
    expect(await playa('rebuild', 'f', '--verify')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('--keep-source'),
    });
  });
});

test('a revoked artifact ends within seconds, also where it is in use; the rest goes on', async () => {
  const keys = join(folder.path, 'keys');
  const own = await openSigningKey(keys);
  const elf = await compilePrebuilt('probe');
  const digest = createHash('sha256').update(elf).digest('hex');
  bucket.put('revoked', await forge(elf, {}, own));
  bucket.put('fine', await forge(await compilePrebuilt('probe-0-3'), {}, own));
  const server = await startServer(bucket.path, { keys });
  try {
    expect((await server.invoke('revoked')).text).toBe('probe\n');
    expect((await server.invoke('fine')).text).toBe('probe 0.3\n');
    await revoke(keys, 'artifact', digest, 'a test');
    await expect.poll(async () => (await server.invoke('revoked')).status, { timeout: 30_000 }).toBe(422);
    expect((await server.invoke('fine')).text).toBe('probe 0.3\n');
  } finally {
    await server.stop();
  }
});
