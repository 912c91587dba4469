//! Limits of the kernel on what a process uses, set from within. Never on address space: a memory of a guest reserves four gigabytes of it.

use super::kernel::{can_map, hard_limit, ignore, limit, limit_softly};
use std::io;

/// Descriptors: the sockets of the most lanes there can be, the artifact, and some that come and go.
const DESCRIPTORS: u64 = 1_100;

/// What a supervisor and its workers never use, whatever they serve.
///
/// # Errors
/// What `setrlimit` says, as of the functions below.
pub fn limit_all() -> io::Result<()> {
    limit(libc::RLIMIT_CORE, 0)?;
    // A write beyond the limit is to fail, not to end the process: where standard error is a file, nobody hears what we report.
    ignore(libc::SIGXFSZ)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_NOFILE, DESCRIPTORS)?;
    limit(libc::RLIMIT_MEMLOCK, 0)?;
    limit(libc::RLIMIT_MSGQUEUE, 0)
}

/// A worker makes no process. The limit counts those of the user, of which there is one already.
pub fn limit_worker(cpu_seconds: Option<u64>) -> io::Result<()> {
    limit(libc::RLIMIT_NPROC, 0)?;
    match cpu_seconds {
        // A signal at the soft limit, which can be ignored, and the end a second later, which cannot.
        Some(seconds) => limit_softly(libc::RLIMIT_CPU, seconds, seconds + 1),
        None => Ok(()),
    }
}

/// Bounds the writable memory of this process, and of those it forks, to what it has now and `more` bytes.
///
/// Returns what it had, in bytes: there is no /proc to read that from, so it is found by trying.
pub fn limit_data(more: u64) -> io::Result<u64> {
    /// How exact the search is. A request waits for it, and `more` is far more.
    const STEP: u64 = 1 << 20;
    let most = hard_limit(libc::RLIMIT_DATA)?;
    let fits = |steps: u64| -> io::Result<bool> {
        limit_softly(libc::RLIMIT_DATA, steps * STEP, most)?;
        Ok(can_map(1))
    };
    let mut enough: u64 = 1;
    while !fits(enough)? {
        enough *= 2;
        if enough > most / STEP {
            return Err(io::Error::other("the limit of data that the runner was started with is too small"));
        }
    }
    let mut short = enough / 2;
    while enough - short > 1 {
        let middle = short + (enough - short) / 2;
        if fits(middle)? {
            enough = middle;
        } else {
            short = middle;
        }
    }
    limit(libc::RLIMIT_DATA, (enough * STEP).saturating_add(more))?;
    Ok(enough * STEP)
}
