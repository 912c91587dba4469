import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { processesByKind } from '../harness/kinds-of-process.ts';
import { isAlive, type ProcessEntry } from '../harness/process-tree.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe'), other: await buildGuest('probe') });
});

beforeEach(async ({ task }) => {
  // With one lane there is one worker, and it is known which one serves.
  const lanes = task.name.includes('one lane') ? { 'lanes-per-runner': 1, 'runners-per-function': 1 } : {};
  server = await startServer(bucket.path, { 'wall-ms': 600_000, 'pool-size': 1, ...lanes });
});

afterEach(async () => {
  await server.stop();
});

afterAll(() => bucket.remove());

/** Kills processes at once; those that have ended by themselves are passed over. */
function kill(...entries: ProcessEntry[]): void {
  for (const entry of entries.filter(isAlive)) process.kill(entry.pid, 'SIGKILL');
}

/** Reads an answer to its end; resolves with whether it was cut. */
async function isCut(answer: IncomingMessage): Promise<boolean> {
  try {
    for await (const chunk of answer) void chunk;
    return false;
  } catch {
    return true;
  }
}

const requestIdOf = (answer: IncomingMessage): string => answer.headers['x-playa-request-id'] as string;

test('a worker that is killed loses its own request and no other', async () => {
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => server.openInvoke('probe/answer-then-never?bytes=1')),
  );
  const lost: string[] = [];
  const ends = answers.map(async (answer) => {
    expect(await isCut(answer)).toBe(true);
    lost.push(requestIdOf(answer));
  });
  const workers = processesByKind(server).worker;
  for (const [index, worker] of workers.entries()) {
    kill(worker);
    // The lane has another worker, which serves.
    await waitUntil('a successor', () =>
      !isAlive(worker) && processesByKind(server).worker.length >= workers.length ? true : undefined,
    );
    expect((await server.invoke('probe')).status).toBe(200);
    expect(lost.length).toBeLessThanOrEqual(index + 1);
  }
  await Promise.all(ends);
  const accounts = await Promise.all(answers.map((answer) => server.log.invocation(requestIdOf(answer))));
  expect(accounts.map((line) => line.outcome)).toEqual(answers.map(() => 'runner_crashed'));
  // All in the sandbox that they began in: it survived every one of the kills.
  const after = await server.log.invocation((await server.invoke('probe')).requestId);
  expect(new Set([...accounts, after].map((line) => line.runner)).size).toBe(1);
});

/** Waits until a function has said that it serves a request with this text. */
const announced = (text: string): Promise<unknown> =>
  server.log.waitFor(text, (line) => line.msg === 'function log' && String(line['text']).includes(text));

test('one lane: a request that may be repeated is sent once more, and the client sees nothing of it', async () => {
  const answer = server.invoke('probe/announce?text=repeatable&ms=1000');
  await announced('repeatable');
  kill(...processesByKind(server).worker);
  expect(await answer).toMatchObject({ status: 200, text: 'awake\n' });
  expect(await server.log.invocation((await answer).requestId)).toMatchObject({ outcome: 'ok', attempts: 2 });
});

test.each(['POST', 'PATCH'])('one lane: a %s is not repeated, and answered with 502', async (method) => {
  const answer = server.invoke(`probe/announce?text=${method}&ms=60000`, { method });
  await announced(method);
  kill(...processesByKind(server).worker);
  const problem = problemOf(await answer);
  expect(problem).toMatchObject({ status: 502, code: 'runner_crashed' });
  // Nothing of the inside.
  expect(problem.detail).not.toMatch(/signal|lane|worker \d|socket/);
  expect((await server.log.invocation(problem.requestId)).attempts).toBeUndefined();
  expect((await server.invoke('probe')).status).toBe(200);
});

test('one lane: the log tells when a worker has asked the kernel for something forbidden', async () => {
  const answer = server.invoke('probe/announce?text=forbidden&ms=60000', { method: 'POST' });
  await announced('forbidden');
  // As the kernel ends a process that its filter does not let pass.
  for (const entry of processesByKind(server).worker.filter(isAlive)) process.kill(entry.pid, 'SIGSYS');
  const problem = problemOf(await answer);
  expect(problem).toMatchObject({ status: 502, code: 'runner_crashed' });
  const account = await server.log.invocation(problem.requestId);
  expect(account).toMatchObject({ outcome: 'runner_crashed', workerSignal: 31 });
  expect(JSON.stringify(account['err'])).toContain('SIGSYS');
});

test('one lane: a request with a body is not repeated, as its body is gone', async () => {
  const answer = server.invoke('probe/announce?text=with-a-body&ms=60000', { method: 'PUT', body: 'gone' });
  await announced('with-a-body');
  kill(...processesByKind(server).worker);
  expect(problemOf(await answer)).toMatchObject({ status: 502, code: 'runner_crashed' });
});

test('one lane: a request is sent twice at most', async () => {
  const answer = server.invoke('probe/announce?text=unlucky&ms=60000');
  const said = (): number =>
    server.log.lines.filter((line) => line.msg === 'function log' && String(line['text']).includes('unlucky')).length;
  for (const attempt of [1, 2]) {
    await server.log.waitFor(`attempt ${attempt}`, () => said() >= attempt);
    kill(...processesByKind(server).worker);
  }
  expect(problemOf(await answer)).toMatchObject({ status: 502, code: 'runner_crashed' });
  expect(await server.log.invocation((await answer).requestId)).toMatchObject({ attempts: 2 });
});

test.each(['supervisor', 'init', 'bubblewrap'] as const)(
  'a killed %s ends its sandbox, and others serve on',
  async (kind) => {
    const streams = await Promise.all(
      ['probe', 'other'].map((name) => server.openInvoke(`${name}/answer-then-never?bytes=1`)),
    );
    const firstCut = Promise.race(streams.map(async (answer) => ((await isCut(answer)) ? answer : undefined)));
    // One of the two sandboxes that serve: those in which there are workers.
    const { worker, supervisor, init, bubblewrap } = processesByKind(server);
    const serving = supervisor.find(({ pid }) => worker.some(({ parent }) => parent === pid))!;
    const first = init.find(({ pid }) => pid === serving.parent)!;
    const outer = bubblewrap.find(({ pid }) => pid === first.parent)!;
    kill({ supervisor: serving, init: first, bubblewrap: outer }[kind]);
    const doomed = (await firstCut)!;
    expect((await server.log.invocation(requestIdOf(doomed))).outcome).toBe('runner_crashed');
    expect((await server.invoke('probe')).status).toBe(200);
    expect((await server.invoke('other')).status).toBe(200);
    const spared = streams.find((answer) => answer !== doomed)!;
    spared.destroy();
    expect((await server.log.invocation(requestIdOf(spared))).outcome).toBe('client_gone');
  },
);
