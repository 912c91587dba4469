//! Keeps an invocation within its time, and counts the CPU time it takes.

use crate::clock::CpuClock;
use crate::failure::Failure;
use crate::protocol::done::Outcome;
use crate::stream::Stream;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

/// Ends what it watches at the deadline and on CANCEL.
pub struct Watch<'a> {
    pub stream: &'a Stream,
    pub deadline: Instant,
}

impl Watch<'_> {
    /// Runs `future` to its end.
    ///
    /// # Errors
    /// It was cancelled, or took too long; it is dropped then, wherever it is.
    pub async fn over<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        let mut timeout = pin!(tokio::time::sleep_until(self.deadline.into()));
        poll_fn(|context| {
            if self.stream.poll_cancelled(context).is_ready() {
                return Poll::Ready(Err(Failure::new(Outcome::Cancelled, "nobody waits for the answer any more")));
            }
            match future.as_mut().poll(context) {
                Poll::Ready(value) => Poll::Ready(Ok(value)),
                // Only a guest that waits costs a timer.
                Poll::Pending if timeout.as_mut().poll(context).is_ready() => {
                    Poll::Ready(Err(Failure::wall_exceeded()))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Counts the CPU time of one invocation among others of the same thread.
pub struct Meter<'a> {
    clock: &'a CpuClock,
    used_ns: Cell<u64>,
}

impl<'a> Meter<'a> {
    /// `clock` must have been started in every turn in which the invocation is polled.
    pub fn new(clock: &'a CpuClock) -> Self {
        Self { clock, used_ns: Cell::new(0) }
    }

    /// Runs `future`; the time up to its end is known then.
    pub async fn over<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            let poll = future.as_mut().poll(context);
            self.used_ns.set(self.used_ns.get() + self.clock.lap_ns());
            poll
        })
        .await
    }

    /// What was used so far, in microseconds.
    pub fn used_us(&self) -> u64 {
        self.used_ns.get() / 1_000
    }
}
