import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import type { InvocationLine } from '../harness/log-lines.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const REQUESTS = 24;

let bucket: TestBucket;
const servers = new Map<string, TestServer>();

beforeAll(async () => {
  const probe = await buildGuest('probe');
  bucket = makeBucket({
    one: probe,
    other: probe,
    third: await buildGuest('probe-0-3'),
    command: await buildGuest('command-module'),
  });
  for (const isolation of ['process', 'instance', 'sandbox']) {
    servers.set(isolation, await startServer(bucket.path, { isolation, 'wall-ms': 60_000 }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) {
    await server.stop();
  }
  bucket.remove();
});

/** Sends requests to two functions, one after another and all at once, and returns their accounts. */
async function accountsOf(server: TestServer, path: string): Promise<InvocationLine[]> {
  const answers = [];
  for (let index = 0; index < REQUESTS; index++)
    answers.push(await server.invoke(`${index % 2 ? 'one' : 'other'}${path}`));
  answers.push(
    ...(await Promise.all(
      Array.from({ length: REQUESTS }, (_, index) => server.invoke(`${index % 2 ? 'one' : 'other'}${path}`)),
    )),
  );
  expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
  return Promise.all(answers.map((answer) => server.log.invocation(answer.requestId)));
}

const processOf = ({ runner, worker }: InvocationLine): string => `${runner}/${worker}`;
const distinct = (values: unknown[]): number => new Set(values).size;

describe.each(['process', 'instance', 'sandbox'])('isolation %s', (isolation) => {
  test('every request has an instance of its own', async () => {
    const server = servers.get(isolation)!;
    for (let index = 0; index < 8; index++) expect((await server.invoke('one/counter')).text).toBe('1');
    const together = await Promise.all(Array.from({ length: REQUESTS }, () => server.invoke('one/counter')));
    expect(together.map((answer) => answer.text)).toEqual(together.map(() => '1'));
  });

  test('two functions never share a sandbox', async () => {
    const accounts = await accountsOf(servers.get(isolation)!, '/random');
    const runnersOf = (name: string): Set<unknown> =>
      new Set(accounts.filter((line) => line.function === name).map((line) => line.runner));
    expect(runnersOf('one').intersection(runnersOf('other'))).toEqual(new Set());
    expect(accounts.every((line) => line.isolation === isolation)).toBe(true);
  });

  test('WASI 0.3 and commands answer too', async () => {
    const server = servers.get(isolation)!;
    expect((await server.invoke('third')).text).toBe('probe 0.3\n');
    expect((await server.invoke('third/echo', { body: 'asynchronous' })).text).toBe('asynchronous');
    expect((await server.invoke('command')).text).toBe('command\n');
    expect((await server.invoke('command/echo', { body: 'to stdin' })).text).toBe('to stdin');
  });

  test('a request that crashes does not harm the next, nor one that runs beside it', async () => {
    const server = servers.get(isolation)!;
    const beside = server.invoke('one/stream?chunks=20&delayMs=10&size=1');
    for (const path of ['trap', 'recurse', 'memory', 'panic', 'silent']) {
      expect((await server.invoke(`one/${path}`)).status).toBeGreaterThanOrEqual(500);
      expect((await server.invoke('one')).status).toBe(200);
    }
    expect(await beside).toMatchObject({ status: 200, complete: true, text: 'abcdefghijklmnopqrst' });
  });
});

test('process: every request runs in a process of its own, in the sandbox of its function', async () => {
  const accounts = await accountsOf(servers.get('process')!, '');
  expect(distinct(accounts.map(processOf))).toBe(accounts.length);
  expect(distinct(accounts.map((line) => line.runner))).toBeLessThan(accounts.length / 2);
  // What the supervisor saw of each process, by wait4.
  for (const line of accounts) {
    expect(line.workerMaxRssKb).toBeGreaterThan(0);
    expect(line.workerCpuUs).toBeGreaterThan(0);
  }
});

test('instance: one process serves many requests', async () => {
  const accounts = await accountsOf(servers.get('instance')!, '');
  expect(distinct(accounts.map(processOf))).toBeLessThan(accounts.length / 4);
});

test('sandbox: every request has a sandbox of its own, which ends with it', async () => {
  const server = servers.get('sandbox')!;
  const accounts = await accountsOf(server, '');
  expect(distinct(accounts.map((line) => line.runner))).toBe(accounts.length);
});
