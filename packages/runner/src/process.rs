//! Processes: forking workers, waiting for them, and what a worker does first. System calls only, no policy.
#![allow(unsafe_code, reason = "fork, wait4, prctl, close_range and signal handling have no safe form")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The descriptor of the control socket.
const CONTROL: libc::c_uint = 3;

/// The descriptor of the first lane.
const FIRST_LANE: libc::c_uint = 4;

/// How a child ended, as `wait4` told.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    pub pid: i32,
    /// Exit status, 0 when a signal ended it.
    pub status: i32,
    /// The signal that ended it, else 0.
    pub signal: i32,
    pub cpu_us: u64,
    pub max_rss_kb: u64,
}

/// This process is a worker and may end at once: it holds no request and half of no frame.
static WORKER_IDLE: AtomicBool = AtomicBool::new(false);

/// This process is a worker that shall end as soon as it is idle.
static WORKER_DRAINING: AtomicBool = AtomicBool::new(false);

/// The process that forks; all others are workers, from the moment they exist.
static SUPERVISOR: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_child_ended(_signal: libc::c_int) {}

extern "C" fn on_terminate(_signal: libc::c_int) {
    if own_pid() == SUPERVISOR.load(Ordering::Relaxed) {
        // SAFETY: _exit may be called from a signal handler.
        unsafe { libc::_exit(128 + libc::SIGTERM) };
    }
    WORKER_DRAINING.store(true, Ordering::Relaxed);
    if WORKER_IDLE.load(Ordering::Relaxed) {
        // SAFETY: as above. Nothing is lost: what the dispatcher may have sent since is still in the lane.
        unsafe { libc::_exit(0) };
    }
}

/// Installs `handler` for `signal`, on the alternate stack where there is one, restarting system calls.
pub(crate) fn handle_signal(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    // SAFETY: the structure is plain data, fully set; the handlers passed here only touch atomics and make system calls
    // that are allowed in a handler.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the end of a child interrupt [`wait_for_events`] and nothing else, and SIGTERM end idle workers.
///
/// Workers inherit the handlers, which costs them no system call.
///
/// # Errors
/// What `sigaction` or `sigprocmask` say.
pub fn prepare_supervisor() -> io::Result<()> {
    SUPERVISOR.store(own_pid(), Ordering::Relaxed);
    handle_signal(libc::SIGCHLD, on_child_ended)?;
    handle_signal(libc::SIGTERM, on_terminate)?;
    set_child_signal_blocked(true)
}

fn set_child_signal_blocked(blocked: bool) -> io::Result<()> {
    // SAFETY: the set is plain data and is initialised before it is used.
    let result = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        if blocked {
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for readiness, the end of a child, or the timeout; `None` waits for ever. Returns early on any signal.
///
/// # Errors
/// What `ppoll` says, but not `EINTR`.
pub fn wait_for_events(fds: &mut [libc::pollfd], timeout_ms: Option<u64>) -> io::Result<()> {
    let timeout = timeout_ms.map(|ms| libc::timespec {
        tv_sec: libc::time_t::try_from(ms / 1_000).unwrap_or(libc::time_t::MAX),
        tv_nsec: i64::try_from(ms % 1_000 * 1_000_000).unwrap_or(0),
    });
    // SAFETY: the slice, the timeout and the signal set live as long as the call.
    let result = unsafe {
        let mut unblocked: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut unblocked);
        libc::ppoll(
            fds.as_mut_ptr(),
            fds.len() as libc::nfds_t,
            timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            &raw const unblocked,
        )
    };
    if result >= 0 {
        return Ok(());
    }
    for fd in fds {
        fd.revents = 0;
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

/// Forks. The child runs `child` and never comes back; the parent gets its pid.
///
/// The caller must be single-threaded, as the supervisor is.
///
/// # Errors
/// The kernel will not make a process now.
pub fn fork_worker(child: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: this process has one thread, so the child finds every lock free and may go on as the parent would.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => exit_now(child()),
        pid => Ok(pid),
    }
}

/// What a worker does first: it dies with the supervisor, keeps of the control socket and the lanes only its own
/// `lane`, and has no signal blocked. Other descriptors stay: Wasmtime maps memories from the artifact's.
///
/// # Errors
/// What `prctl`, `close_range` or `sigprocmask` say.
pub fn prepare_worker(lane: RawFd, lanes: usize, supervisor: i32) -> io::Result<()> {
    // SAFETY: a system call on integers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The supervisor may have died before the line above took effect.
    // SAFETY: a system call without arguments.
    if unsafe { libc::getppid() } != supervisor {
        exit_now(1);
    }
    let lane = libc::c_uint::try_from(lane).map_err(io::Error::other)?;
    let last = FIRST_LANE + libc::c_uint::try_from(lanes).map_err(io::Error::other)? - 1;
    close_range(CONTROL, lane - 1)?;
    close_range(lane + 1, last)?;
    set_child_signal_blocked(false)
}

fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: in a worker the descriptors closed here belong to the supervisor's values, which this process never touches
    // again and never drops, as it leaves by _exit; in a supervisor that has just begun they belong to nobody.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The next child that has ended, without waiting.
pub fn reap() -> Option<Reaped> {
    let mut status = 0;
    // SAFETY: both out-parameters live as long as the call; rusage is plain data.
    let (pid, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage), usage)
    };
    if pid <= 0 {
        return None;
    }
    let micros = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    let signalled = libc::WIFSIGNALED(status);
    Some(Reaped {
        pid,
        status: if signalled { 0 } else { libc::WEXITSTATUS(status) },
        signal: if signalled { libc::WTERMSIG(status) } else { 0 },
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        max_rss_kb: usage.ru_maxrss.unsigned_abs(),
    })
}

/// Sends `signal` to a child that has not been reaped yet.
pub fn signal_child(pid: i32, signal: libc::c_int) {
    // SAFETY: a system call on integers. The pid cannot have been reused, as only this process reaps it.
    unsafe { libc::kill(pid, signal) };
}

/// Lets the heap grow in large steps and shrink never: workers are ended, and what is freed after one request serves the next. Without it a worker
/// asks the kernel for more, and gives it back, once or several times a request. The processes that are forked inherit it.
pub fn keep_heap() {
    const STEP_BYTES: libc::c_int = 1 << 20;
    const NEVER: libc::c_int = libc::c_int::MAX;
    // SAFETY: a call on integers. One that the C library refuses changes nothing, which is no harm.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER);
        libc::mallopt(libc::M_TOP_PAD, STEP_BYTES);
        // To set the others ends the adaptation of this one, which would have come to about this.
        libc::mallopt(libc::M_MMAP_THRESHOLD, STEP_BYTES);
    }
}

/// This process's own number.
pub fn own_pid() -> i32 {
    // SAFETY: a system call without arguments.
    unsafe { libc::getpid() }
}

/// Ends this process without running destructors: the kernel frees everything faster than they would.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Tells the handler of SIGTERM whether this worker may end at once.
pub fn set_worker_idle(idle: bool) {
    WORKER_IDLE.store(idle, Ordering::Relaxed);
}

/// Whether the supervisor wants this worker to end.
pub fn is_draining() -> bool {
    WORKER_DRAINING.load(Ordering::Relaxed)
}

/// Takes over the sockets that a runner is started with: descriptor 3, and the `lanes` that follow it. Closes whatever
/// else is open: what the server itself was started with comes through to here.
///
/// # Errors
/// One of them is not open.
pub fn inherited_sockets(lanes: usize) -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
    let lanes = RawFd::try_from(lanes).map_err(io::Error::other)?;
    for fd in 3..=3 + lanes {
        // SAFETY: a system call on integers.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            let error = io::Error::last_os_error();
            return Err(io::Error::new(error.kind(), format!("file descriptor {fd} must be a socket: {error}")));
        }
    }
    let first_other = libc::c_uint::try_from(4 + lanes).map_err(io::Error::other)?;
    close_range(first_other, libc::c_uint::MAX)?;
    Ok((own_descriptor(3), (4..4 + lanes).map(own_descriptor).collect()))
}

/// Takes ownership of a descriptor by number. Each is taken once in a process; the supervisor's values of the same
/// descriptors are not used in a worker.
pub fn own_descriptor(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass descriptors that are open and that nothing else in this process uses.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
