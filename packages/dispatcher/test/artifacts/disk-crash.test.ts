import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import type { WriteStep } from '../../src/artifacts/incoming-file.ts';
import { openNameRecords } from '../../src/artifacts/name-records.ts';
import { makeArtifact } from './make-artifact.ts';
import { openTestArtifacts } from './open-test-artifacts.ts';

let folder: string;
let key: SigningKey;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playa-crash-'));
  key = await openSigningKey(join(folder, 'keys'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const STEPS: WriteStep[] = ['opened', 'partly_written', 'written', 'verified', 'renamed', 'recorded'];

test.each([...STEPS, 'never'])('killed at "%s": the old record or the new one, and never half a file', async (step) => {
  const content = makeArtifact(Buffer.alloc(1_000_000, 'code'), key);
  writeFileSync(join(folder, 'artifact'), content);
  const state = join(folder, 'state');
  const old = { object: 'f.cwasm', etag: 'old', blob: 'old', policy: undefined };
  await (await openNameRecords({ directory: state, bucket: 'test', nowMs: Date.now })).write('f', old);

  const script = join(import.meta.dirname, 'crash-at-step.ts');
  const { signal, stderr } = spawnSync(process.execPath, [script, folder, step], { encoding: 'utf8' });
  expect(signal, stderr).toBe(step === 'never' ? null : 'SIGKILL');

  const records = await openNameRecords({ directory: state, bucket: 'test', nowMs: Date.now });
  const etag = (await records.read('f'))?.etag;
  expect(etag).toBe(step === 'never' ? 'new' : 'old');
  const files = readdirSync(join(state, 'artifacts'));
  expect(files).toHaveLength(['renamed', 'recorded', 'never'].includes(step) ? 1 : 0);
  for (const file of files) expect(readFileSync(join(state, 'artifacts', file)).equals(content)).toBe(true);

  // What is left of it is in nobody's way, and goes after a while.
  for (const file of readdirSync(join(state, 'incoming'))) utimesSync(join(state, 'incoming', file), 1, 1);
  writeFileSync(join(folder, 'f.cwasm'), content);
  const artifacts = await openTestArtifacts(folder, createFolderObjectStore(folder));
  const { artifact } = await artifacts.resolve('f');
  expect(readFileSync(artifact.path).equals(content)).toBe(true);
  expect(readdirSync(join(state, 'incoming'))).toEqual([]);
  artifacts.close();
});
