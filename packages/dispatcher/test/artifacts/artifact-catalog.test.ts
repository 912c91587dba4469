import { loadConfig } from '../../src/config/load-config.ts';
import { createPolicyGranter } from '../../src/policy/policy-granter.ts';
import { NO_SECRETS } from '../../src/policy/secret-store.ts';
import { createHash } from 'node:crypto';
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
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { signArtifact } from '@playa/common/artifact-trailer';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { loadTrustedKeys, openSigningKey, type SigningKey } from '@playa/common/key-store';
import type { ObjectStore } from '@playa/common/object-store';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import { createArtifactCatalog, type ArtifactCatalog } from '../../src/artifacts/artifact-catalog.ts';
import { openDiskStore } from '../../src/artifacts/disk-store.ts';

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

async function open(bucket: ObjectStore, maxBytes = 1e9): Promise<ArtifactCatalog> {
  const disk = await openDiskStore({
    directory: join(folder, 'state'),
    maxBytes,
    trustedKeys: () => loadTrustedKeys(join(folder, 'keys')),
    nowMs: Date.now,
  });
  return createArtifactCatalog({
    bucket,
    disk,
    engine: { wasmtime: '48.0.8', architecture: 'x86_64', cpuFeatures: new Set(['sse4_2']) },
    maxNames: 100,
    grant: createPolicyGranter(loadConfig(['--no-config'], {}), NO_SECRETS),
    onRetired: (version) => retired.push(version),
    nowMs: () => nowMs,
    log: pino({ level: 'silent' }),
  });
}

function artifact(elf: string, engine: object = {}): Buffer {
  const sha256 = createHash('sha256').update(elf).digest('hex');
  const manifest = {
    name: 'f',
    kind: 'component' as const,
    source: { kind: 'wat' as const, sha256 },
    elf: { sha256, bytes: Buffer.byteLength(elf) },
    engine: {
      wasmtime: '48.0.8',
      target: 'x86_64-unknown-linux-gnu',
      cpu: 'baseline' as const,
      flags: ['fuel', 'epoch-interruption'],
      ...engine,
    },
    world: 'http-0.2' as const,
    builtAt: '2026-01-01T00:00:00.000Z',
    builder: 'test',
  };
  return Buffer.concat([Buffer.from(elf), signArtifact(manifest, key)]);
}

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
    expect(new Set(all).size).toBe(1);
    expect(readFileSync(all[0]!.path).subarray(0, 4).toString()).toBe('code');
    expect(await catalog.resolve('acme/f')).toBe(all[0]);
  });

  test('a changed object replaces the version, a removed one ends it', async () => {
    put('f', artifact('one'));
    const one = await catalog.resolve('f');
    put('f', artifact('two'));
    passRevalidation();
    const two = await catalog.resolve('f');
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
    expect((await catalog.resolve('f')).manifest.name).toBe('f');
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
    const one = await first;
    writeFileSync(path, complete.subarray(0, 40));
    passRevalidation();
    expect(await catalog.resolve('f')).toBe(one);
    writeFileSync(path, artifact('another'));
    passRevalidation();
    expect(await catalog.resolve('f')).not.toBe(one);
  });

  test('nothing is left of refused files', async () => {
    put('f', artifact('code').subarray(0, -3));
    await expect(catalog.resolve('f')).rejects.toMatchObject({ code: 'artifact_refused' });
    expect(readdirSync(join(folder, 'state/incoming'))).toEqual([]);
    expect(readdirSync(join(folder, 'state/artifacts'))).toEqual([]);
  });

  test('a bucket that fails is not an empty one', async () => {
    const broken = createFolderObjectStore(join(folder, 'bucket'));
    const failing = await open({ ...broken, head: () => Promise.reject(new Error('EIO')) });
    await expect(failing.resolve('f')).rejects.toMatchObject({ code: 'bucket_unavailable' });
    failing.close();
  });

  test('the disk tier keeps its bound and the newest', async () => {
    const small = await open(createFolderObjectStore(join(folder, 'bucket')), 3000);
    const paths = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      put(name, artifact(name.repeat(500)));
      paths.push((await small.resolve(name)).path);
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
