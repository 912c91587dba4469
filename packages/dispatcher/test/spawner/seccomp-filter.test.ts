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

/** What the filter says of a system call, as the kernel would run it (https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html). */
function verdict(program: Buffer, auditArch: number, number: number, firstArgument: number): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(auditArch, 4);
  data.writeUInt32LE(firstArgument, 16);
  let accumulator = 0;
  for (let at = 0; ; at += 8) {
    const value = program.readUInt32LE(at + 4);
    const jump = (condition: boolean): void => void (at += 8 * program[at + (condition ? 2 : 3)]!);
    switch (program.readUInt16LE(at)) {
      case 0x20:
        accumulator = data.readUInt32LE(value);
        break;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x45:
        jump((accumulator & value) !== 0);
        break;
      case 0x06:
        return value;
      default:
        throw new RangeError(`an instruction that is not known here: ${program.readUInt16LE(at)}`);
    }
  }
}

const ALLOW = 0x7fff_0000;
const EPERM = 0x0005_0001;
const ENOSYS = 0x0005_0026;
const KILL = 0x8000_0000;
/** Numbers from asm/unistd_64.h and asm-generic/unistd.h: sockets, other processes, namespaces and mounts, large parts of the kernel, the machine. */
const PROCESSORS = [
  {
    name: 'x64',
    auditArch: 0xc000_003e,
    clone: 56,
    denied: [
      ...[41, 42, 43, 49, 50, 53, 288, 101, 310, 311, 312, 438, 154, 155, 161, 165, 166, 272, 303, 304, 308],
      ...[428, 429, 430, 431, 432, 433, 442, 248, 249, 250, 298, 300, 321, 323, 425, 426, 427, 447],
      ...[103, 135, 159, 163, 164, 167, 168, 169, 172, 173, 175, 176, 179, 227, 246, 305, 313, 320],
    ],
  },
  {
    name: 'arm64',
    auditArch: 0xc000_00b7,
    clone: 220,
    denied: [
      ...[198, 199, 200, 201, 202, 203, 242, 117, 270, 271, 272, 438, 39, 40, 41, 51, 97, 264, 265, 268],
      ...[428, 429, 430, 431, 432, 433, 442, 217, 218, 219, 241, 262, 280, 282, 425, 426, 427, 447],
      ...[60, 89, 92, 104, 105, 106, 112, 116, 142, 170, 171, 224, 225, 266, 273, 294],
    ],
  },
] as const;

describe.each(PROCESSORS)('the program for $name', ({ name, auditArch, clone, denied }) => {
  const program = seccompFilter(name);

  test('refuses what is listed, under every argument, and nothing else', () => {
    const refused = new Set<number>(denied);
    for (let number = 0; number < 1000; number++) {
      for (const argument of [0, 17, 41, 0x1000_0000]) {
        const makesNamespace = number === clone && argument === 0x1000_0000;
        const expected = number === 435 ? ENOSYS : refused.has(number) || makesNamespace ? EPERM : ALLOW;
        expect([number, argument, verdict(program, auditArch, number, argument)]).toEqual([number, argument, expected]);
      }
    }
  });

  test('ends who calls as another processor does', () => {
    for (const other of [0, 0x4000_0003, 0xc000_00f3]) expect(verdict(program, other, 0, 0)).toBe(KILL);
    for (const x32 of [0x4000_0000, 0x4000_0029, 0xffff_ffff]) {
      expect(verdict(program, auditArch, x32, 0)).toBe(name === 'x64' ? KILL : ALLOW);
    }
  });
});

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
