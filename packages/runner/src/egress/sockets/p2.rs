//! TCP of WASI 0.2. The resource type that the signatures name is Wasmtime's own; the table holds ours.

use super::BrokeredSockets;
use super::tcp_socket::{SocketError, TcpSocket};
use crate::egress::brokered_stream::{Input, Output};
use crate::protocol::egress::FailureCode;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{self, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, TcpSocket as Handle, UdpSocket, subscribe,
};

impl From<SocketError> for ErrorCode {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::InvalidArgument => Self::InvalidArgument,
            SocketError::InvalidState => Self::InvalidState,
            SocketError::Failed(code) => match code {
                FailureCode::Denied | FailureCode::AddressDenied => Self::AccessDenied,
                FailureCode::Refused => Self::ConnectionRefused,
                FailureCode::Timeout | FailureCode::DnsTimeout => Self::Timeout,
                FailureCode::Unreachable | FailureCode::DnsFailed | FailureCode::NameNotFound => {
                    Self::RemoteUnreachable
                }
                FailureCode::Reset => Self::ConnectionReset,
                FailureCode::Limit => Self::NewSocketLimit,
                FailureCode::Internal => Self::Unknown,
            },
        }
    }
}

fn own(handle: &Resource<Handle>) -> Resource<TcpSocket> {
    Resource::new_borrow(handle.rep())
}

fn code(error: SocketError) -> ErrorCode {
    error.into()
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll_settled(context)).await;
    }
}

impl BrokeredSockets<'_> {
    fn socket(&mut self, handle: &Resource<Handle>) -> wasmtime::Result<&mut TcpSocket> {
        Ok(self.table.get_mut(&own(handle))?)
    }

    fn set(&mut self, handle: &Resource<Handle>, valid: bool, set: impl FnOnce(&mut TcpSocket)) -> SocketResult<()> {
        let socket = self.table.get_mut(&own(handle))?;
        if !valid {
            return Err(ErrorCode::InvalidArgument.into());
        }
        set(socket);
        Ok(())
    }
}

impl network::Host for BrokeredSockets<'_> {
    fn convert_error_code(&mut self, error: wasmtime_wasi::p2::SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<std::io::Error>().map(ErrorCode::from))
    }
}

impl network::HostNetwork for BrokeredSockets<'_> {
    fn drop(&mut self, this: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl tcp::Host for BrokeredSockets<'_> {}

impl HostTcpSocket for BrokeredSockets<'_> {
    async fn start_bind(
        &mut self,
        this: Resource<Handle>,
        _network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> SocketResult<()> {
        let socket = self.table.get_mut(&own(&this))?;
        Ok(socket.bind(SocketAddr::from(local_address)).map_err(code)?)
    }

    fn finish_bind(&mut self, this: Resource<Handle>) -> SocketResult<()> {
        if self.table.get(&own(&this))?.bound { Ok(()) } else { Err(ErrorCode::NotInProgress.into()) }
    }

    fn start_connect(
        &mut self,
        this: Resource<Handle>,
        _network: Resource<Network>,
        remote_address: IpSocketAddress,
    ) -> SocketResult<()> {
        let socket = self.table.get_mut(&own(&this))?;
        Ok(socket.start_connect(self.egress, SocketAddr::from(remote_address)).map_err(code)?)
    }

    fn finish_connect(
        &mut self,
        this: Resource<Handle>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let this = own(&this);
        let socket = self.table.get_mut(&this)?;
        if socket.receive_taken {
            return Err(ErrorCode::NotInProgress.into());
        }
        let Poll::Ready(result) = socket.poll_connected(&mut Context::from_waker(Waker::noop())) else {
            return Err(ErrorCode::WouldBlock.into());
        };
        result.map_err(code)?;
        socket.receive_taken = true;
        let stream = socket.stream().map_err(code)?.clone();
        let input: DynInputStream = Box::new(Input(stream.clone()));
        let output: DynOutputStream = Box::new(Output(stream));
        Ok((self.table.push_child(input, &this)?, self.table.push_child(output, &this)?))
    }

    async fn start_listen(&mut self, _this: Resource<Handle>) -> SocketResult<()> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn finish_listen(&mut self, _this: Resource<Handle>) -> SocketResult<()> {
        Err(ErrorCode::NotInProgress.into())
    }

    fn accept(
        &mut self,
        _this: Resource<Handle>,
    ) -> SocketResult<(Resource<Handle>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        Err(ErrorCode::InvalidState.into())
    }

    fn local_address(&mut self, this: Resource<Handle>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&own(&this))?.local_address().map_err(code)?.into())
    }

    fn remote_address(&mut self, this: Resource<Handle>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&own(&this))?.remote_address().map_err(code)?.into())
    }

    fn is_listening(&mut self, _this: Resource<Handle>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn address_family(&mut self, this: Resource<Handle>) -> wasmtime::Result<IpAddressFamily> {
        Ok(if self.socket(&this)?.ipv6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 })
    }

    fn set_listen_backlog_size(&mut self, this: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set(&this, value > 0, |_| {})
    }

    fn keep_alive_enabled(&mut self, this: Resource<Handle>) -> SocketResult<bool> {
        Ok(self.table.get(&own(&this))?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, this: Resource<Handle>, value: bool) -> SocketResult<()> {
        self.set(&this, true, |socket| socket.keep_alive = value)
    }

    fn keep_alive_idle_time(&mut self, this: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.table.get(&own(&this))?.keep_alive_idle_ns)
    }

    fn set_keep_alive_idle_time(&mut self, this: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.keep_alive_idle_ns = value)
    }

    fn keep_alive_interval(&mut self, this: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.table.get(&own(&this))?.keep_alive_interval_ns)
    }

    fn set_keep_alive_interval(&mut self, this: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.keep_alive_interval_ns = value)
    }

    fn keep_alive_count(&mut self, this: Resource<Handle>) -> SocketResult<u32> {
        Ok(self.table.get(&own(&this))?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, this: Resource<Handle>, value: u32) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.keep_alive_count = value)
    }

    fn hop_limit(&mut self, this: Resource<Handle>) -> SocketResult<u8> {
        Ok(self.table.get(&own(&this))?.hop_limit)
    }

    fn set_hop_limit(&mut self, this: Resource<Handle>, value: u8) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.hop_limit = value)
    }

    fn receive_buffer_size(&mut self, this: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.table.get(&own(&this))?.receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.receive_buffer_bytes = value)
    }

    fn send_buffer_size(&mut self, this: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.table.get(&own(&this))?.send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, this: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set(&this, value > 0, |socket| socket.send_buffer_bytes = value)
    }

    fn subscribe(&mut self, this: Resource<Handle>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, own(&this))
    }

    fn shutdown(&mut self, this: Resource<Handle>, shutdown_type: ShutdownType) -> SocketResult<()> {
        let stream = self.table.get(&own(&this))?.stream().map_err(code)?;
        if !matches!(shutdown_type, ShutdownType::Receive) {
            stream.connection().end();
        }
        Ok(())
    }

    fn drop(&mut self, this: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<TcpSocket>::new_own(this.rep()))?;
        Ok(())
    }
}

impl tcp_create_socket::Host for BrokeredSockets<'_> {
    fn create_tcp_socket(&mut self, address_family: IpAddressFamily) -> SocketResult<Resource<Handle>> {
        let socket = self.table.push(TcpSocket::new(matches!(address_family, IpAddressFamily::Ipv6)))?;
        Ok(Resource::new_own(socket.rep()))
    }
}

impl udp_create_socket::Host for BrokeredSockets<'_> {
    async fn create_udp_socket(&mut self, _address_family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(ErrorCode::NotSupported.into())
    }
}
