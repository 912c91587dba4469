//! The control socket as the supervisor reads and writes it, without blocking.

use crate::clock::monotonic_ms;
use crate::outbox::Outbox;
use crate::process;
use crate::protocol::control::write_control;
use crate::protocol::decoder::Decoder;
use crate::protocol::frame::{Frame, FrameType, Violation};
use rustix::io::Errno;
use rustix::net::SendFlags;
use serde::Serialize;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// How long a runner that has refused its artifact waits for the dispatcher to close the control socket.
const LINGER_MS: u64 = 2_000;

/// The supervisor's end of the control socket.
pub struct ControlSocket {
    pub fd: OwnedFd,
    decoder: Decoder,
    outbox: Outbox,
}

impl ControlSocket {
    /// Takes over a socket that does not block.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, decoder: Decoder::default(), outbox: Outbox::default() }
    }

    /// What the socket is polled for.
    pub fn poll_events(&self) -> libc::c_short {
        libc::POLLIN | if self.outbox.is_empty() { 0 } else { libc::POLLOUT }
    }

    /// Puts a frame in the queue of what is to be said.
    pub fn say(&self, frame_type: FrameType, payload: &impl Serialize) {
        self.outbox.append(|out| write_control(out, frame_type, payload));
    }

    /// Writes as much of the queue as the socket takes; `false` when the dispatcher has closed it.
    ///
    /// # Errors
    /// What `send` says.
    pub fn flush(&self) -> io::Result<bool> {
        match self.outbox.flush(|bytes| rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all there is; `false` when the dispatcher has closed the socket.
    ///
    /// # Errors
    /// What `read` says.
    pub fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        loop {
            match rustix::io::read(&self.fd, &mut bytes) {
                Ok(0) | Err(Errno::CONNRESET) => return Ok(false),
                Ok(taken) => self.decoder.push(&bytes[..taken]),
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next complete frame of what was read.
    ///
    /// # Errors
    /// What was read is no frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Violation> {
        self.decoder.next_frame()
    }

    /// Waits until the dispatcher has closed the control socket, for a while. Were it closed here first, the dispatcher's
    /// next write would fail, and with it the socket that it has not read the refusal from yet.
    pub fn linger(&self) {
        let deadline_ms = monotonic_ms() + LINGER_MS;
        let mut bytes = [0; 4096];
        while monotonic_ms() < deadline_ms {
            match rustix::io::read(&self.fd, &mut bytes) {
                Ok(0) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut fds = [libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
                    let left_ms = deadline_ms.saturating_sub(monotonic_ms());
                    if process::wait_for_events(&mut fds, Some(left_ms)).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}
