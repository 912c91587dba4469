//! The numbers of the system calls that the allowlists name. Both columns are here, so that the filters of one processor can be tested on
//! the other.

use seccompiler::TargetArch;

/// A system call by its numbers; `None` where it does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemCall {
    pub name: &'static str,
    x86_64: Option<u32>,
    aarch64: Option<u32>,
}

impl SystemCall {
    /// The number on a processor.
    pub fn number(self, arch: TargetArch) -> Option<u32> {
        match arch {
            TargetArch::x86_64 => self.x86_64,
            TargetArch::aarch64 => self.aarch64,
            TargetArch::riscv64 => None,
        }
    }
}

const fn both(name: &'static str, x86_64: u32, aarch64: u32) -> SystemCall {
    SystemCall { name, x86_64: Some(x86_64), aarch64: Some(aarch64) }
}

const fn x86_64(name: &'static str, number: u32) -> SystemCall {
    SystemCall { name, x86_64: Some(number), aarch64: None }
}

pub const BRK: SystemCall = both("brk", 12, 214);
pub const CLOCK_GETRES: SystemCall = both("clock_getres", 229, 114);
pub const CLOCK_GETTIME: SystemCall = both("clock_gettime", 228, 113);
pub const CLONE: SystemCall = both("clone", 56, 220);
pub const CLOSE: SystemCall = both("close", 3, 57);
pub const CLOSE_RANGE: SystemCall = both("close_range", 436, 436);
pub const EPOLL_CREATE1: SystemCall = both("epoll_create1", 291, 20);
pub const EPOLL_CTL: SystemCall = both("epoll_ctl", 233, 21);
pub const EPOLL_PWAIT: SystemCall = both("epoll_pwait", 281, 22);
pub const EPOLL_PWAIT2: SystemCall = both("epoll_pwait2", 441, 441);
pub const EPOLL_WAIT: SystemCall = x86_64("epoll_wait", 232);
pub const EVENTFD2: SystemCall = both("eventfd2", 290, 19);
pub const EXIT: SystemCall = both("exit", 60, 93);
pub const EXIT_GROUP: SystemCall = both("exit_group", 231, 94);
pub const FCNTL: SystemCall = both("fcntl", 72, 25);
pub const FSTAT: SystemCall = both("fstat", 5, 80);
pub const FUTEX: SystemCall = both("futex", 202, 98);
pub const GETPID: SystemCall = both("getpid", 39, 172);
pub const GETPPID: SystemCall = both("getppid", 110, 173);
pub const GETRANDOM: SystemCall = both("getrandom", 318, 278);
pub const GETTID: SystemCall = both("gettid", 186, 178);
pub const KILL: SystemCall = both("kill", 62, 129);
pub const LSEEK: SystemCall = both("lseek", 8, 62);
pub const MADVISE: SystemCall = both("madvise", 28, 233);
pub const MEMBARRIER: SystemCall = both("membarrier", 324, 283);
pub const MMAP: SystemCall = both("mmap", 9, 222);
pub const MPROTECT: SystemCall = both("mprotect", 10, 226);
pub const MREMAP: SystemCall = both("mremap", 25, 216);
pub const MUNMAP: SystemCall = both("munmap", 11, 215);
pub const NEWFSTATAT: SystemCall = both("newfstatat", 262, 79);
pub const OPENAT: SystemCall = both("openat", 257, 56);
pub const PPOLL: SystemCall = both("ppoll", 271, 73);
pub const PRCTL: SystemCall = both("prctl", 157, 167);
pub const PREAD64: SystemCall = both("pread64", 17, 67);
pub const PRLIMIT64: SystemCall = both("prlimit64", 302, 261);
pub const READ: SystemCall = both("read", 0, 63);
pub const READLINK: SystemCall = x86_64("readlink", 89);
pub const READLINKAT: SystemCall = both("readlinkat", 267, 78);
pub const RESTART_SYSCALL: SystemCall = both("restart_syscall", 219, 128);
pub const RSEQ: SystemCall = both("rseq", 334, 293);
pub const RT_SIGACTION: SystemCall = both("rt_sigaction", 13, 134);
pub const RT_SIGPROCMASK: SystemCall = both("rt_sigprocmask", 14, 135);
pub const RT_SIGRETURN: SystemCall = both("rt_sigreturn", 15, 139);
pub const SCHED_GETAFFINITY: SystemCall = both("sched_getaffinity", 204, 123);
pub const SCHED_YIELD: SystemCall = both("sched_yield", 24, 124);
pub const SECCOMP: SystemCall = both("seccomp", 317, 277);
pub const SENDTO: SystemCall = both("sendto", 44, 206);
pub const SET_ROBUST_LIST: SystemCall = both("set_robust_list", 273, 99);
pub const SETITIMER: SystemCall = both("setitimer", 38, 103);
pub const SIGALTSTACK: SystemCall = both("sigaltstack", 131, 132);
pub const STATX: SystemCall = both("statx", 332, 291);
pub const TGKILL: SystemCall = both("tgkill", 234, 131);
pub const WAIT4: SystemCall = both("wait4", 61, 260);
pub const WRITE: SystemCall = both("write", 1, 64);
