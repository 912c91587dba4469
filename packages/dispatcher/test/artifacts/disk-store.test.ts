import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import type { ObjectBody } from '@playa/common/object-store';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import { openDiskStore, type DiskStore, type StoredArtifact } from '../../src/artifacts/disk-store.ts';
import type { IncomingObject } from '../../src/artifacts/incoming-object.ts';
import type { AcceptTrailer } from '../../src/artifacts/verify-file.ts';
import { makeArtifact } from './make-artifact.ts';

const MIB = 1024 * 1024;
let folder: string;
let key: SigningKey;
let store: DiskStore;
let aheadMs: number;
const accept: AcceptTrailer = async (trailer) =>
  verifyTrailer(trailer, await loadTrust(join(folder, 'keys')), Date.now());

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playa-disk-'));
  key = await openSigningKey(join(folder, 'keys'));
  aheadMs = 0;
  store = await open();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

function open(maxBytes = 1000 * MIB): Promise<DiskStore> {
  return openDiskStore({
    directory: join(folder, 'state'),
    maxBytes,
    maxArtifactBytes: 24 * MIB,
    nowMs: () => Date.now() + aheadMs,
  });
}

/** A body that counts what is read of it. */
function incoming(content: Buffer, chunkBytes = 64 * 1024): IncomingObject & { readBytes: () => number } {
  let read = 0;
  const chunks = (async function* () {
    for (let at = 0; at < content.length; at += chunkBytes) {
      const chunk = content.subarray(at, at + chunkBytes);
      read += chunk.length;
      yield chunk;
    }
  })();
  const body = Object.assign(chunks, { destroy: () => void chunks.return(undefined) }) as ObjectBody;
  return {
    bytes: content.length,
    body,
    readTail: (bytes) => Promise.resolve(content.subarray(content.length - bytes)),
    readBytes: () => read,
  };
}

const kept = (): string[] => readdirSync(join(folder, 'state/artifacts'));
const left = (): string[] => readdirSync(join(folder, 'state/incoming'));
const make = (seed: string, bytes: number): Buffer =>
  makeArtifact(Buffer.from(seed.repeat(Math.ceil(bytes / seed.length))), key);
/** Longer than what an end may have. */
const large = (seed: string): Buffer => make(seed, MIB);
/** Its end is read before the rest. */
const long = (seed: string): Buffer => make(seed, 17 * MIB);
const admit = (content: Buffer): Promise<StoredArtifact> => store.admit(incoming(content), accept);

test('what is admitted is on the disk as it was, and is taken from there by another process', async () => {
  for (const content of [makeArtifact('small', key), large('large')]) {
    const { path, blob } = await admit(content);
    expect(readFileSync(path).equals(content)).toBe(true);
    const other = await open();
    expect((await other.open(blob, accept))?.path).toBe(path);
    other.close();
  }
  expect(left()).toEqual([]);
});

describe('what is refused leaves nothing, and of what is long little is read', () => {
  test.each<[string, () => Buffer]>([
    ['junk', () => Buffer.alloc(20 * MIB, 'junk')],
    ['a truncated artifact', () => long('truncated').subarray(0, -1)],
    ['the signature of somebody else', () => flip(long('forged'), -30)],
    ['more than the server takes', () => Buffer.alloc(25 * MIB)],
  ])('%s', async (_what, content) => {
    const object = incoming(content());
    await expect(store.admit(object, accept)).rejects.toMatchObject({ name: 'ArtifactError' });
    expect(object.readBytes()).toBeLessThan(128 * 1024);
    expect([...kept(), ...left()]).toEqual([]);
  });

  test.each<[string, () => Buffer]>([
    ['junk', () => Buffer.alloc(4 * MIB, 'junk')],
    ['nothing', () => Buffer.alloc(0)],
    ['a few bytes', () => Buffer.from('junk')],
    ['a truncated artifact', () => large('truncated').subarray(0, -1)],
    ['the signature of somebody else', () => flip(large('forged'), -30)],
    ['code that was changed', () => flip(large('changed'), 1000)],
  ])('short: %s', async (_what, content) => {
    await expect(admit(content())).rejects.toMatchObject({ name: 'ArtifactError' });
    expect([...kept(), ...left()]).toEqual([]);
  });
});

test('changed code is refused also where the right one is on the disk', async () => {
  const content = large('twice');
  const { path } = await admit(content);
  await expect(admit(flip(Buffer.from(content), 5))).rejects.toMatchObject({ reason: 'signature' });
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('changed code, with the trailer of the right one, is refused and leaves nothing', async () => {
  await expect(admit(flip(large('changed'), 5))).rejects.toMatchObject({ reason: 'signature' });
  expect([...kept(), ...left()]).toEqual([]);
});

test('an object whose end is of another version is read again by the caller', async () => {
  const object = incoming(long('one'));
  const other = long('two');
  const mixed = { ...object, readTail: (bytes: number) => Promise.resolve(other.subarray(other.length - bytes)) };
  await expect(store.admit(mixed, accept)).rejects.toMatchObject({ name: 'ObjectChangedError' });
  const gone = { ...incoming(long('one')), readTail: () => Promise.resolve(undefined) };
  await expect(store.admit(gone, accept)).rejects.toMatchObject({ name: 'ObjectChangedError' });
  expect([...kept(), ...left()]).toEqual([]);
});

describe('zstd', () => {
  test('is told by its first bytes', async () => {
    const content = large('compressed');
    const compressed = zstdCompressSync(content);
    expect(compressed.length).toBeLessThan(content.length / 10);
    expect(readFileSync((await admit(compressed)).path).equals(content)).toBe(true);
  });

  test.each<[string, () => Buffer, RegExp]>([
    ['truncated', () => zstdCompressSync(large('t')).subarray(0, -20), /zstd data is damaged or incomplete/],
    ['damaged', () => flip(zstdCompressSync(randomArtifact()), 50_000), /./],
    [
      'of terabytes',
      () => zstdCompressSync(Buffer.alloc(64 * MIB)),
      /67108864 bytes, this server takes at most 25165824/,
    ],
    [
      'of terabytes that it keeps to itself',
      () => compressSilently(Buffer.alloc(64 * MIB)),
      /more than 25165824 bytes/,
    ],
    ['of junk', () => zstdCompressSync(Buffer.from('junk')), /not an artifact/],
  ])('%s, is refused and leaves nothing', async (_what, compressed, message) => {
    await expect(admit(compressed())).rejects.toThrow(message);
    expect([...kept(), ...left()]).toEqual([]);
  });
});

describe('what lies in the folder', () => {
  test.each<[string, (path: string) => void]>([
    ['truncated', (path) => truncateSync(path, 100)],
    ['emptied', (path) => truncateSync(path, 0)],
    ['changed', (path) => writeFileSync(path, flip(readFileSync(path), 9))],
    ['another file', (path) => writeFileSync(path, makeArtifact('another', key))],
    ['a folder', (path) => (rmSync(path), mkdirSync(join(path, 'x'), { recursive: true }))],
    ['a link', (path) => (rmSync(path), symlinkSync('/etc/hostname', path))],
  ])('%s: is removed, and healed by the next admission', async (_what, damage) => {
    const content = large('damaged');
    const { path, blob } = await admit(content);
    rmSync(path);
    writeFileSync(path, content, { mode: 0o644 });
    damage(path);
    const restarted = await open();
    expect(await restarted.open(blob, accept)).toBeUndefined();
    await restarted.admit(incoming(content), accept);
    expect(readFileSync(path).equals(content)).toBe(true);
    restarted.close();
  });

  test('foreign files are neither counted, nor taken, nor removed', async () => {
    writeFileSync(join(folder, 'state/artifacts/notes.txt'), Buffer.alloc(3 * MIB));
    const small = await open(3 * MIB);
    await small.admit(incoming(large('a')), accept);
    await small.admit(incoming(large('b')), accept);
    expect(kept()).toHaveLength(3);
    expect(await small.open('notes.txt', accept)).toBeUndefined();
    expect(await small.open('../../../etc/hostname', accept)).toBeUndefined();
    small.close();
  });

  test('what a process left that was killed while it wrote goes after a while', async () => {
    const stale = join(folder, 'state/incoming/1-dead');
    writeFileSync(stale, 'half');
    writeFileSync(`${stale}-just-now`, 'half');
    utimesSync(stale, 1, 1);
    (await open()).close();
    expect(left()).toEqual(['1-dead-just-now']);
  });
});

test('what was used longest ago is evicted, also where another process has put it there', async () => {
  const [first, second] = [await open(3.6 * MIB), await open(3.6 * MIB)];
  const a = await first.admit(incoming(large('a')), accept);
  utimesSync(a.path, 1000, 1000);
  const b = await second.admit(incoming(large('b')), accept);
  utimesSync(b.path, 2000, 2000);
  first.used(a.path, 0);
  // What others have put there is counted now and then.
  aheadMs = 61_000;
  await first.admit(incoming(large('c')), accept);
  await first.admit(incoming(large('d')), accept);
  expect(await first.open(b.blob, accept)).toBeUndefined();
  expect(await second.open(b.blob, accept)).toBeUndefined();
  expect(await second.open(a.blob, accept)).toBeDefined();
  first.close();
  second.close();
});

test('of what is told of at the same moment that goes first which was used longest ago', async () => {
  const disk = await open(3.6 * MIB);
  const [a, b] = [await disk.admit(incoming(large('a')), accept), await disk.admit(incoming(large('b')), accept)];
  disk.used(a.path, 4000);
  disk.used(b.path, 5000);
  // That it was used before does not make it older.
  disk.used(a.path, 6000);
  await disk.admit(incoming(large('c')), accept);
  await disk.admit(incoming(large('d')), accept);
  expect(await disk.open(b.blob, accept)).toBeUndefined();
  expect(await disk.open(a.blob, accept)).toBeDefined();
  disk.close();
});

test('two processes that admit the same at once both have it', async () => {
  const stores = await Promise.all([open(), open(), open()]);
  const content = large('same');
  const all = await Promise.all(
    stores.flatMap((each) => [each, each]).map((each) => each.admit(incoming(content), accept)),
  );
  expect(new Set(all.map(({ path }) => path)).size).toBe(1);
  expect(kept()).toHaveLength(1);
  expect(left()).toEqual([]);
  for (const each of stores) each.close();
});

describe('a disk that does not take it', () => {
  const script = join(import.meta.dirname, 'admit-in-mount.ts');
  /** In a mount namespace of its own, with a file system of 4 MiB over the state folder. */
  function inSmallMount(mode: 'full' | 'read-only'): { status: number | null; output: string } {
    const state = join(folder, 'small');
    mkdirSync(state);
    writeFileSync(join(folder, 'artifact'), makeArtifact(randomArtifact(3 * MIB), key));
    writeFileSync(join(folder, 'small-artifact'), makeArtifact('small', key));
    const node = [process.execPath, script, folder, state, mode].map((word) => `'${word}'`).join(' ');
    const command = `mount -t tmpfs -o size=4m none '${state}' && ${node}`;
    const { status, stdout, stderr } = spawnSync('unshare', ['-rm', 'sh', '-c', command], { encoding: 'utf8' });
    return { status, output: `${stdout}${stderr}` };
  }

  test.each(['full', 'read-only'] as const)('%s: is a clear failure, and what is there stays', (mode) => {
    const { status, output } = inSmallMount(mode);
    expect(output).toContain('first: kept');
    expect(output).toMatch(mode === 'full' ? /second: DiskError .*ENOSPC/ : /second: DiskError .*EROFS/);
    expect(output).toContain('first again: kept');
    if (mode === 'full') expect(output).toContain('small one: kept\nleft: 0');
    expect(status).toBe(0);
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = bytes[index]! ^ 1;
  return bytes;
}

/** Without the length of the content in the header, as what is compressed while it comes. */
function compressSilently(content: Buffer): Buffer {
  return zstdCompressSync(content, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } });
}

/** Nothing that could be compressed. */
function randomArtifact(bytes = MIB): Buffer {
  const blocks = Array.from({ length: bytes / 32 }, (_, index) => createHash('sha256').update(String(index)).digest());
  return Buffer.concat(blocks);
}
