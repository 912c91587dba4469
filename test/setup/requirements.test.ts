import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { SetupFailure } from '../../setup/lib/failure.mjs';
import { isOlder } from '../../setup/lib/version.mjs';
import { checkPlatform } from '../../setup/steps/platform.mjs';
import { judgeRustToolchain } from '../../setup/steps/rust-toolchain.mjs';
import { BUBBLEWRAP, C_COMPILER, describeInstallation, findProgram } from '../../setup/steps/system-packages.mjs';

const run = promisify(execFile);

describe('the platform', () => {
  test.each(['x64', 'arm64'])('linux on %s will do', (arch) => {
    expect(() => checkPlatform({ platform: 'linux', arch, nodeVersion: 'v20.0.0' })).not.toThrow();
  });

  test.each([
    ['darwin', 'arm64', 'v24.0.0', 'this is darwin on arm64'],
    ['linux', 'riscv64', 'v24.0.0', 'this is linux on riscv64'],
    ['linux', 'x64', 'v18.20.4', 'needs Node 20'],
  ])('%s on %s with Node %s will not', (platform, arch, nodeVersion, expected) => {
    expect(() => checkPlatform({ platform, arch, nodeVersion })).toThrow(expected);
  });
});

describe('Rust', () => {
  const answer = (stdout: string): Parameters<typeof judgeRustToolchain>[0] => ({
    found: true,
    status: 0,
    stdout,
    stderr: '',
  });
  const absent = { found: false, status: null, stdout: '', stderr: '' };
  const cargo = answer('cargo 1.95.0 (abc 2026-04-01)');

  test.each(['1.95.0', '1.100.1', '2.0.0'])('%s will do', (version) => {
    expect(judgeRustToolchain(cargo, answer(`rustc ${version} (abc 2026-04-01)`))).toBeUndefined();
  });

  test('a nightly of a newer version will do', () => {
    expect(judgeRustToolchain(cargo, answer('rustc 1.97.0-nightly (abc 2026-06-01)'))).toBeUndefined();
  });

  test.each<[string, Parameters<typeof judgeRustToolchain>, string, string]>([
    ['no cargo', [absent, absent], 'cargo is missing', 'rustup.rs'],
    ['no rustc', [cargo, absent], 'rustc is missing', 'rustup.rs'],
    ['an old one', [cargo, answer('rustc 1.94.9 (abc)')], 'Rust 1.94.9 is too old', 'rustup update stable'],
    [
      'rustup without a toolchain',
      [cargo, { found: true, status: 1, stdout: '', stderr: 'error: no default is configured' }],
      'does not work',
      'rustup default stable',
    ],
  ])('%s will not', (_name, [cargoAnswer, rustcAnswer], message, remedy) => {
    const problem = judgeRustToolchain(cargoAnswer, rustcAnswer);
    expect(problem).toBeInstanceOf(SetupFailure);
    expect(problem?.message).toContain(message);
    expect(problem?.remedy).toContain(remedy);
  });
});

test.each([
  ['20.20.2', '24.12.0', true],
  ['24.9.0', '24.12.0', true],
  ['24.12.0', '24.12.0', false],
  ['26.0.0', '24.12.0', false],
])('%s is older than %s: %s', (version, than, expected) => {
  expect(isOlder(version, than)).toBe(expected);
});

describe('system packages', () => {
  test.each([
    ['apt-get', 'sudo apt-get install bubblewrap gcc libc6-dev'],
    ['dnf', 'sudo dnf install bubblewrap gcc glibc-static'],
    ['pacman', 'sudo pacman -S bubblewrap gcc'],
    ['none', "install with this system's package manager: bubblewrap gcc libc6-dev"],
  ])('with %s', (manager, expected) => {
    expect(describeInstallation([BUBBLEWRAP, C_COMPILER], (command) => command === manager)).toBe(expected);
  });

  test('a program is found on the search path, and nothing else is', () => {
    expect(findProgram('sh', '/nowhere::/bin')).toBe('/bin/sh');
    expect(findProgram('sh', undefined)).toBeUndefined();
    expect(findProgram('passwd', '/etc')).toBeUndefined();
  });
});

describe('the sandbox probe', () => {
  const script = `
    const { checkSandbox } = await import(${JSON.stringify(import.meta.resolve('../../setup/steps/sandbox.mjs'))});
    const error = await checkSandbox({ env: process.env, isRoot: %ISROOT% }).then(() => undefined, (reason) => reason);
    console.log(JSON.stringify(error === undefined ? {} : { message: error.message, remedy: error.remedy }));`;

  /** In a user namespace of our own, the settings are ours to change. */
  async function probe(settings: string, isRoot = false): Promise<{ message?: string; remedy?: string }> {
    const setUp = `${settings} exec "$0" --input-type=module -e "$1"`;
    const { stdout } = await run('unshare', [
      '--user',
      '--map-root-user',
      'sh',
      '-c',
      setUp,
      process.execPath,
      script.replace('%ISROOT%', String(isRoot)),
    ]);
    return JSON.parse(stdout);
  }

  test('finds that sandboxes start here', async () => {
    expect(await probe('')).toEqual({});
  });

  test('names the user id that root has not been given', async () => {
    expect((await probe('', true)).message).toContain('there is no user id 200000 here');
  });

  test.each(['pid', 'mnt', 'net', 'ipc', 'uts'])('names the setting that allows no %s namespace', async (kind) => {
    const { message, remedy } = await probe(`echo 0 > /proc/sys/user/max_${kind}_namespaces;`);
    expect(message).toContain(`user.max_${kind}_namespaces is 0. Nothing runs without one`);
    expect(remedy).toContain(`sysctl -w user.max_${kind}_namespaces=`);
  });
});
