//! The dispatcher's end of a socket, blocking.

use crate::protocol::decoder::Decoder;
use crate::protocol::frame::{Frame, FrameType, write_frame};
use bytes::Bytes;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A runner that says nothing for this long hangs.
const HANG: Duration = Duration::from_secs(120);

/// A control socket or a lane.
pub struct Socket {
    pub stream: UnixStream,
    pub decoder: Decoder,
}

impl Socket {
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(HANG)).expect("a socket");
        Self { stream, decoder: Decoder::default() }
    }

    /// The next frame, or `None` when the runner has closed the socket.
    pub fn try_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a runner breaks no rule") {
                return Some(frame);
            }
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(taken) => self.decoder.push(&bytes[..taken]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the runner says nothing: {error}"),
            }
        }
    }

    /// The next frame.
    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("the runner has closed the socket")
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the runner takes it");
    }

    /// Writes one frame.
    pub fn send_frame(&mut self, frame_type: FrameType, stream: u32, payload: &[u8]) {
        self.send(&encode(frame_type, stream, payload));
    }
}

/// One frame as bytes.
pub fn encode(frame_type: FrameType, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, frame_type, stream, |out| out.extend_from_slice(payload));
    out
}

/// Bytes of a text.
pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
