//! HTTP connections that are open, for further requests to the same server.

use super::connection::Connection;
use super::http_body::RequestBody;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections that wait for a request; beyond it the one that has waited longest is closed.
const MAX_IDLE: usize = 16;

/// Servers close connections that wait; one that has waited for longer is not trusted to be there.
const MAX_IDLE_TIME: Duration = Duration::from_secs(20);

/// Where a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

/// What requests are put into.
pub enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl Sender {
    /// Sends a request. Where it was not sent at all the error gives it back.
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Box<TrySendError<Request<RequestBody>>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
        .map_err(Box::new)
    }

    async fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }
}

/// An open connection to a server.
pub struct Link {
    pub sender: Sender,
    pub connection: Arc<Connection>,
    pub destination: Destination,
    /// It has served a request before, so the server may have closed it meanwhile.
    pub used: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// The connections of one worker.
#[derive(Default)]
pub struct HttpPool {
    idle: Mutex<VecDeque<Idle>>,
}

impl HttpPool {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to `destination` that is still good, for an invocation.
    pub async fn take(&self, destination: &Destination, invocation: u32) -> Option<Link> {
        loop {
            let mut link = self.find(destination)?;
            if link.sender.is_usable().await {
                if let Sender::Http2(sender) = &link.sender {
                    // It takes many requests at once, and belongs to nobody.
                    self.put(Link {
                        sender: Sender::Http2(sender.clone()),
                        connection: link.connection.clone(),
                        destination: destination.clone(),
                        used: true,
                    });
                } else {
                    link.connection.set_owner(Some(invocation));
                }
                return Some(link);
            }
        }
    }

    fn find(&self, destination: &Destination) -> Option<Link> {
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE_TIME || matches!(idle.link.sender, Sender::Http2(_)));
        let at = idle.iter().rposition(|idle| idle.link.destination == *destination)?;
        idle.remove(at).map(|idle| idle.link)
    }

    /// Keeps a connection.
    pub fn put(&self, link: Link) {
        link.connection.set_owner(None);
        let mut idle = self.lock();
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back(Idle { link, since: Instant::now() });
    }

    /// Closes all that wait.
    pub fn clear(&self) {
        self.lock().clear();
    }
}

/// Keeps a connection while a response is read, and gives it back after that.
pub struct Returning {
    pub pool: Arc<HttpPool>,
    /// `None` where the pool has it already.
    pub link: Option<Link>,
    /// The request was sent whole: otherwise its rest would be in the way.
    pub sent: Arc<AtomicBool>,
}

impl Returning {
    /// The response was read to its end.
    pub fn give_back(self) {
        if let Some(mut link) = self.link
            && self.sent.load(Ordering::Relaxed)
        {
            link.used = true;
            self.pool.put(link);
        }
    }
}
