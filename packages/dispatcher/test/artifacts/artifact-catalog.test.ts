import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import type { ObjectStore } from '@playa/common/object-store';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import type { ArtifactCatalog } from '../../src/artifacts/artifact-catalog.ts';
import { makeArtifact } from './make-artifact.ts';
import { openTestArtifacts } from './open-test-artifacts.ts';

let folder: string;
let key: SigningKey;
let catalog: ArtifactCatalog;
let retired: Artifact[];
let nowMs: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playa-catalog-'));
  mkdirSync(join(folder, 'bucket'));
  key = await openSigningKey(join(folder, 'keys'));
  retired = [];
  nowMs = 1_000_000;
  catalog = await open(createFolderObjectStore(join(folder, 'bucket')));
});

afterEach(() => {
  catalog.close();
  rmSync(folder, { recursive: true });
});

function open(bucket: ObjectStore, maxBytes = 1e9): Promise<ArtifactCatalog> {
  return openTestArtifacts(folder, bucket, {
    flags: ['--cache-max-bytes', String(maxBytes)],
    onRetired: (version) => retired.push(version),
    nowMs: () => nowMs,
  });
}

const artifact = (elf: string, engine: object = {}): Buffer => makeArtifact(elf, key, engine);

function put(name: string, content: Buffer | string): void {
  const path = join(folder, 'bucket', `${name}.cwasm`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, content);
  renameSync(`${path}.tmp`, path);
}

/** Long enough for the catalogue to look at the bucket again whether or not the watch has spoken. */
function passRevalidation(): void {
  nowMs += 10_000;
}

describe('catalogue over a folder', () => {
  test('resolves a name to a verified copy, once however many ask', async () => {
    put('acme/f', artifact('code'));
    const all = await Promise.all(Array.from({ length: 50 }, () => catalog.resolve('acme/f')));
    expect(new Set(all.map((one) => one.artifact)).size).toBe(1);
    expect(readFileSync(all[0]!.artifact.path).subarray(0, 4).toString()).toBe('code');
    expect((await catalog.resolve('acme/f')).artifact).toBe(all[0]!.artifact);
  });

  test('a changed object replaces the version, a removed one ends it', async () => {
    put('f', artifact('one'));
    const { artifact: one } = await catalog.resolve('f');
    put('f', artifact('two'));
    passRevalidation();
    const { artifact: two } = await catalog.resolve('f');
    expect(two).not.toBe(one);
    expect(retired).toEqual([one]);
    rmSync(join(folder, 'bucket/f.cwasm'));
    passRevalidation();
    await expect(catalog.resolve('f')).rejects.toMatchObject({ code: 'function_not_found' });
    expect(retired).toEqual([one, two]);
  });

  test('a name that is not there, and a folder of that name, are not found', async () => {
    mkdirSync(join(folder, 'bucket/folder.cwasm'));
    for (const name of ['missing', 'folder', 'a/b/c']) {
      await expect(catalog.resolve(name)).rejects.toMatchObject({ code: 'function_not_found' });
    }
  });

  /** Long complete, so that nobody waits for the rest of it. */
  function putOld(content: Buffer | string): void {
    put('f', content);
    const past = new Date(Date.now() - 60_000);
    utimesSync(join(folder, 'bucket/f.cwasm'), past, past);
  }

  test.each<[string, () => Buffer | string, string]>([
    ['an empty file', () => '', 'not_an_artifact'],
    ['random bytes', () => Buffer.alloc(5000, 7), 'not_an_artifact'],
    ['a truncated artifact', () => artifact('code').subarray(0, -3), 'not_an_artifact'],
    ['an artifact without its first byte', () => artifact('code').subarray(1), 'not_an_artifact'],
    ['changed code', () => flip(artifact('code'), 0), 'signature'],
    ['a changed manifest', () => replace(artifact('code'), '"name":"f"', '"name":"g"'), 'signature'],
    ['another engine', () => artifact('code', { wasmtime: '48.0.7' }), 'version'],
    ['another architecture', () => artifact('code', { target: 'aarch64-unknown-linux-gnu' }), 'cpu'],
    ['CPU features that this host lacks', () => artifact('code', { cpu: 'x86-64-v3' }), 'cpu'],
    ['compiled without fuel', () => artifact('code', { flags: ['epoch-interruption'] }), 'settings'],
  ])('%s is refused, and the name recovers', async (_what, content, reason) => {
    putOld(content());
    await expect(catalog.resolve('f')).rejects.toMatchObject({ code: 'artifact_refused', reason });
    // Remembered or looked up again, as the watch had it: the same answer.
    await expect((async () => catalog.resolve('f'))()).rejects.toMatchObject({ code: 'artifact_refused', reason });
    put('f', artifact('code'));
    passRevalidation();
    expect((await catalog.resolve('f')).artifact.manifest.name).toBe('f');
  });

  test('an artifact signed by somebody else is refused', async () => {
    key = await openSigningKey(join(folder, 'other-keys'));
    put('f', artifact('code'));
    await expect(catalog.resolve('f')).rejects.toMatchObject({ code: 'artifact_refused', reason: 'signature' });
  });

  test('while a new version is being written the old one serves; a first one is waited for', async () => {
    const path = join(folder, 'bucket/f.cwasm');
    const complete = artifact('a longer piece of code');
    writeFileSync(path, complete.subarray(0, 30));
    const first = Promise.resolve(catalog.resolve('f'));
    writeFileSync(path, complete);
    const { artifact: one } = await first;
    writeFileSync(path, complete.subarray(0, 40));
    passRevalidation();
    expect((await catalog.resolve('f')).artifact).toBe(one);
    writeFileSync(path, artifact('another'));
    passRevalidation();
    expect((await catalog.resolve('f')).artifact).not.toBe(one);
  });

  test('nothing is left of refused files', async () => {
    put('f', artifact('code').subarray(0, -3));
    await expect(catalog.resolve('f')).rejects.toMatchObject({ code: 'artifact_refused' });
    expect(readdirSync(join(folder, 'state/incoming'))).toEqual([]);
    expect(readdirSync(join(folder, 'state/artifacts'))).toEqual([]);
  });

  test('a bucket that fails is not an empty one', async () => {
    const broken = createFolderObjectStore(join(folder, 'bucket'));
    const failing = await open({ ...broken, get: () => Promise.reject(new Error('EIO')) });
    await expect(failing.resolve('f')).rejects.toMatchObject({ code: 'bucket_unavailable' });
    failing.close();
  });

  test('the disk tier keeps its bound and the newest', async () => {
    const small = await open(createFolderObjectStore(join(folder, 'bucket')), 1024 * 1024);
    const paths = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      put(name, artifact(name.repeat(400_000)));
      paths.push((await small.resolve(name)).artifact.path);
    }
    small.close();
    const kept = readdirSync(join(folder, 'state/artifacts'));
    expect(kept).toContain(paths[3]!.split('/').at(-1));
    expect(kept.length).toBeLessThan(4);
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = bytes[at]! ^ 1;
  return bytes;
}

function replace(bytes: Buffer, from: string, to: string): Buffer {
  const at = bytes.indexOf(from);
  bytes.write(to, at, 'latin1');
  return bytes;
}
