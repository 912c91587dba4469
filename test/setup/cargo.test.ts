import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explainCargo, installExecutable, parseProgress } from '../../setup/lib/cargo.mjs';

describe('parseProgress', () => {
  test.each([
    [
      '    Building [=======>               ] 143/220: wasmtime-environ, tokio, h2',
      'compiling 143/220 wasmtime-environ',
    ],
    ['    Building [                             ] 0/1: tiny(bin)               ', 'compiling 0/1 tiny'],
    ['    Building [=====================> ] 219/220', 'compiling 219/220'],
    ['  Downloaded regalloc2 v0.15.1', 'downloaded regalloc2 v0.15.1'],
    [' Downloading crates ...', 'downloading crates ...'],
    [' Downloading [===>      ] 12/97', 'downloading 12/97'],
    ['    Blocking waiting for file lock on build directory', 'blocking waiting for file lock on build directory'],
  ])('%s', (line, expected) => {
    expect(parseProgress(line)).toBe(expected);
  });

  test.each([
    // The progress bar names it too, with how many there are.
    '   Compiling tiny v0.1.0 (/some/where)',
    'error[E0425]: cannot find value',
    '    Finished `release` profile',
    'warning: unused',
    '{"reason":"build-finished"}',
  ])('is nothing in %s', (line) => {
    expect(parseProgress(line)).toBeUndefined();
  });
});

describe('explainCargo', () => {
  test.each([
    ['error: linker `cc` not found', 'install a C compiler'],
    ['/usr/bin/ld: cannot find -lc: No such file or directory', 'static C library'],
    ["process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)", 'out of memory'],
    ['error: No space left on device (os error 28)', 'disk space'],
    ['error: failed to download `tokio v1.0.0`', 'network'],
    ['error: cannot update the lock file Cargo.lock because --locked was passed', 'cargo update --workspace'],
  ])('%s', (output, expected) => {
    expect(explainCargo(`first line\n${output}\nlast line`)).toContain(expected);
  });

  test('says nothing about an error in the code', () => {
    expect(explainCargo('error[E0425]: cannot find value `x` in this scope')).toBeUndefined();
  });
});

describe('installExecutable', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cargo-test-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('copies the last program of that name over the old one, executable for everybody', async () => {
    await writeFile(join(folder, 'wasmtime'), 'new', { mode: 0o600 });
    const installed = join(folder, 'bin/wasmtime');
    installExecutable([join(folder, 'other'), join(folder, 'wasmtime')], 'wasmtime', installed);
    expect(await readFile(installed, 'utf8')).toBe('new');
    expect((await stat(installed)).mode & 0o777).toBe(0o755);
  });

  test('says so when cargo built no such program', () => {
    expect(() => installExecutable(['/somewhere/other'], 'wasmtime', join(folder, 'bin/wasmtime'))).toThrow(
      'no program named wasmtime',
    );
  });
});
