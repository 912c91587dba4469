import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PROJECT } from '../../../test/harness/project.ts';

const TYPES = join(import.meta.dirname, '..');

/** What tsc prints about a project; empty when all is well. */
async function typeErrors(project: string): Promise<string> {
  const tsc = join(PROJECT.root, 'node_modules/typescript/bin/tsc');
  return promisify(execFile)(PROJECT.node, [tsc, '--pretty', 'false', '-p', project]).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
}

// refused.ts expects an error at each of its lines: one that is not there is an error itself.
test('accept what the engine has, and refuse what it lacks', async () => {
  expect(await typeErrors(join(TYPES, 'check'))).toBe('');
});

test('are enough for the examples', async () => {
  expect(await typeErrors(join(PROJECT.examples, 'tsconfig.json'))).toBe('');
});

test('are all part of the package', () => {
  const index = readFileSync(join(TYPES, 'index.d.ts'), 'utf8');
  for (const file of readdirSync(join(TYPES, 'globals'))) expect(index).toContain(`./globals/${file}`);
});
