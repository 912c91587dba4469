//! The epoch timer of a worker: a signal every [`TICK_MS`] while a guest runs, none while none does.
#![allow(unsafe_code, reason = "setitimer and its signal handler have no safe form")]

use crate::process::handle_signal;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wasmtime::Engine;

/// How long a guest runs at most before it yields to the other invocations of its worker.
pub const TICK_MS: u64 = 10;

static ENGINE: AtomicPtr<Engine> = AtomicPtr::new(std::ptr::null_mut());

/// A guest may be running now.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// The timer will fire.
static ARMED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_tick(_signal: libc::c_int) {
    if !RUNNING.load(Ordering::Relaxed) {
        ARMED.store(false, Ordering::Relaxed);
        return;
    }
    // SAFETY: the pointer was leaked by `prepare` and is never freed; increment_epoch is one atomic addition.
    if let Some(engine) = unsafe { ENGINE.load(Ordering::Relaxed).as_ref() } {
        engine.increment_epoch();
    }
    arm();
}

/// Starts the timer for one tick. The handler starts it again, so that an idle worker is woken once at most.
fn arm() {
    let tick = libc::timeval { tv_sec: 0, tv_usec: (TICK_MS * 1_000).cast_signed() };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: tick };
    // SAFETY: setitimer reads a plain structure; it may be called from a signal handler.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const once, std::ptr::null_mut()) };
}

/// Installs the handler, for this process and the ones it forks. Called once, by the supervisor.
///
/// # Errors
/// What `sigaction` says.
pub fn prepare(engine: &Engine) -> io::Result<()> {
    ENGINE.store(Box::into_raw(Box::new(engine.clone())), Ordering::Relaxed);
    handle_signal(libc::SIGALRM, on_tick)
}

/// To be called before guests are polled.
pub fn enter() {
    RUNNING.store(true, Ordering::Relaxed);
    if !ARMED.swap(true, Ordering::Relaxed) {
        arm();
    }
}

/// To be called after guests were polled.
pub fn leave() {
    RUNNING.store(false, Ordering::Relaxed);
}
