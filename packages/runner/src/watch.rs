//! Keeps an invocation within its time, and counts the CPU time it takes.

use crate::cpu_budget::CpuBudget;
use crate::failure::Failure;
use crate::protocol::done::Outcome;
use crate::stream::Stream;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

/// Ends what it watches at the deadline, on CANCEL, and when the CPU time is used up.
pub struct Watch<'a> {
    pub stream: &'a Stream,
    pub deadline: Instant,
    pub cpu: &'a CpuBudget,
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
            // Turns that are shorter than a tick of the epoch are only seen here.
            if self.cpu.is_used_up() {
                return Poll::Ready(Err(Failure::cpu_exceeded()));
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

/// Runs `future`; every turn of it is counted.
pub async fn metered<T>(budget: &CpuBudget, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        budget.end_turn();
        poll
    })
    .await
}
