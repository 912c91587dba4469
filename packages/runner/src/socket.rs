//! A lane as a worker reads and writes it, without blocking.

use crate::outbox::Outbox;
use crate::protocol::decoder::{Decoder, READ_BYTES};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Nothing,
    Bytes,
    Closed,
}

/// The worker's end of a lane.
pub struct LaneSocket {
    reading: AsyncFd<OwnedFd>,
    /// Made when the lane is full for the first time: readiness to write costs a wake-up whenever the dispatcher reads.
    writing: Option<AsyncFd<OwnedFd>>,
    /// The lane was full when it was last written to.
    full: bool,
    /// What was read last, until the decoder has it. Never zeroed: only pages that are read into are touched.
    scratch: Vec<u8>,
}

impl LaneSocket {
    /// Takes over a socket that does not block.
    ///
    /// # Errors
    /// What `epoll_ctl` says.
    pub fn new(lane: OwnedFd) -> io::Result<Self> {
        let reading = watch(lane, Interest::READABLE)?;
        Ok(Self { reading, writing: None, full: false, scratch: Vec::with_capacity(READ_BYTES) })
    }

    /// Reads once, as much as there is.
    ///
    /// # Errors
    /// What `read` says.
    pub fn receive(&mut self, decoder: &mut Decoder, context: &mut Context<'_>) -> io::Result<Received> {
        loop {
            let Poll::Ready(guard) = self.reading.poll_read_ready(context) else {
                return Ok(Received::Nothing);
            };
            let mut guard = guard?;
            self.scratch.clear();
            match rustix::io::read(guard.get_inner(), rustix::buffer::spare_capacity(&mut self.scratch)) {
                Ok(0) => return Ok(Received::Closed),
                Ok(taken) => {
                    decoder.push(&self.scratch);
                    if taken < READ_BYTES {
                        // The kernel had no more; it says so when it has.
                        guard.clear_ready();
                    }
                    return Ok(Received::Bytes);
                }
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads once without asking whether there is something; of `Nothing` no wake-up follows.
    ///
    /// # Errors
    /// What `read` says.
    pub fn try_receive(&mut self, decoder: &mut Decoder) -> io::Result<Received> {
        self.scratch.clear();
        match rustix::io::read(self.reading.get_ref(), rustix::buffer::spare_capacity(&mut self.scratch)) {
            Ok(0) => Ok(Received::Closed),
            Ok(_) => {
                decoder.push(&self.scratch);
                Ok(Received::Bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what is pending, or as much of it as the kernel takes; the rest follows when it takes more.
    ///
    /// # Errors
    /// What `send` says.
    pub fn send(&mut self, outbox: &Outbox, context: &mut Context<'_>) -> io::Result<()> {
        while !outbox.is_empty() {
            let guard = match &self.writing {
                Some(writing) if self.full => match writing.poll_write_ready(context) {
                    Poll::Ready(guard) => Some(guard?),
                    Poll::Pending => return Ok(()),
                },
                _ => None,
            };
            let lane = self.reading.get_ref();
            match outbox.flush(|bytes| rustix::net::send(lane, bytes, SendFlags::NOSIGNAL)) {
                Ok(()) => self.full = false,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if let Some(mut guard) = guard {
                        guard.clear_ready();
                    }
                    self.full = true;
                    if self.writing.is_none() {
                        self.writing = Some(watch(lane.try_clone()?, Interest::WRITABLE)?);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd is one open descriptor for its whole life, so what is wrong with the function \
                               cannot happen; its successor is unsafe"
)]
fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}
