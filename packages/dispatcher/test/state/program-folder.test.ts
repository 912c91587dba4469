import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openProgramFolder } from '../../src/state/program-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-programs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const files = (): string[] => readdirSync(folder).filter((name) => name !== 'users');

test('a program stays as long as a server uses it, and goes when the next one comes', () => {
  const first = openProgramFolder(folder, '1-1');
  const old = first.install('playa-runner', Buffer.from('old'));
  const second = openProgramFolder(folder, '2-2');
  const young = second.install('playa-runner', Buffer.from('young'));
  second.removeUnused();
  expect(readFileSync(old, 'utf8')).toBe('old');
  first.leave();
  expect(readFileSync(old, 'utf8')).toBe('old');
  second.removeUnused();
  expect(files().map((name) => join(folder, name))).toEqual([young]);
});

test('the same program is there once, for two servers; foreign files are left alone', () => {
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  const [first, second] = [openProgramFolder(folder, '1-1'), openProgramFolder(folder, '2-2')];
  const path = first.install('playa-runner', Buffer.from('same'));
  expect(second.install('playa-runner', Buffer.from('same'))).toBe(path);
  expect(second.install('playa-runner', Buffer.from('same'))).toBe(path);
  first.leave();
  second.removeUnused();
  expect(files()).toHaveLength(2);
});

test('half a program, left by a server that was killed, is replaced', () => {
  const first = openProgramFolder(folder, '1-1');
  const path = first.install('playa-runner', Buffer.from('whole'));
  rmSync(path);
  writeFileSync(path, 'who');
  openProgramFolder(folder, '2-2').install('playa-runner', Buffer.from('whole'));
  expect(readFileSync(path, 'utf8')).toBe('whole');
});
