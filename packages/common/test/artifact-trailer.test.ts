import { createHash, generateKeyPairSync } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArtifactError } from '../src/artifact-error.ts';
import type { ArtifactManifest } from '../src/artifact-manifest.ts';
import { encodeTrailer, readTrailer, signArtifact, verifyManifest } from '../src/artifact-trailer.ts';
import type { SigningKey, TrustedKeys } from '../src/key-store.ts';
import { keyId } from '../src/public-key.ts';

const ELF = Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(5_000, 7)]);
const UNSIGNED: Omit<ArtifactManifest, 'format' | 'key'> = {
  name: 'hello',
  kind: 'component',
  source: { kind: 'typescript', sha256: 'a'.repeat(64) },
  elf: { sha256: createHash('sha256').update(ELF).digest('hex'), bytes: ELF.length },
  engine: {
    wasmtime: '48.0.8',
    target: 'x86_64-unknown-linux-gnu',
    cpu: 'baseline',
    flags: ['fuel', 'epoch-interruption'],
  },
  world: 'http-0.2',
  builtAt: '2026-11-21T13:00:00.000Z',
  builder: 'build-cwasm 0.1.0',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'artifact-trailer-'));
});
afterAll(() => rm(folder, { recursive: true }));

function makeKey(): SigningKey {
  const pair = generateKeyPairSync('ed25519');
  return { ...pair, id: keyId(pair.publicKey) };
}

function trusting(...keys: SigningKey[]): TrustedKeys {
  return new Map(keys.map(({ id, publicKey }) => [id, { id, name: 'test', publicKey }]));
}

async function fileOf(name: string, ...parts: Uint8Array[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Buffer.concat(parts));
  return path;
}

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ArtifactError)) throw new Error('expected an ArtifactError', { cause: error });
  return error.reason;
}

function reasonOfCall(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof ArtifactError) return error.reason;
    throw error;
  }
  throw new Error('expected an ArtifactError');
}

function withManifest(change: (manifest: Record<string, unknown>) => unknown): Buffer {
  const manifest = { format: 1, ...UNSIGNED, key: '0'.repeat(16) } as Record<string, unknown>;
  const changed = change(manifest) ?? manifest;
  return encodeTrailer(Buffer.from(JSON.stringify(changed)), Buffer.alloc(64, 1), ELF.length);
}

describe('a signed artifact', () => {
  const key = makeKey();

  test('is read back as it was written, and its signature holds', async () => {
    const policy = { limits: { wallMs: 500 } };
    const path = await fileOf('good', ELF, signArtifact({ ...UNSIGNED, policy }, key));
    const trailer = await readTrailer(path);
    expect(trailer.manifest).toEqual({ format: 1, ...UNSIGNED, key: key.id, policy });
    expect(trailer.elfBytes).toBe(ELF.length);
    const verified = verifyManifest(trailer.manifestBytes, trailer.signature, trusting(makeKey(), key));
    expect(verified.manifest).toEqual(trailer.manifest);
    expect(verified.trustedKey.id).toBe(key.id);
  });

  test('is read through an open handle, which stays open', async () => {
    const handle = await open(await fileOf('handle', ELF, signArtifact(UNSIGNED, key)));
    await readTrailer(handle);
    expect((await readTrailer(handle)).manifest.name).toBe('hello');
    await handle.close();
  });

  test('of 3 GB is read without reading the ELF', async () => {
    const bytes = 3 * 1024 ** 3;
    const path = join(folder, 'large');
    await writeFile(path, '');
    await truncate(path, bytes);
    await appendFile(path, signArtifact({ ...UNSIGNED, elf: { ...UNSIGNED.elf, bytes } }, key));
    const handle = await open(path);
    const read = handle.read.bind(handle);
    let readBytes = 0;
    handle.read = (async (buffer: Uint8Array, offset: number, length: number, position: number) => {
      readBytes += length;
      return read(buffer, offset, length, position);
    }) as typeof handle.read;
    expect((await readTrailer(handle)).elfBytes).toBe(bytes);
    expect(readBytes).toBeLessThan(2_000);
    await handle.close();
  });

  test('with members of a later version is accepted, and they count as signed', async () => {
    const trailer = withManifest((manifest) => ({ ...manifest, added: { later: true } }));
    expect((await readTrailer(await fileOf('extra', ELF, trailer))).manifest.name).toBe('hello');
  });

  test.each([
    ['no trusted key at all', trusting()],
    ['only another key trusted', trusting(makeKey())],
    [
      'another key trusted under its id',
      new Map([[key.id, { id: key.id, name: 'x', publicKey: makeKey().publicKey }]]),
    ],
  ])('is refused with %s', async (_, trusted) => {
    const trailer = await readTrailer(await fileOf('untrusted', ELF, signArtifact(UNSIGNED, key)));
    expect(reasonOfCall(() => verifyManifest(trailer.manifestBytes, trailer.signature, trusted))).toBe('signature');
  });

  test('is refused when one byte of the manifest or of the signature is changed', async () => {
    const trailer = await readTrailer(await fileOf('flip', ELF, signArtifact(UNSIGNED, key)));
    for (const part of ['manifestBytes', 'signature'] as const) {
      const changed = { ...trailer, [part]: Buffer.from(trailer[part]) };
      const at = part === 'signature' ? 10 : trailer.manifestBytes.indexOf('hello');
      changed[part][at]! ^= 1;
      const verify = () => verifyManifest(changed.manifestBytes, changed.signature, trusting(key));
      expect(reasonOfCall(verify)).toBe('signature');
    }
  });

  test('without a signature is refused as unsigned', () => {
    const manifest = Buffer.from(JSON.stringify({ format: 1, ...UNSIGNED, key: key.id }));
    expect(() => verifyManifest(manifest, Buffer.alloc(64), trusting(key))).toThrow('it is not signed');
  });
});

describe('what is no artifact', () => {
  const key = makeKey();
  const whole = Buffer.concat([ELF, signArtifact(UNSIGNED, key)]);
  const forged = Buffer.from(whole);
  forged.writeBigUInt64LE(2n ** 64n - BigInt(ELF.length), forged.length - 24);

  test.each([
    ['an empty file', Buffer.alloc(0)],
    ['ten bytes', Buffer.alloc(10)],
    ['random bytes', createHash('shake256', { outputLength: 9_000 }).update('seed').digest()],
    ['an ELF without trailer', ELF],
    ['a file without its first byte', whole.subarray(1)],
    ['a file without its last byte', whole.subarray(0, -1)],
    ['a file with a byte appended', Buffer.concat([whole, Buffer.alloc(1)])],
    ['only the trailer', whole.subarray(ELF.length)],
    ['a forged length', forged],
  ])('%s is refused', async (_, bytes) => {
    expect(await reasonOf(readTrailer(await fileOf('bad', bytes)))).toBe('not_an_artifact');
  });

  test('every cut of an artifact is refused', async () => {
    for (let length = 0; length < whole.length; length += 37) {
      expect(await reasonOf(readTrailer(await fileOf('cut', whole.subarray(0, length))))).toBe('not_an_artifact');
    }
  });

  test('a folder and a named pipe are refused at once', async () => {
    await mkdir(join(folder, 'folder'));
    expect(await reasonOf(readTrailer(join(folder, 'folder')))).toBe('not_an_artifact');
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(await reasonOf(readTrailer(join(folder, 'pipe')))).toBe('not_an_artifact');
  });

  test('a missing file keeps the error of the file system', async () => {
    await expect(readTrailer(join(folder, 'missing'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a manifest', () => {
  const sha256 = 'b'.repeat(64);
  test.each<[string, (manifest: Record<string, unknown>) => unknown]>([
    ['of format 2', (manifest) => ({ ...manifest, format: 2 })],
    ['that is a list', () => [1]],
    ['that is a text', () => 'manifest'],
    ['of an unknown kind', (manifest) => ({ ...manifest, kind: 'library' })],
    ['whose kind and world disagree', (manifest) => ({ ...manifest, kind: 'module' })],
    ['of an unknown world', (manifest) => ({ ...manifest, world: 'http-0.4' })],
    ['with an upper-case digest', (manifest) => ({ ...manifest, source: { kind: 'wat', sha256: 'B'.repeat(64) } })],
    ['with another length of the ELF than the footer', (manifest) => ({ ...manifest, elf: { sha256, bytes: 1 } })],
    ['with a negative length', (manifest) => ({ ...manifest, elf: { sha256, bytes: -1 } })],
    ['with a line break in its name', (manifest) => ({ ...manifest, name: 'a\nb' })],
    ['with a time that does not exist', (manifest) => ({ ...manifest, builtAt: '2026-13-41T00:00:00Z' })],
    ['with flags that are no list', (manifest) => ({ ...manifest, engine: { ...UNSIGNED.engine, flags: 'fuel' } })],
    ['with an unknown CPU level', (manifest) => ({ ...manifest, engine: { ...UNSIGNED.engine, cpu: 'x86-64-v9' } })],
    ['with a policy that is a list', (manifest) => ({ ...manifest, policy: [] })],
  ])('%s is refused', async (_, change) => {
    expect(await reasonOf(readTrailer(await fileOf('manifest', ELF, withManifest(change))))).toBe('format');
  });

  test.each(['format', 'name', 'kind', 'source', 'elf', 'engine', 'world', 'builtAt', 'builder', 'key'])(
    'without %s is refused',
    async (member) => {
      const trailer = withManifest((manifest) => void delete manifest[member]);
      expect(await reasonOf(readTrailer(await fileOf('member', ELF, trailer)))).toBe('format');
    },
  );

  test.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('that is %s is refused', async (_, bytes) => {
    const trailer = encodeTrailer(bytes, Buffer.alloc(64), ELF.length);
    expect(await reasonOf(readTrailer(await fileOf('json', ELF, trailer)))).toBe('format');
  });

  test('of more than 65,536 bytes is not signed', () => {
    const policy = { text: 'x'.repeat(70_000) };
    expect(reasonOfCall(() => signArtifact({ ...UNSIGNED, policy }, makeKey()))).toBe('format');
  });

  test('that would be refused is not signed', () => {
    expect(reasonOfCall(() => signArtifact({ ...UNSIGNED, name: '' }, makeKey()))).toBe('format');
  });
});
