//! The filters of both processors, run in an interpreter of the kernel's programs.

use crate::hardening::allowlist::{self, Allowed};
use crate::hardening::filter::{Filter, OwnPid};
use crate::hardening::system_call::{self as call, SystemCall};
use seccompiler::{TargetArch, sock_filter};

const ARCHITECTURES: [(TargetArch, u32); 2] = [(TargetArch::x86_64, 0xc000_003e), (TargetArch::aarch64, 0xc000_00b7)];
const KILL_PROCESS: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;

/// What a filter says of a system call (the Linux documentation of seccomp filters, and bpf(4) of the instructions).
fn run(program: &[sock_filter], audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend_from_slice(&number.to_le_bytes());
    data.extend_from_slice(&audit.to_le_bytes());
    data.extend_from_slice(&[0; 8]);
    for argument in arguments {
        data.extend_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at].clone();
        at += 1;
        let mut jump = |condition: bool| at += usize::from(if condition { jt } else { jf });
        match code {
            0x20 => accumulator = u32::from_le_bytes(data[k as usize..][..4].try_into().expect("four bytes")),
            0x05 => at += k as usize,
            0x15 => jump(accumulator == k),
            0x25 => jump(accumulator > k),
            0x35 => jump(accumulator >= k),
            0x45 => jump(accumulator & k != 0),
            0x54 => accumulator &= k,
            0x06 => return k,
            other => panic!("an instruction that is not known here: {other:#x}"),
        }
    }
}

fn check(allowed: &[Allowed], call: SystemCall, arguments: [u64; 6], expected: bool) {
    for (arch, audit) in ARCHITECTURES {
        let Some(number) = call.number(arch) else { continue };
        let program = Filter::compile(allowed, arch).expect("a filter").program(OwnPid::current());
        let action = run(&program, audit, number, arguments);
        let wanted = if expected { ALLOW } else { KILL_PROCESS };
        assert_eq!(action, wanted, "{} {arguments:?} on {arch:?}", call.name);
    }
}

fn own_pid() -> u64 {
    std::process::id().into()
}

#[test]
fn a_worker_may_do_what_it_needs_and_nothing_beside_it() {
    let worker = allowlist::worker();
    let null = [0; 6];
    for allowed in [call::READ, call::WRITE, call::BRK, call::EPOLL_WAIT, call::EPOLL_PWAIT, call::EXIT_GROUP] {
        check(&worker, allowed, null, true);
    }
    for forbidden in [
        call::CLONE,
        call::KILL,
        call::OPENAT,
        call::PRLIMIT64,
        call::SECCOMP,
        call::WAIT4,
        call::CLOSE_RANGE,
        call::PPOLL,
        call::GETPPID,
        call::STATX,
    ] {
        check(&worker, forbidden, null, false);
    }
    check(&worker, call::SENDTO, [3, 1, 1, 0, 0, 0], true);
    check(&worker, call::SENDTO, [3, 1, 1, 0, 1, 0], false);
    check(&worker, call::SENDTO, [3, 1, 1, 0, 1 << 32, 0], false);
    for (protection, expected) in [(0, true), (1, true), (3, true), (4, false), (5, false), (7, false)] {
        check(&worker, call::MPROTECT, [4096, 4096, protection, 0, 0, 0], expected);
        check(&worker, call::MMAP, [0, 4096, protection, 0x22, u64::MAX, 0], expected);
    }
    check(&worker, call::TGKILL, [own_pid(), own_pid(), 6, 0, 0, 0], true);
    check(&worker, call::TGKILL, [own_pid(), own_pid(), 9, 0, 0, 0], false);
    check(&worker, call::TGKILL, [own_pid() + 1, own_pid() + 1, 6, 0, 0, 0], false);
    check(&worker, call::TGKILL, [1, 1, 6, 0, 0, 0], false);
    check(&worker, call::FCNTL, [3, 1030, 0, 0, 0, 0], true);
    check(&worker, call::FCNTL, [3, 4, 0, 0, 0, 0], false);
    check(&worker, call::PRCTL, [0x4155_5856, 0, 0, 0, 0, 0], true);
    for option in [1, 4, 15, 22, 38] {
        check(&worker, call::PRCTL, [option, 0, 0, 0, 0, 0], false);
    }
    check(&worker, call::SETITIMER, [0, 0, 0, 0, 0, 0], true);
    check(&worker, call::SETITIMER, [2, 0, 0, 0, 0, 0], false);
}

#[test]
fn a_supervisor_forks_and_kills_single_processes() {
    for supervisor in [allowlist::supervisor(), allowlist::loaded_supervisor()] {
        check(&supervisor, call::CLONE, [0x0120_0011, 0, 0, 0, 0, 0], true);
        // A thread, and a new user namespace.
        check(&supervisor, call::CLONE, [0x003d_0f00, 0, 0, 0, 0, 0], false);
        check(&supervisor, call::CLONE, [0x1120_0011, 0, 0, 0, 0, 0], false);
        check(&supervisor, call::KILL, [7, 9, 0, 0, 0, 0], true);
        check(&supervisor, call::KILL, [7, 15, 0, 0, 0, 0], true);
        check(&supervisor, call::KILL, [7, 19, 0, 0, 0, 0], false);
        for all in [0, 1, u64::MAX, u64::from(u32::MAX), 0x8000_0000] {
            check(&supervisor, call::KILL, [all, 9, 0, 0, 0, 0], false);
        }
        check(&supervisor, call::PRLIMIT64, [0, 7, 0, 0, 0, 0], true);
        check(&supervisor, call::PRLIMIT64, [1, 7, 0, 0, 0, 0], false);
        check(&supervisor, call::SECCOMP, [1, 0, 0, 0, 0, 0], true);
    }
    let read_only = [0xffff_ff9c, 1, 0o2_000_000, 0, 0, 0];
    let executable = [4096, 4096, 5, 0, 0, 0];
    check(&allowlist::supervisor(), call::OPENAT, read_only, true);
    check(&allowlist::supervisor(), call::MPROTECT, executable, true);
    check(&allowlist::loaded_supervisor(), call::OPENAT, read_only, false);
    check(&allowlist::loaded_supervisor(), call::MPROTECT, executable, false);
    for writing in [1, 2, 0o101, 0o1000] {
        check(&allowlist::supervisor(), call::OPENAT, [0xffff_ff9c, 1, writing, 0, 0, 0], false);
    }
}

#[test]
fn what_a_worker_may_do_its_supervisor_may_do_too() {
    // Filters are installed one upon the other: what an earlier one forbids, a later one cannot allow.
    for (outer, inner) in [
        (allowlist::loaded_supervisor(), allowlist::worker()),
        (allowlist::supervisor(), allowlist::loaded_supervisor()),
    ] {
        for allowed in inner {
            assert!(outer.iter().any(|known| known.call == allowed.call), "{}", allowed.call.name);
        }
    }
}

#[test]
fn another_processor_s_calls_and_those_of_the_x32_interface_are_the_end() {
    for (arch, _) in ARCHITECTURES {
        let program = Filter::compile(&allowlist::supervisor(), arch).expect("a filter").program(OwnPid::current());
        assert_eq!(run(&program, 0x4000_0003, 0, [0; 6]), KILL_PROCESS);
    }
    let program = Filter::compile(&allowlist::worker(), TargetArch::x86_64).expect("a filter");
    assert_eq!(run(&program.program(OwnPid::current()), 0xc000_003e, 0x4000_0000, [0; 6]), KILL_PROCESS);
}

#[test]
fn every_number_that_is_not_listed_is_the_end() {
    for allowed in [allowlist::worker(), allowlist::loaded_supervisor(), allowlist::supervisor()] {
        for (arch, audit) in ARCHITECTURES {
            let program = Filter::compile(&allowed, arch).expect("a filter").program(OwnPid::current());
            for number in (0..1_000).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                let listed = allowed.iter().find(|allowed| allowed.call.number(arch) == Some(number));
                let action = run(&program, audit, number, [0; 6]);
                match listed {
                    None => assert_eq!(action, KILL_PROCESS, "{number} on {arch:?}"),
                    Some(allowed) if allowed.when.is_empty() => {
                        assert_eq!(action, ALLOW, "{} on {arch:?}", allowed.call.name);
                    }
                    // Its arguments decide.
                    Some(_) => {}
                }
            }
        }
    }
}

#[test]
fn filters_are_short() {
    // The kernel translates the worker's one at every fork.
    for (arch, _) in ARCHITECTURES {
        for (allowed, most) in
            [(allowlist::worker(), 250), (allowlist::loaded_supervisor(), 350), (allowlist::supervisor(), 400)]
        {
            let length = Filter::compile(&allowed, arch).expect("a filter").program(OwnPid::current()).len();
            println!("{arch:?}: {} calls, {length} instructions", allowed.len());
            assert!(length <= most, "{length}");
        }
    }
}

#[test]
fn no_call_is_listed_twice_and_numbers_are_those_of_this_machine() {
    for allowed in [allowlist::worker(), allowlist::loaded_supervisor(), allowlist::supervisor()] {
        let mut names: Vec<_> = allowed.iter().map(|allowed| allowed.call.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    let arch: TargetArch = std::env::consts::ARCH.try_into().expect("a processor with a table");
    for (call, number) in [
        (call::BRK, libc::SYS_brk),
        (call::CLOCK_GETRES, libc::SYS_clock_getres),
        (call::CLOCK_GETTIME, libc::SYS_clock_gettime),
        (call::CLONE, libc::SYS_clone),
        (call::CLOSE, libc::SYS_close),
        (call::CLOSE_RANGE, libc::SYS_close_range),
        (call::EPOLL_CREATE1, libc::SYS_epoll_create1),
        (call::EPOLL_CTL, libc::SYS_epoll_ctl),
        (call::EPOLL_PWAIT, libc::SYS_epoll_pwait),
        (call::EPOLL_PWAIT2, libc::SYS_epoll_pwait2),
        (call::EVENTFD2, libc::SYS_eventfd2),
        (call::EXIT, libc::SYS_exit),
        (call::EXIT_GROUP, libc::SYS_exit_group),
        (call::FCNTL, libc::SYS_fcntl),
        (call::FSTAT, libc::SYS_fstat),
        (call::FUTEX, libc::SYS_futex),
        (call::GETPID, libc::SYS_getpid),
        (call::GETPPID, libc::SYS_getppid),
        (call::GETRANDOM, libc::SYS_getrandom),
        (call::GETTID, libc::SYS_gettid),
        (call::KILL, libc::SYS_kill),
        (call::LSEEK, libc::SYS_lseek),
        (call::MADVISE, libc::SYS_madvise),
        (call::MEMBARRIER, libc::SYS_membarrier),
        (call::MMAP, libc::SYS_mmap),
        (call::MPROTECT, libc::SYS_mprotect),
        (call::MREMAP, libc::SYS_mremap),
        (call::MUNMAP, libc::SYS_munmap),
        (call::NEWFSTATAT, libc::SYS_newfstatat),
        (call::OPENAT, libc::SYS_openat),
        (call::PPOLL, libc::SYS_ppoll),
        (call::PRCTL, libc::SYS_prctl),
        (call::PREAD64, libc::SYS_pread64),
        (call::PRLIMIT64, libc::SYS_prlimit64),
        (call::READ, libc::SYS_read),
        (call::READLINKAT, libc::SYS_readlinkat),
        (call::RESTART_SYSCALL, libc::SYS_restart_syscall),
        (call::RSEQ, libc::SYS_rseq),
        (call::RT_SIGACTION, libc::SYS_rt_sigaction),
        (call::RT_SIGPROCMASK, libc::SYS_rt_sigprocmask),
        (call::RT_SIGRETURN, libc::SYS_rt_sigreturn),
        (call::SCHED_GETAFFINITY, libc::SYS_sched_getaffinity),
        (call::SCHED_YIELD, libc::SYS_sched_yield),
        (call::SECCOMP, libc::SYS_seccomp),
        (call::SENDTO, libc::SYS_sendto),
        (call::SET_ROBUST_LIST, libc::SYS_set_robust_list),
        (call::SETITIMER, libc::SYS_setitimer),
        (call::SIGALTSTACK, libc::SYS_sigaltstack),
        (call::STATX, libc::SYS_statx),
        (call::TGKILL, libc::SYS_tgkill),
        (call::WAIT4, libc::SYS_wait4),
        (call::WRITE, libc::SYS_write),
    ] {
        assert_eq!(call.number(arch).map(i64::from), Some(number), "{}", call.name);
    }
}
