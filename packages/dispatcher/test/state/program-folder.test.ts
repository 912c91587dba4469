import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openProgramFolder } from '../../src/state/program-folder.ts';

/** What another server does right after this one has looked at a file. */
const meanwhile = vi.hoisted((): { act: (() => void) | undefined } => ({ act: undefined }));
vi.mock(import('node:fs'), async (importOriginal) => {
  const fs = await importOriginal();
  const statSync = ((...args: Parameters<typeof fs.statSync>) => {
    const stats = fs.statSync(...args);
    const { act } = meanwhile;
    meanwhile.act = undefined;
    act?.();
    return stats;
  }) as typeof fs.statSync;
  return { ...fs, statSync };
});

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

test('a program that another server begins to use while it is looked at stays', () => {
  const first = openProgramFolder(folder, '1-1');
  const path = first.install('playa-runner', Buffer.from('same'));
  first.leave();
  const [second, third] = [openProgramFolder(folder, '2-2'), openProgramFolder(folder, '3-3')];
  let installed = '';
  meanwhile.act = () => void (installed = second.install('playa-runner', Buffer.from('same')));
  third.removeUnused();
  expect(installed).toBe(path);
  expect(files()).toHaveLength(1);
  expect(readFileSync(path, 'utf8')).toBe('same');
});
