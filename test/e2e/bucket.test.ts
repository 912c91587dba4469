import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

// Two versions of a function that can be told apart by what they answer.
const OLD = 'probe\n';
const NEW = 'probe 0.3\n';

let oldVersion: string;
let newVersion: string;
let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  oldVersion = await buildGuest('probe');
  newVersion = await buildGuest('probe-0-3');
});

beforeEach(async () => {
  bucket = makeBucket();
  server = await startServer(bucket.path);
});

afterEach(async () => {
  await server.stop();
  bucket.remove();
});

const answerOf = async (name: string): Promise<string> => (await server.invoke(`${name}.cwasm`)).text;
const codeOf = async (name: string): Promise<string> => problemOf(await server.invoke(`${name}.cwasm`)).code;

test('a new function, a changed one and a removed one take effect on the next request', async () => {
  expect(await codeOf('fresh')).toBe('function_not_found');
  for (let round = 0; round < 10; round++) {
    bucket.put('fresh', oldVersion);
    expect(await answerOf('fresh')).toBe(OLD);
    bucket.put('fresh', newVersion);
    expect(await answerOf('fresh')).toBe(NEW);
    bucket.drop('fresh');
    expect(await codeOf('fresh')).toBe('function_not_found');
  }
});

test('folders may come, be renamed and go', async () => {
  bucket.put('acme/tools/resize', oldVersion);
  expect(await answerOf('acme/tools/resize')).toBe(OLD);
  bucket.put('acme/tools/resize', newVersion);
  expect(await answerOf('acme/tools/resize')).toBe(NEW);
  renameSync(join(bucket.path, 'acme'), join(bucket.path, 'other'));
  expect(await answerOf('other/tools/resize')).toBe(NEW);
  await waitUntil('the old name is gone', async () =>
    (await server.invoke('acme/tools/resize.cwasm')).status === 404 ? true : undefined,
  );
  rmSync(join(bucket.path, 'other'), { recursive: true });
  await waitUntil('the folder is gone', async () =>
    (await server.invoke('other/tools/resize.cwasm')).status === 404 ? true : undefined,
  );
});

test('a request that is under way finishes on the version it began with', async () => {
  bucket.put('fresh', oldVersion);
  const slow = await server.openInvoke('fresh/stream?chunks=40&delayMs=10&size=1');
  bucket.put('fresh', newVersion);
  expect(await answerOf('fresh')).toBe(NEW);
  const replaced = await server.openInvoke('fresh/stream?chunks=40&delayMs=10');
  bucket.drop('fresh');
  expect(await codeOf('fresh')).toBe('function_not_found');
  const texts = await Promise.all(
    [slow, replaced].map(async (answer) => {
      const parts: string[] = [];
      for await (const chunk of answer) parts.push((chunk as Buffer).toString());
      return parts.join('');
    }),
  );
  expect(texts[0]).toBe('abcdefghijklmnopqrstuvwxyzabcdefghijklmn');
  expect(texts[1]).toHaveLength(40 * 16);
  // The sandboxes of a version that is gone end when nothing runs in them any more.
  const ids = [slow, replaced].map((answer) => answer.headers['x-playa-request-id'] as string);
  const runners = await Promise.all(ids.map(async (id) => (await server.log.invocation(id)).runner));
  expect(runners[0]).not.toBe(runners[1]);
  await waitUntil('both sandboxes are gone', () =>
    runners.some((runner) => server.processes().some((entry) => mountsOf(entry.pid).includes(`/${runner} /in `)))
      ? undefined
      : true,
  );
});

function mountsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  } catch {
    return '';
  }
}

test('a version that is copied slowly over the old one takes over when it is complete', async () => {
  bucket.put('fresh', oldVersion);
  expect(await answerOf('fresh')).toBe(OLD);
  const content = readFileSync(newVersion);
  const file = openSync(bucket.file('fresh'), 'w');
  const step = Math.ceil(content.length / 5);
  for (let at = 0; at < content.length; at += step) {
    // Nothing of it is there, or a part: never a mixture, and never an error.
    expect(await answerOf('fresh')).toBe(OLD);
    writeSync(file, content, at, Math.min(step, content.length - at));
  }
  closeSync(file);
  expect(await answerOf('fresh')).toBe(NEW);
});

test('a new function that is copied slowly is waited for', async () => {
  const content = readFileSync(oldVersion);
  const file = openSync(bucket.file('fresh'), 'w');
  const half = content.length >> 1;
  writeSync(file, content, 0, half);
  const waiting = Promise.all([answerOf('fresh'), answerOf('fresh')]);
  await server.get('/healthz');
  writeSync(file, content, half);
  closeSync(file);
  expect(await waiting).toEqual([OLD, OLD]);
});

test('a file that stays incomplete is refused, and its completion accepted', async () => {
  const content = readFileSync(oldVersion);
  const file = openSync(bucket.file('fresh'), 'w');
  writeSync(file, content, 0, 1000);
  utimesSync(bucket.file('fresh'), 0, 0);
  expect(problemOf(await server.invoke('fresh.cwasm'))).toMatchObject({
    status: 422,
    code: 'artifact_refused',
    reason: 'not_an_artifact',
  });
  writeSync(file, content, 1000);
  closeSync(file);
  expect(await answerOf('fresh')).toBe(OLD);
});

test('the same content again, a touched file and another name for the same file', async () => {
  bucket.put('fresh', oldVersion);
  expect(await answerOf('fresh')).toBe(OLD);
  bucket.put('fresh', oldVersion);
  expect(await answerOf('fresh')).toBe(OLD);
  utimesSync(bucket.file('fresh'), 1, 1);
  expect(await answerOf('fresh')).toBe(OLD);
  copyFileSync(bucket.file('fresh'), bucket.file('twin'));
  const [one, other] = [await server.invoke('fresh'), await server.invoke('twin')];
  const accounts = await Promise.all([one, other].map((answer) => server.log.invocation(answer.requestId)));
  // The same code under two names is two functions.
  expect(accounts[0]!.runner).not.toBe(accounts[1]!.runner);
});

test('a folder in place of a function, and what lies beside functions', async () => {
  mkdirSync(bucket.file('folder'));
  expect(await codeOf('folder')).toBe('function_not_found');
  rmSync(bucket.file('folder'), { recursive: true });
  bucket.put('folder', oldVersion);
  expect(await answerOf('folder')).toBe(OLD);
  copyFileSync(oldVersion, join(bucket.path, 'plain.wasm'));
  // It has the name of something to compile, but is not that.
  expect(await codeOf('plain')).toBe('artifact_refused');
  expect(await codeOf('plain.wasm')).toBe('function_not_found');
});

test('a link that leads nowhere, or in a circle, is no function', async () => {
  symlinkSync(bucket.file('nowhere'), bucket.file('dangling'));
  expect(await codeOf('dangling')).toBe('function_not_found');
  symlinkSync(bucket.file('circle'), bucket.file('circle'));
  expect((await server.invoke('circle')).status).toBeGreaterThanOrEqual(404);
  bucket.put('works', oldVersion);
  expect(await answerOf('works')).toBe(OLD);
});

test('many requests while the version changes: each is answered by one of the two, whole', async () => {
  bucket.put('fresh', oldVersion);
  const answers: Promise<string>[] = [];
  for (let round = 0; round < 12; round++) {
    for (let index = 0; index < 10; index++) answers.push(answerOf('fresh'));
    bucket.put('fresh', round % 2 ? oldVersion : newVersion);
    await answers.at(-5);
  }
  const seen = await Promise.all(answers);
  expect(new Set(seen)).toEqual(new Set([OLD, NEW]));
});
