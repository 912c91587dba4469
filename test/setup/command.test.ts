import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../setup/lib/command.mjs';
import { SetupFailure, describeFailure } from '../../setup/lib/failure.mjs';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'command-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

function shell(script: string, options: Partial<Parameters<typeof runCommand>[2]> = {}): Promise<void> {
  return runCommand('sh', ['-c', script], { cwd: folder, env: process.env, ...options });
}

async function failureOf(promise: Promise<unknown>): Promise<SetupFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SetupFailure);
  return error as SetupFailure;
}

describe('runCommand', () => {
  test('hands over each line of both outputs, also those that overwrite one another', async () => {
    const lines: string[] = [];
    await shell(String.raw`printf '1/3\r2/3\r3/3\n\nlast'; printf 'warning\n' >&2`, {
      onLine: (line) => void lines.push(line),
    });
    expect(lines.toSorted()).toEqual(['1/3', '2/3', '3/3', 'last', 'warning']);
  });

  test('a failure shows the last lines without progress, names the log and the remedy', async () => {
    const logFile = join(folder, 'logs/step.log');
    const failure = await failureOf(
      shell('i=0; while [ $i -lt 50 ]; do echo "line $i"; echo "progress $i"; i=$((i+1)); done; exit 3', {
        logFile,
        onLine: (line) => line.startsWith('progress'),
        explain: (output) => (output.includes('line 49') ? 'mend it' : undefined),
      }),
    );
    expect(failure.message).toContain('failed with status 3');
    expect(failure.output).toHaveLength(30);
    expect(failure.output.at(-1)).toBe('line 49');
    expect(describeFailure(failure).slice(-2)).toEqual([`whole output: ${logFile}`, 'what to do: mend it']);
    expect((await readFile(logFile, 'utf8')).split('\n')).toContain('line 0');
  });

  test('says so when there is no such program', async () => {
    const failure = await failureOf(runCommand('playa-no-such-program', [], { cwd: folder, env: process.env }));
    expect(failure.message).toContain('cannot start playa-no-such-program');
  });

  test('says so when a signal ends it', async () => {
    expect((await failureOf(shell('kill -9 $$'))).message).toContain('SIGKILL');
  });

  test('stops it with all that it started, when told so', async () => {
    const stop = new AbortController();
    const pids: number[] = [];
    const onLine = (line: string): void => {
      pids.push(Number(line));
      if (pids.length === 2) stop.abort();
    };
    await failureOf(shell('sleep 1000 & echo $!; echo $$; wait', { signal: stop.signal, onLine }));
    expect(pids).toHaveLength(2);
    // The outputs are closed: nobody holds them any more.
    for (const pid of pids)
      await expect(readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).resolves.not.toContain('sleep 1000');
  });

  test('stops at once what begins after the stop', async () => {
    expect((await failureOf(shell('sleep 1000', { signal: AbortSignal.abort() }))).message).toContain('was stopped');
  });
});

test('an unforeseen error is described with its stack', () => {
  expect(describeFailure(new TypeError('odd'))[0]).toMatch(/^TypeError: odd\n +at /);
});
