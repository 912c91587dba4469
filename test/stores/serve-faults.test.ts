import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ObjectStore } from '@playa/common/object-store';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type ProblemBody } from '../harness/http-client.ts';
import { openOperator } from '../harness/operator.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { startFaultProxy, type Fault, type FaultProxy } from './fault-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const KIB = 1024;
const failing: Fault = { kind: 'answer', status: 500, body: '<Error><Code>InternalError</Code></Error>' };

describe.skipIf(missing !== undefined)(`served in spite of${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  let store: ObjectStore;
  let oldVersion: Buffer;
  let newVersion: Buffer;
  let proxy: FaultProxy;
  /** Each server has one of its own: what is left of it is found by that. */
  let homes: ReturnType<typeof makeTemporaryFolder>[] = [];
  let servers: TestServer[] = [];

  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    store = await openGatewayStore(gateway.url);
    oldVersion = readFileSync(await buildGuest('probe'));
    newVersion = readFileSync(await buildGuest('probe-0-3'));
    await store.put('known.cwasm', oldVersion);
    await store.put('new.cwasm', newVersion);
  });
  afterAll(async () => {
    await store?.close();
    await gateway?.remove();
  });
  beforeEach(async () => {
    proxy = await startFaultProxy(gateway.port);
  });
  afterEach(async () => {
    proxy.reset();
    for (const server of servers) await server.stop();
    servers = [];
    await proxy.close();
    for (const { remove } of homes) remove();
    homes = [];
  });

  /** A home of a server, with the gateway's keys where users keep them. @returns its path */
  const makeHome = (profile = keysProfile()): string => {
    const home = makeTemporaryFolder('home');
    homes.push(home);
    mkdirSync(join(home.path, '.aws'));
    writeFileSync(join(home.path, '.aws/config'), `[default]\n${profile}`);
    return home.path;
  };
  const serve = async (
    options: ServerOptions = {},
    { settings = `&region=${GATEWAY_REGION}`, home = makeHome() } = {},
  ): Promise<TestServer> => {
    const url = `s3://bucket?endpoint=${proxy.url}${settings}`;
    const flags = { 'revalidate-ms': 100, 'missing-ms': 100, compiler: 'none', ...options };
    const server = await startServer(url, flags, home);
    servers.push(server);
    return server;
  };
  const textOf = async (server: TestServer, name: string): Promise<string> => (await server.invoke(name)).text;
  const refusalOf = async (server: TestServer, name: string): Promise<ProblemBody> =>
    problemOf(await server.invoke(name));
  /** Waits until a function answers so; every answer before is one of those that are allowed meanwhile. */
  const becomes = (server: TestServer, name: string, text: string): Promise<true> =>
    waitUntil(
      `${name} answers ${JSON.stringify(text)}`,
      async () => (await textOf(server, name)) === text || undefined,
    );
  const blobs = (server: TestServer): string[] => readdirSync(join(server.stateFolder, 'artifacts'));

  describe('requests that the bucket does not want', () => {
    test('another region: the bucket says which is right, and is asked so from then on', async () => {
      const body = '<Error><Code>AuthorizationHeaderMalformed</Code><Region>test-region-1</Region></Error>';
      proxy.always({ kind: 'answer', status: 400, body });
      const server = await serve({}, { settings: '&region=elsewhere-9' });
      await waitUntil('it was told', () => proxy.seen.length > 0 || undefined);
      proxy.reset();
      expect(await textOf(server, 'known')).toBe('probe\n');
      const regions = proxy.seen.map(({ headers }) => headers.authorization?.split('/')[2]);
      expect(regions.length).toBeGreaterThan(0);
      expect(new Set(regions)).toEqual(new Set([GATEWAY_REGION]));
    });

    test('a region that stays wrong is in the log, and known by its code', async () => {
      const body = '<Error><Code>AuthorizationHeaderMalformed</Code><Region>nowhere-1</Region></Error>';
      proxy.always({ kind: 'answer', status: 400, body });
      const server = await serve({}, { settings: '&region=elsewhere-9' });
      const answer = await server.invoke('known');
      expect(problemOf(answer).code).toBe('bucket_unavailable');
      expect(JSON.stringify((await server.log.invocation(answer.requestId))['err'])).toContain('region');
    });

    test('a token that has expired: others are fetched, and nobody notices', async () => {
      const home = makeHome('credential_process = ./credentials\n');
      writeProgram(join(home, 'credentials'), 'echo once >> fetched');
      proxy.aimAt(/known\.cwasm/);
      proxy.next({ kind: 'answer', status: 400, body: '<Error><Code>ExpiredToken</Code></Error>' });
      const server = await serve({}, { home });
      expect(await textOf(server, 'known')).toBe('probe\n');
      expect(readFileSync(join(home, 'fetched'), 'utf8')).toBe('once\nonce\n');
    });

    test('a source of credentials that fails: said at the start and for each function, and mended without a restart', async () => {
      const home = makeHome('credential_process = ./credentials\n');
      const server = await serve({}, { home });
      await server.log.waitFor('the warning', ({ msg }) => msg === 'the bucket cannot be read');
      expect((await refusalOf(server, 'known')).code).toBe('bucket_unavailable');
      writeProgram(join(home, 'credentials'));
      await becomes(server, 'known', 'probe\n');
      expect(JSON.stringify(server.log.lines)).not.toContain(GATEWAY_KEYS.secretAccessKey);
    });

    test('denied where it may be missing: an error, unless the operator says that it is missing', async () => {
      const denied: Fault = { kind: 'answer', status: 403, body: '<Error><Code>AccessDenied</Code></Error>' };
      proxy.aimAt(/nothing|toml/);
      proxy.always(denied);
      const strict = await serve();
      const refused = await strict.invoke('nothing');
      expect(problemOf(refused)).toMatchObject({ status: 502, code: 'bucket_unavailable', reason: 'access_denied' });
      expect(JSON.stringify((await strict.log.invocation(refused.requestId))['err'])).toContain('s3:ListBucket');
      const lenient = await serve({}, { settings: `&region=${GATEWAY_REGION}&denied=missing` });
      expect((await refusalOf(lenient, 'nothing')).code).toBe('function_not_found');
      expect(await textOf(lenient, 'known')).toBe('probe\n');
    });

    test.each([301, 307])('sent elsewhere by a %d', async (status) => {
      proxy.aimAt(/known\.cwasm/);
      const location = `${gateway.url}/bucket/known.cwasm`;
      proxy.next({
        kind: 'answer',
        status,
        headers: { location },
        body: '<Error><Code>TemporaryRedirect</Code></Error>',
      });
      expect(await textOf(await serve(), 'known')).toBe('probe\n');
    });
  });

  describe('answers that are none', () => {
    test('500s: what is known goes on, what is not is told so, and it recovers', async () => {
      const server = await serve({ 'bucket-wait-ms': '2s' });
      expect(await textOf(server, 'known')).toBe('probe\n');
      proxy.always(failing);
      for (let round = 0; round < 10; round++) {
        expect(await textOf(server, 'known')).toBe('probe\n');
        expect(await refusalOf(server, 'new')).toMatchObject({ status: 502, code: 'bucket_unavailable' });
      }
      proxy.reset();
      await becomes(server, 'new', 'probe 0.3\n');
    });

    test.each<[string, Fault]>([
      ['a length that is too long', { kind: 'amend', headers: { 'content-length': '999999999', connection: 'close' } }],
      ['a length that is too short', { kind: 'amend', headers: { 'content-length': '300000', connection: 'close' } }],
      ['no length', { kind: 'amend', headers: { 'content-length': undefined } }],
      ['no etag', { kind: 'amend', headers: { etag: undefined } }],
      ['a body that ends early', { kind: 'body', bytes: 300 * KIB, afterwards: 'close' }],
      ['a body that becomes another', { kind: 'body', bytes: 300 * KIB, afterwards: 'garbage' }],
      ['a byte of the code that is another', { kind: 'flip', at: 100 * KIB }],
      ['a byte of the trailer that is another', { kind: 'flip', at: -300 }],
    ])(
      '%s: once it does no harm; always it is a clear code, nothing is kept, and it is mended',
      async (what, fault) => {
        proxy.aimAt(/new\.cwasm/);
        proxy.next(fault);
        const first = await serve({ 'bucket-wait-ms': '20s' });
        // An answer that makes no sense as such is told at once, and the next request asks again.
        if (what.startsWith('no ')) expect((await refusalOf(first, 'new')).code).toBe('bucket_unavailable');
        expect(await textOf(first, 'new')).toBe('probe 0.3\n');

        proxy.always(fault);
        const second = await serve({ 'admin-listen': '127.0.0.1:0', 'bucket-wait-ms': '5s' });
        const refused = await refusalOf(second, 'new');
        expect(['bucket_unavailable', 'artifact_refused']).toContain(refused.code);
        expect(refused.detail).not.toContain(second.stateFolder);
        expect(blobs(second)).toEqual([]);
        expect(readdirSync(join(second.stateFolder, 'incoming'))).toEqual([]);
        proxy.reset();
        // What was refused is not read again as long as the bucket says that it is the same: a word from the operator makes it.
        await (await openOperator(second)).post('/invalidate', '{"function":"new"}');
        await becomes(second, 'new', 'probe 0.3\n');
      },
    );

    test('an object that is replaced again and again while it is read: always one version, whole', async () => {
      await store.put('changing.cwasm', oldVersion);
      const server = await serve({ 'admin-listen': '127.0.0.1:0', 'bucket-wait-ms': '20s' });
      const operator = await openOperator(server);
      let over = false;
      const replace = async (): Promise<void> => {
        for (let round = 0; round < 40; round++) {
          await store.put('changing.cwasm', round % 2 === 0 ? newVersion : oldVersion);
          await operator.post('/invalidate', '{"function":"changing"}');
        }
        over = true;
      };
      const seen = new Set<string>();
      const call = async (): Promise<void> => {
        while (!over) {
          const answer = await server.invoke('changing');
          expect(answer.status, answer.text).toBe(200);
          seen.add(answer.text);
        }
      };
      await Promise.all([replace(), call(), call(), call()]);
      expect(seen).toEqual(new Set(['probe\n', 'probe 0.3\n']));
      await becomes(server, 'changing', 'probe\n');
    });
  });

  test('a cache folder with damaged and with foreign files: what is damaged is read again, the rest is left alone', async () => {
    const home = makeHome();
    const options = { 'revalidate-ms': '1h' };
    const first = await serve(options, { home });
    expect([await textOf(first, 'known'), await textOf(first, 'new')]).toEqual(['probe\n', 'probe 0.3\n']);
    await first.stop();
    servers = [];
    const artifacts = join(first.stateFolder, 'artifacts');
    const names = join(first.stateFolder, 'names');
    const [one, two] = blobs(first);
    truncateSync(join(artifacts, one!), 1000);
    // Of another function, under a name that is not its own.
    const changed = readFileSync(join(artifacts, two!));
    changed[5000] = changed[5000]! ^ 1;
    rmSync(join(artifacts, two!));
    writeFileSync(join(artifacts, two!), changed);
    const [record] = readdirSync(names);
    writeFileSync(join(names, record!), '{"object":');
    for (const folder of [artifacts, names, join(first.stateFolder, 'incoming')]) {
      writeFileSync(join(folder, 'notes.txt'), 'mine');
      mkdirSync(join(folder, 'a folder'));
    }
    const second = await serve(options, { home });
    expect([await textOf(second, 'known'), await textOf(second, 'new')]).toEqual(['probe\n', 'probe 0.3\n']);
    expect(blobs(second).toSorted()).toEqual([one, two, 'a folder', 'notes.txt'].toSorted());
    for (const folder of [artifacts, names]) expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });
});

function keysProfile(): string {
  return `aws_access_key_id = ${GATEWAY_KEYS.accessKeyId}\naws_secret_access_key = ${GATEWAY_KEYS.secretAccessKey}\n`;
}

/** A program that gives out the gateway's keys, as `credential_process` wants them. */
function writeProgram(path: string, before = 'true'): void {
  const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
  const keys = { Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey };
  writeFileSync(path, `#!/bin/sh\n${before}\necho '${JSON.stringify(keys)}'\n`);
  chmodSync(path, 0o755);
}
