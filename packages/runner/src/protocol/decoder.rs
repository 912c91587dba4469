//! Cuts a byte stream into frames.

use super::frame::{Frame, FrameType, HEAD_BYTES, MAX_PAYLOAD_BYTES, Violation, violation};
use bytes::{Buf, BytesMut};

/// Space that a read should be offered.
pub const READ_BYTES: usize = 65_536;

/// Collects what was read from one socket and yields the frames that are complete.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Appends bytes that were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether everything that was read has been yielded, so that the stream stands on a frame boundary.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next complete frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// An unknown type, flags or reserved bytes that are not zero, a payload that is too long, a stream number on the
    /// wrong kind of socket. The head is judged as soon as it is there, before its payload is.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Violation> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let payload_bytes = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let stream = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let Some(frame_type) = FrameType::from_number(head[4]) else {
            return violation(format!("frame type 0x{:02x} is unknown", head[4]));
        };
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return violation(format!("payload of {payload_bytes} bytes is longer than {MAX_PAYLOAD_BYTES}"));
        }
        if head[5] != 0 || head[6] != 0 || head[7] != 0 {
            return violation("flags and reserved bytes must be zero");
        }
        if frame_type.is_control() != (stream == 0) {
            return violation(format!("stream {stream} does not fit a {frame_type:?} frame"));
        }
        if self.buffer.len() < HEAD_BYTES + payload_bytes {
            self.buffer.reserve(HEAD_BYTES + payload_bytes - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        let payload = self.buffer.split_to(payload_bytes).freeze();
        Ok(Some(Frame { frame_type, stream, payload }))
    }
}
