import { execFile } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WASMTIME_VERSION } from '../../packages/dispatcher/src/artifacts/engine-version.ts';
import { loadConfig } from '../../packages/dispatcher/src/config/load-config.ts';
import { examine } from '../../packages/dispatcher/src/doctor/doctor.ts';
import { DOCTOR_PARTS } from '../../packages/dispatcher/src/doctor/doctor-parts.ts';
import { describeFindings, type Finding } from '../../packages/dispatcher/src/doctor/finding.ts';
import { inspectSandboxes } from '../../packages/dispatcher/src/doctor/sandbox-inspection.ts';
import { buildGuest } from '../harness/artifacts.ts';
import { PROJECT, runnerFile, spawnerFile, weakenedRunnerFile } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';

const folder = makeTemporaryFolder('doctor');
const OPTIONS = [
  ...['--no-config', '--state-dir', join(folder.path, 'state')],
  ...['--runner', runnerFile(), '--spawner', spawnerFile()],
];
let bucket: TestBucket;

beforeAll(async () => {
  chmodSync(folder.path, 0o755);
  bucket = makeBucket({ probe: await buildGuest('probe') });
});

afterAll(() => {
  bucket.remove();
  folder.remove();
});

type Run = { code: number; stdout: string; stderr: string };

function doctor(...flags: string[]): Promise<Run> {
  const args = ['doctor', ...OPTIONS, ...flags];
  return new Promise((resolve) => {
    const options = { cwd: folder.path, env: { PATH: process.env['PATH'], HOME: folder.path } };
    execFile(PROJECT.playa, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** A bubblewrap command that leaves a flag out, with as many of its arguments as it has, and puts others in its place. */
function weakBubblewrap(dropped: string, values: number, added: readonly string[] = []): string {
  const file = join(folder.path, `bwrap-without${dropped}`);
  const script = `#!/bin/bash
kept=()
while [ $# -gt 0 ]; do
  if [ "$1" = "${dropped}" ]; then shift ${1 + values}; kept+=(${added.join(' ')}); else kept+=("$1"); shift; fi
done
exec bwrap "\${kept[@]}"
`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

test('every attack on this host is held', async () => {
  const run = await doctor('--json');
  const report = JSON.parse(run.stdout) as { held: boolean; findings: Finding[] };
  expect(report.findings.filter(({ held }) => !held)).toEqual([]);
  expect([run.code, report.held]).toEqual([0, true]);
  const kinds = Map.groupBy(report.findings, ({ kind }) => kind);
  expect(kinds.get('guest')!.length).toBeGreaterThan(15);
  expect(kinds.get('runner')!.length).toBeGreaterThan(15);
  expect(kinds.get('sandbox')!.length).toBeGreaterThan(10);
});

test('a weakened sandbox makes it fail, and it says what was not held', async () => {
  const run = await doctor('--bubblewrap', weakBubblewrap('--seccomp', 1));
  expect(run.stdout).toMatch(/^NOT HELD {2}sandbox: start \(.*system call filters/m);
  expect(run.stdout).toMatch(/attacks were NOT held/);
  expect(run.code).toBe(1);
});

test.skipIf(!existsSync(weakenedRunnerFile()))('a runner built without its filters makes it fail', async () => {
  const config = loadConfig(OPTIONS, {});
  const findings = await examine(config, {
    hostileFunction: DOCTOR_PARTS.hostileFunction,
    hostileRunner: weakenedRunnerFile(),
    wasmtimeVersion: WASMTIME_VERSION,
  });
  const failed = findings.filter(({ held }) => !held);
  expect(failed.map(({ kind }) => kind)).toContain('runner');
  expect(failed.map(({ name }) => name)).toEqual(expect.arrayContaining(['execve', 'fork', 'kill-sibling']));
  expect(describeFindings(findings)).toContain('NOT HELD  runner: execve');
});

describe('each layer is missed by itself, and without it no server starts', () => {
  test.each([
    ['own net namespace', '--unshare-all', 0, ['--unshare-all', '--share-net']],
    ['no environment', '--clearenv', 0, ['--setenv', 'SECRET', 'x']],
    ['nothing to write to', '--remount-ro', 1, []],
    [
      'no file but its program and its component',
      '--remount-ro',
      1,
      ['--ro-bind', '/etc', '/etc', '--remount-ro', '/'],
    ],
    ['system call filters', '--seccomp', 1, []],
  ])('%s', async (name, dropped, values, added) => {
    const start = startServer(bucket.path, { bubblewrap: weakBubblewrap(dropped, values, added) });
    await expect(start).rejects.toThrow(`weaker than they must be: ${name}`);
  });

  test('and none is missed in the sandbox as it is', async () => {
    const server = await startServer(bucket.path);
    const waiting = await server.openInvoke('probe/answer-then-never?bytes=1');
    expect((await inspectSandboxes(server.pid)).filter(({ held }) => !held)).toEqual([]);
    waiting.destroy();
    await server.log.invocation(waiting.headers['x-playa-request-id'] as string);
    await server.stop();
  });
});

test('what is missing is named, and options are those of serve', async () => {
  expect(await doctor('--no-such-flag')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('unknown argument --no-such-flag') as unknown,
  });
  const run = await doctor('--bubblewrap', 'no-such-bwrap');
  expect([run.code, run.stderr]).toEqual([2, expect.stringContaining('there is no executable no-such-bwrap')]);
});
