import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openProject } from '../../setup/lib/project.mjs';
import { createVersitygwStep } from '../../setup/steps/versitygw.mjs';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';

describe('the step that builds versitygw', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>;
  beforeEach(() => {
    folder = makeTemporaryFolder('versitygw-step');
    mkdirSync(join(folder.path, 'test/stores/versitygw'), { recursive: true });
    mkdirSync(join(folder.path, 'bin'));
  });
  afterEach(() => folder.remove());

  /** A step in a project whose Go is a script. */
  const stepWith = (go: string) => {
    const file = join(folder.path, 'bin/go');
    writeFileSync(file, `#!/bin/sh\n${go}\n`);
    chmodSync(file, 0o755);
    const env = { PATH: `${join(folder.path, 'bin')}:${process.env['PATH']}` };
    const buildFolder = join(folder.path, 'build');
    return createVersitygwStep({ ...openProject(env), root: folder.path, buildFolder, env });
  };
  const runStep = (go: string) => stepWith(go).run({ update: () => undefined, signal: new AbortController().signal });
  const built = () => existsSync(join(folder.path, 'build/bin/versitygw'));

  test('builds once, and again when what is pinned changes', async () => {
    const go = 'if [ "$1" = env ]; then echo go1.25; else touch "$5"; fi';
    const step = stepWith(go);
    expect(await step.isCurrent()).toBe(false);
    expect(await runStep(go)).toBe('built');
    expect(built()).toBe(true);
    expect(await step.isCurrent()).toBe(true);
    writeFileSync(join(folder.path, 'test/stores/versitygw/go.mod'), 'module other');
    expect(await step.isCurrent()).toBe(false);
  });

  test.each([
    ['is too old', 'echo go1.24.9', 'Go 1.24.9 is older than 1.25.0'],
    ['is something else', 'echo hello', 'does not say its version'],
    ['cannot fetch modules', '[ "$1" = env ] && echo go1.26.1', 'build/logs/versitygw.log'],
  ])('a Go that %s leaves it out, says so and fails nothing', async (_how, go, reason) => {
    expect(await runStep(go)).toContain(reason);
    expect(built()).toBe(false);
  });
});
