//! What a guest prints, as LOG frames. Never makes the guest wait; bounded in total.

use crate::outbox::Outbox;
use crate::protocol::frame::{FrameType, write_frame};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

/// What a guest may write at once; it is copied.
const CHUNK_BYTES: usize = 65_536;

/// Which of the two streams a LOG frame is from; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    Stdout = 1,
    Stderr = 2,
}

#[derive(Debug)]
struct State {
    /// 0 before the request is known, when what is printed is kept.
    stream: u32,
    kept: Vec<u8>,
    limit_bytes: usize,
    left_bytes: usize,
    limit_lines: usize,
    left_lines: usize,
    notified: bool,
}

impl State {
    /// How many of `bytes` are within the limits; they count from then on.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.left_lines == 0 {
            return 0;
        }
        let mut taken = bytes.len().min(self.left_bytes);
        for (at, byte) in bytes[..taken].iter().enumerate() {
            if *byte != b'\n' {
                continue;
            }
            self.left_lines -= 1;
            if self.left_lines == 0 {
                taken = at + 1;
                break;
            }
        }
        self.left_bytes -= taken;
        taken
    }
}

/// The log of one invocation; clones share it.
#[derive(Clone, Debug)]
pub struct GuestLog {
    outbox: Outbox,
    state: Arc<Mutex<State>>,
}

impl GuestLog {
    /// A log of at most so many bytes and lines, for a stream that is not known yet.
    pub fn new(outbox: Outbox, limit_bytes: usize, limit_lines: usize) -> Self {
        let state = State {
            stream: 0,
            kept: Vec::new(),
            limit_bytes,
            left_bytes: limit_bytes,
            limit_lines,
            left_lines: limit_lines,
            notified: false,
        };
        Self { outbox, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request has come: what was printed before it belongs to it.
    pub fn attach(&self, stream: u32) {
        let mut state = self.lock();
        state.stream = stream;
        let kept = std::mem::take(&mut state.kept);
        drop(state);
        // Every piece was kept as its source, its length and its bytes.
        let mut rest = &kept[..];
        while let Some((head, tail)) = rest.split_first_chunk::<5>() {
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            self.send(stream, head[0], &tail[..length]);
            rest = &tail[length..];
        }
    }

    fn send(&self, stream: u32, source: u8, bytes: &[u8]) {
        self.outbox.append(|out| {
            write_frame(out, FrameType::Log, stream, |out| {
                out.push(source);
                out.extend_from_slice(bytes);
            });
        });
    }

    fn write(&self, source: Source, bytes: &[u8]) {
        let mut state = self.lock();
        let taken = state.take(bytes);
        self.put(&mut state, source, &bytes[..taken]);
        if taken < bytes.len() && !state.notified {
            state.notified = true;
            let limit = if state.left_lines == 0 {
                format!("{} lines", state.limit_lines)
            } else {
                format!("{} bytes", state.limit_bytes)
            };
            let notice = format!("\nthe log limit of {limit} is reached; the rest is dropped\n");
            self.put(&mut state, Source::Stderr, notice.as_bytes());
        }
    }

    fn put(&self, state: &mut State, source: Source, bytes: &[u8]) {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            if state.stream == 0 {
                state.kept.push(source as u8);
                state.kept.extend_from_slice(&u32::try_from(chunk.len()).unwrap_or(0).to_le_bytes());
                state.kept.extend_from_slice(chunk);
            } else {
                self.send(state.stream, source as u8, chunk);
            }
        }
    }

    /// One of the two streams, to give to a guest.
    pub fn stream(&self, source: Source) -> LogStream {
        LogStream { log: self.clone(), source }
    }
}

/// Standard output or standard error of a guest.
#[derive(Clone, Debug)]
pub struct LogStream {
    log: GuestLog,
    source: Source,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.log.write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(CHUNK_BYTES)
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.log.write(self.source, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
