import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PROJECT, runnerFile } from '../harness/project.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-start-'));
  // Sandboxes run under another user where the tests run as root.
  chmodSync(folder, 0o711);
  mkdirSync(join(folder, 'bucket'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts a server that is not expected to get far. */
function serve(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const defaults = ['--no-config', '--listen', '127.0.0.1:0', '--runner', runnerFile()];
  const folders = ['--state-dir', join(folder, 'state'), '--keys', join(folder, 'keys')];
  const bucket = args.includes('--bucket') ? [] : ['--bucket', join(folder, 'bucket')];
  return new Promise((resolve) => {
    execFile(PROJECT.playa, ['serve', ...defaults, ...folders, ...bucket, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function standIn(script: string): string {
  const path = join(folder, 'bwrap');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('a server that cannot do its work does not start', () => {
  test('without bubblewrap it says what to install', async () => {
    const { code, stdout, stderr } = await serve(['--bubblewrap', join(folder, 'missing')]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/no executable .*missing.*apt-get install bubblewrap/);
  });

  test('where namespaces are forbidden it repeats what bubblewrap says, and leaves nothing', async () => {
    const refusing = standIn('echo "bwrap: setting up uid map: Permission denied" >&2; exit 1');
    const { code, stdout, stderr } = await serve(['--bubblewrap', refusing]);
    expect(code).toBe(2);
    expect(stdout).not.toContain('listening');
    expect(stderr).toMatch(/no sandbox can be started: .*setting up uid map: Permission denied/);
    expect(readdirSync(join(folder, 'state/run'))).toEqual([]);
  });

  test.each([
    [['--bucket', '/nonexistent/bucket'], /is not a folder/],
    [['--no-such-option'], /unknown argument --no-such-option/],
    [['--isolation', 'none'], /not one of sandbox, process, instance/],
  ])('%j stops it', async (args, message) => {
    const { code, stdout, stderr } = await serve(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});
