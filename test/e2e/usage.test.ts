import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { openOperator, type Operator } from '../harness/operator.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const folder = makeTemporaryFolder('usage');
let bucket: TestBucket;
let server: TestServer;
let operator: Operator;

async function start(): Promise<void> {
  server = await startServer(bucket.path, { 'admin-listen': '127.0.0.1:0' }, folder.path);
  operator = await openOperator(server);
}

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe') });
  await start();
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
  folder.remove();
});

test('calls are counted by function and outcome, and survive a restart', async () => {
  await server.invoke('probe');
  await server.invoke('probe/trap');
  const last = await server.invoke('probe');
  await server.log.invocation(last.requestId);
  type Row = { functionName: string; outcome: string; calls: number; fuel: number };
  const read = async (): Promise<Row[]> =>
    (JSON.parse((await operator.get('/usage?function=probe')).text) as { usage: Row[] }).usage;
  const before = await read();
  expect(before).toMatchObject([
    { outcome: 'ok', calls: 2, fuel: 2 * Number(last.headers['x-playa-fuel']) },
    { outcome: 'trap', calls: 1 },
  ]);
  await server.stop();
  await start();
  expect(await read()).toEqual(before);
  await server.log.invocation((await server.invoke('probe')).requestId);
  expect((await read())[0]).toMatchObject({ outcome: 'ok', calls: 3 });
  expect((await operator.get('/usage.csv')).text).toMatch(/^day,functionName,outcome,calls,.*\r\n.*,probe,ok,3,/);
});

test('metrics count by outcome and tier, and name no function', async () => {
  const count = async (line: string): Promise<number> => {
    const { text } = await operator.get('/metrics');
    expect(text).not.toContain('probe');
    return Number(
      text
        .split('\n')
        .find((each) => each.startsWith(line))
        ?.slice(line.length),
    );
  };
  const trapped = 'playa_invocations_total{outcome="trap",blame="function"} ';
  const [before, fromMemory] = [await count(trapped), await count('playa_artifact_lookups_total{tier="ram"} ')];
  for (let call = 0; call < 3; call++) {
    await server.log.invocation((await server.invoke('probe/trap')).requestId);
  }
  expect(await count(trapped)).toBe(before + 3);
  expect(await count('playa_artifact_lookups_total{tier="ram"} ')).toBeGreaterThanOrEqual(fromMemory + 2);
  expect(await count('playa_runners_bound ')).toBeGreaterThanOrEqual(1);
});

test('the listener for operators answers nobody without its token, and takes no unknown question', async () => {
  const { token } = operator;
  for (const wrong of ['', 'Bearer', `Bearer ${token}x`, token, `Basic ${token}`]) {
    expect((await operator.get('/usage', wrong)).status).toBe(401);
  }
  expect((await operator.get('/usage?colour=red')).status).toBe(400);
  expect((await operator.get('/usage?from=yesterday')).status).toBe(400);
  expect((await operator.get('/nothing')).status).toBe(404);
  expect((await operator.post('/invalidate', '{"function":"probe"}')).status).toBe(204);
  expect((await operator.post('/invalidate', '{"colour":"red"}')).status).toBe(400);
  expect((await server.get('/usage')).status).toBe(404);
  expect(statSync(join(server.stateFolder, 'admin-token')).mode & 0o777).toBe(0o600);
  expect(JSON.stringify(server.log.lines)).not.toContain(token);
});
