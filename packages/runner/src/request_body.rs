//! The request body as guests read it: as an HTTP body, and as standard input.

use crate::stream::{BodyEvent, Stream};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError};
use wasmtime_wasi_http::Error;

/// The body of an incoming `wasi:http` request.
pub struct RequestBody(pub Arc<Stream>);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_body(context, usize::MAX).map(|event| match event {
            BodyEvent::Chunk(chunk) => Some(Ok(Frame::data(chunk))),
            BodyEvent::End(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            BodyEvent::End(None) => None,
            BodyEvent::Cut => Some(Err(Error::ConnectionTerminated)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_body_at_end()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.0.discard_body();
    }
}

/// The request body as standard input of a command. All streams made from it read on where the others stopped.
#[derive(Clone)]
pub struct Stdin(pub Arc<Stream>);

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl AsyncRead for Stdin {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_body(context, buffer.remaining()).map(|event| match event {
            BodyEvent::Chunk(chunk) => {
                buffer.put_slice(&chunk);
                Ok(())
            }
            BodyEvent::End(_) => Ok(()),
            BodyEvent::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }
}

impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.poll_body(&mut Context::from_waker(Waker::noop()), size) {
            Poll::Ready(BodyEvent::Chunk(chunk)) => Ok(chunk),
            Poll::Ready(BodyEvent::End(_) | BodyEvent::Cut) => Err(StreamError::Closed),
            Poll::Pending => Ok(Bytes::new()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.poll_readable(context)).await;
    }
}
