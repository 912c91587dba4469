/**
 * The outer of the sandbox's seccomp filters, in the form that `bwrap --seccomp` takes: a classic BPF program
 * (https://docs.kernel.org/userspace-api/seccomp_filter.html).
 *
 * It is a list of what nothing in a sandbox ever needs, so that bubblewrap and the runner's start pass it. What the runner needs is
 * known to the runner, which can be stricter.
 */

/** Numbers of a system call on x86-64 and on arm64; `undefined` where it does not exist. */
type SystemCall = readonly [name: string, x64: number | undefined, arm64: number | undefined];

/** Answered with EPERM. */
const DENIED: readonly SystemCall[] = [
  // Every way to a socket: runners get theirs when they start. Also those that have no network namespace, as AF_VSOCK and AF_NETLINK.
  ['socket', 41, 198],
  ['socketpair', 53, 199],
  ['connect', 42, 203],
  ['bind', 49, 200],
  ['listen', 50, 201],
  ['accept', 43, 202],
  ['accept4', 288, 242],
  // Other processes.
  ['ptrace', 101, 117],
  ['process_vm_readv', 310, 270],
  ['process_vm_writev', 311, 271],
  ['pidfd_getfd', 438, 438],
  ['kcmp', 312, 272],
  // Namespaces and mounts.
  ['unshare', 272, 97],
  ['setns', 308, 268],
  ['mount', 165, 40],
  ['umount2', 166, 39],
  ['pivot_root', 155, 41],
  ['chroot', 161, 51],
  ['move_mount', 429, 429],
  ['open_tree', 428, 428],
  ['fsopen', 430, 430],
  ['fsconfig', 431, 431],
  ['fsmount', 432, 432],
  ['fspick', 433, 433],
  ['mount_setattr', 442, 442],
  ['name_to_handle_at', 303, 264],
  ['open_by_handle_at', 304, 265],
  // Large and young parts of the kernel.
  ['bpf', 321, 280],
  ['perf_event_open', 298, 241],
  ['userfaultfd', 323, 282],
  ['io_uring_setup', 425, 425],
  ['io_uring_enter', 426, 426],
  ['io_uring_register', 427, 427],
  ['keyctl', 250, 219],
  ['add_key', 248, 217],
  ['request_key', 249, 218],
  ['fanotify_init', 300, 262],
  ['memfd_secret', 447, 447],
  // The machine.
  ['kexec_load', 246, 104],
  ['kexec_file_load', 320, 294],
  ['init_module', 175, 105],
  ['finit_module', 313, 273],
  ['delete_module', 176, 106],
  ['reboot', 169, 142],
  ['swapon', 167, 224],
  ['swapoff', 168, 225],
  ['syslog', 103, 116],
  ['acct', 163, 89],
  ['quotactl', 179, 60],
  ['personality', 135, 92],
  ['iopl', 172, undefined],
  ['ioperm', 173, undefined],
  ['modify_ldt', 154, undefined],
  ['settimeofday', 164, 170],
  ['clock_settime', 227, 112],
  ['adjtimex', 159, 171],
  ['clock_adjtime', 305, 266],
];

const CLONE: SystemCall = ['clone', 56, 220];
/** Its flags lie in memory, where a filter cannot look; without it the C library uses `clone`. */
const CLONE3: SystemCall = ['clone3', 435, 435];

/** All `CLONE_NEW…` flags of `clone` (linux/sched.h): a new namespace of any kind. */
const NAMESPACE_FLAGS = 0x7e02_0080;

const AUDIT_ARCH = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
/** System calls of the x32 ABI have this bit (asm/unistd.h). */
const X32_BIT = 0x4000_0000;

const RET_ALLOW = 0x7fff_0000;
const RET_KILL_PROCESS = 0x8000_0000;
const RET_ERRNO = 0x0005_0000;
const EPERM = 1;
const ENOSYS = 38;

// Offsets in struct seccomp_data (linux/seccomp.h).
const NUMBER_AT = 0;
const ARCH_AT = 4;
const FIRST_ARGUMENT_AT = 16;

const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

/** So few numbers of system calls are compared one after the other. */
const COMPARED_ONE_BY_ONE = 4;

type Instruction = [code: number, jumpTrue: number, jumpFalse: number, value: number];

/**
 * The program for a processor architecture, 8 bytes an instruction.
 * @throws {RangeError} for an architecture that has no table here.
 */
export function seccompFilter(architecture: string): Buffer {
  if (architecture !== 'x64' && architecture !== 'arm64') {
    throw new RangeError(`there is no seccomp filter for ${architecture}`);
  }
  const numberOf = (call: SystemCall): number | undefined => (architecture === 'x64' ? call[1] : call[2]);
  const denied = DENIED.map(numberOf).filter((number) => number !== undefined);
  const program: Instruction[] = [
    [LOAD_WORD, 0, 0, ARCH_AT],
    [JUMP_EQUAL, 1, 0, AUDIT_ARCH[architecture]],
    [RETURN, 0, 0, RET_KILL_PROCESS],
    [LOAD_WORD, 0, 0, NUMBER_AT],
  ];
  if (architecture === 'x64') {
    program.push([JUMP_GREATER_OR_EQUAL, 0, 1, X32_BIT], [RETURN, 0, 0, RET_KILL_PROCESS]);
  }
  program.push(
    [JUMP_EQUAL, 0, 4, numberOf(CLONE)!],
    [LOAD_WORD, 0, 0, FIRST_ARGUMENT_AT],
    [JUMP_ANY_BIT, 0, 1, NAMESPACE_FLAGS],
    [RETURN, 0, 0, RET_ERRNO | EPERM],
    [RETURN, 0, 0, RET_ALLOW],
    [JUMP_EQUAL, 0, 1, numberOf(CLONE3)!],
    [RETURN, 0, 0, RET_ERRNO | ENOSYS],
    ...searchTree(denied.toSorted((a, b) => a - b)),
  );
  return assemble(program);
}

/**
 * Refuses the numbers, which are sorted, and allows all others. The numbers are halved until few are left: when a filter is installed, the kernel
 * runs it for every number that there is, to know what is always allowed (seccomp_cache_prepare in kernel/seccomp.c).
 */
function searchTree(denied: readonly number[]): Instruction[] {
  if (denied.length > COMPARED_ONE_BY_ONE) {
    const middle = denied.length >> 1;
    const below = searchTree(denied.slice(0, middle));
    return [[JUMP_GREATER_OR_EQUAL, below.length, 0, denied[middle]!], ...below, ...searchTree(denied.slice(middle))];
  }
  return [
    ...denied.map((number, index): Instruction => [JUMP_EQUAL, denied.length - index, 0, number]),
    [RETURN, 0, 0, RET_ALLOW],
    [RETURN, 0, 0, RET_ERRNO | EPERM],
  ];
}

function assemble(program: Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes[index * 8 + 2] = jumpTrue;
    bytes[index * 8 + 3] = jumpFalse;
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
