//! The CPU time that an invocation may take and has taken.

use crate::clock::CpuClock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Said by the epoch's callback when the time is used up.
#[derive(Clone, Copy, Debug)]
pub struct CpuExceeded;

impl fmt::Display for CpuExceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the limit of processor time is reached")
    }
}

impl std::error::Error for CpuExceeded {}

/// The CPU time of one invocation; clones share it. Waiting costs none, as only turns are counted.
#[derive(Clone, Debug)]
pub struct CpuBudget {
    clock: CpuClock,
    used_ns: Arc<AtomicU64>,
    limit_ns: u64,
}

impl CpuBudget {
    /// Nothing is used yet. `clock` must have been started in every turn in which the invocation is polled.
    pub fn new(clock: CpuClock, limit_ms: u64) -> Self {
        Self { clock, used_ns: Arc::default(), limit_ns: limit_ms.saturating_mul(1_000_000) }
    }

    /// A turn has ended.
    pub fn end_turn(&self) {
        // One thread writes; the type is atomic because a store's data must be.
        self.used_ns.store(self.used_ns() + self.clock.lap_ns(), Ordering::Relaxed);
    }

    fn used_ns(&self) -> u64 {
        self.used_ns.load(Ordering::Relaxed)
    }

    /// What was used up to the end of the last turn, in microseconds.
    pub fn used_us(&self) -> u64 {
        self.used_ns() / 1_000
    }

    /// Whether the turns before this one have used all.
    pub fn is_used_up(&self) -> bool {
        self.used_ns() > self.limit_ns
    }

    /// Whether this turn, and those before it, have used all. Reads the clock.
    pub fn is_used_up_now(&self) -> bool {
        self.used_ns() + self.clock.turn_ns() > self.limit_ns
    }
}
