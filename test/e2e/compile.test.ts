import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf, type Answer } from '../harness/http-client.ts';
import { PROJECT, wasmtimeFile } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const PROBE = join(PROJECT.prebuilt, 'probe.wasm');
const PROBE_0_3 = join(PROJECT.prebuilt, 'probe-0-3.wasm');

let bucket: TestBucket;
let server: TestServer;

beforeEach(() => {
  bucket = makeBucket();
});
afterEach(async () => {
  await server.dispose();
  bucket.remove();
});

async function start(options: ServerOptions = {}, folder?: string): Promise<void> {
  server = await startServer(bucket.path, { compiler: wasmtimeFile(), 'bucket-wait-ms': '60s', ...options }, folder);
}
const putSource = (name: string, file: string): void => copyFileSync(file, join(bucket.path, `${name}.wasm`));
/** Waits until the log, which is written behind the answers, tells of so many compilations, and no more. */
async function expectCompiled(times: number): Promise<void> {
  const count = (): number => server.log.lines.filter(({ msg }) => msg === 'compiled').length;
  await waitUntil(`${times} compilations`, () => (count() >= times ? true : undefined));
  expect(count()).toBe(times);
}

test('a component and a module in the bucket are compiled, once for all who wait, and used again', async () => {
  putSource('probe', PROBE);
  putSource('twin', PROBE);
  putSource('command', join(PROJECT.prebuilt, 'command-module.wasm'));
  await start();
  const answers = await Promise.all(
    [...Array.from({ length: 20 }, () => 'probe.cwasm'), 'twin.cwasm', 'twin'].map((name) => server.invoke(name)),
  );
  expect(answers.map(({ text }) => text)).toEqual(answers.map(() => 'probe\n'));
  await expectCompiled(1);
  expect((await server.log.invocation(answers[0]!.requestId))['tier']).toBe('compile');
  expect((await server.invoke('command')).status).toBe(200);
  await expectCompiled(2);
  // What the sandboxed compiler makes is what build-cwasm makes.
  const blobs = readdirSync(join(server.stateFolder, 'artifacts'));
  const elf = readFileSync(await buildGuest('probe')).subarray(0, 1000);
  const same = blobs.filter((blob) =>
    readFileSync(join(server.stateFolder, 'artifacts', blob))
      .subarray(0, 1000)
      .equals(elf),
  );
  expect(same).toHaveLength(1);
  // No folder of a job is left.
  expect(readdirSync(join(server.stateFolder, 'run')).flatMap((run) => listJobs(run))).toEqual([]);
});

const listJobs = (run: string): string[] => {
  const folder = join(server.stateFolder, 'run', run, 'compile');
  return readdirSync(folder);
};

test('an artifact beside the source goes before it; while a new source compiles the old version serves', async () => {
  putSource('probe', PROBE);
  await start();
  expect((await server.invoke('probe')).text).toBe('probe\n');
  putSource('probe', PROBE_0_3);
  const seen = new Set<string>();
  await waitUntil('the new version serves', async () => {
    const { text, status } = await server.invoke('probe');
    expect(status).toBe(200);
    seen.add(text);
    return text === 'probe 0.3\n' ? true : undefined;
  });
  expect([...seen]).toEqual(['probe\n', 'probe 0.3\n']);
  bucket.put('probe', await buildGuest('probe'));
  expect((await server.invoke('probe')).text).toBe('probe\n');
  bucket.drop('probe');
  expect((await server.invoke('probe')).text).toBe('probe 0.3\n');
  await expectCompiled(2);
});

test('a server that starts again does not compile what it has compiled', async () => {
  putSource('probe', PROBE);
  const folder = makeTemporaryFolder('compiled');
  await start({}, folder.path);
  await server.invoke('probe');
  await server.stop();
  await start({}, folder.path);
  const answer = await server.invoke('probe');
  expect(answer.text).toBe('probe\n');
  expect((await server.log.invocation(answer.requestId))['tier']).toBe('disk');
  expect(server.log.lines.some(({ msg }) => msg === 'compiled')).toBe(false);
  await server.stop();
  folder.remove();
});

describe('what cannot be compiled says why', () => {
  test.each<[string, Buffer | string, string, RegExp]>([
    ['no WebAssembly', Buffer.from('hello'), 'corrupt_wasm', /not WebAssembly/],
    ['nothing', Buffer.alloc(0), 'corrupt_wasm', /not WebAssembly/],
    ['half a component', readFileSync(PROBE).subarray(0, 100_000), 'corrupt_wasm', /damaged/],
    ['a module that is no command', Buffer.from('0061736d01000000', 'hex'), 'not_a_command', /library/],
  ])('%s', async (_what, content, reason, message) => {
    writeFileSync(join(bucket.path, 'bad.wasm'), content);
    await start();
    for (let round = 0; round < 2; round++) {
      const problem = problemOf(await server.invoke('bad'));
      expect(problem).toMatchObject({ status: 422, code: 'artifact_refused', reason });
      expect(problem.detail).toMatch(message);
    }
    putSource('bad', PROBE);
    expect((await server.invoke('bad')).text).toBe('probe\n');
  });

  test('code that does not validate', async () => {
    const source = readFileSync(PROBE);
    source.fill(0xff, source.length >> 1, (source.length >> 1) + 16);
    writeFileSync(join(bucket.path, 'bad.wasm'), source);
    await start();
    expect(problemOf(await server.invoke('bad'))).toMatchObject({ status: 422, code: 'artifact_refused' });
  });

  test.each<[string, ServerOptions]>([
    ['time', { 'compile-ms': 100 }],
    ['memory', { 'compile-memory-bytes': '64m' }],
    ['length of its code', { 'max-artifact-bytes': '300k' }],
  ])('more %s than allowed', async (_what, options) => {
    putSource('probe', PROBE);
    await start(options);
    const problem = problemOf(await server.invoke('probe'));
    expect(problem).toMatchObject({ status: 422, code: 'artifact_refused', reason: 'compile_limit' });
  });

  test.each<[string, ServerOptions, RegExp]>([
    ['no compiler', { compiler: '/nowhere/wasmtime' }, /it has no compiler/],
    ['a compiler that is switched off', { compiler: 'none' }, /told not to/],
    ['a compiler that is none', { compiler: '/bin/true' }, /no wasmtime command/],
  ])('%s', async (_what, options, message) => {
    putSource('probe', PROBE);
    await start(options);
    const problem = problemOf(await server.invoke('probe'));
    expect(problem).toMatchObject({ status: 422, code: 'artifact_refused', reason: 'no_compiler' });
    expect(problem.detail).toMatch(message);
  });
});

/** The first answer that says so: before it the source itself is being read. */
const untilItCompiles = (): Promise<Answer> =>
  waitUntil('it compiles', async () => {
    const answer = await server.invoke('probe');
    return answer.status === 503 ? answer : undefined;
  });

test('callers wait as long as they may, then are asked to come again', async () => {
  putSource('probe', PROBE);
  await start({ 'bucket-wait-ms': '20ms' });
  const answer = await untilItCompiles();
  expect(problemOf(answer)).toMatchObject({ status: 503, code: 'compiling' });
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  await waitUntil('it is compiled', async () => ((await server.invoke('probe')).status === 200 ? true : undefined));
  await expectCompiled(1);
});

test('a stop while it compiles leaves nothing behind', async () => {
  putSource('probe', PROBE);
  await start({ 'bucket-wait-ms': '20ms' });
  expect((await untilItCompiles()).status).toBe(503);
  await server.stop();
});
