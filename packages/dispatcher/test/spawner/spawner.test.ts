import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeProcesses, listUsersOf } from '../../../../test/harness/process-tree.ts';
import { runnerFile, spawnerFile } from '../../../../test/harness/project.ts';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';
import { waitUntil } from '../../../../test/harness/wait-until.ts';
import { findProgram } from '../../src/spawner/find-program.ts';
import { seccompFilter } from '../../src/spawner/seccomp-filter.ts';
import { startSpawner, type SpawnedSandbox, type Spawner } from '../../src/spawner/spawner.ts';

const UID = process.getuid!() === 0 ? 154_400 : undefined;

let folder: { path: string; remove: () => void };
let spawner: Spawner;
let logged: string;

beforeEach(() => {
  folder = makeTemporaryFolder('spawner');
  logged = '';
  mkdirSync(join(folder.path, 'run'));
  chmodSync(join(folder.path, 'run'), 0o711);
  // Where the sandboxes' users can reach it.
  copyFileSync(runnerFile(), join(folder.path, 'runner'));
  chmodSync(join(folder.path, 'runner'), 0o555);
  writeFileSync(join(folder.path, 'filter'), seccompFilter(process.arch));
});

afterEach(async () => {
  await spawner.close();
  const left = listUsersOf(folder.path);
  if (left.length > 0) throw new Error(`processes left:\n${describeProcesses(left)}`);
  folder.remove();
});

async function start(binary = spawnerFile()): Promise<void> {
  const bubblewrap = findProgram('bwrap', process.env['PATH'])!;
  const programs = { bubblewrap, runner: join(folder.path, 'runner'), seccompFilter: join(folder.path, 'filter') };
  const log = pino({ level: 'error' }, { write: (line: string) => void (logged += line) });
  spawner = await startSpawner({ runDirectory: join(folder.path, 'run'), spawner: binary, programs, log });
}

/** Settles when the runner in a sandbox has said something. */
async function hello(sandbox: SpawnedSandbox): Promise<void> {
  const { control, lanes } = await sandbox.sockets;
  expect(lanes).toHaveLength(2);
  await new Promise((resolve) => control.once('readable', resolve));
}

/** A program of the test's own in the place of the spawner. */
function program(name: string, text: string): string {
  const file = join(folder.path, name);
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

test('starts sandboxes and ends them, and keeps what it knows to itself', async () => {
  await start();
  const sandboxes = Array.from({ length: 3 }, () => spawner.start(2, UID));
  await Promise.all(sandboxes.map(hello));
  expect(readFileSync(`/proc/${spawner.pid()}/environ`, 'utf8')).toBe('');
  expect(readFileSync(`/proc/${spawner.pid()}/cmdline`, 'utf8')).toBe('playa: spawner\0');
  expect(spawner.controlGroups()).toMatchObject({ available: expect.any(Boolean), detail: expect.stringMatching(/./) });
  expect(existsSync(sandboxes[0]!.directory)).toBe(true);
  sandboxes[0]!.kill();
  expect(await sandboxes[0]!.exited).toBe('it ended (status 137)');
  expect(existsSync(sandboxes[0]!.directory)).toBe(false);
  expect(readdirSync(join(folder.path, 'run/1')).toSorted()).toEqual(['2', '3']);
  await spawner.close();
  expect(await Promise.all(sandboxes.map(({ exited }) => exited))).toHaveLength(3);
  expect(readdirSync(folder.path)).not.toContain('run');
  expect(logged).toBe('');
});

test('a sandbox that shall end does so as its sockets close, and is killed where it does not', async () => {
  await start();
  const [obeys, lingers] = [spawner.start(2, UID), spawner.start(2, UID)];
  await Promise.all([obeys, lingers].map(hello));
  obeys.end();
  (await obeys.sockets).control.destroy();
  expect(await obeys.exited).toBe('it ended (status 0)');
  // Its sockets stay open: it knows of nothing.
  lingers.end();
  expect(await lingers.exited).toBe('it ended (status 137)');
  lingers.end();
  expect(readdirSync(join(folder.path, 'run/1'))).toEqual([]);
});

test('one that dies is followed by another, and its sandboxes are lost', async () => {
  await start();
  for (let round = 1; round <= 3; round++) {
    const [ready, starting] = [spawner.start(2, UID), spawner.start(2, UID)];
    await hello(ready);
    starting.sockets.catch(() => undefined);
    const old = spawner.pid()!;
    process.kill(old, 'SIGKILL');
    expect(await Promise.all([ready.exited, starting.exited])).toEqual(
      Array.from({ length: 2 }, () => 'the spawner ended (SIGKILL)'),
    );
    expect(spawner.pid()).not.toBe(old);
    expect(existsSync(ready.directory)).toBe(false);
    // It knows nothing of the old ones.
    ready.kill();
    await hello(spawner.start(2, UID));
  }
  expect(logged.match(/spawner ended/g)).toHaveLength(3);
});

test('without a user it starts nothing as root', async () => {
  await start();
  const sandbox = spawner.start(2, UID === undefined ? 0 : undefined);
  await expect(sandbox.sockets).rejects.toThrow('sandboxes are never started as root');
  expect(await sandbox.exited).toMatch(/never started as root/);
});

describe('a program that is no spawner', () => {
  test.each([
    ['is missing', () => join(folder.path, 'missing'), /ENOENT/],
    // A shell takes it for a script.
    ['is text', () => program('text', 'no program\n'), /status 127/],
    ['ends at once', () => program('ends', '#!/bin/sh\nexit 7\n'), /status 7/],
    ['says something else', () => program('talks', '#!/bin/sh\necho hello >&3\nexec sleep 1000\n'), /no event: hello/],
    ['says nothing', () => program('silent', '#!/bin/sh\nexec sleep 1000\n'), /did not answer within 5 s/],
  ])('%s', { timeout: 20_000 }, async (_what, make, reason) => {
    await start(make());
    const sandbox = spawner.start(2, UID);
    await expect(sandbox.sockets).rejects.toThrow(reason);
    expect(await sandbox.exited).toMatch(reason);
  });

  test('is tried again and again, and meanwhile refuses what is asked', async () => {
    await start(program('ends', '#!/bin/sh\nexit 7\n'));
    for (const tries of [2, 3, 4]) {
      await waitUntil(`try ${tries}`, () => (logged.split('spawner ended').length > tries ? true : undefined));
      const sandbox = spawner.start(2, UID);
      await expect(sandbox.sockets).rejects.toThrow(/status 7/);
      sandbox.kill();
    }
    expect(logged).toContain('"pauseMs":0');
    expect(logged).toContain('"pauseMs":200');
  });
});
