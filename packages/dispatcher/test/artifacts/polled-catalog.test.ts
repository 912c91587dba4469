import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { encodeJournal, JOURNAL_KEY } from '@playa/common/change-journal';
import { encodePointer, versionKey } from '@playa/common/function-pointer';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import type { ArtifactCatalog } from '../../src/artifacts/artifact-catalog.ts';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import { makeArtifact } from './make-artifact.ts';
import { openTestArtifacts } from './open-test-artifacts.ts';
import { makePolled, type PolledBucket } from './polled-bucket.ts';

let folder: string;
let key: SigningKey;
let bucket: PolledBucket;
let catalog: ArtifactCatalog;
let retired: Artifact[];
let nowMs: number;

const REVALIDATE_MS = 5_000;
const FLAGS = ['--max-stale-ms', '1h', '--bucket-wait-ms', '400'];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playa-polled-'));
  mkdirSync(join(folder, 'bucket'));
  key = await openSigningKey(join(folder, 'keys'));
  bucket = makePolled(createFolderObjectStore(join(folder, 'bucket')));
  retired = [];
  nowMs = 1e9;
  catalog = await open();
});

afterEach(() => {
  bucket.set('up');
  catalog.close();
  rmSync(folder, { recursive: true });
});

/** The tiers of a server that starts now. */
const open = (flags: string[] = [], revalidateMs = REVALIDATE_MS): Promise<ArtifactCatalog> =>
  openTestArtifacts(folder, bucket, {
    flags: [...FLAGS, '--revalidate-ms', String(revalidateMs), ...flags],
    nowMs: () => nowMs,
    onRetired: (one) => retired.push(one),
  });

function put(object: string, content: Buffer | string): void {
  const path = join(folder, 'bucket', object);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

const code = async (name: string): Promise<string> => {
  const { artifact } = await catalog.resolve(name);
  return readFileSync(artifact.path).subarray(0, artifact.manifest.elf.bytes).toString();
};
const asked = (name: string): Promise<unknown> => (async () => catalog.resolve(name))();
/** Lets a check in the background come to its end. */
async function settle(name: string): Promise<void> {
  await expect.poll(async () => (await catalog.resolve(name)).stale).toBe(false);
}

test('1,000 requests at once for a function are one read', async () => {
  put('f.cwasm', makeArtifact(Buffer.alloc(2_000_000, 'x'), key));
  const all = await Promise.all(Array.from({ length: 1000 }, () => catalog.resolve('f')));
  expect(new Set(all.map(({ artifact }) => artifact)).size).toBe(1);
  expect(bucket.takeReads().toSorted()).toEqual(['f.cwasm', 'f.toml']);
  expect(all[0]!.tier).toBe('bucket');
  expect(catalog.resolve('f')).toMatchObject({ tier: 'ram', stale: false });
  expect(bucket.takeReads()).toEqual([]);
});

test('what is due is checked behind the requests; what was not asked for in long is checked before', async () => {
  put('f.cwasm', makeArtifact('one', key));
  expect(await code('f')).toBe('one');
  put('f.cwasm', makeArtifact('two', key));
  nowMs += 1.2 * REVALIDATE_MS;
  expect(catalog.resolve('f')).toMatchObject({ stale: true });
  await settle('f');
  expect(await code('f')).toBe('two');
  expect(retired).toHaveLength(1);
  put('f.cwasm', makeArtifact('three', key));
  nowMs += 10 * REVALIDATE_MS;
  expect(await code('f')).toBe('three');
  bucket.takeReads();
  nowMs += 10 * REVALIDATE_MS;
  expect(await code('f')).toBe('three');
  expect(bucket.takeReads().toSorted()).toEqual(['f.cwasm', 'f.toml']);
  expect(retired).toHaveLength(2);
});

test('a word from outside is heeded at once', async () => {
  put('f.cwasm', makeArtifact('one', key));
  await expect(asked('g')).rejects.toMatchObject({ code: 'function_not_found' });
  expect(await code('f')).toBe('one');
  put('f.cwasm', makeArtifact('two', key));
  put('g.cwasm', makeArtifact('new', key));
  expect(await code('f')).toBe('one');
  await expect(asked('g')).rejects.toMatchObject({ code: 'function_not_found' });
  catalog.invalidate('f');
  expect(await code('f')).toBe('two');
  catalog.invalidate();
  expect(await code('g')).toBe('new');
});

test('a policy that changes makes a new version of the same code', async () => {
  put('f.cwasm', makeArtifact('code', key));
  put('f.toml', '[env]\nWHO = "one"\n');
  const { artifact: one } = await catalog.resolve('f');
  expect(one.policy.env).toEqual([['WHO', 'one']]);
  put('f.toml', '[env]\nWHO = "two"\n');
  nowMs += 10 * REVALIDATE_MS;
  const { artifact: two } = await catalog.resolve('f');
  expect(two.policy.env).toEqual([['WHO', 'two']]);
  expect(two.path).toBe(one.path);
  expect(retired).toEqual([one]);
  rmSync(join(folder, 'bucket/f.toml'));
  nowMs += 10 * REVALIDATE_MS;
  expect((await catalog.resolve('f')).artifact.policy.env).toEqual([]);
});

describe('a bucket that does not answer', () => {
  test.each(['down', 'silent'] as const)(
    '%s: what is known serves, the rest fails in time, and it recovers',
    async (how) => {
      put('f.cwasm', makeArtifact('known', key));
      expect(await code('f')).toBe('known');
      bucket.set(how);
      for (let hour = 0; hour < 5; hour++) {
        nowMs += 10 * 60_000;
        expect(await catalog.resolve('f')).toMatchObject({ stale: true });
        await expect(asked('unknown')).rejects.toMatchObject({
          code: 'bucket_unavailable',
          retryAfterS: expect.any(Number),
        });
      }
      put('f.cwasm', makeArtifact('newer', key));
      put('unknown.cwasm', makeArtifact('there', key));
      bucket.set('up');
      nowMs += REVALIDATE_MS;
      await expect.poll(() => code('f')).toBe('newer');
      await expect.poll(() => code('unknown')).toBe('there');
    },
  );

  test('longer than what is known may serve', async () => {
    put('f.cwasm', makeArtifact('known', key));
    expect(await code('f')).toBe('known');
    bucket.set('down');
    nowMs += 2 * 3_600_000;
    await expect(asked('f')).rejects.toMatchObject({ code: 'bucket_unavailable' });
  });

  test('a server that starts then has what is on the disk, with its policy', async () => {
    put('f.cwasm', makeArtifact('known', key));
    put('f.toml', '[env]\nWHO = "me"\n');
    expect(await code('f')).toBe('known');
    catalog.close();
    bucket.set('down');
    catalog = await open();
    // Long not asked for, so that the bucket is asked first.
    nowMs += 10 * REVALIDATE_MS;
    const { artifact } = await catalog.resolve('f');
    expect(artifact.policy.env).toEqual([['WHO', 'me']]);
    expect(await code('f')).toBe('known');
  });
});

test('a server that starts again does not read what it has', async () => {
  put('f.cwasm', makeArtifact('known', key));
  await code('f');
  catalog.close();
  bucket.takeReads();
  catalog = await open();
  expect(await catalog.resolve('f')).toMatchObject({ tier: 'disk', stale: false });
  expect(bucket.takeReads()).toEqual([]);
});

test('10,000 names that are not there neither evict what is known nor are asked for twice', async () => {
  catalog.close();
  catalog = await open(['--max-functions', '10', '--max-functions-bytes', '1m']);
  put('f.cwasm', makeArtifact('known', key));
  const { artifact } = await catalog.resolve('f');
  for (let at = 0; at < 10_000; at += 100) {
    const names = Array.from({ length: 100 }, (_, index) => `random-${at + index}`);
    const answers = await Promise.allSettled(names.map(asked));
    expect(answers.every(({ status }) => status === 'rejected')).toBe(true);
  }
  expect(catalog.resolve('f')).toMatchObject({ artifact, tier: 'ram' });
  bucket.takeReads();
  await expect(asked('random-9999')).rejects.toMatchObject({ code: 'function_not_found' });
  expect(bucket.takeReads()).toEqual([]);
  expect(retired).toEqual([]);
});

test('a version that is pushed out of memory ends, and is on the disk', async () => {
  catalog.close();
  catalog = await open(['--max-functions', '2']);
  for (const name of ['a', 'b', 'c']) {
    put(`${name}.cwasm`, makeArtifact(name, key));
    await catalog.resolve(name);
  }
  expect(retired.map(({ name }) => name)).toEqual(['a']);
  bucket.takeReads();
  expect(await catalog.resolve('a')).toMatchObject({ tier: 'disk' });
  expect(bucket.takeReads()).toEqual([]);
});

test('what was damaged on the way is refused only where it is so again and again, and not for ever', async () => {
  const content = makeArtifact(Buffer.alloc(1_000_000, 'code'), key);
  put('f.cwasm', content);
  const get = bucket.get.bind(bucket);
  let damaged = 1;
  bucket.get = async (name, options) => {
    const object = await get(name, options);
    if (name !== 'f.cwasm' || typeof object !== 'object' || options?.range !== undefined || damaged-- <= 0)
      return object;
    object.body.destroy();
    return { ...object, body: Readable.from([Buffer.concat([content.subarray(1), Buffer.alloc(1)])]) };
  };
  expect(await code('f')).toHaveLength(1_000_000);

  catalog.close();
  rmSync(join(folder, 'state'), { recursive: true });
  catalog = await open();
  damaged = 100;
  await expect(asked('f')).rejects.toMatchObject({ code: 'artifact_refused' });
  damaged = 0;
  nowMs += 10 * REVALIDATE_MS;
  // The bucket says that it is the same.
  await expect(asked('f')).rejects.toMatchObject({ code: 'artifact_refused' });
  nowMs += 60_000;
  expect(await code('f')).toHaveLength(1_000_000);
});

describe('pointers', () => {
  const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
  function point(name: string, sha256: string): void {
    put(`${name}.cwasm`, encodePointer({ format: 1, present: { sha256, deployedAt: 'now' }, previous: [] }));
  }

  test('lead to an artifact, which is read once however many names and times', async () => {
    const [one, two] = [makeArtifact('one', key), makeArtifact('two', key)];
    for (const each of [one, two]) put(versionKey(digest(each)), zstdCompressSync(each));
    point('f', digest(one));
    expect(await code('f')).toBe('one');
    point('f', digest(two));
    catalog.invalidate('f');
    expect(await code('f')).toBe('two');
    bucket.takeReads();
    point('f', digest(one));
    point('g', digest(one));
    catalog.invalidate('f');
    expect(await catalog.resolve('f')).toMatchObject({ tier: 'disk' });
    expect(await code('f')).toBe('one');
    expect(await code('g')).toBe('one');
    expect(bucket.takeReads().toSorted()).toEqual(['f.cwasm', 'f.toml', 'g.cwasm', 'g.toml']);
  });

  test('to what is gone: read again, as the pointer may have moved on; what was known serves until they lead somewhere', async () => {
    const [one, two] = [makeArtifact('one', key), makeArtifact('two', key)];
    put(versionKey(digest(one)), one);
    point('f', digest(one));
    expect(await code('f')).toBe('one');
    point('f', digest(two));
    catalog.invalidate('f');
    expect(await catalog.resolve('f')).toMatchObject({ stale: true });
    expect(await code('f')).toBe('one');
    // It is put back: a bucket that failed is asked again after a moment.
    put(versionKey(digest(two)), two);
    nowMs += REVALIDATE_MS * 10;
    expect(await code('f')).toBe('two');

    // Removed between the two reads, and named no more.
    const three = makeArtifact('three', key);
    put(versionKey(digest(three)), three);
    point(
      'g',
      digest(one).replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    );
    const get = bucket.get.bind(bucket);
    let reads = 0;
    bucket.get = async (name, options) => {
      if (name.startsWith('.playa/') && ++reads === 1) point('g', digest(three));
      return get(name, options);
    };
    expect(await code('g')).toBe('three');
  });

  test.each<[string, () => void, RegExp]>([
    ['to nothing', () => point('f', '0'.repeat(64)), /does not have/],
    ['that are damaged', () => put('f.cwasm', '{"playa":"function","format":1'), /begins like a pointer/],
    ['of another format', () => put('f.cwasm', '{"playa":"function","format":2}'), /format 2/],
    ['that are some other JSON', () => put('f.cwasm', '{}'), /some JSON/],
  ])('%s are refused', async (_what, make, message) => {
    make();
    await expect(asked('f')).rejects.toMatchObject({
      code: 'artifact_refused',
      message: expect.stringMatching(message),
    });
  });
});

describe('a server that follows the journal', () => {
  const note = (serial: number, ...names: string[]): void =>
    put(JOURNAL_KEY, encodeJournal({ format: 1, serial, names }));
  /** Lets it look at the journal, and no longer: its timer runs by the machine's clock. */
  const looked = (): Promise<void> => expect.poll(() => bucket.takeReads().includes(JOURNAL_KEY)).toBe(true);
  const follow = async (): Promise<void> => {
    catalog.close();
    bucket.takeReads();
    catalog = await open(['--bucket-changes', 'journal'], 100);
    await looked();
    await looked();
  };

  test('asks for nothing but the journal, and for what it names', async () => {
    note(7, 'other');
    await follow();
    put('f.cwasm', makeArtifact('one', key));
    put('g.cwasm', makeArtifact('g', key));
    expect([await code('f'), await code('g')]).toEqual(['one', 'g']);
    bucket.takeReads();
    nowMs += 60_000;
    expect([await code('f'), await code('g')]).toEqual(['one', 'g']);
    expect(bucket.takeReads().filter((read) => read !== JOURNAL_KEY)).toEqual([]);
    put('f.cwasm', makeArtifact('two', key));
    note(8, 'f', 'other');
    await expect.poll(() => code('f')).toBe('two');
    expect(bucket.takeReads().filter((read) => read.startsWith('g'))).toEqual([]);
  });

  test('asks for everything where it cannot tell, and one by one without a journal', async () => {
    await follow();
    put('f.cwasm', makeArtifact('one', key));
    expect(await code('f')).toBe('one');
    put('f.cwasm', makeArtifact('two', key));
    nowMs += 10_000;
    expect(await code('f')).toBe('two');
    note(1, 'x');
    await looked();
    await looked();
    catalog.invalidate();
    expect(await code('f')).toBe('two');
    put('f.cwasm', makeArtifact('three', key));
    note(1000, 'x', 'y');
    await expect.poll(() => code('f')).toBe('three');
  });
});
