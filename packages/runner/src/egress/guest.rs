//! The outgoing connections of one guest.

use super::brokered_stream::BrokeredStream;
use super::http_client::HttpClient;
use crate::protocol::egress::FailureCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Connects one store with the worker's egress; clones share it.
#[derive(Clone)]
pub struct GuestEgress {
    client: Arc<HttpClient>,
    /// The stream of the invocation; 0 as long as there is none.
    invocation: Arc<AtomicU32>,
}

impl GuestEgress {
    /// For a guest that has no request yet: it reaches nothing.
    pub fn new(client: Arc<HttpClient>) -> Self {
        Self { client, invocation: Arc::default() }
    }

    /// The guest has got its request.
    pub fn attach(&self, invocation: u32) {
        self.invocation.store(invocation, Ordering::Relaxed);
    }

    /// The stream of the invocation.
    ///
    /// # Errors
    /// There is none yet: start functions reach nothing.
    pub fn invocation(&self) -> Result<u32, FailureCode> {
        match self.invocation.load(Ordering::Relaxed) {
            0 => Err(FailureCode::Denied),
            invocation => Ok(invocation),
        }
    }

    /// The worker's HTTP client.
    pub fn client(&self) -> &Arc<HttpClient> {
        &self.client
    }

    /// As [`super::lane::EgressLane::dial`].
    ///
    /// # Errors
    /// Too many are open.
    pub fn dial(&self, host: &str, port: u16) -> Result<BrokeredStream, FailureCode> {
        self.client.lane().dial(self.invocation()?, host, port)
    }

    /// As [`super::lane::EgressLane::resolve`].
    pub fn resolve(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, FailureCode>> + Send + use<> {
        let resolving = self.invocation().map(|invocation| self.client.lane().resolve(invocation, name));
        async move { resolving?.await }
    }
}
