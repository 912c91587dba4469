//! Signals: none ends or interrupts the spawner, and the end of a child can be waited for like input.
#![allow(unsafe_code, reason = "masks and dispositions of signals have no safe form")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The last of the signals (signal(7)).
const LAST_SIGNAL: libc::c_int = 64;

/// Keeps all signals back. The dispatcher decides when sandboxes end, and a Ctrl-C in the terminal reaches the whole process group. They are not ignored:
/// what is ignored would stay so in the programs that are started.
///
/// # Errors
/// What `sigprocmask` says.
pub fn block_all() -> io::Result<()> {
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: a call on integers. It fails for those that cannot be changed, and those that the C library keeps for itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is plain data and is filled before it is used.
    let result = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets all signals through, in a process that is about to become another program.
///
/// # Errors
/// What `sigprocmask` says.
pub fn unblock_all() -> io::Result<()> {
    // SAFETY: as above.
    let result = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What becomes readable when a child has ended.
pub struct ChildSignal(pub OwnedFd);

impl ChildSignal {
    /// # Errors
    /// What `signalfd` says.
    pub fn open() -> io::Result<Self> {
        // SAFETY: the set is plain data, initialised before it is used; the descriptor that comes back is nobody else's.
        unsafe {
            let mut children: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut children);
            libc::sigaddset(&raw mut children, libc::SIGCHLD);
            match libc::signalfd(-1, &raw const children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Makes it readable only once another child has ended. To be called before the children are waited for.
    pub fn clear(&self) {
        let mut information = [0; size_of::<libc::signalfd_siginfo>()];
        // There is at most one: a signal that is pending already is not counted again. There may be none, which is no error.
        let _ = rustix::io::read(&self.0, &mut information);
    }
}
