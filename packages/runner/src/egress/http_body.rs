//! The bodies of an outgoing request and of its response.

use super::http_error;
use super::http_pool::Returning;
use bytes::Bytes;
use futures::channel::oneshot;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// A guest's request body, which tells when it has been taken.
pub struct RequestBody {
    body: WasiBody,
    /// Set when all of it was taken.
    finished: Arc<AtomicBool>,
    /// Dropped when it was taken, or nobody wants it any more.
    _taken: oneshot::Sender<()>,
}

impl RequestBody {
    /// With it come the sign of its end, and what ends when nobody reads it any more.
    pub fn new(body: WasiBody) -> (Self, Arc<AtomicBool>, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let finished = Arc::new(AtomicBool::new(body.is_end_stream()));
        (Self { body, finished: finished.clone(), _taken: sender }, finished, receiver)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(context);
        if matches!(poll, Poll::Ready(None)) || self.body.is_end_stream() {
            self.finished.store(true, Ordering::Relaxed);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body; when it has been read to its end, its connection can be used again.
pub struct ResponseBody {
    incoming: Incoming,
    between_bytes: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    returning: Option<Returning>,
}

impl ResponseBody {
    /// `between_bytes`: how long the guest wants to wait for each part.
    pub fn new(incoming: Incoming, between_bytes: Option<Duration>, returning: Returning) -> Self {
        let mut body = Self { incoming, between_bytes, timer: None, returning: Some(returning) };
        body.return_at_end();
        body
    }

    fn return_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(returning) = self.returning.take()
        {
            returning.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.timer = None;
                self.return_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(http_error::from_hyper(&error)))),
            Poll::Ready(None) => {
                if let Some(returning) = self.returning.take() {
                    returning.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(limit) = self.between_bytes else { return Poll::Pending };
                let timer =
                    self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
                timer.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
