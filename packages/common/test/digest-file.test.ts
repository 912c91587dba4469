import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestFile } from '../src/digest-file.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'playa-digest-'))));
afterEach(() => rmSync(folder, { recursive: true }));

// From FIPS 180-4: nothing, "abc", and a million times "a".
test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
])('a file of %.5s…', async (content, sha256) => {
  writeFileSync(join(folder, 'file'), content);
  expect(await digestFile(join(folder, 'file'))).toEqual({ sha256, bytes: content.length });
});

test('a file that is not there', async () => {
  await expect(digestFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
});
