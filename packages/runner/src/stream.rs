//! One invocation's stream on a lane: the request body on its way in, the credit for the response body, cancellation.

use crate::outbox::Outbox;
use crate::protocol::frame::{INITIAL_CREDIT_BYTES, Violation, violation};
use crate::receive_window::ReceiveWindow;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How far the request has come.
#[derive(Debug)]
enum RequestEnd {
    Open,
    /// END was seen; trailers until the guest has taken them.
    Ended(Option<HeaderMap>),
    /// CANCEL was seen before END: the body will never be complete.
    Cut,
}

#[derive(Debug)]
struct State {
    chunks: VecDeque<Bytes>,
    end: RequestEnd,
    /// What the dispatcher may still send of the body.
    window: ReceiveWindow,
    /// The guest has no use for the rest of the body.
    discarding: bool,
    body_waker: Option<Waker>,
    /// Body bytes that may still be sent to the dispatcher.
    credit: u64,
    credit_waker: Option<Waker>,
    cancelled: bool,
    cancel_waker: Option<Waker>,
    /// DONE was sent.
    done: bool,
}

/// The state of one stream. It is shared by the lane, which feeds it, and the invocation.
#[derive(Debug)]
pub struct Stream {
    /// The number that the dispatcher chose.
    pub number: u32,
    outbox: Outbox,
    state: Mutex<State>,
}

/// What a reader of the request body gets.
#[derive(Debug)]
pub enum BodyEvent {
    Chunk(Bytes),
    /// The body is complete.
    End(Option<HeaderMap>),
    /// The body will never be complete.
    Cut,
}

impl Stream {
    /// The stream that a REQUEST has opened.
    pub fn new(number: u32, outbox: Outbox) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            end: RequestEnd::Open,
            window: ReceiveWindow::default(),
            discarding: false,
            body_waker: None,
            credit: INITIAL_CREDIT_BYTES.into(),
            credit_waker: None,
            cancelled: false,
            cancel_waker: None,
            done: false,
        };
        Self { number, outbox, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(&self, state: &mut State, bytes: usize) {
        let is_open = matches!(state.end, RequestEnd::Open) && !state.done;
        state.window.pass_on(bytes, is_open, self.number, &self.outbox);
    }

    /// A BODY frame has come.
    ///
    /// # Errors
    /// It is empty, after the end, or more than was granted.
    pub fn on_body(&self, chunk: Bytes) -> Result<(), Violation> {
        let mut state = self.lock();
        if !matches!(state.end, RequestEnd::Open) {
            return violation("BODY after the end of the body");
        }
        state.window.take(&chunk)?;
        if state.discarding {
            self.grant(&mut state, chunk.len());
            return Ok(());
        }
        state.chunks.push_back(chunk);
        wake(state.body_waker.take());
        Ok(())
    }

    /// END has come, with trailers or none.
    ///
    /// # Errors
    /// The body had ended before.
    pub fn on_end(&self, trailers: Option<HeaderMap>) -> Result<(), Violation> {
        let mut state = self.lock();
        if !matches!(state.end, RequestEnd::Open) {
            return violation("END after the end of the body");
        }
        state.end = RequestEnd::Ended(trailers);
        wake(state.body_waker.take());
        Ok(())
    }

    /// CREDIT has come.
    pub fn on_credit(&self, bytes: u32) {
        let mut state = self.lock();
        state.credit += u64::from(bytes);
        wake(state.credit_waker.take());
    }

    /// CANCEL has come: nobody wants the answer any more.
    pub fn on_cancel(&self) {
        let mut state = self.lock();
        if matches!(state.end, RequestEnd::Open) {
            state.end = RequestEnd::Cut;
            state.chunks.clear();
            wake(state.body_waker.take());
        }
        state.cancelled = true;
        wake(state.cancel_waker.take());
    }

    /// DONE was sent; what still comes of the body is thrown away.
    pub fn set_done(&self) {
        let mut state = self.lock();
        state.done = true;
        state.discarding = true;
        state.chunks.clear();
    }

    /// Whether the lane may forget the stream: it is done in both directions.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        state.done && !matches!(state.end, RequestEnd::Open)
    }

    /// Ready when CANCEL has come.
    pub fn poll_cancelled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.cancelled {
            return Poll::Ready(());
        }
        keep_waker(&mut state.cancel_waker, context);
        Poll::Pending
    }

    /// The next part of the request body, of at most `max_bytes`. After the end it gives the end again, without trailers.
    pub fn poll_body(&self, context: &mut Context<'_>, max_bytes: usize) -> Poll<BodyEvent> {
        let mut state = self.lock();
        if let Some(mut chunk) = state.chunks.pop_front() {
            if chunk.len() > max_bytes {
                let rest = chunk.split_off(max_bytes);
                state.chunks.push_front(rest);
            }
            self.grant(&mut state, chunk.len());
            return Poll::Ready(BodyEvent::Chunk(chunk));
        }
        match &mut state.end {
            RequestEnd::Ended(trailers) => Poll::Ready(BodyEvent::End(trailers.take())),
            RequestEnd::Cut => Poll::Ready(BodyEvent::Cut),
            RequestEnd::Open => {
                keep_waker(&mut state.body_waker, context);
                Poll::Pending
            }
        }
    }

    /// Ready when `poll_body` has something to give.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.chunks.is_empty() || !matches!(state.end, RequestEnd::Open) {
            return Poll::Ready(());
        }
        keep_waker(&mut state.body_waker, context);
        Poll::Pending
    }

    /// Whether the body is known to hold nothing more, not even trailers.
    pub fn is_body_at_end(&self) -> bool {
        let state = self.lock();
        state.chunks.is_empty() && matches!(state.end, RequestEnd::Ended(None))
    }

    /// The guest has dropped the body: the rest is taken off the dispatcher's hands and thrown away.
    pub fn discard_body(&self) {
        let mut state = self.lock();
        state.discarding = true;
        let bytes = state.chunks.drain(..).map(|chunk| chunk.len()).sum();
        self.grant(&mut state, bytes);
    }

    /// How many of `wanted` body bytes may be sent now (at least one); they count as sent.
    pub fn poll_credit(&self, context: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        let mut state = self.lock();
        if state.credit == 0 {
            keep_waker(&mut state.credit_waker, context);
            return Poll::Pending;
        }
        let bytes = state.credit.min(wanted as u64);
        state.credit -= bytes;
        Poll::Ready(usize::try_from(bytes).unwrap_or(wanted))
    }
}

/// Wakes what was kept.
pub fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Keeps the waker of the task that is to be woken.
pub fn keep_waker(slot: &mut Option<Waker>, context: &Context<'_>) {
    if !slot.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
        *slot = Some(context.waker().clone());
    }
}
