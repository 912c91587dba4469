//! The sockets of a sandbox: connections to the dispatcher (docs/decisions/0002-runner-sockets.md).

use crate::message::TOKEN_BYTES;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with};
use std::io;
use std::os::fd::OwnedFd;

/// Token, number of the sandbox, number of the socket in it.
const HEAD_BYTES: usize = TOKEN_BYTES + 4 + 4;

/// Connects, and says whose connection it is. What follows in either direction is the runner's.
///
/// # Errors
/// The dispatcher is gone, or there are too many descriptors.
pub fn open_connection(
    address: &SocketAddrUnix,
    token: &[u8; TOKEN_BYTES],
    sandbox: u32,
    index: u32,
) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Waits where the dispatcher is slow to accept: the next sandbox can wait as well.
    connect(&socket, address)?;
    let mut head = [0; HEAD_BYTES];
    head[..TOKEN_BYTES].copy_from_slice(token);
    head[TOKEN_BYTES..TOKEN_BYTES + 4].copy_from_slice(&sandbox.to_le_bytes());
    head[TOKEN_BYTES + 4..].copy_from_slice(&index.to_le_bytes());
    loop {
        match send(&socket, &head, SendFlags::NOSIGNAL) {
            // An empty buffer takes all of it at once.
            Ok(HEAD_BYTES) => return Ok(socket),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
