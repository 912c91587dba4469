//! `wasi:sockets` without a socket: TCP connections and look-ups of the dispatcher. UDP and listening are refused.

mod p2;
mod p2_lookup;
mod p3;
mod p3_udp;
mod tcp_socket;

use super::guest::GuestEgress;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets as wasi02;
use wasmtime_wasi::p3::bindings::sockets as wasi03;

/// What the functions of `wasi:sockets` work on.
pub struct BrokeredSockets<'a> {
    pub table: &'a mut ResourceTable,
    pub egress: &'a GuestEgress,
}

/// The data of a store that has sockets.
pub trait SocketsView: Send {
    /// Its sockets.
    fn brokered_sockets(&mut self) -> BrokeredSockets<'_>;
}

/// Names [`BrokeredSockets`] for linkers.
pub struct Sockets;

impl HasData for Sockets {
    type Data<'a> = BrokeredSockets<'a>;
}

/// Takes the place of Wasmtime's own functions of version 0.2, which the linker has already.
///
/// # Errors
/// A name is not what it was.
pub fn add_0_2_to_linker<T: SocketsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let view = T::brokered_sockets;
    wasi02::tcp::add_to_linker::<T, Sockets>(linker, view)?;
    wasi02::tcp_create_socket::add_to_linker::<T, Sockets>(linker, view)?;
    wasi02::udp_create_socket::add_to_linker::<T, Sockets>(linker, view)?;
    wasi02::ip_name_lookup::add_to_linker::<T, Sockets>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The same for version 0.3.
///
/// # Errors
/// A name is not what it was.
pub fn add_0_3_to_linker<T: SocketsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let view = T::brokered_sockets;
    wasi03::types::add_to_linker::<T, Sockets>(linker, view)?;
    wasi03::ip_name_lookup::add_to_linker::<T, Sockets>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}
