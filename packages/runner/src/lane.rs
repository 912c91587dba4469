//! A lane as the supervisor sees it.

use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io;
use std::os::fd::OwnedFd;

/// One of the sockets on which workers speak.
#[derive(Debug)]
pub struct Lane {
    pub fd: OwnedFd,
    pub state: LaneState,
    /// A worker shall be there.
    pub keep: bool,
    /// Not before this time of the monotonic clock is a worker forked; 0 unless forking has failed.
    pub retry_at_ms: u64,
}

/// Who has the lane.
#[derive(Debug)]
pub enum LaneState {
    /// Nobody; it stands on a frame boundary.
    Empty,
    Running {
        pid: i32,
        worker: u32,
    },
    /// Nobody; the last worker may have left half a frame behind.
    Broken,
    Resyncing(Resync),
}

impl Lane {
    /// A lane without a worker.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, state: LaneState::Empty, keep: false, retry_at_ms: 0 }
    }
}

const NONCE_BYTES: usize = 32;

/// Brings a lane back to a frame boundary: reads up to the nonce that the dispatcher has drawn, then writes it back.
#[derive(Debug)]
pub struct Resync {
    nonce: [u8; NONCE_BYTES],
    /// The last bytes read, as the nonce may come in parts.
    tail: Vec<u8>,
    found: bool,
    written: usize,
}

impl Resync {
    /// Nothing is read yet.
    pub fn new(nonce: [u8; NONCE_BYTES]) -> Self {
        Self { nonce, tail: Vec::new(), found: false, written: 0 }
    }

    /// What the lane is polled for.
    pub fn poll_events(&self) -> libc::c_short {
        if self.found { libc::POLLOUT } else { libc::POLLIN }
    }

    /// Goes on as far as the socket lets it; `true` when both directions stand on a frame boundary.
    ///
    /// # Errors
    /// What `read` and `send` say, and the end of the lane.
    pub fn advance(&mut self, lane: &OwnedFd) -> io::Result<bool> {
        while !self.found {
            let mut bytes = [0; 4096];
            match rustix::io::read(lane, &mut bytes) {
                // The dispatcher has closed the lane. Nothing more comes of it until the control socket closes, too.
                Ok(0) | Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(false),
                Ok(taken) => self.search(&bytes[..taken]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        while self.written < NONCE_BYTES {
            match rustix::net::send(lane, &self.nonce[self.written..], SendFlags::NOSIGNAL) {
                Ok(taken) => self.written += taken,
                Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn search(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.found = self.tail.windows(NONCE_BYTES).any(|window| window == self.nonce);
        let surplus = self.tail.len().saturating_sub(NONCE_BYTES - 1);
        self.tail.drain(..surplus);
    }
}
