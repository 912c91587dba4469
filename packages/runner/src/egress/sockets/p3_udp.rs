//! UDP of WASI 0.3: no such socket can be made, so nothing else is ever called.

use super::{BrokeredSockets, Sockets};
use wasmtime::component::{Accessor, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress, UdpSocket,
};
use wasmtime_wasi::p3::sockets::SocketResult;

fn refused<T>() -> SocketResult<T> {
    Err(ErrorCode::NotSupported.into())
}

impl<T: Send> HostUdpSocketWithStore<T> for Sockets {
    async fn send(
        _store: &Accessor<T, Self>,
        _socket: Resource<UdpSocket>,
        _data: Vec<u8>,
        _remote_address: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        refused()
    }

    async fn receive(
        _store: &Accessor<T, Self>,
        _socket: Resource<UdpSocket>,
    ) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        refused()
    }
}

impl HostUdpSocket for BrokeredSockets<'_> {
    async fn bind(&mut self, _socket: Resource<UdpSocket>, _local_address: IpSocketAddress) -> SocketResult<()> {
        refused()
    }

    async fn connect(&mut self, _socket: Resource<UdpSocket>, _remote_address: IpSocketAddress) -> SocketResult<()> {
        refused()
    }

    async fn create(&mut self, _address_family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        refused()
    }

    fn disconnect(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<()> {
        refused()
    }

    fn get_local_address(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        refused()
    }

    fn get_remote_address(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        refused()
    }

    fn get_address_family(&mut self, _socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(IpAddressFamily::Ipv4)
    }

    fn get_unicast_hop_limit(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<u8> {
        refused()
    }

    fn set_unicast_hop_limit(&mut self, _socket: Resource<UdpSocket>, _value: u8) -> SocketResult<()> {
        refused()
    }

    fn get_receive_buffer_size(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<u64> {
        refused()
    }

    fn set_receive_buffer_size(&mut self, _socket: Resource<UdpSocket>, _value: u64) -> SocketResult<()> {
        refused()
    }

    fn get_send_buffer_size(&mut self, _socket: Resource<UdpSocket>) -> SocketResult<u64> {
        refused()
    }

    fn set_send_buffer_size(&mut self, _socket: Resource<UdpSocket>, _value: u64) -> SocketResult<()> {
        refused()
    }

    fn drop(&mut self, _socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        Ok(())
    }
}
