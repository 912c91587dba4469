//! A TCP socket of a guest: what both versions of `wasi:sockets` have in common.

use crate::egress::brokered_stream::BrokeredStream;
use crate::egress::guest::GuestEgress;
use crate::protocol::egress::FailureCode;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

/// How far a socket is.
#[derive(Debug)]
enum State {
    New,
    Connecting(BrokeredStream),
    Connected(BrokeredStream),
    Closed,
}

/// Why an operation failed; each version of WASI has a code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketError {
    Failed(FailureCode),
    InvalidArgument,
    InvalidState,
}

/// A socket. What can be set on one is kept, so that programs find what they have set, and has no effect.
#[derive(Debug)]
pub struct TcpSocket {
    pub ipv6: bool,
    state: State,
    remote: Option<SocketAddr>,
    pub bound: bool,
    pub keep_alive: bool,
    pub keep_alive_idle_ns: u64,
    pub keep_alive_interval_ns: u64,
    pub keep_alive_count: u32,
    pub hop_limit: u8,
    pub receive_buffer_bytes: u64,
    pub send_buffer_bytes: u64,
    pub receive_taken: bool,
    pub send_taken: bool,
}

impl TcpSocket {
    /// A socket that is neither bound nor connected.
    pub fn new(ipv6: bool) -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        const BUFFER_BYTES: u64 = 256 << 10;
        Self {
            ipv6,
            state: State::New,
            remote: None,
            bound: false,
            keep_alive: false,
            keep_alive_idle_ns: 7_200 * SECOND_NS,
            keep_alive_interval_ns: 75 * SECOND_NS,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer_bytes: BUFFER_BYTES,
            send_buffer_bytes: BUFFER_BYTES,
            receive_taken: false,
            send_taken: false,
        }
    }

    /// Binds to the unspecified address and any port, which is what every connection has.
    ///
    /// # Errors
    /// Another address, or a socket that is in use.
    pub fn bind(&mut self, address: SocketAddr) -> Result<(), SocketError> {
        if address.is_ipv6() != self.ipv6 {
            return Err(SocketError::InvalidArgument);
        }
        if !matches!(self.state, State::New) || self.bound {
            return Err(SocketError::InvalidState);
        }
        if !address.ip().is_unspecified() || address.port() != 0 {
            return Err(SocketError::Failed(FailureCode::AddressDenied));
        }
        self.bound = true;
        Ok(())
    }

    /// Asks for a connection.
    ///
    /// # Errors
    /// The address makes no sense, the socket is in use, or too many are.
    pub fn start_connect(&mut self, egress: &GuestEgress, remote: SocketAddr) -> Result<(), SocketError> {
        let mapped = matches!(remote.ip(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if remote.is_ipv6() != self.ipv6 || remote.ip().is_unspecified() || remote.port() == 0 || mapped {
            return Err(SocketError::InvalidArgument);
        }
        if !matches!(self.state, State::New) {
            return Err(SocketError::InvalidState);
        }
        let host = match remote {
            // A zone names an interface of a machine that the guest knows nothing of.
            SocketAddr::V6(address) if address.scope_id() != 0 => return Err(SocketError::InvalidArgument),
            _ => remote.ip().to_string(),
        };
        let dialed = egress.dial(&host, remote.port());
        self.state = State::Connecting(dialed.map_err(SocketError::Failed)?);
        self.remote = Some(remote);
        Ok(())
    }

    /// Ready when it is connected, or will never be.
    pub fn poll_connected(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        match &self.state {
            State::Connecting(stream) => {
                let stream = stream.clone();
                stream.connection().poll_connected(context).map(|result| match result {
                    Ok(_) => {
                        self.state = State::Connected(stream);
                        Ok(())
                    }
                    Err(code) => {
                        self.state = State::Closed;
                        Err(SocketError::Failed(code))
                    }
                })
            }
            State::Connected(_) => Poll::Ready(Ok(())),
            State::New | State::Closed => Poll::Ready(Err(SocketError::InvalidState)),
        }
    }

    /// Ready when [`Self::poll_connected`] would be; changes nothing.
    pub fn poll_settled(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::Connecting(stream) => stream.connection().poll_connected(context).map(|_| ()),
            _ => Poll::Ready(()),
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// There is none.
    pub fn stream(&self) -> Result<&BrokeredStream, SocketError> {
        match &self.state {
            State::Connected(stream) => Ok(stream),
            _ => Err(SocketError::InvalidState),
        }
    }

    /// Where it is connected to.
    ///
    /// # Errors
    /// It is not.
    pub fn remote_address(&self) -> Result<SocketAddr, SocketError> {
        self.stream()?;
        self.remote.ok_or(SocketError::InvalidState)
    }

    /// The local address: the true one is none of the guest's business.
    ///
    /// # Errors
    /// It has none yet.
    pub fn local_address(&self) -> Result<SocketAddr, SocketError> {
        if !self.bound && self.stream().is_err() {
            return Err(SocketError::InvalidState);
        }
        let address: IpAddr = if self.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Ok(SocketAddr::new(address, 0))
    }
}
