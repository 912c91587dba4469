import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProgram } from '../../src/spawner/find-program.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-find-'));
  mkdirSync(join(folder, 'a/tool'), { recursive: true });
  mkdirSync(join(folder, 'b'));
  writeFileSync(join(folder, 'b/tool'), '');
  chmodSync(join(folder, 'b/tool'), 0o755);
  writeFileSync(join(folder, 'b/data'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('finds the first executable file of the name, and nothing else of it', () => {
  const path = `${join(folder, 'a')}::${join(folder, 'b')}`;
  expect(findProgram('tool', path)).toBe(join(folder, 'b/tool'));
  expect(findProgram('missing', path)).toBeUndefined();
  expect(findProgram('tool', undefined)).toBeUndefined();
});

test('a path is taken as it is', () => {
  expect(findProgram(join(folder, 'b/tool'), '')).toBe(join(folder, 'b/tool'));
  expect(findProgram(join(folder, 'a/tool'), '')).toBeUndefined();
});
