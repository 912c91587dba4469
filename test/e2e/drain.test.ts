import { Agent } from 'node:http';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { send } from '../harness/http-client.ts';
import { connectRaw } from '../harness/raw-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';

let bucket: TestBucket;
const servers: TestServer[] = [];

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe') });
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});

afterAll(() => bucket.remove());

async function start(options: ServerOptions = {}, command: readonly string[] = []): Promise<TestServer> {
  const server = await startServer(bucket.path, { 'wall-ms': 600_000, ...options }, undefined, { command });
  servers.push(server);
  return server;
}

const runFolders = (server: TestServer): string[] => readdirSync(join(server.stateFolder, 'run'));

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s: what is under way finishes, nothing new is taken, nothing is left',
  async (signal) => {
    const server = await start();
    const agent = new Agent({ keepAlive: true });
    expect((await server.invoke('probe', { agent })).status).toBe(200);
    const slow = await server.openInvoke('probe/stream?chunks=30&delayMs=20&size=1');
    expect(server.processes().length).toBeGreaterThan(2);
    server.signal(signal);
    await server.log.waitFor('that it drains', (line) => line.msg === 'draining');
    // A new connection is refused; one that was open and is used once more is told why.
    await expect(send(`${server.url}/healthz`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const parts: string[] = [];
    for await (const chunk of slow) parts.push((chunk as Buffer).toString());
    expect(parts.join('')).toBe('abcdefghijklmnopqrstuvwxyzabcd');
    expect(await server.ended).toEqual({ code: 0, signal: null });
    await server.expectNothingLeft();
    expect(runFolders(server)).toEqual([]);
    agent.destroy();
  },
);

test('a Ctrl-C, which reaches all of its process group, lets what is under way finish', async () => {
  const server = await start({}, ['setsid']);
  const slow = await server.openInvoke('probe/stream?chunks=30&delayMs=20&size=1');
  process.kill(-server.pid, 'SIGINT');
  const parts: string[] = [];
  for await (const chunk of slow) parts.push((chunk as Buffer).toString());
  expect(parts.join('')).toBe('abcdefghijklmnopqrstuvwxyzabcd');
  expect(await server.ended).toEqual({ code: 0, signal: null });
  await server.expectNothingLeft();
});

test('a request on an open connection is refused while the server drains', async () => {
  const server = await start();
  const connection = await connectRaw(server.port);
  // The connection is in use when the signal comes, so that it is not among the idle ones that are closed at once.
  connection.write('GET /invoke/probe/answer-then-return HTTP/1.1\r\nhost: f\r\n\r\n');
  connection.write('GET /invoke/probe/stream?chunks=20&delayMs=20&size=1 HTTP/1.1\r\nhost: f\r\n\r\n');
  await connection.waitFor(/answered[\s\S]* 200 OK/);
  server.signal('SIGTERM');
  await server.log.waitFor('that it drains', (line) => line.msg === 'draining');
  connection.write('GET /invoke/probe HTTP/1.1\r\nhost: f\r\n\r\n');
  const received = await connection.closed;
  expect(received).toContain('"code":"draining"');
  expect(received).toMatch(/503 Service Unavailable[\s\S]*retry-after: \d/i);
  expect((await server.ended).code).toBe(0);
  await server.expectNothingLeft();
});

test('what does not finish within the drain time is cut off, with an exit code of its own', async () => {
  const server = await start({ 'drain-ms': 200 });
  const stuck = [
    await server.openInvoke('probe/answer-then-never?bytes=5'),
    await server.openInvoke('probe/answer-then-loop?bytes=5'),
  ];
  const ends = stuck.map(async (answer) => {
    try {
      for await (const chunk of answer) expect((chunk as Buffer).length).toBe(5);
      return 'complete';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  });
  server.signal('SIGTERM');
  expect(await server.ended).toEqual({ code: 3, signal: null });
  expect(await Promise.all(ends)).toEqual(['ECONNRESET', 'ECONNRESET']);
  await server.expectNothingLeft();
  expect(runFolders(server)).toEqual([]);
});

test('a second signal ends it at once', async () => {
  const server = await start({ 'drain-ms': 600_000 });
  const stuck = await server.openInvoke('probe/answer-then-never?bytes=5');
  stuck.on('error', () => undefined);
  server.signal('SIGTERM');
  await server.log.waitFor('that it drains', (line) => line.msg === 'draining');
  server.signal('SIGTERM');
  expect(await server.ended).toEqual({ code: 4, signal: null });
  await server.expectNothingLeft();
});

test('stopped while it has nothing to do, and right after its start', async () => {
  const idle = await start();
  await expect(idle.stop()).resolves.toBeUndefined();
  const busyStarting = await start({ 'pool-size': 16, 'starts-at-once': 16 });
  await expect(busyStarting.stop()).resolves.toBeUndefined();
});
