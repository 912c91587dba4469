//! Clocks that supervisor and workers have in common.

use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Shares the CPU time of a thread out to those who use it one after the other; clones are the same clock. Reading the
/// time is a system call, so the end of one turn is the beginning of the next.
#[derive(Clone, Debug, Default)]
pub struct CpuClock {
    last_ns: Arc<AtomicU64>,
}

impl CpuClock {
    /// A series of turns begins.
    pub fn start(&self) {
        self.last_ns.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    /// A turn ends; returns how long it was, in nanoseconds.
    pub fn lap_ns(&self) -> u64 {
        let now = thread_cpu_ns();
        let last = self.last_ns.load(Ordering::Relaxed);
        self.last_ns.store(now, Ordering::Relaxed);
        now - last
    }

    /// How long the present turn has been so far, in nanoseconds.
    pub fn turn_ns(&self) -> u64 {
        thread_cpu_ns() - self.last_ns.load(Ordering::Relaxed)
    }
}
