//! TCP and look-ups of WASI 0.3.

use super::tcp_socket::{SocketError, TcpSocket};
use super::{BrokeredSockets, Sockets};
use crate::egress::brokered_stream::BrokeredStream;
use crate::protocol::egress::FailureCode;
use bytes::BytesMut;
use futures::channel::oneshot;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Access, Accessor, Destination, FutureReader, Resource, Source, StreamConsumer, StreamProducer, StreamReader,
    StreamResult,
};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p3::bindings::sockets::types::{
    Duration, ErrorCode, Host, HostTcpSocket, HostTcpSocketWithStore, IpAddress, IpAddressFamily, IpSocketAddress,
    TcpSocket as Handle,
};
use wasmtime_wasi::p3::sockets::SocketResult;

/// The most that is read at once where the guest does not say.
const READ_BYTES: usize = 64 << 10;

pub(super) fn code(error: SocketError) -> ErrorCode {
    match error {
        SocketError::InvalidArgument => ErrorCode::InvalidArgument,
        SocketError::InvalidState => ErrorCode::InvalidState,
        SocketError::Failed(code) => match code {
            FailureCode::Denied | FailureCode::AddressDenied => ErrorCode::AccessDenied,
            FailureCode::Refused => ErrorCode::ConnectionRefused,
            FailureCode::Timeout | FailureCode::DnsTimeout => ErrorCode::Timeout,
            FailureCode::Unreachable | FailureCode::DnsFailed | FailureCode::NameNotFound => {
                ErrorCode::RemoteUnreachable
            }
            FailureCode::Reset => ErrorCode::ConnectionReset,
            FailureCode::Limit => ErrorCode::OutOfMemory,
            FailureCode::Internal => ErrorCode::Other(None),
        },
    }
}

fn stream_code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::TimedOut => ErrorCode::Timeout,
        io::ErrorKind::ConnectionAborted => ErrorCode::ConnectionAborted,
        io::ErrorKind::BrokenPipe => ErrorCode::ConnectionBroken,
        _ => ErrorCode::ConnectionReset,
    }
}

impl BrokeredSockets<'_> {
    fn tcp(&mut self, handle: &Resource<Handle>) -> SocketResult<&mut TcpSocket> {
        self.table.get_mut(&Resource::<TcpSocket>::new_borrow(handle.rep())).map_err(TrappableError::trap)
    }

    fn set_tcp(
        &mut self,
        handle: &Resource<Handle>,
        valid: bool,
        set: impl FnOnce(&mut TcpSocket),
    ) -> SocketResult<()> {
        let socket = self.tcp(handle)?;
        if !valid {
            return Err(ErrorCode::InvalidArgument.into());
        }
        set(socket);
        Ok(())
    }
}

type Ended = oneshot::Sender<Result<(), ErrorCode>>;

struct Receiving(Option<(BrokeredStream, Ended)>);

impl Receiving {
    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some((_, ended)) = self.0.take() {
            // The guest may not want to know.
            let _ = ended.send(result);
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamProducer<D> for Receiving {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((stream, _)) = &self.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let remaining = destination.remaining(&mut store);
        // A read of nothing asks whether there is something.
        if remaining == Some(0) {
            return match stream.connection().poll_readable(context) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => Poll::Pending,
            };
        }
        let max_bytes = remaining.unwrap_or(READ_BYTES);
        match stream.connection().poll_read(context, max_bytes) {
            Poll::Ready(Ok(chunk)) if chunk.is_empty() => {
                self.end(Ok(()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(Ok(chunk)) => {
                let mut destination = destination;
                destination.set_buffer(BytesMut::from(chunk));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.end(Err(stream_code(&error)));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

struct Sending(Option<(BrokeredStream, Ended)>);

impl Sending {
    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some((stream, ended)) = self.0.take() {
            stream.connection().end();
            let _ = ended.send(result);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamConsumer<D> for Sending {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((stream, _)) = &self.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        let result = if source.remaining().is_empty() {
            stream.connection().poll_writable(context).map_ok(|_| 0)
        } else {
            stream.connection().poll_write(context, source.remaining())
        };
        match result {
            Poll::Ready(Ok(taken)) => {
                if taken > 0 {
                    source.mark_read(taken);
                }
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.end(Err(stream_code(&error)));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Host for BrokeredSockets<'_> {
    fn convert_error_code(&mut self, error: wasmtime_wasi::p3::sockets::SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl<T: Send> HostTcpSocketWithStore<T> for Sockets {
    async fn connect(
        store: &Accessor<T, Self>,
        socket: Resource<Handle>,
        remote_address: IpSocketAddress,
    ) -> SocketResult<()> {
        store.with(|mut access| {
            let mut sockets = access.get();
            let egress = sockets.egress.clone();
            let own = sockets.tcp(&socket)?;
            SocketResult::Ok(own.start_connect(&egress, SocketAddr::from(remote_address)).map_err(code)?)
        })?;
        poll_fn(|context| {
            store.with(|mut access| match access.get().tcp(&socket) {
                Ok(own) => own.poll_connected(context).map(|result| Ok(result.map_err(code)?)),
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }

    async fn listen(
        _store: Access<'_, T, Self>,
        _socket: Resource<Handle>,
    ) -> SocketResult<StreamReader<Resource<Handle>>> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Resource<Handle>,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        let sockets = store.get();
        let own = sockets.table.get_mut(&Resource::<TcpSocket>::new_borrow(socket.rep()))?;
        match own.stream().cloned() {
            Ok(stream) if !own.send_taken => {
                own.send_taken = true;
                let (ended, receiver) = oneshot::channel();
                data.pipe(&mut store, Sending(Some((stream, ended))))?;
                FutureReader::new(&mut store, async move { wasmtime::error::Ok(receiver.await.unwrap_or(Ok(()))) })
            }
            _ => {
                data.close(&mut store)?;
                FutureReader::new(&mut store, async { wasmtime::error::Ok(Err(ErrorCode::InvalidState)) })
            }
        }
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Resource<Handle>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), ErrorCode>>)> {
        let sockets = store.get();
        let own = sockets.table.get_mut(&Resource::<TcpSocket>::new_borrow(socket.rep()))?;
        match own.stream().cloned() {
            Ok(stream) if !own.receive_taken => {
                own.receive_taken = true;
                let (ended, receiver) = oneshot::channel();
                Ok((
                    StreamReader::new(&mut store, Receiving(Some((stream, ended))))?,
                    FutureReader::new(
                        &mut store,
                        async move { wasmtime::error::Ok(receiver.await.unwrap_or(Ok(()))) },
                    )?,
                ))
            }
            _ => Ok((
                StreamReader::new(&mut store, std::iter::empty())?,
                FutureReader::new(&mut store, async { wasmtime::error::Ok(Err(ErrorCode::InvalidState)) })?,
            )),
        }
    }
}

impl HostTcpSocket for BrokeredSockets<'_> {
    async fn bind(&mut self, socket: Resource<Handle>, local_address: IpSocketAddress) -> SocketResult<()> {
        Ok(self.tcp(&socket)?.bind(SocketAddr::from(local_address)).map_err(code)?)
    }

    fn create(&mut self, address_family: IpAddressFamily) -> SocketResult<Resource<Handle>> {
        let socket = TcpSocket::new(matches!(address_family, IpAddressFamily::Ipv6));
        let socket = self.table.push(socket).map_err(TrappableError::trap)?;
        Ok(Resource::new_own(socket.rep()))
    }

    fn get_local_address(&mut self, socket: Resource<Handle>) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.local_address().map_err(code)?.into())
    }

    fn get_remote_address(&mut self, socket: Resource<Handle>) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.remote_address().map_err(code)?.into())
    }

    fn get_is_listening(&mut self, _socket: Resource<Handle>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn get_address_family(&mut self, socket: Resource<Handle>) -> wasmtime::Result<IpAddressFamily> {
        let own = self.table.get(&Resource::<TcpSocket>::new_borrow(socket.rep()))?;
        Ok(if own.ipv6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 })
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |_| {})
    }

    fn get_keep_alive_enabled(&mut self, socket: Resource<Handle>) -> SocketResult<bool> {
        Ok(self.tcp(&socket)?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<Handle>, value: bool) -> SocketResult<()> {
        self.set_tcp(&socket, true, |socket| socket.keep_alive = value)
    }

    fn get_keep_alive_idle_time(&mut self, socket: Resource<Handle>) -> SocketResult<Duration> {
        Ok(self.tcp(&socket)?.keep_alive_idle_ns)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<Handle>, value: Duration) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.keep_alive_idle_ns = value)
    }

    fn get_keep_alive_interval(&mut self, socket: Resource<Handle>) -> SocketResult<Duration> {
        Ok(self.tcp(&socket)?.keep_alive_interval_ns)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<Handle>, value: Duration) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.keep_alive_interval_ns = value)
    }

    fn get_keep_alive_count(&mut self, socket: Resource<Handle>) -> SocketResult<u32> {
        Ok(self.tcp(&socket)?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<Handle>, value: u32) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.keep_alive_count = value)
    }

    fn get_hop_limit(&mut self, socket: Resource<Handle>) -> SocketResult<u8> {
        Ok(self.tcp(&socket)?.hop_limit)
    }

    fn set_hop_limit(&mut self, socket: Resource<Handle>, value: u8) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.hop_limit = value)
    }

    fn get_receive_buffer_size(&mut self, socket: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.tcp(&socket)?.receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.receive_buffer_bytes = value)
    }

    fn get_send_buffer_size(&mut self, socket: Resource<Handle>) -> SocketResult<u64> {
        Ok(self.tcp(&socket)?.send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Handle>, value: u64) -> SocketResult<()> {
        self.set_tcp(&socket, value > 0, |socket| socket.send_buffer_bytes = value)
    }

    fn drop(&mut self, socket: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<TcpSocket>::new_own(socket.rep()))?;
        Ok(())
    }
}

impl<U: Send> ip_name_lookup::HostWithStore<U> for Sockets {
    async fn resolve_addresses(
        store: &Accessor<U, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ip_name_lookup::ErrorCode>> {
        use ip_name_lookup::ErrorCode;
        let asking = store.with(|mut access| access.get().egress.resolve(&name));
        Ok(asking.await.map(|addresses| addresses.into_iter().map(IpAddress::from).collect()).map_err(|failure| {
            match failure {
                FailureCode::Denied | FailureCode::AddressDenied => ErrorCode::AccessDenied,
                FailureCode::NameNotFound => ErrorCode::NameUnresolvable,
                FailureCode::DnsTimeout | FailureCode::DnsFailed | FailureCode::Timeout => {
                    ErrorCode::TemporaryResolverFailure
                }
                _ => ErrorCode::PermanentResolverFailure,
            }
        }))
    }
}

impl ip_name_lookup::Host for BrokeredSockets<'_> {}
