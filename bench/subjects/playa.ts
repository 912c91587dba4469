import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_KEYS } from '../../test/harness/artifacts.ts';
import { PROJECT, runnerFile, spawnerFile } from '../../test/harness/project.ts';
import { makeTemporaryFolder } from '../../test/harness/temporary-folder.ts';
import { waitUntil } from '../../test/harness/wait-until.ts';
import type { Subject } from './peer.ts';

/**
 * Starts `playa serve` as it is run by default, its access log included; the log goes to a file, so that nobody's reading it takes
 * part in what is measured.
 * @param options flags without their dashes
 */
export async function startPlaya(bucket: string, options: Record<string, string | number>): Promise<Subject> {
  const folder = makeTemporaryFolder('bench');
  const logFile = join(folder.path, 'log');
  const log = openSync(logFile, 'w');
  const all = {
    bucket,
    listen: '127.0.0.1:0',
    'state-dir': join(folder.path, 'state'),
    keys: TEST_KEYS,
    runner: runnerFile(),
    spawner: spawnerFile(),
    ...options,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(PROJECT.playa, ['serve', '--no-config', ...flags], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], HOME: folder.path },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    folder.remove();
  };
  try {
    const url = await waitUntil(
      'playa listens',
      () => /"url":"(http:[^"]+)".*"msg":"listening"/.exec(readFileSync(logFile, 'utf8'))?.[1],
      () => readFileSync(logFile, 'utf8').slice(-2000),
    );
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
