import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addressOf, describeFirstSteps } from '../../setup/serve.mjs';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'serve-test-'));
});
afterEach(() => rm(root, { recursive: true }));

describe('addressOf', () => {
  test.each<[string[], Record<string, string>, string | undefined]>([
    [[], {}, '127.0.0.1:8080'],
    [['--listen', '127.0.0.1:9000'], { PLAYA_LISTEN: '127.0.0.1:7000' }, '127.0.0.1:9000'],
    [['--listen=[::1]:9000'], {}, '[::1]:9000'],
    [['--pool-size', '2'], { PLAYA_LISTEN: '127.0.0.1:7000' }, '127.0.0.1:7000'],
    [['--listen', '127.0.0.1:0'], {}, undefined],
    [['--config', 'other.toml'], {}, undefined],
  ])('of %j with %j is %s', (args, env, expected) => {
    expect(addressOf(args, { root, env })).toBe(expected);
  });

  test('is not known when a playa.toml may say it', async () => {
    await writeFile(join(root, 'playa.toml'), '');
    expect(addressOf([], { root, env: {} })).toBeUndefined();
    expect(addressOf([], { root, env: { PLAYA_LISTEN: '127.0.0.1:7000' } })).toBe('127.0.0.1:7000');
  });
});

test('the first steps name every function, the examples first', () => {
  expect(describeFirstSteps('127.0.0.1:8080', ['echo', 'hello', 'mine']).split('\n').slice(2, 5)).toEqual([
    '  curl -i http://127.0.0.1:8080/invoke/hello.cwasm',
    "  curl --data 'say it again' http://127.0.0.1:8080/invoke/echo.cwasm",
    '  curl -i http://127.0.0.1:8080/invoke/mine.cwasm',
  ]);
});

describe('serving', () => {
  /** A checkout whose server is a script that says what reaches it. */
  async function startServer(server: string, prefix: string[] = []) {
    const bin = join(root, 'packages/dispatcher/bin');
    await mkdir(bin, { recursive: true });
    await mkdir(join(root, 'bucket'));
    await writeFile(join(bin, 'playa'), `#!/bin/sh\n${server}\n`);
    await chmod(join(bin, 'playa'), 0o755);
    const script = `
      const parent = process.ppid;
      const { serve } = await import(${JSON.stringify(import.meta.resolve('../../setup/serve.mjs'))});
      process.exitCode = await serve({ root: ${JSON.stringify(root)}, bucketFolder: ${JSON.stringify(join(root, 'bucket'))}, env: process.env }, ['--pool-size', '1'], parent);`;
    const [command = '', ...args] = [...prefix, process.execPath, '--input-type=module', '-e', script];
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, npm_lifecycle_event: 'start' },
    });
    return { child, output: lines(child.stdout) };
  }

  async function* lines(stream: NodeJS.ReadableStream): AsyncGenerator<string, void> {
    let rest = '';
    for await (const chunk of stream) {
      const found = (rest + String(chunk)).split('\n');
      rest = found.pop() ?? '';
      yield* found;
    }
  }

  test('passes arguments, signals and the exit status on', async () => {
    const { child, output } = await startServer(
      'trap "echo got INT" INT; trap "echo got TERM; exit 7" TERM; echo "args $*"; while :; do sleep 0.01; done',
    );
    expect((await output.next()).value).toBe('args serve --pool-size 1');
    child.kill('SIGINT');
    expect((await output.next()).value).toBe('got INT');
    // Twice within half a second is one Ctrl-C that came by two ways; so the next signal is sent until it counts.
    const again = setInterval(() => child.kill('SIGTERM'), 100);
    expect((await output.next()).value).toBe('got TERM');
    const [status] = await once(child, 'exit');
    clearInterval(again);
    expect(status).toBe(7);
  });

  test('a server that a signal ends gives the status that shells give', async () => {
    const { child } = await startServer('kill -9 $$');
    expect((await once(child, 'exit'))[0]).toBe(137);
  });

  test('the server does not outlive a killed npm', async () => {
    const { child, output } = await startServer(
      'trap "echo got TERM; exit 0" TERM; echo here; while :; do sleep 0.01; done',
      [
        'sh',
        '-c',
        // A parent that can be killed alone, as npm can.
        '"$@" & echo $!; wait',
        'npm',
      ],
    );
    const pid = Number((await output.next()).value);
    expect((await output.next()).value).toBe('here');
    child.kill('SIGKILL');
    expect((await output.next()).value).toBe('got TERM');
    expect((await output.next()).done).toBe(true);
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
  });

  test('the server does not outlive a killed parent', async () => {
    const { child, output } = await startServer(
      'trap "echo got TERM; exit 0" TERM; echo $$; while :; do sleep 0.01; done',
    );
    const { value: pid } = await output.next();
    child.kill('SIGKILL');
    expect((await output.next()).value).toBe('got TERM');
    expect((await output.next()).done).toBe(true);
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
  });
});
