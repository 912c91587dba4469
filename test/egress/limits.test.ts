import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { createLocalServers } from '../harness/local-servers.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let server: TestServer;
/** Answers with as many bytes as its path says. */
let bytesPort: number;
/** Keeps what connects to it. */
let silentPort: number;
const servers = createLocalServers();
const gates: Socket[] = [];

/** A function with these limits. */
async function put(name: string, limits: Record<string, string | number>): Promise<void> {
  const lines = Object.entries(limits).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  bucket.putPolicy(name, `[limits]\n${lines.join('')}`);
  bucket.put(name, await buildGuest('egress'));
}

beforeAll(async () => {
  bytesPort = await servers.onConnection((socket) => {
    socket.once('data', (request: Buffer) => {
      const bytes = Number(/^GET \/(\d+) /.exec(request.toString('latin1'))![1]);
      socket.end(
        Buffer.concat([
          Buffer.from(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${bytes}\r\n\r\n`),
          Buffer.alloc(bytes),
        ]),
      );
    });
  });
  silentPort = await servers.onConnection((socket) => void gates.push(socket.resume()));
  bucket = makeBucket();
  await put('few', { 'egress-connections-per-function': 3 });
  await put('slow', { 'egress-bytes-per-minute': 100_000 });
  await put('spent', { 'egress-bytes-per-minute': 1_000 });
  await put('small', { 'egress-bytes': 5_000 });
  await put('mute', { 'log-bytes': 0, 'egress-connections': 0 });
  await put('short', { 'egress-dials': 2 });
  await put('free', {});
  server = await startServer(bucket.path, { 'egress-allow': '127.0.0.1', 'egress-allow-private': '127.0.0.1' });
});

afterAll(async () => {
  await server.stop();
  servers.close();
  bucket.remove();
});

type Asked = { text: string; requestId: string };

const fetched = (name: string, bytes: number, more = ''): Promise<Asked> =>
  server.invoke(`${name}/fetch?url=http://127.0.0.1:${bytesPort}/${bytes}${more}`);

const logged = async ({ requestId }: Asked): Promise<unknown> =>
  (await server.log.waitFor('a line', (line) => line.reqId === requestId && line.msg === 'function log'))['text'];

describe('connections', () => {
  test('of a function are counted over all of its invocations', async () => {
    const many = async (): Promise<string> =>
      (await server.invoke(`few/many?host=127.0.0.1&port=${silentPort}&count=5`)).text;
    expect(await many()).toMatch(/^3 open, then /);
    const held = server.invoke(`few/hold?host=127.0.0.1&port=${silentPort}&gate=${silentPort}`);
    const before = gates.length;
    await waitUntil('two connections', () => (gates.length >= before + 2 ? true : undefined));
    const second = await server.invoke(`few/many?host=127.0.0.1&port=${silentPort}&count=5`);
    expect(second.text).toMatch(/^1 open, then /);
    expect(await logged(second)).toBe(
      `egress to 127.0.0.1 port ${silentPort} was refused: too many connections of the function at once; its limit egress-connections-per-function is 3`,
    );
    // Others have their own.
    const other = await server.invoke(`free/many?host=127.0.0.1&port=${silentPort}&count=5`);
    expect(other.text).toBe('5 open');
    for (const gate of gates) gate.end();
    expect((await held).text).toBe('ok: held');
    expect(await many()).toMatch(/^3 open, then /);
  });

  test('and look-ups of an invocation are counted', async () => {
    const asked = await fetched('short', 10, '&times=3');
    expect(asked.text.match(/status: 200/g)).toHaveLength(2);
    expect(asked.text).toContain('ConnectionLimitReached');
    expect(await logged(asked)).toContain('its limit egress-dials is 2');
  });

  test('that are refused are told of whatever the function may log itself', async () => {
    const asked = await fetched('mute', 10, '&times=30');
    expect(asked.text.match(/ConnectionLimitReached/g)).toHaveLength(30);
    expect(await logged(asked)).toContain('its limit egress-connections is 0');
    expect(await server.log.invocation(asked.requestId)).toMatchObject({ outcome: 'ok' });
  });
});

describe('bytes', () => {
  test('of a function in a minute are counted over all of its invocations', async () => {
    expect((await fetched('slow', 80_000)).text).toContain('bytes: 80000');
    const cut = await fetched('slow', 80_000);
    expect(cut.text).toMatch(/broken: |failed: /);
    expect(await logged(cut)).toBe(
      `egress to 127.0.0.1 port ${bytesPort} was cut: too many bytes of the function in a minute; its limit egress-bytes-per-minute is 100000`,
    );
    const entry = await waitUntil('its connection', () =>
      readEgressLedger(server.stateFolder).find(({ requestId }) => requestId === cut.requestId),
    );
    expect(entry).toMatchObject({ verdict: 'allowed', reason: 'too many bytes of the function in a minute' });
    expect((await fetched('free', 80_000)).text).toContain('bytes: 80000');
  });

  test('that are owed keep further connections from being made', async () => {
    expect((await fetched('spent', 200_000)).text).toMatch(/broken: |failed: /);
    const refused = await fetched('spent', 1);
    expect(refused.text).toContain('ConnectionLimitReached');
    expect(await logged(refused)).toContain('was refused: too many bytes of the function in a minute');
  });

  test('of an invocation are counted over all of its connections', async () => {
    expect((await fetched('small', 4_000)).text).toContain('bytes: 4000');
    const cut = await fetched('small', 4_000, '&times=2');
    expect(cut.text).toMatch(/status: 200 bytes: 4000 [^\n]*\n.*(broken|failed): /);
    expect(await logged(cut)).toContain('was cut: too many bytes of one invocation; its limit egress-bytes is 5000');
  });
});

test('a policy asks for no more than the operator lets it', async () => {
  await put('greedy', { 'egress-connections-per-function': 10_001 });
  const { status, text } = await server.invoke('greedy/udp');
  expect([status, text]).toEqual([422, expect.stringContaining('policy')]);
});
