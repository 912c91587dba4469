//! What each process of a runner may ask of the kernel. Everything else ends the process at once: a request that none of our code makes
//! is made by somebody who has taken it over.

use super::system_call::{self as call, SystemCall};

/// A condition on one argument of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The lower half of the argument is this number.
    Is(u8, u32),
    /// All of the argument is zero.
    Null(u8),
    /// None of these bits is set.
    Without(u8, u32),
    /// The lower half of the argument, as a number without sign, is in this range.
    Within(u8, u32, u32),
    /// The lower half of the argument is the number of the process that installs the filter.
    IsOwnPid(u8),
}

/// A system call, and the conditions under which it is allowed: one of the lists must hold as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub call: SystemCall,
    /// Empty: under all circumstances.
    pub when: Vec<Vec<Condition>>,
}

fn always(call: SystemCall) -> Allowed {
    Allowed { call, when: Vec::new() }
}

fn when<const N: usize>(call: SystemCall, when: [&[Condition]; N]) -> Allowed {
    Allowed { call, when: when.map(<[Condition]>::to_vec).to_vec() }
}

// asm-generic/mman-common.h
const PROT_EXEC: u32 = 4;
// linux/fcntl.h; of open: anything but reading what is there.
const F_GETFD: u32 = 1;
const F_GETFL: u32 = 3;
const F_DUPFD_CLOEXEC: u32 = 1030;
const O_WRITE_OR_CREATE: u32 = 0o3 | 0o100 | 0o1000;
// linux/prctl.h
const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_AUXV: u32 = 0x4155_5856;
// linux/sched.h: what the C library's fork asks for, with the signal of a child's end.
const FORK_FLAGS: u32 = 0x0020_0000 | 0x0100_0000 | SIGCHLD;
// asm/signal.h, the same on both processors.
const SIGABRT: u32 = 6;
const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;
// linux/seccomp.h
const SECCOMP_SET_MODE_FILTER: u32 = 1;
// linux/time.h
const ITIMER_REAL: u32 = 0;

const LAST_PID: u32 = i32::MAX.cast_unsigned();

use Condition::{Is, IsOwnPid, Null, Within, Without};

/// A worker: it computes, waits, asks for the time and for random numbers, and reads and writes sockets that it already has. It opens
/// nothing, makes no process and no thread, signals nobody, and makes no memory executable.
pub fn worker() -> Vec<Allowed> {
    vec![
        always(call::CLOCK_GETTIME),
        always(call::READ),
        // Without an address: on a socket that is connected.
        when(call::SENDTO, [&[Null(4)]]),
        always(call::EPOLL_WAIT),
        always(call::EPOLL_PWAIT),
        always(call::EPOLL_PWAIT2),
        when(call::MPROTECT, [&[Without(2, PROT_EXEC)]]),
        when(call::MMAP, [&[Without(2, PROT_EXEC)]]),
        always(call::MUNMAP),
        always(call::BRK),
        always(call::MADVISE),
        always(call::MREMAP),
        when(call::SETITIMER, [&[Is(0, ITIMER_REAL)]]),
        always(call::RT_SIGRETURN),
        always(call::EPOLL_CTL),
        always(call::EPOLL_CREATE1),
        always(call::EVENTFD2),
        when(call::FCNTL, [&[Is(1, F_DUPFD_CLOEXEC)], &[Is(1, F_GETFL)], &[Is(1, F_GETFD)]]),
        always(call::GETRANDOM),
        // What it has to say on its standard error.
        always(call::WRITE),
        always(call::CLOSE),
        always(call::CLOCK_GETRES),
        always(call::FUTEX),
        always(call::SCHED_YIELD),
        always(call::RESTART_SYSCALL),
        always(call::RT_SIGPROCMASK),
        always(call::RT_SIGACTION),
        always(call::SIGALTSTACK),
        when(call::PRCTL, [&[Is(0, PR_GET_AUXV)]]),
        always(call::GETPID),
        always(call::GETTID),
        // How a process of ours ends itself when it has found a fault of its own.
        when(call::TGKILL, [&[IsOwnPid(0), Is(2, SIGABRT)]]),
        always(call::EXIT),
        always(call::EXIT_GROUP),
    ]
}

/// What a supervisor needs beside it once the component is loaded, also for what a worker does between the fork and its own filter.
pub fn loaded_supervisor() -> Vec<Allowed> {
    let mut allowed = worker();
    allowed.retain(|allowed| ![call::PRCTL, call::TGKILL].contains(&allowed.call));
    allowed.extend([
        always(call::PPOLL),
        always(call::WAIT4),
        when(call::CLONE, [&[Is(0, FORK_FLAGS)]]),
        // Only single processes, and not the first one of the namespace.
        when(call::KILL, [&[Within(0, 2, LAST_PID), Is(1, SIGKILL)], &[Within(0, 2, LAST_PID), Is(1, SIGTERM)]]),
        when(call::PRCTL, [&[Is(0, PR_GET_AUXV)], &[Is(0, PR_SET_PDEATHSIG), Is(1, SIGKILL)]]),
        // A worker that ends itself before its own filter has another number than the supervisor; nobody's code but ours runs there.
        when(call::TGKILL, [&[Is(2, SIGABRT)]]),
        always(call::GETPPID),
        always(call::CLOSE_RANGE),
        always(call::SET_ROBUST_LIST),
        always(call::RSEQ),
        // Its own limits, not those of another process.
        when(call::PRLIMIT64, [&[Is(0, 0)]]),
        when(call::SECCOMP, [&[Is(0, SECCOMP_SET_MODE_FILTER)]]),
        always(call::SCHED_GETAFFINITY),
    ]);
    allowed
}

/// What a supervisor needs beside it to load a component: to read files, and to make code executable.
pub fn supervisor() -> Vec<Allowed> {
    let mut allowed = loaded_supervisor();
    allowed.retain(|allowed| allowed.call != call::MPROTECT);
    allowed.extend([
        always(call::MPROTECT),
        when(call::OPENAT, [&[Without(2, O_WRITE_OR_CREATE)]]),
        always(call::STATX),
        always(call::FSTAT),
        always(call::NEWFSTATAT),
        // The name of a file that cannot be mapped is looked for, to be told; there is no /proc to find it in.
        always(call::READLINK),
        always(call::READLINKAT),
        always(call::LSEEK),
        always(call::PREAD64),
        // On arm64, before code is run that was written as data.
        always(call::MEMBARRIER),
    ]);
    allowed
}
