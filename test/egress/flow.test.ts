import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { createLocalServers } from '../harness/local-servers.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

/** Credit of a stream of a lane (docs/runner-protocol.md). */
const CREDIT_BYTES = 256 * 1024;
const OTHER_REQUESTS = 100;

let bucket: TestBucket;
let server: TestServer;
const servers = createLocalServers();

beforeAll(async () => {
  bucket = makeBucket({ egress: await buildGuest('egress'), probe: await buildGuest('probe') });
  server = await startServer(bucket.path, { 'egress-allow': '127.0.0.1', 'egress-allow-private': '127.0.0.1' });
});

afterAll(async () => {
  await server.stop();
  servers.close();
  bucket.remove();
});

/** Another function goes on meanwhile; this is also the time in which too much could pass. */
async function askOther(): Promise<void> {
  for (let request = 0; request < OTHER_REQUESTS; request++) expect((await server.invoke('probe')).status).toBe(200);
}

const entryOf = (requestId: string, port: number) =>
  waitUntil('the connection in the ledger', () =>
    readEgressLedger(server.stateFolder).find((entry) => entry.requestId === requestId && entry.port === port),
  );

test('of a server that sends for ever no more is taken than a function that does not read has credit for', async () => {
  const isFull = Promise.withResolvers<void>();
  const port = await servers.onConnection((socket) => {
    const part = Buffer.alloc(64 * 1024, 'x');
    const write = (): void => {
      if (!socket.destroyed && socket.write(part)) return void setImmediate(write);
      isFull.resolve();
    };
    socket.on('drain', write);
    write();
  });
  let open: Socket | undefined;
  const gate = await servers.onConnection((socket) => (open = socket));
  const asked = server.invoke(`egress/hold?host=127.0.0.1&port=${port}&gate=${gate}`);
  await isFull.promise;
  await askOther();
  open!.end();
  const { text, requestId } = await asked;
  expect(text).toBe('ok: held');
  const { receivedBytes } = await entryOf(requestId, port);
  expect(receivedBytes).toBeGreaterThan(0);
  expect(receivedBytes).toBeLessThanOrEqual(CREDIT_BYTES);
});

test('of a function that sends for ever no more is taken than the credit and what the kernel holds', async () => {
  const connected = Promise.withResolvers<Socket>();
  const port = await servers.listen(createServer({ pauseOnConnect: true }, connected.resolve));
  const asked = server.invoke(`egress/flood?host=127.0.0.1&port=${port}`);
  const socket = await connected.promise;
  await askOther();
  socket.resetAndDestroy();
  const { text, requestId } = await asked;
  expect(text).toBe('ok: ended');
  const { sentBytes } = await entryOf(requestId, port);
  const kernelBytes = ['tcp_rmem', 'tcp_wmem']
    .map((name) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2]))
    .reduce((sum, bytes) => sum + bytes);
  expect(sentBytes).toBeGreaterThan(CREDIT_BYTES);
  expect(sentBytes).toBeLessThanOrEqual(CREDIT_BYTES + kernelBytes);
});
