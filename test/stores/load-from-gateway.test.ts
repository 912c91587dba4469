import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const why = missing === undefined ? '' : ` (${missing})`;

describe.skipIf(missing !== undefined)(`many requests over versitygw${why}`, () => {
  let gateway: Gateway;
  let proxy: FaultProxy;
  let server: TestServer;
  let home: ReturnType<typeof makeTemporaryFolder>;
  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    const store = await openGatewayStore(gateway.url);
    await store.put('f.cwasm', readFileSync(await buildGuest('probe')));
    await store.close();
  });
  afterAll(() => gateway?.remove());
  beforeEach(async () => {
    proxy = await startFaultProxy(gateway.port);
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
  });
  afterEach(async () => {
    await server.stop();
    await proxy.close();
    home.remove();
  });
  const serve = async (options: ServerOptions = {}): Promise<void> => {
    const url = `s3://bucket?endpoint=${proxy.url}&region=${GATEWAY_REGION}`;
    // Whoever is remembered is not asked for again, unless a test wants so.
    server = await startServer(url, { 'revalidate-ms': '1h', 'queue-length': 2000, ...options }, home.path);
  };
  const wholeReads = (): number =>
    proxy.seen.filter(({ method, url, headers }) => {
      return method === 'GET' && url === '/bucket/f.cwasm' && headers.range === undefined;
    }).length;

  test('1,000 first requests of one function at once read its object once', async () => {
    await serve({ 'queue-wait-ms': 60_000, 'wall-ms': 60_000, 'max-in-flight': 2000 });
    const answers = await Promise.all(Array.from({ length: 1000 }, () => server.invoke('f.cwasm')));
    expect(statuses(answers)).toEqual({ 200: 1000 });
    expect(wholeReads()).toBe(1);
  });

  test('a bucket that accepts connections and says nothing: known functions answer, others fail within the limit', async () => {
    await serve({ 'bucket-wait-ms': 500, 'revalidate-ms': 100 });
    expect((await server.invoke('f.cwasm')).status).toBe(200);
    proxy.always({ kind: 'silence' });
    const unknown = server.invoke('other.cwasm');
    for (let round = 0; round < 20; round++) expect((await server.invoke('f.cwasm')).status).toBe(200);
    expect(problemOf(await unknown).code).toBe('bucket_unavailable');
  });
});

function statuses(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
