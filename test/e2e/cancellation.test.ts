import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { connectRaw } from '../harness/raw-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

/** Far beyond what a test may take: what ends, ends because the client went away. */
const WALL_MS = 600_000;

let bucket: TestBucket;
const servers = new Map<string, TestServer>();

beforeAll(async () => {
  bucket = makeBucket({
    probe: await buildGuest('probe'),
    third: await buildGuest('probe-0-3'),
    command: await buildGuest('command-component'),
    module: await buildGuest('command-module'),
  });
  for (const isolation of ['process', 'instance', 'sandbox']) {
    servers.set(isolation, await startServer(bucket.path, { isolation, 'wall-ms': WALL_MS, 'lanes-per-runner': 2 }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) {
    await server.stop();
  }
  bucket.remove();
});

/** Requests a path of a function, closes the connection as soon as the request is in the hands of a worker, and returns its account. */
async function abandon(server: TestServer, name: string, path: string): Promise<Record<string, unknown>> {
  const marker = `${performance.now()}`;
  const connection = await connectRaw(server.port);
  // A short request first, on the same connection: when it is answered, the second is being served.
  connection.write(`GET /invoke/${name}?${marker} HTTP/1.1\r\nhost: f\r\n\r\n`);
  await connection.waitFor(/HTTP\/1.1 200 /);
  const before = server.log.lines.length;
  connection.write(`GET /invoke/${name}${path} HTTP/1.1\r\nhost: f\r\n\r\n`);
  await server.get('/healthz');
  connection.reset();
  return server.log.waitFor(
    `the account of ${name}${path}`,
    (line) =>
      line.msg === 'invocation' &&
      line['function'] === name &&
      line['outcome'] !== 'ok' &&
      server.log.lines.indexOf(line) >= before,
  );
}

describe.each(['process', 'instance', 'sandbox'])('isolation %s', (isolation) => {
  test.each([
    ['probe', '/never'],
    ['probe', '/loop'],
    ['probe', '/answer-then-never?bytes=0'],
    ['probe', '/answer-then-loop?bytes=0'],
    ['third', '/never'],
    ['third', '/loop'],
    ['command', '/never'],
    ['module', '/loop'],
  ])('%s%s ends when its client goes away', async (name, path) => {
    const server = servers.get(isolation)!;
    expect(await abandon(server, name, path)).toMatchObject({ outcome: 'client_gone', function: name });
    // More than there are lanes: those that were in use are free again.
    for (let index = 0; index < 5; index++) expect((await server.invoke(name)).status).toBe(200);
  });

  test('a stream that nobody reads any more ends', async () => {
    const server = servers.get(isolation)!;
    const answer = await server.openInvoke('probe/stream?chunks=1000000&size=1000');
    const id = answer.headers['x-playa-request-id'] as string;
    answer.destroy();
    expect((await server.log.invocation(id)).outcome).toBe('client_gone');
  });
});

test('a request whose body is cut short ends', async () => {
  const server = servers.get('process')!;
  const connection = await connectRaw(server.port);
  connection.write('POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: 1000\r\n\r\nonly this');
  // What came back has been through the function, so it has begun to read.
  const [, id] = await connection.waitFor(/x-playa-request-id: (\S+)[\s\S]*only this/);
  connection.reset();
  expect(await server.log.invocation(id!)).toMatchObject({ outcome: 'client_gone', requestBytes: 9 });
});

test('a function that reads on after its whole answer ends when the connection does', async () => {
  const server = servers.get('process')!;
  const connection = await connectRaw(server.port);
  connection.write('POST /invoke/probe/early-response HTTP/1.1\r\nhost: f\r\ncontent-length: 1000\r\n\r\nonly this');
  const [, id] = await connection.waitFor(/x-playa-request-id: (\S+)[\s\S]*early\n/);
  connection.reset();
  // The answer was complete. That nobody sends the rest of the body is the end of the function, not of its answer.
  expect(await server.log.invocation(id!)).toMatchObject({ outcome: 'ok', status: 200, responseBytes: 6 });
});

test('a slow body is waited for, and its function answers', async () => {
  const server = servers.get('process')!;
  const connection = await connectRaw(server.port);
  connection.write('POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: 6\r\nconnection: close\r\n\r\n');
  await connection.waitFor(/HTTP\/1.1 200 /);
  for (const letter of 'slowly') {
    connection.write(letter);
    await connection.waitFor(new RegExp(letter));
  }
  expect(await connection.closed).toMatch(/HTTP\/1.1 200 /);
});

test('a crowd that leaves at once leaves neither bound sandboxes nor a larger pool behind', async () => {
  const server = await startServer(bucket.path, { isolation: 'sandbox', 'pool-size': 2, 'starts-at-once': 4 });
  for (let round = 0; round < 3; round++) {
    const connections = await Promise.all(Array.from({ length: 12 }, () => connectRaw(server.port)));
    for (const connection of connections) connection.write('GET /invoke/probe HTTP/1.1\r\nhost: f\r\n\r\n');
    // All of them are waiting, or served.
    await server.get('/healthz');
    for (const connection of connections) connection.reset();
    await waitUntil('the pool is as large as it should be', async () => {
      const { text } = await server.get('/readyz');
      return text.includes('"2 waiting, 0 starting"') || undefined;
    });
    // Those of the pool, and one that is bound ahead for the next request, with its worker.
    await waitUntil('all others have ended', () => {
      const runners = server.processes().filter(({ name }) => name === 'runner');
      return runners.length <= 4 || undefined;
    });
    expect((await server.invoke('probe')).status).toBe(200);
  }
  await server.stop();
});
