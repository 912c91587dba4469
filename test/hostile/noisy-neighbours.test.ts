import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ABUSES = {
  looper: '/loop',
  trapper: '/trap',
  hoarder: '/memory?bytes=100000000',
  logger: '/log?bytes=1000000',
  flooder: '/sleep?ms=200',
};
const QUIET_REQUESTS = 25;

let bucket: TestBucket;

beforeAll(async () => {
  const probe = await buildGuest('probe');
  const names = ['quiet', ...Object.keys(ABUSES)];
  bucket = makeBucket(Object.fromEntries(names.map((name) => [name, probe])));
});

afterAll(() => bucket.remove());

/** Keeps `width` requests of a path under way until it is told to stop; returns the statuses it saw. */
function abuse(server: TestServer, path: string, width: number): { stop: () => Promise<Map<number, number>> } {
  let stopped = false;
  const seen = new Map<number, number>();
  const loop = async (): Promise<void> => {
    while (!stopped) {
      // A connection that is cut is what an abuser expects.
      const status = await server.invoke(path).then(
        (answer) => answer.status,
        () => 0,
      );
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }
  };
  const loops = Array.from({ length: width }, loop);
  return {
    stop: async () => {
      stopped = true;
      await Promise.all(loops);
      return seen;
    },
  };
}

test.each(['process', 'instance', 'sandbox'])(
  'beside five abusive functions a quiet one is always served, with isolation %s',
  async (isolation) => {
    // Fewer places for runners than the abusers want.
    const server = await startServer(bucket.path, {
      isolation,
      'max-runners': 8,
      'wall-ms': 500,
      'queue-length': 20,
      'max-in-flight': 60,
    });
    const abusers = Object.entries(ABUSES).map(([name, path]) => abuse(server, `${name}${path}`, 25));
    const statuses: number[] = [];
    for (let count = 0; count < QUIET_REQUESTS; count++) statuses.push((await server.invoke('quiet')).status);
    const seen = await Promise.all(abusers.map(({ stop }) => stop()));
    expect(statuses).toEqual(Array.from({ length: QUIET_REQUESTS }, () => 200));
    // They were abusive indeed: each was served or refused, none starved.
    for (const each of seen) expect([...each.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(20);
    await server.stop();
  },
);

test('rates of a function and of a client are kept, with the time to wait', async () => {
  writeFileSync(join(bucket.path, 'flooder.toml'), '[limits]\nrequests-per-second = 3\n');
  const server = await startServer(bucket.path, { 'client-requests-per-second': 50, 'trusted-proxies': 'loopback' });
  const send = (name: string, client: string): Promise<Answer> =>
    server.invoke(name, { headers: { 'x-forwarded-for': client } });
  const answers = await Promise.all(Array.from({ length: 20 }, () => send('flooder', '198.51.100.1')));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(10);
  expect(problemOf(refused[0]!)).toMatchObject({ code: 'rate_limited', reason: 'function' });
  expect(Number(refused[0]!.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect((await send('quiet', '198.51.100.1')).status).toBe(200);

  const many = await Promise.all(Array.from({ length: 200 }, () => send('quiet', '198.51.100.2')));
  const client = many.filter(({ status }) => status === 429);
  expect(client.length).toBeGreaterThan(20);
  expect(problemOf(client[0]!)).toMatchObject({ code: 'rate_limited', reason: 'client' });
  expect((await send('quiet', '198.51.100.3')).status).toBe(200);
  await server.stop();
});
