//! What the process is made before it starts anything: the spawner's own descriptors, signals and place among processes.
#![allow(unsafe_code, reason = "prctl, close_range and taking over a descriptor by its number have no safe form")]

use crate::signals;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Where the dispatcher is.
const DISPATCHER: RawFd = 3;

/// How the process is called where processes are listed.
const NAME: &std::ffi::CStr = c"playa: spawner";

/// Takes over the socket to the dispatcher, closes what else is open, keeps back all signals, and becomes the parent of what loses its own.
///
/// # Errors
/// There is no socket, or a system call fails.
pub fn prepare() -> io::Result<OwnedFd> {
    // SAFETY: system calls on integers and a constant string. Nothing of this process has a descriptor of its own yet.
    unsafe {
        if libc::fcntl(DISPATCHER, libc::F_SETFD, libc::FD_CLOEXEC) == -1 {
            let error = io::Error::last_os_error();
            return Err(io::Error::new(
                error.kind(),
                format!("file descriptor {DISPATCHER} must be a socket to the dispatcher: {error}"),
            ));
        }
        // What the server itself was started with comes through to here.
        if libc::syscall(libc::SYS_close_range, DISPATCHER + 1, libc::c_uint::MAX, 0) != 0
            || libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) != 0
            || libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    signals::block_all()?;
    // The folders of sandboxes must be passable, whatever the server's own mask is.
    umask(Mode::WGRP | Mode::WOTH);
    // Each sandbox takes three descriptors.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    // SAFETY: it is open, as was just seen, and nothing else in this process uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(DISPATCHER) })
}
