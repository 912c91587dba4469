import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyStoreFolder, loadTrustedKeys, openSigningKey, replaceSigningKey, trustKey } from '../src/key-store.ts';
import { KeyStoreError, keyId, publicPem } from '../src/public-key.ts';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'key-store-'));
  folder = join(parent, 'keys');
});
afterEach(() => rm(parent, { recursive: true }));

function otherKeyPem(): string {
  return publicPem(generateKeyPairSync('ed25519').publicKey);
}

describe('the folder', () => {
  test.each([
    [{ PLAYA_KEYS: '/a', XDG_CONFIG_HOME: '/b', HOME: '/c' }, '/a'],
    [{ XDG_CONFIG_HOME: '/b', HOME: '/c' }, '/b/playa/keys'],
    [{ PLAYA_KEYS: '', XDG_CONFIG_HOME: '', HOME: '/c' }, '/c/.config/playa/keys'],
  ])('of %o is %s', (env, expected) => {
    expect(keyStoreFolder(env)).toBe(expected);
  });
});

describe('the signing key', () => {
  test('is made on first use, private to its owner, and trusted', async () => {
    const key = await openSigningKey(folder);
    expect((await stat(join(folder, 'signing.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await readFile(join(folder, 'signing.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    const trusted = await loadTrustedKeys(folder);
    expect([...trusted.values()]).toMatchObject([{ id: key.id, name: 'own' }]);
    expect((await openSigningKey(folder)).id).toBe(key.id);
  });

  test('is one and the same for processes that make it at once, and no temporary file stays', async () => {
    const script = `import { openSigningKey } from ${JSON.stringify(join(import.meta.dirname, '../src/key-store.ts'))};
      process.stdout.write((await openSigningKey(process.argv[1])).id);`;
    const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, folder]);
    const ids = (await Promise.all(Array.from({ length: 6 }, run))).map(({ stdout }) => stdout);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{16}$/);
    expect([...(await loadTrustedKeys(folder)).keys()]).toEqual([ids[0]]);
    expect((await readdir(folder)).toSorted()).toEqual(['signing.pem', 'trusted']);
    expect(await readdir(join(folder, 'trusted'))).toEqual(['own.pub']);
  });

  test('gets its public half back when a crash lost it', async () => {
    const key = await openSigningKey(folder);
    await unlink(join(folder, 'trusted/own.pub'));
    await openSigningKey(folder);
    expect([...(await loadTrustedKeys(folder)).keys()]).toEqual([key.id]);
  });

  test('is refused when others may read it', async () => {
    await openSigningKey(folder);
    await chmod(join(folder, 'signing.pem'), 0o644);
    await expect(openSigningKey(folder)).rejects.toThrow(/mode 644.*chmod 600/);
  });

  test.each([
    ['is no PEM', 'nothing'],
    ['is empty', ''],
    [
      'is an RSA key',
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
    ],
    ['is far too long', 'x'.repeat(10_000)],
  ])('is refused, not replaced, when it %s', async (_, content) => {
    await openSigningKey(folder);
    await writeFile(join(folder, 'signing.pem'), content);
    const error = await openSigningKey(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KeyStoreError);
    expect((error as Error).message).toContain('signing.pem');
    expect(await readFile(join(folder, 'signing.pem'), 'utf8')).toBe(content);
  });

  test('can be replaced, and what the old one signed stays trusted', async () => {
    const old = await openSigningKey(folder);
    const renewed = await replaceSigningKey(folder);
    expect(renewed.id).not.toBe(old.id);
    const names = [...(await loadTrustedKeys(folder)).values()].map(({ id, name }) => [name, id]);
    expect(Object.fromEntries(names)).toEqual({ own: renewed.id, [`own-${old.id}`]: old.id });
  });
});

describe('trusted keys', () => {
  test('are none, and nothing is made, where there is no store', async () => {
    expect((await loadTrustedKeys(folder)).size).toBe(0);
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('can be added, also twice, and read through a symbolic link', async () => {
    const pem = otherKeyPem();
    const added = await trustKey(folder, 'ci.main', pem);
    await trustKey(folder, 'ci.main', pem);
    expect(added.id).toBe(keyId(createPublicKey(pem)));
    await writeFile(join(parent, 'mounted.pem'), otherKeyPem());
    await symlink(join(parent, 'mounted.pem'), join(folder, 'trusted/mounted.pub'));
    expect([...(await loadTrustedKeys(folder)).values()].map(({ name }) => name)).toEqual(['ci.main', 'mounted']);
  });

  test.each(['', '.', '..', '../x', 'a/b', '-x', 'a b', 'own', 'x'.repeat(65)])(
    'are not added as "%s"',
    async (name) => {
      await expect(trustKey(folder, name, otherKeyPem())).rejects.toBeInstanceOf(KeyStoreError);
    },
  );

  test('are not replaced by another key of the same name', async () => {
    await trustKey(folder, 'ci', otherKeyPem());
    await expect(trustKey(folder, 'ci', otherKeyPem())).rejects.toThrow(/another key is trusted as "ci"/);
  });

  test.each([
    ['a private key', generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string],
    ['an RSA key', publicPem(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)],
    ['a damaged key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['an empty file', ''],
  ])('are refused by name when %s lies among them', async (_, content) => {
    await openSigningKey(folder);
    await writeFile(join(folder, 'trusted/odd.pub'), content);
    const error = await loadTrustedKeys(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KeyStoreError);
    expect((error as Error).message).toContain('trusted/odd.pub');
    await expect(trustKey(folder, 'given', content)).rejects.toBeInstanceOf(KeyStoreError);
  });
});
