import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyId } from '@playa/common/public-key';
import { buildGuest } from '../harness/artifacts.ts';
import {
  compilePrebuilt,
  compileWat,
  forge,
  forgeWat,
  MODULE,
  type ManifestLies,
} from '../harness/forged-artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { PROJECT } from '../harness/project.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

let bucket: TestBucket;
let server: TestServer;
let good: Buffer;
let elf: Buffer;

beforeAll(async () => {
  good = readFileSync(await buildGuest('probe'));
  elf = await compileWat('silent');
  bucket = makeBucket({ good });
  server = await startServer(bucket.path);
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

/** Puts a file into the bucket, expects its refusal with the reason, in the answer and the log, twice, and that others are served. */
async function expectRefusal(content: Buffer, reason: string): Promise<string> {
  bucket.put('bad', content);
  let detail = '';
  for (let attempt = 0; attempt < 2; attempt++) {
    const answer = await server.invoke('bad');
    const problem = problemOf(answer);
    expect(problem).toMatchObject({ status: 422, code: 'artifact_refused', reason });
    // Neither a path of the server nor a stack.
    expect(answer.text).not.toMatch(/\/(in|runner|tmp|root|home|var)\/|\n\s+at /);
    expect(await server.log.invocation(answer.requestId)).toMatchObject({ outcome: 'artifact_refused', reason });
    expect((await server.invoke('good')).status).toBe(200);
    detail = problem.detail;
  }
  return detail;
}

/** Replaces bytes by others of the same length; throws where they do not stand exactly once. */
function patch(content: Buffer, from: string, to: string): Buffer {
  const at = content.indexOf(from, 0, 'latin1');
  if (at < 0 || content.indexOf(from, at + 1, 'latin1') >= 0 || from.length !== to.length)
    throw new Error(`cannot patch ${from}`);
  const patched = Buffer.from(content);
  patched.write(to, at, 'latin1');
  return patched;
}

describe('what is no artifact', () => {
  test('an empty file', async () => {
    expect(await expectRefusal(Buffer.alloc(0), 'not_an_artifact')).toContain('empty');
  });

  test('a few bytes, random bytes, a text', async () => {
    await expectRefusal(Buffer.from('x'), 'not_an_artifact');
    await expectRefusal(randomBytes(100_000), 'not_an_artifact');
    await expectRefusal(Buffer.from('<!doctype html>'.repeat(100)), 'not_an_artifact');
  });

  test('a component that was not compiled', async () => {
    await expectRefusal(readFileSync(join(PROJECT.prebuilt, 'probe.wasm')), 'not_an_artifact');
  });

  test('native code without a trailer', async () => {
    await expectRefusal(elf, 'not_an_artifact');
  });

  test.each([1, 24, 100, 1000])('an artifact without its last %i bytes', async (missing) => {
    await expectRefusal(good.subarray(0, good.length - missing), 'not_an_artifact');
  });

  test('an artifact without its beginning, and one with something before or behind it', async () => {
    await expectRefusal(good.subarray(1), 'not_an_artifact');
    await expectRefusal(Buffer.concat([Buffer.from('x'), good]), 'not_an_artifact');
    await expectRefusal(Buffer.concat([good, Buffer.from('x')]), 'not_an_artifact');
  });

  test.each([0n, 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 24n])(
    'a footer that says %i bytes of code',
    async (bytes) => {
      const content = Buffer.from(good);
      content.writeBigUInt64LE(bytes, content.length - 24);
      await expectRefusal(content, 'not_an_artifact');
    },
  );

  test.each([0, 1, 65_537, 2 ** 32 - 1])('a footer that says %i bytes of manifest', async (bytes) => {
    const content = Buffer.from(good);
    content.writeUInt32LE(bytes, content.length - 16);
    await expectRefusal(content, 'not_an_artifact');
  });

  test('a named pipe, a device and a text file behind a link', async () => {
    execFileSync('mkfifo', [bucket.file('pipe')]);
    symlinkSync('/dev/zero', bucket.file('device'));
    symlinkSync('/etc/passwd', bucket.file('linked'));
    expect((await server.invoke('pipe')).status).toBe(404);
    expect((await server.invoke('device')).status).toBe(404);
    const linked = await server.invoke('linked');
    expect(problemOf(linked)).toMatchObject({ status: 422, reason: 'not_an_artifact' });
    expect((await server.invoke('good')).status).toBe(200);
  });
});

describe('trailer and signature', () => {
  test('a later format', async () => {
    const content = Buffer.from(good);
    content.writeUInt32LE(2, content.length - 12);
    expect(await expectRefusal(content, 'format')).toContain('2');
  });

  test('no signature', async () => {
    const content = Buffer.from(good);
    content.fill(0, content.length - 88, content.length - 24);
    expect(await expectRefusal(content, 'signature')).toContain('not signed');
  });

  test('a changed signature, a changed manifest, changed code', async () => {
    const signature = Buffer.from(good);
    signature[signature.length - 88]! ^= 1;
    await expectRefusal(signature, 'signature');
    await expectRefusal(patch(good, '"world":"http-0.2"', '"world":"http-0.3"'), 'signature');
    for (const at of [0, 5000, good.length >> 1]) {
      const code = Buffer.from(good);
      code[at]! ^= 0x80;
      await expectRefusal(code, 'signature');
    }
  });

  test('the code of one artifact with the trailer of another', async () => {
    const other = readFileSync(await buildGuest('probe-0-3'));
    const otherTrailer = other.subarray(other.length - trailerBytes(other));
    await expectRefusal(
      Buffer.concat([good.subarray(0, good.length - trailerBytes(good)), otherTrailer]),
      'not_an_artifact',
    );
    // Of the same length, so that only the digest can tell.
    const swapped = Buffer.concat([Buffer.alloc(elf.length, 0x7f), (await forge(elf)).subarray(elf.length)]);
    await expectRefusal(swapped, 'signature');
  });

  test('a key that nobody trusts, and one that calls itself by the name of a trusted one', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const detail = await expectRefusal(
      await forge(elf, {}, { id: keyId(publicKey), privateKey, publicKey }),
      'signature',
    );
    expect(detail).toContain(keyId(publicKey));
    const trusted = /"key":"([0-9a-f]{16})"/.exec(good.toString('latin1'))![1]!;
    await expectRefusal(await forge(elf, {}, { id: trusted, privateKey, publicKey }), 'signature');
  });
});

describe('an honest manifest of what this server cannot run', () => {
  const engine = {
    wasmtime: '48.0.8',
    target: `${arch()}-unknown-linux-gnu`,
    cpu: 'baseline' as const,
    flags: ['fuel', 'epoch-interruption'],
  };

  test.each<[string, string, ManifestLies]>([
    ['another major version', 'version', { engine: { ...engine, wasmtime: '47.0.3' } }],
    ['another patch release', 'version', { engine: { ...engine, wasmtime: '48.0.7' } }],
    ['a release candidate', 'version', { engine: { ...engine, wasmtime: '48.0.8-rc.1' } }],
    ['another processor', 'cpu', { engine: { ...engine, target: 'riscv64gc-unknown-linux-gnu' } }],
    ['no fuel', 'settings', { engine: { ...engine, flags: ['epoch-interruption'] } }],
    ['no epochs', 'settings', { engine: { ...engine, flags: ['fuel'] } }],
  ])('%s', async (_what, reason, lies) => {
    await expectRefusal(await forge(elf, lies), reason);
  });
});

describe('code that is not what its signed manifest says', () => {
  test('of another Wasmtime', async () => {
    await expectRefusal(await forge(patch(elf, '\x0248\x18', '\x0249\x18')), 'version');
  });

  test('for another system', async () => {
    await expectRefusal(await forge(patch(elf, 'unknown-linux-gnu', 'unknown-redox-gnu')), 'cpu');
  });

  test.runIf(process.arch === 'x64')('for a feature that no processor has', async () => {
    await expectRefusal(await forge(patch(elf, '\x0chas_avx512vl\x02\x00', '\x0chas_avx999vl\x02\x01')), 'cpu');
  });

  test('without fuel, without epochs', async () => {
    await expectRefusal(await forge(await compileWat('silent', ['-W', 'epoch-interruption=y'])), 'settings');
    await expectRefusal(await forge(await compileWat('silent', ['-W', 'fuel=1'])), 'settings');
  });

  test('with other settings of memory', async () => {
    const flags = ['-W', 'fuel=1,epoch-interruption=y', '-O', 'memory-reservation=1048576'];
    await expectRefusal(await forge(await compileWat('silent', flags)), 'settings');
  });

  test('damaged', async () => {
    for (const at of [0, 18, 40, 64, 200]) {
      const code = Buffer.from(elf);
      code.fill(0xff, at, at + 8);
      bucket.put('damaged', await forge(code));
      const answer = await server.invoke('damaged');
      // What is damaged may also be what nobody reads: then it is served, and is still no answer.
      expect([422, 502]).toContain(answer.status);
      expect((await server.invoke('good')).status).toBe(200);
    }
  });

  test('a text, signed', async () => {
    await expectRefusal(await forge(Buffer.from('#!/bin/sh\necho hello\n')), 'not_an_artifact');
    const sha256 = createHash('sha256').update('x').digest('hex');
    await expectRefusal(await forge(Buffer.from('x'), { source: { kind: 'wat', sha256 } }), 'not_an_artifact');
  });

  test('a module called a component, and the other way round', async () => {
    await expectRefusal(await forge(await compilePrebuilt('command-module')), 'not_an_artifact');
    await expectRefusal(await forge(await compilePrebuilt('probe'), MODULE), 'not_an_artifact');
  });

  test('a command called a handler is what it is', async () => {
    bucket.put('mislabelled', await forge(await compilePrebuilt('command-component')));
    expect((await server.invoke('mislabelled')).text).toBe('command\n');
  });

  test.each([
    ['other-world', {}],
    ['wrong-handler', {}],
    ['unknown-import', {}],
    ['library-module', MODULE],
    ['foreign-module', MODULE],
    ['wrong-start-module', MODULE],
  ])('%s', async (name, lies) => {
    await expectRefusal(await forgeWat(name, lies), 'world');
  });
});

function arch(): string {
  return process.arch === 'x64' ? 'x86_64' : 'aarch64';
}

function trailerBytes(artifact: Buffer): number {
  return artifact.readUInt32LE(artifact.length - 16) + 88;
}
