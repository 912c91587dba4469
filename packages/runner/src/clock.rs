//! Clocks that supervisor and workers have in common.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Milliseconds of the monotonic clock, the same in all processes of this machine.
pub fn monotonic_ms() -> u64 {
    nanoseconds(ClockId::Monotonic) / 1_000_000
}

/// CPU time of this thread so far, in nanoseconds.
fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// Shares the CPU time of a thread out to those who use it one after the other. Reading the clock is a system call, so
/// the end of one turn is the beginning of the next.
#[derive(Debug, Default)]
pub struct CpuClock {
    last_ns: Cell<u64>,
}

impl CpuClock {
    /// A series of turns begins.
    pub fn start(&self) {
        self.last_ns.set(thread_cpu_ns());
    }

    /// A turn ends; returns how long it was, in nanoseconds.
    pub fn lap_ns(&self) -> u64 {
        let now = thread_cpu_ns();
        now - self.last_ns.replace(now)
    }
}
