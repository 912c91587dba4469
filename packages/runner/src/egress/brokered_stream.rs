//! A connection as readers and writers use it.

use super::connection::Connection;
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

/// Closes the connection with the last of its users.
#[derive(Debug)]
struct Held(Arc<Connection>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// An open connection; clones share it.
#[derive(Clone, Debug)]
pub struct BrokeredStream(Arc<Held>);

impl BrokeredStream {
    /// Takes over the closing of `connection`.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self(Arc::new(Held(connection)))
    }

    /// What it is made of.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.0.0
    }
}

impl AsyncRead for BrokeredStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0 {
            let chunk = ready!(self.connection().poll_read(context, buffer.remaining()))?;
            buffer.put_slice(&chunk);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BrokeredStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection().end();
        Poll::Ready(Ok(()))
    }
}

/// The reading side, as WASI 0.2 has it.
pub struct Input(pub BrokeredStream);

impl InputStream for Input {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.connection().poll_read(&mut Context::from_waker(Waker::noop()), size) {
            Poll::Ready(Ok(chunk)) if chunk.is_empty() => Err(StreamError::Closed),
            Poll::Ready(Ok(chunk)) => Ok(chunk),
            Poll::Ready(Err(error)) => Err(StreamError::LastOperationFailed(error.into())),
            Poll::Pending => Ok(Bytes::new()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.connection().poll_readable(context)).await;
    }
}

/// The writing side, as WASI 0.2 has it. It ends its direction when it is dropped.
pub struct Output(pub BrokeredStream);

impl OutputStream for Output {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        match self.0.connection().poll_writable(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(permitted)) => Ok(permitted),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(StreamError::Closed),
            Poll::Ready(Err(error)) => Err(StreamError::LastOperationFailed(error.into())),
            Poll::Pending => Ok(0),
        }
    }

    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if self.check_write()? < bytes.len() {
            return Err(StreamError::trap("a write of more than was permitted"));
        }
        // Cannot be pending, nor take less: there is one thread, and the permit was just looked at.
        let _ = self.0.connection().poll_write(&mut Context::from_waker(Waker::noop()), &bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        let _ = poll_fn(|context| self.0.connection().poll_writable(context)).await;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.connection().end();
    }
}
