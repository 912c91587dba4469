import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadTrustedKeys, openSigningKey } from '../src/key-store.ts';
import { KEYS_HELP, runKeysCommand } from '../src/keys-command.ts';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'keys-command-'));
  folder = join(parent, 'keys');
});
afterEach(() => rm(parent, { recursive: true }));

async function run(args: string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const code = await runKeysCommand(args, {
    env: { PLAYA_KEYS: folder },
    stdin: Readable.from([Buffer.from(input)]),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
  });
  return { code, ...written };
}

test('a key is created, listed, exported, and trusted elsewhere', async () => {
  expect((await run(['list'])).stdout).toContain('no key yet');
  const created = await run(['create']);
  expect(created).toMatchObject({ code: 0, stderr: '' });
  const { id } = await openSigningKey(folder);
  expect(created.stdout).toContain(id);
  const { stdout: pem } = await run(['export']);
  const elsewhere = join(parent, 'elsewhere');
  expect(await run(['trust', 'laptop', '-', '--keys', elsewhere], pem)).toMatchObject({ code: 0 });
  expect([...(await loadTrustedKeys(elsewhere)).values()]).toMatchObject([{ id, name: 'laptop' }]);
  await writeFile(join(parent, 'key.pub'), pem);
  expect(await run(['trust', 'again', join(parent, 'key.pub'), '--keys', elsewhere])).toMatchObject({ code: 0 });
  expect((await run(['list'])).stdout).toMatch(new RegExp(`signs +${id}\\ntrusts +${id}  own\\n$`));
});

test('JSON is all that stdout gets, for an error too', async () => {
  await run(['create']);
  const { id } = await openSigningKey(folder);
  const listed = await run(['list', '--json']);
  expect(JSON.parse(listed.stdout)).toEqual({
    ok: true,
    folder,
    signing: id,
    trusted: [{ id, name: 'own' }],
    revoked: [],
  });
  const failed = await run(['create', '--json']);
  expect(failed).toMatchObject({ code: 1, stderr: '' });
  expect(JSON.parse(failed.stdout)).toMatchObject({ ok: false, error: { code: 'key_store' } });
});

test('a key is replaced only when asked', async () => {
  await run(['create']);
  const before = await readFile(join(folder, 'signing.pem'), 'utf8');
  expect(await run(['create'])).toMatchObject({ code: 1, stdout: '' });
  expect(await readFile(join(folder, 'signing.pem'), 'utf8')).toBe(before);
  expect((await run(['create', '--replace'])).stdout).toContain('stays trusted');
  expect((await loadTrustedKeys(folder)).size).toBe(2);
});

test('the help names every verb', async () => {
  expect((await run(['--help'])).stdout).toBe(KEYS_HELP);
  for (const verb of ['list', 'create', 'export', 'trust']) expect(KEYS_HELP).toContain(`playa keys ${verb}`);
});

test.each([
  [[]],
  [['steal']],
  [['list', 'more']],
  [['trust', 'name']],
  [['export', '--replace']],
  [['list', '--unknown']],
])('%j is refused as a wrong command line', async (args) => {
  const { code, stderr } = await run(args);
  expect([code, stderr.includes('playa keys')]).toEqual([2, true]);
});

test.each([
  [['export'], 'no signing key'],
  [['trust', 'name', '/nowhere/key.pub'], 'ENOENT'],
  [['trust', 'own', '-'], 'belongs to the key of this store'],
])('%j is refused with its reason', async (args, reason) => {
  const { code, stderr } = await run(args, 'no key');
  expect(code).toBe(1);
  expect(stderr).toContain(reason);
});

test('keys are limited and revoked, and so is code', async () => {
  await run(['create']);
  const { id } = await openSigningKey(folder);
  expect(await run(['limit', 'own', '--not-after', '2030-01-01'])).toMatchObject({ code: 0 });
  expect(await run(['limit', 'own', '--not-after', 'soon'])).toMatchObject({ code: 1 });
  expect(await run(['limit', 'nobody', '--not-after', '2030-01-01'])).toMatchObject({ code: 1 });
  expect((await run(['list'])).stdout).toContain(`${id}  own  notAfter 2030-01-01T00:00:00.000Z`);
  const digest = 'c'.repeat(64);
  expect(await run(['revoke', digest, '--because', 'lost'])).toMatchObject({ code: 0 });
  expect((await run(['revoke', id])).stdout).toContain(`key ${id} is revoked`);
  expect((await run(['revoke', id])).stdout).toContain('already');
  expect(await run(['revoke', 'x'])).toMatchObject({ code: 1 });
  expect(await run(['revoke'])).toMatchObject({ code: 2 });
  const { trusted, revoked } = JSON.parse((await run(['list', '--json'])).stdout);
  expect(trusted).toMatchObject([{ id, revoked: true }]);
  expect(revoked).toEqual([digest]);
});
