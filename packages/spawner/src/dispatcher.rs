//! The dispatcher, at the other end of file descriptor 3.

use crate::line_buffer::{LineBuffer, MAX_LINE_BYTES, TooLong};
use crate::message::{Event, Request};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::OwnedFd;

/// What was read is no request.
#[derive(Debug)]
pub struct Violation(pub String);

/// Requests come from it, events go to it.
pub struct Dispatcher {
    pub socket: OwnedFd,
    lines: LineBuffer,
}

impl Dispatcher {
    /// # Errors
    /// The descriptor is not open.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        // For writing: one who does not read what he is told waits for his next sandbox as well. Nothing grows here meanwhile.
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(Self { socket, lines: LineBuffer::default() })
    }

    /// Reads what there is, without waiting; `false` when the dispatcher is gone.
    ///
    /// # Errors
    /// What `recv` says.
    pub fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET) => Ok(false),
            Ok((count, _)) => {
                self.lines.push(&bytes[..count]);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The next request of those that were read.
    ///
    /// # Errors
    /// It is none. The line is not quoted: the first one holds the token.
    pub fn next_request(&mut self) -> Result<Option<Request>, Violation> {
        match self.lines.next_line() {
            Ok(None) => Ok(None),
            Ok(Some(line)) => match serde_json::from_slice(line) {
                Ok(request) => Ok(Some(request)),
                Err(error) => Err(Violation(format!("a line is no request: {error}"))),
            },
            Err(TooLong) => Err(Violation(format!("a line is longer than {MAX_LINE_BYTES} bytes"))),
        }
    }

    /// Tells it something. That it is gone will be seen by reading.
    pub fn tell(&self, event: &Event<'_>) {
        let mut line = serde_json::to_vec(event).expect("numbers and strings can always be written");
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
