import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { versionKey } from '@playa/common/function-pointer';
import type { ObjectStore } from '@playa/common/object-store';
import { compilePrebuilt, forge } from '../harness/forged-artifacts.ts';
import { runPlaya, type PlayaRun } from '../harness/run-playa.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer } from '../harness/test-server.ts';
import { keysOf } from './faulty-gateway.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const KEPT_PREFIX = '.playa/artifacts/';

describe.each(['folder', 'versitygw'] as const)('playa prune over a bucket: %s', (kind) => {
  const skip = kind === 'versitygw' ? missing : undefined;
  describe.skipIf(skip !== undefined)(`versions and artifacts${skip === undefined ? '' : ` (${skip})`}`, () => {
    let gateway: Gateway | undefined;
    let store: ObjectStore;
    let folder: ReturnType<typeof makeTemporaryFolder>;
    /** Where the objects are files, and how `--bucket` names them. */
    let files: string;
    let bucket: string;

    beforeAll(async () => {
      folder = makeTemporaryFolder('prune');
      if (kind === 'folder') {
        files = bucket = join(folder.path, 'bucket');
        mkdirSync(files);
        store = createFolderObjectStore(files);
      } else {
        gateway = await startGateway(['bucket']);
        store = await openGatewayStore(gateway.url);
        files = join(gateway.folder, 'bucket');
        bucket = `s3://bucket?endpoint=${gateway.url}&region=${GATEWAY_REGION}`;
        const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
        mkdirSync(join(folder.path, '.aws'));
        const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
        writeFileSync(join(folder.path, '.aws/credentials'), `[default]\n${keys}`);
      }
      const elf = await compilePrebuilt('probe');
      for (let version = 1; version <= 5; version++) {
        writeFileSync(join(folder.path, `${version}.cwasm`), await forge(elf, { name: `version-${version}` }));
      }
    });
    afterAll(async () => {
      await store?.close();
      await gateway?.remove();
      folder?.remove();
    });

    const playa = (...args: string[]): Promise<PlayaRun> =>
      runPlaya([...args, '--bucket', bucket], { HOME: folder.path });
    /** Deploys versions, one after the other. @returns their digests in the order of their numbers */
    const deploy = async (name: string, ...versions: number[]): Promise<string[]> => {
      const digests: string[] = [];
      for (const version of versions) {
        const run = await playa('deploy', join(folder.path, `${version}.cwasm`), '--name', name, '--json');
        expect(run).toMatchObject({ code: 0 });
        digests.push(run.json['version'] as string);
      }
      return digests;
    };
    const kept = async (): Promise<string[]> =>
      (await keysOf(store, KEPT_PREFIX)).map((key) => key.slice(KEPT_PREFIX.length, -'.cwasm'.length)).toSorted();
    const versionsOf = async (name: string): Promise<string[]> =>
      ((await playa('list', name, '--json')).json['versions'] as { sha256: string }[]).map(({ sha256 }) => sha256);

    test('earlier versions end, what others refer to stays, and what is present goes on serving', async () => {
      const [one, two, three, four] = await deploy('f', 1, 2, 3, 4);
      const [five] = await deploy('other', 5, 1);
      const all = [one, two, three, four, five].toSorted();
      const server = await startServer(bucket, { 'revalidate-ms': 100 }, kind === 'folder' ? undefined : folder.path);
      try {
        expect((await server.invoke('f')).text).toBe('probe\n');

        const rehearsal = await playa('prune', 'f', '--keep', '1', '--dry-run', '--json');
        const ends = [two, one].map((sha256) => ({ name: 'f', sha256 }));
        // The first is the other's as well.
        expect(rehearsal).toMatchObject({ code: 0, json: { dryRun: true, versions: ends, artifacts: [two] } });
        expect(await kept()).toEqual(all);
        expect(await versionsOf('f')).toEqual([four, three, two, one]);

        const pruned = await playa('prune', 'f', '--keep', '1', '--json');
        expect(pruned).toMatchObject({ code: 0, json: { dryRun: false, versions: ends, artifacts: [two] } });
        expect(pruned.json['bytes']).toBe(rehearsal.json['bytes']);
        expect(await kept()).toEqual(all.filter((digest) => digest !== two));
        expect(await versionsOf('f')).toEqual([four, three]);
        expect(await versionsOf('other')).toEqual([one, five]);
        expect(await keysOf(store, '.playa/pruning/')).toEqual([]);

        expect(await playa('rollback', 'f', '--to', two!.slice(0, 12))).toMatchObject({ code: 3 });
        expect(await playa('rollback', 'f')).toMatchObject({ code: 0 });
        expect(await playa('prune', 'f', '--keep', '0')).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(
            new RegExp(`^f ${four!.slice(0, 12)} ends\n1 artifacts of \\d+ bytes removed\n$`),
          ),
        });
        expect(await versionsOf('f')).toEqual([three]);
        expect((await server.invoke('f')).text).toBe('probe\n');
        // What was pruned is deployed again like any other.
        expect(await deploy('f', 2)).toEqual([two]);
        expect((await playa('verify', 'f')).code).toBe(0);
      } finally {
        await server.stop();
      }
    });

    test('all functions at once; removed ones can be brought back until they are forgotten', async () => {
      const before = await kept();
      const [, present] = await deploy('gone/a', 3, 4);
      await deploy('gone/b', 4, 5);
      expect(await playa('remove', 'gone/a')).toMatchObject({ code: 0 });
      expect(await playa('prune', '--keep', '0')).toMatchObject({ code: 0 });
      expect(await versionsOf('gone/a')).toEqual([present]);
      expect(await versionsOf('gone/b')).toHaveLength(1);
      for (const name of ['f', 'other', 'gone/b']) expect((await playa('verify', name)).code).toBe(0);
      expect(await playa('rollback', 'gone/a')).toMatchObject({ code: 0 });
      expect((await playa('verify', 'gone/a')).code).toBe(0);

      expect(await playa('remove', 'gone/a')).toMatchObject({ code: 0 });
      expect(await playa('prune', '--keep', '0', '--forget-removed')).toMatchObject({ code: 0 });
      expect(await playa('rollback', 'gone/a')).toMatchObject({ code: 3 });
      expect(await keysOf(store, '.playa/removed/')).toEqual([]);
      expect(await kept()).not.toContain(present);
      expect(before.length).toBeGreaterThan(0);
    });

    test('what nobody has named goes when it is old, not while it may be on its way to becoming a version', async () => {
      const digest = 'a'.repeat(64);
      await store.put(versionKey(digest), Buffer.from('uploaded, and then the machine stopped'));
      expect(await playa('prune', '--keep', '100')).toMatchObject({ code: 0 });
      expect(await kept()).toContain(digest);
      utimesSync(join(files, versionKey(digest)), new Date(), new Date(Date.now() - 2 * 60 * 60_000));
      expect((await playa('prune', '--keep', '100', '--json')).json['artifacts']).toEqual([digest]);
      expect(await kept()).not.toContain(digest);
    });

    test('where one function cannot be read, no artifact is removed', async () => {
      await deploy('broken', 1, 2);
      const before = await kept();
      await store.put('damaged.cwasm', Buffer.from('{"playa":"function","format":2}'));
      for (const args of [
        ['--keep', '0'],
        ['broken', '--keep', '0'],
      ]) {
        const run = await playa('prune', ...args);
        expect([run.code, run.stderr]).not.toEqual([0, '']);
        expect(await kept()).toEqual(before);
      }
      await store.delete('damaged.cwasm');
    });
  });
});
