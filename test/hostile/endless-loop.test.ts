import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { forgeWat } from '../harness/forged-artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

/** More fuel than any loop can use up in the time it has. */
const FUEL = 9_000_000_000_000_000;

let bucket: TestBucket;
const servers = new Map<string, TestServer>();

beforeAll(async () => {
  bucket = makeBucket({
    probe: await buildGuest('probe'),
    other: await buildGuest('probe'),
    // Without a call, without memory, and without fuel: Wasmtime does not count branches.
    bare: await forgeWat('loop'),
    'start-loop': await forgeWat('start-loop'),
    'bulk-fill': await forgeWat('bulk-fill'),
  });
  for (const isolation of ['process', 'instance', 'sandbox']) {
    servers.set(isolation, await startServer(bucket.path, { isolation, 'wall-ms': 1500, fuel: FUEL }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) {
    await server.stop();
  }
  bucket.remove();
});

describe.each(['process', 'instance', 'sandbox'])('isolation %s', (isolation) => {
  test.each(['probe/loop', 'bare', 'start-loop', 'bulk-fill', 'probe/never'])(
    '%s, three times at once: each ends with 504, and nobody beside them fails',
    async (path) => {
      const server = servers.get(isolation)!;
      let running = 3;
      const loops = Array.from({ length: 3 }, async () => {
        const answer = await server.invoke(path);
        running--;
        return answer;
      });
      let served = 0;
      while (running > 0) {
        const beside = await Promise.all([server.invoke('probe/counter'), server.invoke('other')]);
        expect(beside.map((answer) => [answer.status, answer.text])).toEqual([
          [200, '1'],
          [200, 'probe\n'],
        ]);
        served++;
      }
      for (const answer of await Promise.all(loops)) {
        expect(problemOf(answer)).toMatchObject({ status: 504, code: 'wall_exceeded' });
        expect((await server.log.invocation(answer.requestId)).outcome).toBe('wall_exceeded');
      }
      expect(served).toBeGreaterThan(1);
    },
  );
});
