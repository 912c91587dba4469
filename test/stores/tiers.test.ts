import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '@playa/common/object-store';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { openOperator } from '../harness/operator.ts';
import { PROJECT, wasmtimeFile } from '../harness/project.ts';
import { runPlaya, type PlayaRun } from '../harness/run-playa.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { startCountingProxy, type CountingProxy } from './counting-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();

describe.skipIf(missing !== undefined)(`tiers over versitygw${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  let proxy: CountingProxy;
  let store: ObjectStore;
  let oldVersion: Buffer;
  let newVersion: Buffer;
  let home: ReturnType<typeof makeTemporaryFolder>;
  let servers: TestServer[] = [];

  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    proxy = await startCountingProxy(gateway.url);
    store = await openGatewayStore(gateway.url);
    oldVersion = readFileSync(await buildGuest('probe'));
    newVersion = readFileSync(await buildGuest('probe-0-3'));
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const keys = `aws_access_key_id = ${GATEWAY_KEYS.accessKeyId}\naws_secret_access_key = ${GATEWAY_KEYS.secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
  });
  afterEach(async () => {
    proxy.spoil('none');
    for (const server of servers) await server.dispose();
    servers = [];
  });
  afterAll(async () => {
    await store?.close();
    await proxy?.close();
    await gateway?.remove();
    home?.remove();
  });

  const bucketUrl = (): string => `s3://bucket/f?endpoint=${proxy.url}&region=${GATEWAY_REGION}`;
  const serve = async (options: ServerOptions = {}): Promise<TestServer> => {
    const server = await startServer(bucketUrl(), { 'revalidate-ms': 200, 'missing-ms': 100, ...options }, home.path);
    servers.push(server);
    return server;
  };
  /** A state folder that outlives its server. */
  const state = (name: string): ServerOptions => ({ 'state-dir': join(home.path, name) });
  const put = (key: string, content: Buffer): Promise<unknown> => store.put(`f/${key}`, content);
  const tierOf = async (server: TestServer, name: string): Promise<unknown> => {
    const answer = await server.invoke(name);
    expect(answer.status).toBe(200);
    return (await server.log.invocation(answer.requestId))['tier'];
  };

  test('1,000 first requests at once for a function are one read of it', async () => {
    await put('many.cwasm', oldVersion);
    const server = await serve({
      ...state('many'),
      'queue-length': 2000,
      'queue-wait-ms': '60s',
      'max-in-flight': 5000,
    });
    proxy.takeReads();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => server.invoke('many.cwasm')));
    expect(answers.filter(({ text }) => text !== 'probe\n')).toEqual([]);
    expect(proxy.takeReads()).toEqual(['/bucket/f/many.cwasm']);
  });

  test('the tier that answered is in the log and in server-timing; a server that starts again reads nothing', async () => {
    await put('tiers.cwasm', oldVersion);
    const options = { ...state('tiers'), 'revalidate-ms': '1h' };
    const first = await serve(options);
    expect(await tierOf(first, 'tiers')).toBe('bucket');
    expect(await tierOf(first, 'tiers')).toBe('ram');
    expect((await first.invoke('tiers')).headers['server-timing']).toContain(';desc=ram');
    await first.stop();
    proxy.takeReads();
    const second = await serve(options);
    expect(await tierOf(second, 'tiers')).toBe('disk');
    expect(proxy.takeReads()).toEqual([]);
    await second.stop();
  });

  test('a compressed object serves; a truncated one is refused and mended by the next', async () => {
    const compressed = zstdCompressSync(oldVersion);
    await put('zstd.cwasm', compressed.subarray(0, -100));
    const server = await serve();
    const refused = problemOf(await server.invoke('zstd'));
    expect(refused).toMatchObject({ status: 422, code: 'artifact_refused', reason: 'not_an_artifact' });
    expect(refused.detail).toContain('zstd');
    await put('zstd.cwasm', compressed);
    await waitUntil('it serves', async () => ((await server.invoke('zstd')).text === 'probe\n' ? true : undefined));
  });

  test('a body that breaks off is a failure of the bucket, never a wrong artifact, and leaves nothing', async () => {
    await put('cut.cwasm', oldVersion);
    const server = await serve({ ...state('cut'), 'bucket-wait-ms': '5s' });
    proxy.spoil('cut');
    expect(problemOf(await server.invoke('cut')).code).toBe('bucket_unavailable');
    expect(readdirSync(join(home.path, 'cut/artifacts'))).toEqual([]);
    proxy.spoil('none');
    await waitUntil('it serves', async () => ((await server.invoke('cut')).text === 'probe\n' ? true : undefined));
  });

  test('a body that stops is waited for no longer than allowed', async () => {
    await put('stop.cwasm', oldVersion);
    const server = await serve({ ...state('stop'), 'bucket-wait-ms': '300ms' });
    proxy.spoil('stop');
    const answer = await server.invoke('stop');
    expect(problemOf(answer)).toMatchObject({ status: 502, code: 'bucket_unavailable' });
    expect(answer.headers['retry-after']).toBeDefined();
  });

  test('two servers on one state folder share what one has read, and one goes on when the other ends', async () => {
    await put('shared.cwasm', oldVersion);
    const options = { ...state('shared'), 'revalidate-ms': '1h' };
    const [one, two] = await Promise.all([serve(options), serve(options)]);
    expect(await tierOf(one, 'shared')).toBe('bucket');
    expect(await tierOf(two, 'shared')).toBe('disk');
    const blobs = join(home.path, 'shared/artifacts');
    expect(readdirSync(blobs)).toHaveLength(1);
    await put('other.cwasm', newVersion);
    const names = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'shared' : 'other'));
    const texts = await Promise.all(
      names.map(async (name, index) => (await (index % 3 ? one : two).invoke(name)).text),
    );
    expect(texts).toEqual(names.map((name) => (name === 'shared' ? 'probe\n' : 'probe 0.3\n')));
    expect(readdirSync(blobs)).toHaveLength(2);
    one.signal('SIGTERM');
    expect((await one.ended).code).toBe(0);
    expect((await two.invoke('other')).text).toBe('probe 0.3\n');
  });

  test('killed in the middle of a write, the next server has no half of it and serves', async () => {
    await put('killed.cwasm', oldVersion);
    const options = { ...state('killed'), 'bucket-wait-ms': '300ms' };
    const server = await serve(options);
    proxy.spoil('stop');
    expect((await server.invoke('killed')).status).toBe(502);
    await waitUntil('half of it is on the disk', () =>
      readdirSync(join(home.path, 'killed/incoming')).length > 0 ? true : undefined,
    );
    server.signal('SIGKILL');
    await server.ended;
    proxy.spoil('none');
    const next = await serve({ ...options, 'bucket-wait-ms': '10s' });
    expect((await next.invoke('killed')).text).toBe('probe\n');
    expect(readdirSync(join(home.path, 'killed/artifacts'))).toHaveLength(1);
    await next.stop();
  });

  test('WebAssembly in a remote bucket is compiled once', async () => {
    await put('source.wasm', readFileSync(join(PROJECT.prebuilt, 'probe.wasm')));
    const options = { compiler: wasmtimeFile(), 'bucket-wait-ms': '60s', 'admin-listen': '127.0.0.1:0' };
    const server = await serve({ ...state('source'), ...options });
    proxy.takeReads();
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.invoke('source')));
    expect(answers.filter(({ text }) => text !== 'probe\n')).toEqual([]);
    expect(proxy.takeReads()).toEqual(['/bucket/f/source.wasm']);
    await Promise.all(answers.map(({ requestId }) => server.log.invocation(requestId)));
    const metrics = (await (await openOperator(server)).get('/metrics')).text;
    expect(metrics).toMatch(/^playa_artifact_lookups_total\{tier="compile"\} 20$/m);
  });

  test('deploy, rollback and remove over S3, compressed, seen by a running server', async () => {
    const server = await serve({ ...state('deploy'), compiler: 'none' });
    const playa = (...args: string[]): Promise<PlayaRun> =>
      runPlaya([...args, '--bucket', bucketUrl()], { HOME: home.path });
    const answers = (text: string): Promise<unknown> =>
      waitUntil(text, async () => ((await server.invoke('acme/hello.cwasm')).text === text ? true : undefined));
    const wat = join(PROJECT.prebuilt, 'probe.wasm');
    const deploy = ['deploy', '--name', 'acme/hello', '--url', server.url];
    expect(await playa(...deploy, wat)).toMatchObject({ code: 0 });
    expect((await server.invoke('acme/hello.cwasm')).text).toBe('probe\n');
    expect(await playa(...deploy, await buildGuest('probe-0-3'))).toMatchObject({ code: 0 });
    expect((await server.invoke('acme/hello.cwasm')).text).toBe('probe 0.3\n');
    const kept = [];
    for await (const { key, bytes } of store.list('f/.playa/artifacts/')) kept.push({ key, bytes });
    expect(kept).toHaveLength(2);
    expect(Math.max(...kept.map(({ bytes }) => bytes))).toBeLessThan(oldVersion.length / 2);
    proxy.takeReads();
    expect(await playa('rollback', 'acme/hello')).toMatchObject({ code: 0 });
    await answers('probe\n');
    // What it had before is on its disk: nothing but the pointer is read.
    expect(proxy.takeReads().filter((path) => path.includes('/.playa/artifacts/'))).toEqual([]);
    expect(await playa('remove', 'acme/hello')).toMatchObject({ code: 0 });
    await waitUntil('it is gone', async () =>
      (await server.invoke('acme/hello.cwasm')).status === 404 ? true : undefined,
    );
    expect((await playa('list')).stdout).not.toContain('acme/hello');
    expect(await playa('rollback', 'acme/hello')).toMatchObject({ code: 0 });
    await answers('probe\n');
  });
});
