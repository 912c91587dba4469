import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PROJECT, wasmtimeFile } from '../../../../test/harness/project.ts';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';
import { WASMTIME_VERSION } from '../../src/compile/engine-version.ts';
import { findWasmtime } from '../../src/compile/wasmtime-command.ts';
import { thrownBy } from '../helpers/thrown.ts';

let folder: { path: string; remove: () => void };
beforeEach(() => {
  folder = makeTemporaryFolder('wasmtime');
});
afterEach(() => folder.remove());

/** A program named wasmtime in a folder of its own, which prints a line. */
function program(name: string, line: string): string {
  const path = join(folder.path, name, 'wasmtime');
  mkdirSync(join(folder.path, name));
  writeFileSync(path, `#!/bin/sh\necho "${line}"\n`, { mode: 0o755 });
  return path;
}

const nowhere = '/nowhere/wasmtime';

test('the version is that of the lock file', () => {
  const lock = readFileSync(join(PROJECT.root, 'Cargo.lock'), 'utf8');
  expect(/name = "wasmtime"\nversion = "([^"]+)"/.exec(lock)?.[1]).toBe(WASMTIME_VERSION);
});

test('the real command is recognised', async () => {
  expect(await findWasmtime({ option: wasmtimeFile(), env: {}, builtPath: nowhere })).toBe(wasmtimeFile());
});

describe('of several commands', () => {
  test('the option wins over the environment, that over the built one, that over PATH', async () => {
    const [option, variable, built, onPath] = ['option', 'variable', 'built', 'path'].map((name) =>
      program(name, `wasmtime ${WASMTIME_VERSION} (8d1b1b1c9 2026-10-29)`),
    ) as [string, string, string, string];
    const env = { PLAYA_WASMTIME: variable, PATH: `/nowhere:${join(onPath, '..')}` };
    expect(await findWasmtime({ option, env, builtPath: built })).toBe(option);
    expect(await findWasmtime({ env, builtPath: built })).toBe(variable);
    expect(await findWasmtime({ env: { PATH: env.PATH }, builtPath: built })).toBe(built);
    expect(await findWasmtime({ env: { PATH: env.PATH }, builtPath: nowhere })).toBe(onPath);
  });

  test('those of PATH with another version are passed over', async () => {
    const other = program('other', 'wasmtime 47.0.1');
    const right = program('right', `wasmtime ${WASMTIME_VERSION}`);
    const PATH = [other, right].map((path) => join(path, '..')).join(':');
    expect(await findWasmtime({ env: { PATH }, builtPath: nowhere })).toBe(right);
  });
});

describe('a command is refused', () => {
  test('by name and version when it is named and does not match', async () => {
    for (const version of ['47.0.1', '48.0.7', '48.0.80', '49.0.0']) {
      const path = program(version, `wasmtime ${version}`);
      const error = await thrownBy(() => findWasmtime({ option: path, env: {}, builtPath: nowhere }));
      expect(error).toMatchObject({ exit: 'toolchain', code: 'wasmtime_version' });
      expect(error.message).toBe(`${path} is wasmtime ${version}; exactly ${WASMTIME_VERSION} is needed`);
    }
  });

  test('by name when all there are do not match', async () => {
    const built = program('built', 'wasmtime 48.0.6');
    const onPath = program('path', 'wasmtime 47.0.0');
    const error = await thrownBy(() => findWasmtime({ env: { PATH: join(onPath, '..') }, builtPath: built }));
    expect(error.code).toBe('wasmtime_version');
    expect(error.message).toContain(`${built} is wasmtime 48.0.6`);
    expect(error.message).toContain(`${onPath} is wasmtime 47.0.0`);
  });

  test('when it is no wasmtime, or is not there', async () => {
    const strange = program('strange', 'something else 48.0.8');
    for (const path of [strange, nowhere, folder.path]) {
      const error = await thrownBy(() => findWasmtime({ env: { PLAYA_WASMTIME: path }, builtPath: nowhere }));
      expect(error).toMatchObject({ exit: 'toolchain', code: 'wasmtime_missing' });
      expect(error.message).toContain(path);
    }
    const error = await thrownBy(() => findWasmtime({ env: { PATH: '' }, builtPath: nowhere }));
    expect(error.hint).toContain('npm start');
  });
});
