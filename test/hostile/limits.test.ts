import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { forgeWat } from '../harness/forged-artifacts.ts';
import { problemOf, type RequestOptions } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';

/** What exceeds a limit: the option that sets it, the request that goes beyond, and what is said of it. */
type Row = {
  options: ServerOptions;
  path: string;
  request?: RequestOptions;
  status: number;
  code: string;
  detail?: RegExp;
};

const GUESTS = ['many-instances', 'many-memories', 'many-tables', 'growing-table', 'huge-table'];
const ENDLESS_FUEL = 1_000_000_000_000_000;

const ROWS: Row[] = [
  { options: { fuel: 500_000_000 }, path: 'probe/loop', status: 504, code: 'fuel_exhausted' },
  { options: { 'cpu-ms': 100, fuel: ENDLESS_FUEL }, path: 'probe/loop', status: 504, code: 'cpu_exceeded' },
  { options: { 'wall-ms': 500 }, path: 'probe/never', status: 504, code: 'wall_exceeded' },
  { options: { 'memory-bytes': '16m' }, path: 'probe/memory', status: 507, code: 'memory_exceeded' },
  { options: { 'memory-bytes': '200m' }, path: 'many-memories', status: 507, code: 'memory_exceeded' },
  {
    options: { 'max-instances': 50 },
    path: 'many-instances',
    status: 507,
    code: 'resource_exceeded',
    detail: /instance/,
  },
  {
    options: { 'max-memories': 3, 'memory-bytes': '1g' },
    path: 'many-memories',
    status: 507,
    code: 'resource_exceeded',
    detail: /memory/,
  },
  { options: { 'max-tables': 30 }, path: 'many-tables', status: 507, code: 'resource_exceeded', detail: /table/ },
  {
    options: { 'max-table-elements': 50_000 },
    path: 'growing-table',
    status: 507,
    code: 'resource_exceeded',
    detail: /elements/,
  },
  {
    options: { 'max-table-elements': 50_000 },
    path: 'huge-table',
    status: 507,
    code: 'resource_exceeded',
    detail: /elements/,
  },
  {
    options: { 'max-resources': 100 },
    path: 'probe/table?count=1000',
    status: 507,
    code: 'resource_exceeded',
    detail: /handle|resource/,
  },
  {
    options: { 'hostcall-bytes': '64k' },
    path: 'probe/headers-flood?bytes=200000&size=100000',
    status: 507,
    code: 'resource_exceeded',
    detail: /hostcalls/,
  },
  {
    options: { 'random-bytes': '1k' },
    path: 'probe/random?bytes=1025',
    status: 507,
    code: 'resource_exceeded',
    detail: /1025/,
  },
  {
    options: { 'max-response-header-bytes': '1k' },
    path: 'probe/headers-flood?bytes=2000&size=100',
    status: 502,
    code: 'header_too_large',
  },
  {
    options: { 'max-response-body-bytes': '10k' },
    path: 'probe/content-length-lie?length=10241&bytes=10241',
    status: 502,
    code: 'response_too_large',
  },
  {
    options: { 'max-request-body-bytes': '1k' },
    path: 'probe/echo',
    request: { method: 'POST', body: Buffer.alloc(1025) },
    status: 413,
    code: 'body_too_large',
  },
];

let bucket: TestBucket;

beforeAll(async () => {
  const functions: Record<string, string | Buffer> = { probe: await buildGuest('probe') };
  for (const name of GUESTS) functions[name] = await forgeWat(name);
  bucket = makeBucket(functions);
});
afterAll(() => bucket.remove());

async function withServer(options: ServerOptions, use: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await startServer(bucket.path, { 'pool-size': 1, ...options });
  try {
    await use(server);
  } catch (error) {
    await server.dispose();
    throw error;
  }
  await server.stop();
}

describe.each(['process', 'instance'])('beyond a limit, isolation %s', (isolation) => {
  test.each(ROWS)('$options: $path is answered with $status $code', async (row) => {
    await withServer({ ...row.options, isolation }, async (server) => {
      const answer = await server.invoke(row.path, row.request);
      expect(problemOf(answer)).toMatchObject({
        status: row.status,
        code: row.code,
        detail: expect.stringMatching(row.detail ?? /./),
      });
      expect((await server.log.invocation(answer.requestId)).outcome).toBe(row.code);
      expect((await server.invoke('probe')).text).toBe('probe\n');
    });
  });
});

test('the header of a request is bounded', async () => {
  await withServer({ 'max-request-header-bytes': '1k' }, async (server) => {
    const answer = await server.invoke('probe', { headers: { 'x-long': 'a'.repeat(1100) } });
    expect(problemOf(answer)).toMatchObject({ status: 431, code: 'request_header_too_large' });
    expect((await server.invoke('probe')).text).toBe('probe\n');
  });
});

test('an answer without a length is cut when it is too long', async () => {
  await withServer({ 'max-response-body-bytes': '10k' }, async (server) => {
    const fits = await server.invoke('probe/download?bytes=10240');
    expect(fits).toMatchObject({ status: 200, complete: true });
    const answer = await server.invoke('probe/answer-then-never?bytes=300000');
    expect(answer.complete && answer.status === 200).toBe(false);
    expect((await server.log.invocation(answer.requestId)).outcome).toBe('response_too_large');
    expect((await server.invoke('probe')).text).toBe('probe\n');
  });
});

test('waiting takes no processor time', async () => {
  await withServer({ 'cpu-ms': 100 }, async (server) => {
    expect((await server.invoke('probe/sleep?ms=400')).status).toBe(200);
  });
});

test.each([
  [{ 'log-bytes': '1k' }, /the log limit of 1024 bytes is reached/],
  [{ 'log-lines': 10 }, /the log limit of 10 lines is reached/],
])('%j bounds what is logged, and the function does not notice', async (options, notice) => {
  await withServer(options, async (server) => {
    const answer = await server.invoke('probe/log?bytes=1000000');
    expect(answer).toMatchObject({ status: 200, text: 'logged\n' });
    await server.log.invocation(answer.requestId);
    const logged = server.log.lines.map((line) => JSON.stringify(line)).join('\n');
    expect(logged).toMatch(notice);
    expect(logged.split('x'.repeat(99)).length - 1).toBeLessThanOrEqual(10);
  });
});

test.each([
  ['queue-wait-ms', { concurrency: 1, 'queue-wait-ms': 50 }, 'wait'],
  ['max-in-flight', { 'max-in-flight': 1 }, 'server'],
])('%s: who comes beyond it is told when to come again', async (_name, options, reason) => {
  await withServer(options, async (server) => {
    const first = await server.openInvoke('probe/answer-then-never?bytes=1');
    const second = await server.invoke('probe');
    expect(problemOf(second)).toMatchObject({ status: 503, code: 'queue_full', reason });
    expect(Number(second.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    first.destroy();
    await server.log.invocation(first.headers['x-playa-request-id'] as string);
    expect((await server.invoke('probe')).text).toBe('probe\n');
  });
});

test('memory that must stay free: no further sandbox is bound where it would not', async () => {
  await withServer({ 'min-free-memory-bytes': 1024 ** 4 }, async (server) => {
    const answer = await server.invoke('probe');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'memory_short' });
    expect(answer.headers['retry-after']).toBe('2');
  });
});

test('queue-length: of two that come while the only place is taken, one waits and one is told to come again', async () => {
  await withServer({ concurrency: 1, 'queue-length': 1 }, async (server) => {
    const first = await server.openInvoke('probe/answer-then-never?bytes=1');
    const others = [server.invoke('probe'), server.invoke('probe')];
    const refused = await Promise.race(others);
    expect(problemOf(refused)).toMatchObject({ status: 503, code: 'queue_full', reason: 'length' });
    first.destroy();
    expect((await Promise.all(others)).map(({ status }) => status).toSorted()).toEqual([200, 503]);
  });
});
