import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ArtifactManifest } from '../src/artifact-manifest.ts';
import { limitKey, openSigningKey, type SigningKey } from '../src/key-store.ts';
import { loadTrust, refusalOf, revocationListPath, revoke } from '../src/trust.ts';

let folder: string;
let key: SigningKey;
let manifest: ArtifactManifest;
const NOW = Date.parse('2026-06-01T00:00:00Z');
const CODE = 'a'.repeat(64);
const SOURCE = 'b'.repeat(64);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-'));
  key = await openSigningKey(folder);
  manifest = { key: key.id, elf: { sha256: CODE, bytes: 1 }, source: { kind: 'wat', sha256: SOURCE } } as never;
});
afterEach(() => rm(folder, { recursive: true }));

const refusal = async (): Promise<string | undefined> => refusalOf(manifest, await loadTrust(folder), NOW)?.message;

test('what a trusted key signed may run; what another signed may not', async () => {
  expect(await refusal()).toBeUndefined();
  manifest = { ...manifest, key: '0'.repeat(16) };
  expect(await refusal()).toMatch(/not trusted here/);
});

test.each([
  ['key', () => key.id, /"own"\), which signed it, is revoked/],
  ['artifact', () => CODE, /it is revoked/],
  ['artifact', () => SOURCE, /it is revoked/],
] as const)('a revoked %s ends what it stands for', async (kind, id, message) => {
  expect(await revoke(folder, kind, 'f'.repeat(kind === 'key' ? 16 : 64), 'another')).toBe(true);
  expect(await refusal()).toBeUndefined();
  expect(await revoke(folder, kind, id(), 'lost')).toBe(true);
  expect(await revoke(folder, kind, id(), 'lost again')).toBe(false);
  expect(await refusal()).toMatch(message);
});

test.each([
  [{ notBefore: '2026-06-02' }, /not valid yet/],
  [{ notAfter: '2026-05-31T23:59:59Z' }, /not valid any more/],
  [{ notBefore: '2026-05-31', notAfter: '2026-06-02' }, undefined],
])('a key that is limited to %o', async (validity, message) => {
  await limitKey(folder, 'own', validity);
  const found = await refusal();
  if (message === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(message);
});

test('a list or a time that cannot be read stops the reader: it must not be taken for an empty one', async () => {
  await expect(limitKey(folder, 'own', { notAfter: 'tomorrow' })).rejects.toThrow(/neither "notBefore TIME"/);
  await writeFile(join(folder, 'trusted/own.validity'), 'until 2026\n');
  await expect(loadTrust(folder)).rejects.toThrow(/own.validity/);
  await rm(join(folder, 'trusted/own.validity'));
  await appendFile(revocationListPath(folder), '# a comment\n\nkey abc\n');
  await expect(loadTrust(folder)).rejects.toThrow(/line 3 of/);
  await expect(revoke(folder, 'key', '../x', '')).rejects.toThrow(/no id of a key/);
});
