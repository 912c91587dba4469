import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { forgeWat, MODULE } from '../harness/forged-artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const WALL_MS = 1000;
/** Enough for what the probe does on its good routes, soon used up by a loop. */
const FUEL = 500_000_000;

let bucket: TestBucket;
const servers = new Map<string, TestServer>();

beforeAll(async () => {
  bucket = makeBucket({
    probe: await buildGuest('probe'),
    third: await buildGuest('probe-0-3'),
    'start-trap': await forgeWat('start-trap'),
    'start-loop': await forgeWat('start-loop'),
    'start-recurse': await forgeWat('start-recurse'),
    silent: await forgeWat('silent'),
    'initial-memory': await forgeWat('initial-memory'),
    'many-memories': await forgeWat('many-memories'),
    'huge-table': await forgeWat('huge-table'),
    'growing-table': await forgeWat('growing-table'),
    'bulk-fill': await forgeWat('bulk-fill'),
    loop: await forgeWat('loop'),
    'big-memory-module': await forgeWat('big-memory-module', MODULE),
    'private-memory-module': await forgeWat('private-memory-module', MODULE),
  });
  for (const isolation of ['process', 'instance', 'sandbox']) {
    servers.set(isolation, await startServer(bucket.path, { isolation, 'wall-ms': WALL_MS, fuel: FUEL }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) {
    await server.stop();
  }
  bucket.remove();
});

/** Requests a path, expects one of the codes with its status, in the answer and the log, and that the next request works. */
async function expectFailure(
  server: TestServer,
  path: string,
  status: number,
  codes: readonly string[],
): Promise<string> {
  const answer = await server.invoke(path);
  const problem = problemOf(answer);
  expect([path, problem.status, answer.status]).toEqual([path, status, status]);
  expect(codes).toContain(problem.code);
  expect(answer.headers['x-playa-outcome']).toBe(problem.code);
  expect(answer.text).not.toMatch(/\/(in|runner|tmp|root|home|var)\/|\.rs:\d|\n\s+at /);
  expect((await server.log.invocation(answer.requestId)).outcome).toBe(problem.code);
  expect((await server.invoke('probe')).text).toBe('probe\n');
  return problem.detail;
}

describe.each(['process', 'instance', 'sandbox'])('isolation %s', (isolation) => {
  test.each([
    ['trap', 502, ['trap'], /unreachable/],
    ['trap?kind=divide', 502, ['trap'], /division|divide/],
    ['trap?kind=bounds', 502, ['trap'], /memory|bounds/],
    ['panic', 502, ['trap'], /unreachable/],
    ['exit?code=3', 502, ['trap'], /exit/],
    ['exit?code=0', 502, ['no_response'], /exit/],
    ['recurse', 502, ['stack_overflow'], /stack/],
    ['memory', 507, ['memory_exceeded'], /memory/],
    ['memory?bytes=200000000', 507, ['memory_exceeded'], /memory/],
    ['silent', 502, ['no_response'], /response/],
    ['error-code', 502, ['no_response'], /asked for/],
    ['loop', 504, ['fuel_exhausted', 'wall_exceeded'], /./],
    ['never', 504, ['wall_exceeded'], /./],
    ['status?code=100', 502, ['response_invalid'], /100/],
    ['status?code=101', 502, ['response_invalid'], /101/],
    ['status?code=600', 502, ['response_invalid'], /600/],
    ['status?code=999', 502, ['response_invalid'], /999/],
    ['headers-flood?bytes=70000', 502, ['header_too_large'], /./],
    ['headers-flood?bytes=1000000&size=100', 502, ['header_too_large'], /./],
    ['content-length-lie?length=5&bytes=10', 502, ['response_invalid'], /content-length/],
    ['content-length-lie?length=50&bytes=10', 502, ['response_invalid'], /body/],
    ['unfinished-body?bytes=10', 502, ['response_invalid'], /./],
    ['table?count=10000000', 507, ['resource_exceeded'], /handle/],
  ])('probe/%s is answered with %i %j', async (path, status, codes, detail) => {
    expect(await expectFailure(servers.get(isolation)!, `probe/${path}`, status, codes)).toMatch(detail);
  });

  test.each([
    ['third/trap', 502, ['trap']],
    ['third/loop', 504, ['fuel_exhausted', 'wall_exceeded']],
    ['third/never', 504, ['wall_exceeded']],
    ['third/memory', 507, ['memory_exceeded']],
    ['third/error-code', 502, ['no_response']],
    ['third/status?code=100', 502, ['response_invalid']],
    ['start-trap', 502, ['trap']],
    ['start-loop', 504, ['fuel_exhausted', 'wall_exceeded']],
    ['start-recurse', 502, ['stack_overflow']],
    ['silent', 502, ['no_response']],
    ['loop', 504, ['fuel_exhausted', 'wall_exceeded']],
    ['bulk-fill', 504, ['fuel_exhausted', 'wall_exceeded']],
    ['initial-memory', 507, ['memory_exceeded']],
    ['many-memories', 507, ['memory_exceeded']],
    ['huge-table', 507, ['resource_exceeded']],
    ['growing-table', 507, ['resource_exceeded']],
    ['big-memory-module', 507, ['memory_exceeded']],
  ])('%s is answered with %i %j', async (path, status, codes) => {
    await expectFailure(servers.get(isolation)!, path, status, codes);
  });

  test('a command whose memory cannot be reached fails by itself', async () => {
    await expectFailure(servers.get(isolation)!, 'private-memory-module', 502, ['trap', 'no_response']);
  });

  test.each([
    ['answer-then-trap?bytes=300000', 'trap'],
    ['answer-then-loop?bytes=300000', undefined],
    ['answer-then-never?bytes=300000', 'wall_exceeded'],
    ['unfinished-body?bytes=300000', 'response_invalid'],
    ['content-length-lie?length=900000&bytes=300000', 'response_invalid'],
    ['content-length-lie?length=300000&bytes=900000', 'response_invalid'],
  ])('probe/%s: the answer is cut where the client can tell', async (path, code) => {
    const server = servers.get(isolation)!;
    const answer = await server.invoke(`probe/${path}`);
    expect(answer).toMatchObject({ status: 200, complete: false });
    const { outcome } = await server.log.invocation(answer.requestId);
    expect(code === undefined ? ['fuel_exhausted', 'wall_exceeded'] : [code]).toContain(outcome);
    expect((await server.invoke('probe')).status).toBe(200);
  });

  test('wasi:http refuses invalid fields itself, and none can break the answer apart', async () => {
    const server = servers.get(isolation)!;
    for (const field of [
      'x%20y&value=a',
      'x%0d%0ay&value=a',
      '&value=a',
      'x&value=a%0d%0ax-injected:%201',
      'x&value=%00',
      'connection&value=close',
      'transfer-encoding&value=chunked',
      'content-length&value=banana',
    ]) {
      const answer = await server.invoke(`probe/set-header?name=${field}`);
      expect([field, answer.headers['x-injected']]).toEqual([field, undefined]);
      expect([field, answer.text]).toEqual([field, expect.stringContaining('refused')]);
    }
  });

  test('a function cannot set fields in the name of the platform', async () => {
    const server = servers.get(isolation)!;
    for (const name of ['x-playa-request-id', 'x-playa-fuel', 'x-playa-outcome']) {
      const answer = await server.invoke(`probe/set-header?name=${name}&value=forged`);
      const values = answer.rawHeaders.filter((_, at) => at % 2 === 1);
      expect(values).not.toContain('forged');
    }
  });
});

test('the fuel that was used up is in the answer and the account', async () => {
  const server = servers.get('process')!;
  const answer = await server.invoke('probe/loop');
  const account = await server.log.invocation(answer.requestId);
  expect(account).toMatchObject({ outcome: 'fuel_exhausted', fuel: FUEL });
  expect(answer.headers['x-playa-fuel']).toBe(String(FUEL));
});

test('the memory limit is that of all memories together', async () => {
  const server = servers.get('process')!;
  const { before, grown } = JSON.parse((await server.invoke('probe/memory-growth-count')).text) as Record<
    string,
    number
  >;
  expect(before! + grown!).toBe((128 * 1024 * 1024) / 65_536);
  const fits = await server.invoke('probe/memory?bytes=100000000');
  expect(fits.text).toBe('100000000 bytes\n');
  const account = await server.log.invocation(fits.requestId);
  expect(account.memoryBytes).toBeGreaterThan(100_000_000);
  expect(account.memoryBytes).toBeLessThanOrEqual(128 * 1024 * 1024);
  expect(account.workerMaxRssKb).toBeGreaterThan(100_000);
});
