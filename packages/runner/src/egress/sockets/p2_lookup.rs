//! Look-ups of WASI 0.2.

use super::BrokeredSockets;
use crate::protocol::egress::FailureCode;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{Host, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};

type Addresses = std::vec::IntoIter<IpAddr>;
type Asking = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, FailureCode>> + Send>>;

/// A look-up under way, or what it has found.
enum Lookup {
    Asking(Asking),
    Found(Result<Addresses, FailureCode>),
}

impl Lookup {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&mut Result<Addresses, FailureCode>> {
        if let Self::Asking(asking) = self {
            match asking.as_mut().poll(context) {
                Poll::Ready(result) => *self = Self::Found(result.map(IntoIterator::into_iter)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self {
            Self::Found(found) => Poll::Ready(found),
            Self::Asking(_) => Poll::Pending,
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll(context).map(|_| ())).await;
    }
}

fn own(handle: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    Resource::new_borrow(handle.rep())
}

fn code(failure: FailureCode) -> ErrorCode {
    match failure {
        FailureCode::Denied | FailureCode::AddressDenied => ErrorCode::AccessDenied,
        FailureCode::NameNotFound => ErrorCode::NameUnresolvable,
        FailureCode::DnsTimeout | FailureCode::DnsFailed | FailureCode::Timeout => ErrorCode::TemporaryResolverFailure,
        _ => ErrorCode::PermanentResolverFailure,
    }
}

impl Host for BrokeredSockets<'_> {
    fn resolve_addresses(
        &mut self,
        _network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        let lookup = Lookup::Asking(Box::pin(self.egress.resolve(&name)));
        let lookup = self.table.push(lookup)?;
        Ok(Resource::new_own(lookup.rep()))
    }
}

impl HostResolveAddressStream for BrokeredSockets<'_> {
    fn resolve_next_address(&mut self, this: Resource<ResolveAddressStream>) -> Result<Option<IpAddress>, SocketError> {
        match self.table.get_mut(&own(&this))?.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
            Poll::Ready(Err(failure)) => Err(code(*failure).into()),
            Poll::Pending => Err(ErrorCode::WouldBlock.into()),
        }
    }

    fn subscribe(&mut self, this: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, own(&this))
    }

    fn drop(&mut self, this: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Lookup>::new_own(this.rep()))?;
        Ok(())
    }
}
