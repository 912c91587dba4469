import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { openOperator, type Operator } from '../harness/operator.ts';
import { readResidentBytes } from '../harness/process-tree.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { startCountingProxy, type CountingProxy } from './counting-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const why = missing === undefined ? '' : ` (${missing})`;

const KIB = 1024;
const MIB = 1024 * KIB;
const WARM_UP_NAMES = 1_000;
const HALF_OF_NAMES = 5_000;
const AT_ONCE = 32;
/** What is kept of each URL by whoever keeps a part of it. Below what a request line may have. */
const QUERY = `?${'q'.repeat(12 * KIB)}`;

/**
 * Where memory is plenty V8 collects late: with its own limits the dispatcher comes to rest at 350 MB, most of it garbage, among which what is held by mistake
 * would go unseen. A server with little memory is set up like this, and keeps no more garbage than a few megabytes.
 */
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=2' };

/**
 * What 5,000 more names may add to the dispatcher's resident memory. Of a missing name it keeps the name and a time, some 200 bytes, so 1 MB; the rest is room for a
 * heap that breathes. Were the URL kept, as a part of which the name came, it would be 60 MB; were 50 KB kept of each, 250 MB. The heap would not hold either.
 */
const MAX_GROWTH_BYTES = 16 * MIB;

describe.skipIf(missing !== undefined)(`names that nobody has, over versitygw${why}`, () => {
  let gateway: Gateway;
  let proxy: CountingProxy;
  let home: ReturnType<typeof makeTemporaryFolder>;
  let server: TestServer;
  let operator: Operator;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    const store = await openGatewayStore(gateway.url);
    await store.put('known.cwasm', readFileSync(await buildGuest('probe')));
    await store.close();
    proxy = await startCountingProxy(gateway.url);
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
    const url = `s3://bucket?endpoint=${proxy.url}&region=${GATEWAY_REGION}`;
    server = await startServer(
      url,
      {
        // Room for a hundred functions: a place shared with what is missing would have pushed the known one out a hundred times.
        ...{ 'max-functions': 100, 'max-functions-bytes': '1m', 'missing-ms': '1h', 'revalidate-ms': '1h' },
        // On a machine that is busy with other tests as well, the gateway may take its time.
        'bucket-wait-ms': '2m',
        'admin-listen': '127.0.0.1:0',
      },
      home.path,
      { env: SMALL_HEAP },
    );
    operator = await openOperator(server);
  });
  afterAll(async () => {
    agent.destroy();
    await server?.stop();
    await proxy?.close();
    await gateway?.remove();
    home?.remove();
  });

  /** Calls functions that are not there, each name once, many at a time. */
  const callUnknown = async (prefix: string, names: number): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < names) {
        // Longer than the 12 characters up to which V8 makes a part of a text a text of its own.
        const answer = await server.invoke(`not/in/this/bucket/${prefix}-${next++}.cwasm${QUERY}`, { agent });
        const { code } = problemOf(answer);
        if (code === 'function_not_found') continue;
        await server.log.invocation(answer.requestId);
        const failed = server.log.lines.filter((line) => line['err'] !== undefined).slice(0, 3);
        throw new Error(`${answer.status} ${code}; in the log first: ${JSON.stringify(failed)}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  };
  const callKnown = async (): Promise<Answer> => {
    const answer = await server.invoke('known.cwasm');
    expect(answer).toMatchObject({ status: 200, text: 'probe\n' });
    return answer;
  };
  /** What is kept of functions; sandboxes come and go beside it. */
  const filesOfState = (): string[] =>
    ['artifacts', 'incoming', 'names'].flatMap((name) => readdirSync(join(server.stateFolder, name)));

  test('10,000 of them leave the function that is known in memory, and take none themselves', async () => {
    await callKnown();
    expect((await callKnown()).headers['server-timing']).toContain(';desc=ram');
    await callUnknown('warm-up', WARM_UP_NAMES);
    const files = filesOfState();
    const metricLines = (await operator.get('/metrics')).text.split('\n').length;
    proxy.takeRequests();

    await callUnknown('first', HALF_OF_NAMES);
    const firstBytes = readResidentBytes(server.pid);
    await callUnknown('second', HALF_OF_NAMES);
    const growthBytes = readResidentBytes(server.pid) - firstBytes;
    expect(growthBytes).toBeLessThan(MAX_GROWTH_BYTES);

    // All of them were asked for; what is known was not.
    const requests = proxy.takeRequests();
    expect(requests.length).toBeGreaterThanOrEqual(2 * HALF_OF_NAMES);
    expect(requests.filter((request) => request.includes('/known.'))).toEqual([]);
    expect((await callKnown()).headers['server-timing']).toContain(';desc=ram');
    expect(proxy.takeRequests()).toEqual([]);

    // Nobody else has kept them either: no file, no label of a metric, no row of the account.
    expect(filesOfState()).toEqual(files);
    expect((await operator.get('/metrics')).text.split('\n')).toHaveLength(metricLines);
    const { usage } = JSON.parse((await operator.get('/usage')).text) as { usage: { functionName: string }[] };
    expect([...new Set(usage.map(({ functionName }) => functionName))].toSorted()).toEqual(['', 'known']);
  }, 300_000);
});
