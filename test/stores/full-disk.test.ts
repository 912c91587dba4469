import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '@playa/common/object-store';
import { verifyFile } from '../../packages/dispatcher/src/artifacts/verify-file.ts';
import { compilePrebuilt, forge } from '../harness/forged-artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { openOperator, type Operator } from '../harness/operator.ts';
import { mountsMissing, seenBy, underMount, type SeenDisk } from '../harness/small-disk.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing() ?? mountsMissing();
const MIB = 1024 * 1024;
/** The runner's binary, with which every state folder begins, and a few artifacts. */
const DISK = '32m';

describe.skipIf(missing !== undefined)(`a full disk${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  let store: ObjectStore;
  let elf: Buffer;
  let artifactBytes: number;
  let home: ReturnType<typeof makeTemporaryFolder>;
  let server: TestServer | undefined;
  let operator: Operator;

  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    store = await openGatewayStore(gateway.url);
    elf = await compilePrebuilt('probe');
    artifactBytes = (await artifactOf('any')).length;
  });
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
    home.remove();
  };
  afterEach(stop);
  afterAll(async () => {
    await store?.close();
    await gateway?.remove();
  });

  /** The same code under manifests of its own: each is a file of its own in the cache. */
  const artifactOf = (name: string): Promise<Buffer> => forge(elf, { name });
  const put = async (...names: string[]): Promise<void> => {
    for (const name of names) await store.put(`${name}.cwasm`, await artifactOf(name));
  };
  /** A server whose state folder is a small file system of its own. */
  const serve = async (options: ServerOptions = {}, size = DISK): Promise<{ disk: SeenDisk }> => {
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
    const state = join(home.path, 'state');
    // What the folder has under the mount stays empty: nobody is to find anything left there.
    mkdirSync(join(state, 'run'), { recursive: true });
    const url = `s3://bucket?endpoint=${gateway.url}&region=${GATEWAY_REGION}`;
    const flags = { 'state-dir': state, 'revalidate-ms': '1h', 'missing-ms': 100, ...options };
    server = await startServer(url, { ...flags, 'admin-listen': '127.0.0.1:0' }, home.path, {
      command: underMount(state, 'small', size),
    });
    const disk = seenBy(server.pid, state);
    operator = await openOperator(server, join(disk.path, 'admin-token'));
    return { disk };
  };
  const expectAnswer = async (name: string): Promise<string> => {
    const answer = await server!.invoke(name);
    expect(answer).toMatchObject({ status: 200, text: 'probe\n' });
    return String((await server!.log.invocation(answer.requestId))['tier']);
  };
  const answers = async (name: string): Promise<true | undefined> =>
    (await server!.invoke(name)).status === 200 || undefined;
  const cached = (disk: SeenDisk): string[] => readdirSync(join(disk.path, 'artifacts'));
  /** Every byte of what is cached is what was signed, and nothing is there that is not whole. @returns names of the cached functions */
  const expectWhole = async (disk: SeenDisk): Promise<string[]> => {
    expect(readdirSync(join(disk.path, 'incoming'))).toEqual([]);
    const names: string[] = [];
    for (const blob of cached(disk)) {
      const { manifest } = await verifyFile(join(disk.path, 'artifacts', blob), async (trailer) => trailer.manifest);
      names.push(manifest.name);
    }
    for (const record of readdirSync(join(disk.path, 'names'))) {
      expect(record).toMatch(/^[0-9a-f]{64}\.json$/);
      expect(JSON.parse(readFileSync(join(disk.path, 'names', record), 'utf8'))).toHaveProperty('blob');
    }
    return names.toSorted();
  };
  /** Waits until no sandbox has anything of the cache mapped. */
  const allIdle = (): Promise<true> =>
    waitUntil('the sandboxes of functions have ended', async () => {
      const { text } = await operator.get('/metrics');
      return /^playa_runners_bound 0$/m.test(text) || undefined;
    });

  test('known functions go on, a new one is told that there is no room, and comes when there is', async () => {
    await put('known', 'other', 'fresh');
    const { disk } = await serve();
    await expectAnswer('known');
    await expectAnswer('other');
    disk.fill(0);
    for (let round = 0; round < 3; round++) {
      const answer = await server!.invoke('fresh');
      expect(problemOf(answer)).toMatchObject({ status: 503, code: 'disk_unavailable' });
      expect(answer.headers['retry-after']).toBeDefined();
      expect(answer.text).not.toContain('ENOSPC');
      expect((await server!.log.invocation(answer.requestId))['err']).toMatchObject({
        stack: expect.stringContaining('ENOSPC'),
      });
      expect(await expectAnswer('known')).toBe('ram');
      expect(await expectAnswer('other')).toBe('ram');
    }
    // Their sandboxes have them mapped: giving their files up would have made no room.
    expect(await expectWhole(disk)).toEqual(['known', 'other']);
    disk.free();
    expect(await expectAnswer('fresh')).toBe('bucket');
    expect(await expectWhole(disk)).toEqual(['fresh', 'known', 'other']);
    // Nor is the account short of what happened while nothing could be written.
    const { usage } = JSON.parse((await operator.get('/usage?function=known')).text) as { usage: { calls: number }[] };
    expect(usage.map(({ calls }) => calls)).toEqual([4]);
  });

  test('what nobody uses makes room for what is called, the longest unused first; it comes back from the bucket', async () => {
    await put('a', 'b', 'c');
    const { disk } = await serve({ 'runner-idle-ms': 100 });
    for (const name of ['a', 'b']) await expectAnswer(name);
    await allIdle();
    disk.fill(0);
    expect(await expectAnswer('c')).toBe('bucket');
    expect(await expectWhole(disk)).toEqual(['b', 'c']);
    await allIdle();
    expect(await expectAnswer('b')).toBe('ram');
    await allIdle();
    expect(await expectAnswer('a')).toBe('bucket');
    expect(await expectWhole(disk)).toEqual(['a', 'b']);
  });

  test('room is made for what a compressed object comes to, whether or not it says how long that is', async () => {
    await put('a', 'b');
    for (const [name, saysLength] of [
      ['says-its-length', 1],
      ['says-nothing', 0],
    ] as const) {
      const params = { [constants.ZSTD_c_contentSizeFlag]: saysLength };
      await store.put(`${name}.cwasm`, zstdCompressSync(await artifactOf(name), { params }));
    }
    const { disk } = await serve({ 'runner-idle-ms': 100 });
    for (const name of ['a', 'b']) await expectAnswer(name);
    await allIdle();
    // As much as the compressed object has, and more.
    disk.fill(artifactBytes >> 1);
    expect(await expectAnswer('says-its-length')).toBe('bucket');
    expect(await expectWhole(disk)).toEqual(['b', 'says-its-length']);
    await allIdle();
    expect(await expectAnswer('says-nothing')).toBe('bucket');
    expect(await expectWhole(disk)).toContain('says-nothing');
  });

  test('one that is longer than all that there is takes nothing from the others', async () => {
    await put('a', 'b');
    await store.put('huge.cwasm', await forge(Buffer.concat([elf, randomBytes(40 * MIB)]), { name: 'huge' }));
    await store.put(
      'huge-compressed.cwasm',
      zstdCompressSync(await forge(Buffer.concat([elf, Buffer.alloc(40 * MIB)]))),
    );
    const { disk } = await serve({ 'runner-idle-ms': 100 });
    for (const name of ['a', 'b']) await expectAnswer(name);
    await allIdle();
    for (const name of ['huge', 'huge-compressed']) {
      expect(problemOf(await server!.invoke(name)).code).toBe('disk_unavailable');
    }
    expect(await expectWhole(disk)).toEqual(['a', 'b']);
    for (const name of ['a', 'b']) expect(await expectAnswer(name)).toBe('ram');
  });

  test('more functions than the disk holds, by its own size and by the bound of the tier, all answer', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `many-${index}`);
    await put(...names);
    for (const options of [{}, { 'cache-max-bytes': '4m' }]) {
      // Few sandboxes, so that most functions are nobody's in between.
      const { disk } = await serve({ 'max-runners': 2, ...options });
      for (const name of [...names, ...names.slice(0, 3)]) expect(await expectAnswer(name)).toBe('bucket');
      const kept = await expectWhole(disk);
      expect(kept.length).toBeGreaterThanOrEqual(3);
      expect(kept.length).toBeLessThan(names.length);
      if ('cache-max-bytes' in options) expect(kept.length * artifactBytes).toBeLessThan(4 * MIB);
      await stop();
    }
  });

  test('without room for another file, known functions go on, others are told so, and all is well when there is', async () => {
    await put('idle', 'other', 'bound', 'fresh');
    // Two sandboxes are for functions: the third to be called takes the place of the first.
    const { disk } = await serve({ 'max-runners': 2 }, `${DISK},nr_inodes=200`);
    for (const name of ['idle', 'other', 'bound']) await expectAnswer(name);
    const files: string[] = [];
    const codes: string[] = [];
    for (const name of ['fresh', 'idle', 'fresh', 'idle', 'fresh', 'idle']) {
      // What sandboxes had that have just ended is taken as well.
      files.push(...fillInodes(disk.path, files.length));
      const answer = await server!.invoke(name);
      expect(await expectAnswer('bound')).toBe('ram');
      if (answer.status === 200) continue;
      codes.push(problemOf(answer).code);
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, expect.any(String)]);
    }
    expect(codes).toContain('disk_unavailable');
    expect(codes.filter((code) => code !== 'disk_unavailable' && code !== 'sandbox_failed')).toEqual([]);
    for (const file of files) rmSync(file);
    for (const name of ['fresh', 'idle', 'bound']) await waitUntil(`${name} answers`, () => answers(name));
    expect(await expectWhole(disk)).toEqual(['bound', 'fresh', 'idle', 'other']);
  });
});

/** Makes empty files until there is no room for another. */
function fillInodes(folder: string, first: number): string[] {
  const files: string[] = [];
  for (;;) {
    const file = join(folder, `inode-${first + files.length}`);
    try {
      writeFileSync(file, '', { flag: 'wx' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
      return files;
    }
    files.push(file);
  }
}
