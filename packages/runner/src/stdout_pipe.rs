//! Standard output of a command, on its way to be a response.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};
use wasmtime_wasi_http::Error;

/// Where the pipe holds this much the guest must wait.
const FULL_BYTES: usize = 65_536;

/// What a guest may write at once, always the same: how fast the reader is must not change what the guest does.
const CHUNK_BYTES: usize = 65_536;

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The guest has ended.
    closed: bool,
    reader: Option<Waker>,
    writers: Vec<Waker>,
}

/// Both ends of the pipe; clones share it.
#[derive(Clone, Debug, Default)]
pub struct StdoutPipe(Arc<Mutex<State>>);

impl StdoutPipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that nothing more will be written.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// The next bytes; `None` at the end.
    pub fn poll_chunk(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            state.bytes -= chunk.len();
            for writer in state.writers.drain(..) {
                writer.wake();
            }
            return Poll::Ready(Some(chunk));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn push(&self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.bytes += chunk.len();
        state.chunks.push_back(chunk);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    fn space(&self) -> usize {
        if self.lock().bytes < FULL_BYTES { CHUNK_BYTES } else { 0 }
    }

    /// What may be written now.
    fn poll_space(&self, context: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        if state.bytes < FULL_BYTES {
            return Poll::Ready(CHUNK_BYTES);
        }
        state.writers.push(context.waker().clone());
        Poll::Pending
    }
}

impl IsTerminal for StdoutPipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StdoutPipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for StdoutPipe {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        // Several streams may have been promised the same space; the excess is at most a chunk for each.
        self.push(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(self.space())
    }
}

#[async_trait::async_trait]
impl Pollable for StdoutPipe {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_space(context)).await;
    }
}

impl AsyncWrite for StdoutPipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_space(context).map(|space| {
            let taken = &bytes[..bytes.len().min(space)];
            self.push(Bytes::copy_from_slice(taken));
            Ok(taken.len())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What is left in the pipe, as the body of a response.
pub struct StdoutBody {
    pub pipe: StdoutPipe,
    /// Bytes that were read with the header.
    pub first: Bytes,
}

impl Body for StdoutBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        self.pipe.poll_chunk(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
