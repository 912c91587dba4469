//! The system calls by which a process gives up what it could do.
#![allow(unsafe_code, reason = "prctl, seccomp, setrlimit and sigaction have no safe form")]

use seccompiler::sock_filter;
use std::io;

/// `struct sock_fprog` (linux/filter.h).
#[repr(C)]
struct Program {
    length: libc::c_ushort,
    instructions: *const sock_filter,
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// No process of the same user may read this one's memory or attach to it, and it leaves no core file.
///
/// # Errors
/// What `prctl` says.
pub fn forbid_dumps() -> io::Result<()> {
    // SAFETY: a system call on integers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }.into())
}

/// Stands back by five steps where processors are short: a process counts a third of one of the dispatcher then (sched(7)), so that guests
/// which compute without end do not keep it from serving the others. Not earlier, or others' guests would slow this start down.
pub fn stand_back() {
    /// Beyond what the dispatcher was started with.
    const STEPS: libc::c_int = 5;
    // SAFETY: a system call on integers. It fails only where a priority is raised.
    unsafe { libc::nice(STEPS) };
}

/// A program that this process executes gains nothing; a filter may be installed without privileges.
///
/// # Errors
/// What `prctl` says.
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: a system call on integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// Installs a filter for this process, which must have one thread.
///
/// # Errors
/// What `seccomp` says.
pub fn install_filter(program: &[sock_filter]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let program = Program { length, instructions: program.as_ptr() };
    // SAFETY: the kernel copies the program, which lives as long as the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

/// Sets the soft and the hard limit of a resource, so that it cannot be raised again. One that is lower already stays.
///
/// # Errors
/// What `setrlimit` says.
pub fn limit(resource: Resource, value: u64) -> io::Result<()> {
    match limit_softly(resource, value, value) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            let value = value.min(hard_limit(resource)?);
            limit_softly(resource, value, value)
        }
        result => result,
    }
}

/// Sets the soft limit of a resource and the hard one.
///
/// # Errors
/// What `setrlimit` says.
pub fn limit_softly(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure lives as long as the call.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }.into())
}

/// What a limit can be raised to.
///
/// # Errors
/// What `getrlimit` says.
pub fn hard_limit(resource: Resource) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives as long as the call.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) }.into())?;
    Ok(limit.rlim_max)
}

/// The number of a resource, as the C library types it.
pub type Resource = libc::__rlimit_resource_t;

/// Leaves a signal without effect.
///
/// # Errors
/// What `signal` says.
pub fn ignore(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no handler is installed.
    if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether so many more bytes of writable memory can be mapped.
pub fn can_map(bytes: usize) -> bool {
    // SAFETY: a new mapping at a place the kernel chooses, which nobody has a reference to, is unmapped again.
    unsafe {
        let place = libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        if place == libc::MAP_FAILED {
            return false;
        }
        libc::munmap(place, bytes) == 0
    }
}
