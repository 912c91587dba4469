//! One even stream of a lane: a connection that the dispatcher has made, or a look-up.

use crate::outbox::Outbox;
use crate::protocol::egress::{CloseReason, FailureCode, write_close};
use crate::protocol::frame::{FrameType, INITIAL_CREDIT_BYTES, MAX_PAYLOAD_BYTES, Violation, violation, write_frame};
use crate::protocol::headers::write_headers;
use crate::receive_window::ReceiveWindow;
use crate::stream::{keep_waker, wake};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What the dispatcher has answered.
#[derive(Debug)]
enum Opening {
    Dialing,
    Resolving,
    Connected(SocketAddr),
    Resolved(Vec<IpAddr>),
    Failed(FailureCode),
}

#[derive(Debug)]
struct State {
    opening: Opening,
    open_waker: Option<Waker>,
    /// The invocation for which it is there; `None` while it waits to be used again.
    owner: Option<u32>,
    chunks: VecDeque<Bytes>,
    /// What the dispatcher may still send.
    window: ReceiveWindow,
    read_waker: Option<Waker>,
    /// Bytes that may still be sent to the dispatcher.
    credit: u64,
    write_waker: Option<Waker>,
    end_received: bool,
    end_sent: bool,
    close_received: Option<CloseReason>,
    close_sent: bool,
}

/// The state of one even stream, shared by the lane and who uses it.
#[derive(Debug)]
pub struct Connection {
    number: u32,
    outbox: Outbox,
    state: Mutex<State>,
}

impl Connection {
    fn new(number: u32, outbox: Outbox, owner: u32, opening: Opening) -> Self {
        let state = State {
            opening,
            open_waker: None,
            owner: Some(owner),
            chunks: VecDeque::new(),
            window: ReceiveWindow::default(),
            read_waker: None,
            credit: INITIAL_CREDIT_BYTES.into(),
            write_waker: None,
            end_received: false,
            end_sent: false,
            close_received: None,
            close_sent: false,
        };
        Self { number, outbox, state: Mutex::new(state) }
    }

    /// A connection for which DIAL was sent.
    pub fn dialing(number: u32, outbox: Outbox, owner: u32) -> Self {
        Self::new(number, outbox, owner, Opening::Dialing)
    }

    /// A look-up for which RESOLVE was sent.
    pub fn resolving(number: u32, outbox: Outbox, owner: u32) -> Self {
        Self::new(number, outbox, owner, Opening::Resolving)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The invocation for which it is there now.
    pub fn owner(&self) -> Option<u32> {
        self.lock().owner
    }

    /// Gives it to an invocation, or to nobody.
    pub fn set_owner(&self, owner: Option<u32>) {
        self.lock().owner = owner;
    }

    /// DIALED has come.
    ///
    /// # Errors
    /// Nobody had asked; so for all that has come.
    pub fn on_dialed(&self, address: SocketAddr) -> Result<(), Violation> {
        self.on_opening(|opening| matches!(opening, Opening::Dialing), Opening::Connected(address))
    }

    /// RESOLVED has come.
    pub fn on_resolved(&self, addresses: Vec<IpAddr>) -> Result<(), Violation> {
        self.on_opening(|opening| matches!(opening, Opening::Resolving), Opening::Resolved(addresses))
    }

    /// FAILED has come.
    pub fn on_failed(&self, code: FailureCode) -> Result<(), Violation> {
        self.on_opening(|opening| matches!(opening, Opening::Dialing | Opening::Resolving), Opening::Failed(code))
    }

    fn on_opening(&self, expected: impl Fn(&Opening) -> bool, opening: Opening) -> Result<(), Violation> {
        let mut state = self.lock();
        if !expected(&state.opening) || state.close_received.is_some() {
            return violation("an answer to a DIAL or RESOLVE that was not asked for");
        }
        state.opening = opening;
        wake(state.open_waker.take());
        Ok(())
    }

    /// BODY has come.
    pub fn on_body(&self, chunk: Bytes) -> Result<(), Violation> {
        let mut state = self.lock();
        if !matches!(state.opening, Opening::Connected(_)) || state.end_received {
            return violation("BODY on a connection that is not open");
        }
        state.window.take(&chunk)?;
        if !state.close_sent {
            state.chunks.push_back(chunk);
            wake(state.read_waker.take());
        }
        Ok(())
    }

    /// END has come: the other side sends nothing more.
    pub fn on_end(&self) -> Result<(), Violation> {
        let mut state = self.lock();
        if !matches!(state.opening, Opening::Connected(_)) || state.end_received {
            return violation("END on a connection that is not open");
        }
        state.end_received = true;
        wake(state.read_waker.take());
        Ok(())
    }

    /// CREDIT has come.
    pub fn on_credit(&self, bytes: u32) {
        let mut state = self.lock();
        state.credit += u64::from(bytes);
        wake(state.write_waker.take());
    }

    /// CLOSE has come, the last frame from the other side; it is answered if that was not done before.
    pub fn on_close(&self, reason: CloseReason) {
        let mut state = self.lock();
        self.send_close(&mut state);
        state.close_received = Some(reason);
        if matches!(state.opening, Opening::Dialing | Opening::Resolving) {
            state.opening = Opening::Failed(FailureCode::Reset);
        }
        wake(state.open_waker.take());
        wake(state.read_waker.take());
        wake(state.write_waker.take());
    }

    fn send_close(&self, state: &mut State) {
        if !state.close_sent {
            state.close_sent = true;
            self.outbox.append(|out| write_frame(out, FrameType::Close, self.number, write_close));
        }
    }

    /// Ends it from this side, whatever was under way.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.close_sent {
            return;
        }
        self.send_close(&mut state);
        state.chunks.clear();
        wake(state.open_waker.take());
        wake(state.read_waker.take());
        wake(state.write_waker.take());
    }

    /// Ready when it is known whether there is a connection.
    pub fn poll_connected(&self, context: &mut Context<'_>) -> Poll<Result<SocketAddr, FailureCode>> {
        let mut state = self.lock();
        match &state.opening {
            Opening::Connected(address) => Poll::Ready(Ok(*address)),
            Opening::Failed(code) => Poll::Ready(Err(*code)),
            _ if state.close_sent => Poll::Ready(Err(FailureCode::Reset)),
            _ => {
                keep_waker(&mut state.open_waker, context);
                Poll::Pending
            }
        }
    }

    /// Ready when the addresses are known.
    pub fn poll_resolved(&self, context: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, FailureCode>> {
        let mut state = self.lock();
        match &state.opening {
            Opening::Resolved(addresses) => Poll::Ready(Ok(addresses.clone())),
            Opening::Failed(code) => Poll::Ready(Err(*code)),
            _ if state.close_sent => Poll::Ready(Err(FailureCode::Reset)),
            _ => {
                keep_waker(&mut state.open_waker, context);
                Poll::Pending
            }
        }
    }

    /// The next bytes, at most `max_bytes`; none at the end.
    pub fn poll_read(&self, context: &mut Context<'_>, max_bytes: usize) -> Poll<io::Result<Bytes>> {
        let mut state = self.lock();
        if let Some(mut chunk) = state.chunks.pop_front() {
            if chunk.len() > max_bytes {
                let rest = chunk.split_off(max_bytes);
                state.chunks.push_front(rest);
            }
            self.grant(&mut state, chunk.len());
            return Poll::Ready(Ok(chunk));
        }
        if state.end_received {
            return Poll::Ready(Ok(Bytes::new()));
        }
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        keep_waker(&mut state.read_waker, context);
        Poll::Pending
    }

    /// Ready when `poll_read` has something to say.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.chunks.is_empty() || state.end_received || state.is_closed() {
            return Poll::Ready(());
        }
        keep_waker(&mut state.read_waker, context);
        Poll::Pending
    }

    fn grant(&self, state: &mut State, bytes: usize) {
        let is_open = !state.end_received && !state.is_closed();
        state.window.pass_on(bytes, is_open, self.number, &self.outbox);
    }

    /// How many bytes may be written now; ready when it is at least one.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.end_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        if state.credit == 0 {
            keep_waker(&mut state.write_waker, context);
            return Poll::Pending;
        }
        Poll::Ready(Ok(usize::try_from(state.credit).unwrap_or(usize::MAX).min(MAX_PAYLOAD_BYTES)))
    }

    /// Writes as much as may be written; tells how much that was.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_writable(context).map_ok(|permitted| {
            let part = &bytes[..bytes.len().min(permitted)];
            self.lock().credit -= part.len() as u64;
            self.outbox.append(|out| write_frame(out, FrameType::Body, self.number, |out| out.extend_from_slice(part)));
            part.len()
        })
    }

    /// Says that nothing more will be written.
    pub fn end(&self) {
        let mut state = self.lock();
        if !state.end_sent && !state.is_closed() && matches!(state.opening, Opening::Connected(_)) {
            state.end_sent = true;
            self.outbox.append(|out| {
                write_frame(out, FrameType::End, self.number, |out| write_headers(out, std::iter::empty()));
            });
        }
    }
}

impl State {
    fn is_closed(&self) -> bool {
        self.close_sent || self.close_received.is_some()
    }

    fn error(&self) -> Option<io::Error> {
        match self.close_received {
            Some(CloseReason::Timeout) => Some(io::ErrorKind::TimedOut.into()),
            Some(CloseReason::Limit) => Some(io::ErrorKind::QuotaExceeded.into()),
            Some(CloseReason::Ordinary | CloseReason::Reset) => Some(io::ErrorKind::ConnectionReset.into()),
            None if self.close_sent => Some(io::ErrorKind::ConnectionAborted.into()),
            None => None,
        }
    }
}
