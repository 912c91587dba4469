import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seccompFilter } from '../../src/spawner/seccomp-filter.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-seccomp-'));
  writeFileSync(join(folder, 'filter'), seccompFilter(process.arch));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a shell command in a sandbox without its own namespaces, so that only the filter can be what stops it. */
function run(command: string, filtered: boolean): { status: number; stderr: string } {
  const filter = openSync(join(folder, 'filter'), 'r');
  // As an ordinary user where this runs as root: nothing here may depend on privileges.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  try {
    const args = ['--dev-bind', '/', '/', ...(filtered ? ['--seccomp', '3'] : []), 'bash', '-c', command];
    execFileSync('bwrap', args, { stdio: ['ignore', 'pipe', 'pipe', filter], encoding: 'utf8', cwd: '/', ...user });
    return { status: 0, stderr: '' };
  } catch (error) {
    const { status, stderr } = error as { status: number; stderr: string };
    return { status, stderr };
  } finally {
    closeSync(filter);
  }
}

describe('seccompFilter', () => {
  test('lets ordinary programs run, with forks and pipes', () => {
    expect(run('for i in 1 2 3; do echo $i | cat; done', true)).toEqual({ status: 0, stderr: '' });
  });

  test.each([
    ['a new user namespace', 'unshare --user true'],
    ['a new process-id namespace by clone', 'unshare --user --pid --fork true'],
  ])('%s is refused, and works without the filter', (_what, command) => {
    expect(run(command, false)).toEqual({ status: 0, stderr: '' });
    expect(run(command, true).stderr).toMatch(/Operation not permitted/);
  });

  test('no socket can be made, and without the filter one can', () => {
    const command = 'exec 5<>/dev/tcp/127.0.0.1/1';
    expect(run(command, false).stderr).toMatch(/Connection refused/);
    expect(run(command, true).stderr).toMatch(/Operation not permitted/);
  });

  test('there is none for a processor that has no table', () => {
    expect(() => seccompFilter('riscv64')).toThrow(RangeError);
    expect(seccompFilter('arm64').length % 8).toBe(0);
  });
});
