import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '@playa/common/object-store';
import { buildGuest } from '../harness/artifacts.ts';
import { openOperator } from '../harness/operator.ts';
import { runPlaya, type PlayaRun } from '../harness/run-playa.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { startCountingProxy, type CountingProxy } from './counting-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const why = missing === undefined ? '' : ` (${missing})`;

const JOURNAL = 'GET /bucket/live/.playa/changes.json';
const NAMES = ['one', 'two', 'three', 'four', 'five'];

describe.skipIf(missing !== undefined)(`changes seen without asking for each function, over versitygw${why}`, () => {
  let gateway: Gateway;
  let store: ObjectStore;
  /** Before the server alone: commands and the test itself go to the gateway, and are not counted. */
  let proxy: CountingProxy;
  let home: ReturnType<typeof makeTemporaryFolder>;
  let server: TestServer;
  let oldVersion: string;
  let newVersion: string;

  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    store = await openGatewayStore(gateway.url);
    proxy = await startCountingProxy(gateway.url);
    [oldVersion, newVersion] = (await Promise.all(['probe', 'probe-0-3'].map(buildGuest))) as [string, string];
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
  });
  afterEach(() => server.stop());
  afterAll(async () => {
    await store?.close();
    await proxy?.close();
    await gateway?.remove();
    home?.remove();
  });

  const bucket = (endpoint: string): string => `s3://bucket/live?endpoint=${endpoint}&region=${GATEWAY_REGION}`;
  const playa = async (...args: string[]): Promise<PlayaRun> => {
    const run = await runPlaya([...args, '--bucket', bucket(gateway.url)], { HOME: home.path });
    expect(run).toMatchObject({ code: 0 });
    return run;
  };
  const serve = async (state: string, options: ServerOptions): Promise<void> => {
    const flags = { compiler: 'none', 'state-dir': join(home.path, state), ...options };
    server = await startServer(bucket(proxy.url), flags, home.path);
  };
  const textOf = async (name: string): Promise<string> => (await server.invoke(name)).text;
  const textsOf = (names: readonly string[]): Promise<string[]> => Promise.all(names.map(textOf));
  /** So many looks at the journal that began from now on, each asked for while all functions are called. */
  const looks = async (count: number): Promise<string[]> => {
    const seen: string[] = [];
    await waitUntil('the server looks at the journal', async () => {
      await textsOf(NAMES);
      seen.push(...proxy.takeRequests());
      return seen.filter((request) => request === JOURNAL).length >= count || undefined;
    });
    return seen;
  };
  const about = (requests: readonly string[], name: string): string[] =>
    requests.filter((request) => request.includes(`/${name}.`));

  test('the journal: one small object is looked at, and nothing else is asked for that has not changed', async () => {
    for (const name of NAMES) await playa('deploy', oldVersion, '--name', name);
    await serve('journal', { 'bucket-changes': 'journal', 'revalidate-ms': 100 });
    await waitUntil('the first look', () => proxy.takeRequests().includes(JOURNAL) || undefined);
    expect(await textsOf(NAMES)).toEqual(NAMES.map(() => 'probe\n'));
    // What was asked for before the first look was over is asked for once more.
    await looks(2);
    // All are called all the time, long after each would have been asked for otherwise.
    expect(new Set(await looks(5))).toEqual(new Set([JOURNAL]));

    await playa('deploy', newVersion, '--name', 'three');
    proxy.takeRequests();
    const seen: string[] = [];
    await waitUntil('the new version', async () => {
      seen.push(...proxy.takeRequests());
      return (await textOf('three')) === 'probe 0.3\n' || undefined;
    });
    seen.push(...proxy.takeRequests());
    // Its pointer and its policy; what the pointer names is on the disk or read once.
    expect(about(seen, 'three').toSorted()).toEqual(['GET /bucket/live/three.cwasm', 'GET /bucket/live/three.toml']);
    for (const name of NAMES.filter((each) => each !== 'three')) expect(about(seen, name)).toEqual([]);
    expect(seen.filter((request) => request.includes('/.playa/artifacts/'))).toHaveLength(1);

    await playa('rollback', 'three');
    await playa('remove', 'five');
    await waitUntil('both', async () => {
      const [three, five] = [await textOf('three'), await server.invoke('five')];
      return (three === 'probe\n' && five.status === 404) || undefined;
    });
    for (const name of ['one', 'two', 'four']) expect(about(proxy.takeRequests(), name)).toEqual([]);
  });

  test('POST /invalidate: one function, or all, are asked for on their next request, and nobody before', async () => {
    const put = (name: string, file: string): Promise<unknown> => store.put(`live/${name}.cwasm`, readFileSync(file));
    for (const name of NAMES) await put(name, oldVersion);
    await store.delete('live/absent.cwasm');
    await serve('invalidate', { 'revalidate-ms': '1h', 'missing-ms': '1h', 'admin-listen': '127.0.0.1:0' });
    const operator = await openOperator(server);
    const invalidate = async (body: object): Promise<void> => {
      expect((await operator.post('/invalidate', JSON.stringify(body))).status).toBe(204);
    };
    expect(await textsOf(NAMES)).toEqual(NAMES.map(() => 'probe\n'));
    expect((await server.invoke('absent')).status).toBe(404);
    proxy.takeRequests();

    await put('two', newVersion);
    await put('absent', newVersion);
    expect(await textsOf(NAMES)).toEqual(NAMES.map(() => 'probe\n'));
    expect((await server.invoke('absent')).status).toBe(404);
    expect(proxy.takeRequests()).toEqual([]);

    await invalidate({ function: 'two' });
    expect(proxy.takeRequests()).toEqual([]);
    expect(await textOf('two')).toBe('probe 0.3\n');
    await textsOf(NAMES);
    const requests = proxy.takeRequests();
    // Whole where it is small; the end of it comes first where it is not.
    expect(new Set(requests)).toEqual(new Set(['GET /bucket/live/two.cwasm', 'GET /bucket/live/two.toml']));
    expect(requests.length).toBeLessThanOrEqual(3);

    await invalidate({ function: 'absent' });
    expect(await textOf('absent')).toBe('probe 0.3\n');
    proxy.takeRequests();

    await put('four', newVersion);
    await store.delete('live/five.cwasm');
    await invalidate({});
    const [one, two, three, four] = await textsOf(NAMES);
    expect([one, two, three, four]).toEqual(['probe\n', 'probe 0.3\n', 'probe\n', 'probe 0.3\n']);
    expect((await server.invoke('five')).status).toBe(404);
    // What is as it was is not read again: the bucket says so, and no body comes.
    expect(proxy.takeReads().filter((path) => path.endsWith('.cwasm'))).toEqual(
      expect.arrayContaining(['/bucket/live/four.cwasm']),
    );
    const all = proxy.takeRequests();
    for (const name of ['one', 'two', 'three']) expect(about(all, name)).toHaveLength(2);
    await textsOf(NAMES.slice(0, 4));
    expect(proxy.takeRequests()).toEqual([]);
  });
});
