import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../setup/lib/lock.mjs';

const never = new AbortController().signal;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-test-'));
  file = join(folder, 'build/setup.lock');
});
afterEach(() => rm(folder, { recursive: true }));

test('the second waits, is told so, and gets it when the first is done', async () => {
  const events: string[] = [];
  const release = await takeLock(file, () => events.push('waits, first'), never);
  const told = Promise.withResolvers<void>();
  const second = takeLock(
    file,
    () => {
      events.push('waits, second');
      told.resolve();
    },
    never,
  ).then((releaseSecond) => {
    events.push('has it');
    return releaseSecond;
  });
  await told.promise;
  events.push('releases');
  release();
  (await second)();
  expect(events).toEqual(['waits, second', 'releases', 'has it']);
});

test('it is free again when its holder is killed', async () => {
  const script = `
    const { takeLock } = await import(${JSON.stringify(import.meta.resolve('../../setup/lib/lock.mjs'))});
    await takeLock(${JSON.stringify(file)}, () => {}, new AbortController().signal);
    console.log('held');
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  holder.kill('SIGKILL');
  const release = await takeLock(file, () => undefined, never);
  expect(release).toBeTypeOf('function');
  release();
});

test('waiting can be given up', async () => {
  const release = await takeLock(file, () => undefined, never);
  const stop = new AbortController();
  await expect(takeLock(file, () => stop.abort(new Error('enough')), stop.signal)).rejects.toThrow('enough');
  release();
});
