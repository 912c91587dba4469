//! Sandboxes that are to be killed and of which it is not known yet whom to kill.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long bubblewrap has for saying what is inside. It takes some milliseconds; a program that is not bubblewrap may never say it.
const PATIENCE: Duration = Duration::from_secs(3);

/// They are due in the order in which they were added.
#[derive(Default)]
pub struct LateKills(VecDeque<(Instant, u32)>);

impl LateKills {
    /// Adds a sandbox; `false` when it is there already.
    pub fn add(&mut self, id: u32) -> bool {
        let is_new = self.0.iter().all(|(_, known)| *known != id);
        if is_new {
            self.0.push_back((Instant::now() + PATIENCE, id));
        }
        is_new
    }

    /// Takes out one whose time has come.
    pub fn next_due(&mut self) -> Option<u32> {
        let (due, _) = self.0.front()?;
        if *due > Instant::now() { None } else { self.0.pop_front().map(|(_, id)| id) }
    }

    /// How long nothing needs to be done; `None` for ever.
    pub fn timeout_ms(&self) -> Option<u64> {
        let (due, _) = self.0.front()?;
        let left = due.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be spent with looking.
        Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }
}
