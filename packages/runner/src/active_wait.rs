//! Waiting for the next request without sleeping.
//!
//! To wake a process that sleeps on a processor that sleeps takes tens of microseconds on a virtual machine, as much as a small request. So a
//! worker that is asked again within a short time looks for the next request itself for as long. The rule is that of the kernel's own
//! polling before it halts (<https://docs.kernel.org/virt/kvm/halt-polling.html>): it is done only while it succeeds.

use std::thread::yield_now;
use std::time::{Duration, Instant};

/// The longest pause that is waited through. With it, a worker that waits in vain has lost this once.
const LONGEST: Duration = Duration::from_micros(500);

/// To give way for longer means that others use the processor up.
const LOST: Duration = Duration::from_micros(150);

/// How many pauses are slept through after that: who gives way all the time is served last.
const REST: u32 = 20;

/// Whether to wait actively, learnt from how long the pauses were.
#[derive(Debug, Default)]
pub struct ActiveWait {
    idle_since: Option<Instant>,
    pays: bool,
    rest: u32,
}

impl ActiveWait {
    /// Calls `look` until it finds something or it does not pay; returns what it found.
    ///
    /// # Errors
    /// The one that `look` gave.
    pub fn wait<T, E>(&mut self, mut look: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
        let start = Instant::now();
        self.idle_since = Some(start);
        if self.rest > 0 {
            self.rest -= 1;
            return Ok(None);
        }
        let mut before = start;
        while self.pays {
            yield_now();
            if let Some(found) = look()? {
                self.idle_since = None;
                return Ok(Some(found));
            }
            let now = Instant::now();
            if now - before > LOST {
                self.rest = REST;
                break;
            }
            self.pays = now - start < LONGEST;
            before = now;
        }
        Ok(None)
    }

    /// A request came after the worker slept.
    pub fn woken(&mut self) {
        if let Some(since) = self.idle_since.take() {
            self.pays = since.elapsed() < LONGEST;
        }
    }
}
