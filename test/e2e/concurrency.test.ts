import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let probe: string;

beforeAll(async () => {
  probe = await buildGuest('probe');
  bucket = makeBucket(Object.fromEntries(['probe', 'a', 'b', 'c', 'd', 'e', 'f'].map((name) => [name, probe])));
});

afterAll(() => bucket.remove());

/** Runs a test against a server of its own. */
async function withServer(options: ServerOptions, run: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await startServer(bucket.path, options);
  try {
    await run(server);
    await server.stop();
  } finally {
    await server.dispose();
  }
}

test.each([
  ['process', 200],
  // Two processes of one sandbox at least, each with many requests at once.
  ['instance', 2],
])('200 requests at once, isolation %s', async (isolation, leastProcesses) => {
  await withServer({ isolation }, async (server) => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        server.invoke('probe/echo', { body: `request ${index} `.repeat(1 + (index % 50)) }),
      ),
    );
    for (const [index, answer] of answers.entries()) {
      expect(answer).toMatchObject({ status: 200, complete: true, text: `request ${index} `.repeat(1 + (index % 50)) });
    }
    const accounts = await Promise.all(answers.map((answer) => server.log.invocation(answer.requestId)));
    const processes = new Set(accounts.map(({ runner, worker }) => `${runner}/${worker}`));
    expect(processes.size).toBeGreaterThanOrEqual(leastProcesses);
    expect(new Set(answers.map((answer) => answer.requestId)).size).toBe(200);
  });
});

test('200 requests at once, isolation sandbox, no more sandboxes than allowed', async () => {
  await withServer(
    { isolation: 'sandbox', 'max-runners': 8, 'pool-size': 2, 'queue-wait-ms': 60_000 },
    async (server) => {
      const answers = await Promise.all(Array.from({ length: 200 }, () => server.invoke('probe')));
      expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
      const accounts = await Promise.all(answers.map((answer) => server.log.invocation(answer.requestId)));
      expect(new Set(accounts.map((line) => line.runner)).size).toBe(200);
    },
  );
});

test('requests that wait for one another run at the same time', async () => {
  await withServer({}, async (server) => {
    // Each answers its first part at once and ends only when all have begun: none may wait for another's end.
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => server.openInvoke('probe/answer-then-never?bytes=10')),
    );
    expect(answers.map((answer) => answer.statusCode)).toEqual(answers.map(() => 200));
    expect((await server.invoke('probe')).status).toBe(200);
    for (const answer of answers) answer.destroy();
    for (const answer of answers) {
      const line = await server.log.invocation(answer.headers['x-playa-request-id'] as string);
      expect(line.outcome).toBe('client_gone');
    }
  });
});

const ONE_LANE = { 'runners-per-function': 1, 'lanes-per-runner': 1, 'wall-ms': 120_000 };

/** Occupies the one lane of a function, for as long as the answer is not destroyed. */
async function occupy(server: TestServer): Promise<IncomingMessage> {
  const running = await server.openInvoke('probe/answer-then-never?bytes=1');
  expect(running.statusCode).toBe(200);
  return running;
}

test('a full queue is answered with 503 and Retry-After, and drains', async () => {
  await withServer({ ...ONE_LANE, 'queue-length': 3, 'queue-wait-ms': 60_000 }, async (server) => {
    const running = await occupy(server);
    const refusals: Answer[] = [];
    const { promise: allRefused, resolve } = Promise.withResolvers<void>();
    const answers = Array.from({ length: 10 }, async () => {
      const answer = await server.invoke('probe');
      if (answer.status === 503) refusals.push(answer);
      if (refusals.length === 7) resolve();
      return answer.status;
    });
    // Three wait, whichever came first; the others are refused at once.
    await allRefused;
    for (const answer of refusals) {
      expect(problemOf(answer)).toMatchObject({ status: 503, code: 'queue_full', reason: 'length' });
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    // Another function is not affected.
    expect((await server.invoke('a')).status).toBe(200);
    running.destroy();
    expect((await Promise.all(answers)).toSorted()).toEqual([200, 200, 200, ...refusals.map(() => 503)]);
  });
});

test('who leaves the queue makes room in it', async () => {
  await withServer({ ...ONE_LANE, 'queue-length': 1, 'queue-wait-ms': 60_000 }, async (server) => {
    const running = await occupy(server);
    const impatient = [new AbortController(), new AbortController()];
    const attempts = impatient.map(async ({ signal }, index) => {
      const answer = await server.invoke('probe', { signal }).catch(() => undefined);
      return { index, answer };
    });
    const refused = await Promise.race(attempts);
    expect(problemOf(refused.answer!)).toMatchObject({ code: 'queue_full' });
    impatient[1 - refused.index]!.abort();
    expect((await attempts[1 - refused.index]!).answer).toBeUndefined();
    const line = await server.log.invocationOf(
      'probe',
      ({ outcome, runner }) => outcome === 'client_gone' && runner === undefined,
    );
    expect(line.status).toBeUndefined();
    const patient = server.invoke('probe');
    running.destroy();
    expect(await patient).toMatchObject({ status: 200 });
  });
});

test('who waits too long for a lane is told so', async () => {
  await withServer({ ...ONE_LANE, 'queue-wait-ms': 1000 }, async (server) => {
    // A runner is bound and ready before anybody has to wait.
    expect((await server.invoke('probe')).status).toBe(200);
    const running = await occupy(server);
    expect(problemOf(await server.invoke('probe'))).toMatchObject({ status: 503, code: 'queue_full', reason: 'wait' });
    running.destroy();
    await server.log.invocationOf('probe', ({ outcome }) => outcome === 'client_gone');
    expect((await server.invoke('probe')).status).toBe(200);
  });
});

test('more functions than sandboxes: the one idle for longest gives way', async () => {
  await withServer({ 'max-runners': 2, 'pool-size': 1 }, async (server) => {
    for (let round = 0; round < 3; round++) {
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) expect((await server.invoke(name)).status).toBe(200);
    }
    const together = await Promise.all(
      Array.from({ length: 60 }, (_, index) => server.invoke(`${'abcdef'[index % 6]}/sleep?ms=5`)),
    );
    expect(together.map((answer) => answer.status)).toEqual(together.map(() => 200));
  });
});

test('an idle sandbox is ended', async () => {
  await withServer({ 'runner-idle-ms': 200, 'pool-size': 0 }, async (server) => {
    const first = await server.log.invocation((await server.invoke('probe')).requestId);
    expect(first.runner).toBeGreaterThan(0);
    await waitUntil('no runner', () => (server.processes().some(({ name }) => name === 'runner') ? undefined : true));
    const second = await server.log.invocation((await server.invoke('probe')).requestId);
    expect(second.runner).not.toBe(first.runner);
  });
});
