import { once } from 'node:events';
import { Agent } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { measureStream, patternChecksum, patternStream } from '../harness/pattern.ts';
import { readStatusField } from '../harness/process-tree.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const MIB = 1024 * 1024;
// Some hundred megabytes through every process: a minute is little for it where other things run.
vi.setConfig({ testTimeout: 300_000 });
const BODY_BYTES = 100 * MIB;
/** What passing such bodies on may add to the dispatcher, garbage not yet collected included: much less than one of them. */
const DISPATCHER_GROWTH_BYTES = 32 * MIB;
const WORKER_PEAK_KB = 24 * 1024;

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
    servers.set(isolation, await startServer(bucket.path, { isolation, 'wall-ms': 60_000 }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) {
    await server.stop();
  }
  bucket.remove();
});

const peakBytes = (pid: number): number => Number.parseInt(readStatusField(pid, 'VmHWM')!, 10) * 1024;

describe.each([
  ['process', WORKER_PEAK_KB],
  // A process that serves many has no account of one request.
  ['instance', undefined],
  ['sandbox', WORKER_PEAK_KB],
])('isolation %s', (isolation, workerPeakKb) => {
  test('100 MB down, up and both at once, all bytes right, memory constant', async () => {
    const server = servers.get(isolation)!;
    const checksum = patternChecksum(BODY_BYTES);
    // Warm: buffers, code and the garbage of a start are there before anything is measured.
    await measureStream(await server.openInvoke('probe/download?bytes=16000000'));
    await server.invoke('probe/upload', { body: patternStream(16_000_000) });
    const before = peakBytes(server.pid);

    const down = await server.openInvoke(`probe/download?bytes=${BODY_BYTES}`);
    expect(await measureStream(down)).toEqual({ bytes: BODY_BYTES, checksum });
    const up = await server.invoke('probe/upload', { body: patternStream(BODY_BYTES) });
    expect(JSON.parse(up.text)).toEqual({ bytes: BODY_BYTES, crc32: checksum, failed: false });
    const echo = await server.openInvoke('probe/echo', { method: 'POST', body: patternStream(BODY_BYTES) });
    expect(await measureStream(echo)).toEqual({ bytes: BODY_BYTES, checksum });

    expect(peakBytes(server.pid) - before).toBeLessThan(DISPATCHER_GROWTH_BYTES);
    const line = await server.log.invocation(up.requestId);
    expect(line).toMatchObject({ outcome: 'ok', requestBytes: BODY_BYTES });
    // Linear memory of the function, and all memory of its process where it had one of its own.
    expect(line.memoryBytes).toBeLessThan(8 * MIB);
    expect(line.workerMaxRssKb ?? 0).toBeLessThan(workerPeakKb ?? Infinity);
  });

  test('the function stops while the client does not read, and others are served', async () => {
    const server = servers.get(isolation)!;
    const endless = 1024 * MIB;
    const slow = await server.openInvoke(`probe/download?bytes=${endless}`);
    const before = peakBytes(server.pid);
    for (let index = 0; index < 50; index++) expect((await server.invoke('probe')).status).toBe(200);
    expect(peakBytes(server.pid) - before).toBeLessThan(DISPATCHER_GROWTH_BYTES);
    const id = slow.headers['x-playa-request-id'] as string;
    expect(server.log.lines.filter((line) => line['reqId'] === id && line.msg === 'invocation')).toEqual([]);
    slow.destroy();
    const line = await server.log.invocation(id);
    expect(line).toMatchObject({ outcome: 'client_gone' });
    expect(line.responseBytes).toBeLessThan(64 * MIB);
  });
});

describe.each(['third', 'command', 'module'])('%s', (name) => {
  test('100 MB down and both at once', async () => {
    const server = servers.get('process')!;
    const checksum = patternChecksum(BODY_BYTES);
    const down = await server.openInvoke(`${name}/download?bytes=${BODY_BYTES}`);
    expect(await measureStream(down)).toEqual({ bytes: BODY_BYTES, checksum });
    const echo = await server.openInvoke(`${name}/echo`, { method: 'POST', body: patternStream(BODY_BYTES) });
    expect(await measureStream(echo)).toEqual({ bytes: BODY_BYTES, checksum });
    const up = await server.invoke(`${name}/upload`, { body: patternStream(BODY_BYTES) });
    expect(JSON.parse(up.text)).toMatchObject({ bytes: BODY_BYTES });
    expect((await server.log.invocation(up.requestId)).workerMaxRssKb).toBeLessThan(WORKER_PEAK_KB);
  });

  test('a part of the body is answered before the next one is sent', async () => {
    const server = servers.get('process')!;
    const body = new PassThrough();
    body.write('first');
    const answer = await server.openInvoke(`${name}/echo`, { method: 'POST', body });
    const parts = ['first', 'second', 'third'];
    for (const [index, part] of parts.entries()) {
      if (index > 0) body.write(part);
      const [chunk] = (await once(answer, 'data')) as [Buffer];
      expect(chunk.toString()).toBe(part);
    }
    body.end();
    await once(answer, 'end');
  });
});

test('a part of the answer reaches the client before the next one is written', async () => {
  const server = servers.get('process')!;
  const answer = await server.openInvoke('probe/stream?chunks=3&size=4&delayMs=100');
  const parts: string[] = [];
  answer.on('data', (chunk: Buffer) => parts.push(chunk.toString()));
  await once(answer, 'end');
  expect(parts).toEqual(['aaaa', 'bbbb', 'cccc']);
});

test('a function that reads slowly holds the client back, not the server', async () => {
  const server = servers.get('process')!;
  const before = peakBytes(server.pid);
  const answer = await server.invoke('probe/read-slowly?size=65536&delayMs=2', { body: patternStream(20 * MIB) });
  expect(JSON.parse(answer.text)).toEqual({ bytes: 20 * MIB });
  expect(peakBytes(server.pid) - before).toBeLessThan(DISPATCHER_GROWTH_BYTES);
});

test('a function may answer before it has read the body, and not read it at all', async () => {
  const server = servers.get('process')!;
  // Kept alive, or the server would close the connection after the answer, in the middle of the request.
  const agent = new Agent({ keepAlive: true });
  const early = await server.invoke('probe/early-response', { agent, body: patternStream(2 * MIB) });
  expect(early).toMatchObject({ status: 200, text: 'early\n', complete: true });
  for (let index = 0; index < 10; index++) {
    const ignored = await server.invoke('probe/ignore-body', { agent, body: patternStream(2 * MIB) });
    expect(ignored).toMatchObject({ status: 200, text: 'ignored\n' });
  }
  agent.destroy();
});

test('the length that a function announces stands in the answer', async () => {
  const server = servers.get('process')!;
  const answer = await server.invoke('probe/download?bytes=1000000&length=1');
  expect(answer).toMatchObject({ complete: true });
  expect(answer.headers['content-length']).toBe('1000000');
  expect(answer.body.length).toBe(1_000_000);
});
