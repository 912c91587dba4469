//! One frame: its head, its types, and how it is written.

use bytes::Bytes;

/// Bytes of a frame before its payload.
pub const HEAD_BYTES: usize = 12;

/// The longest payload a frame may have.
pub const MAX_PAYLOAD_BYTES: usize = 262_144;

/// Body bytes that may be sent in either direction of a stream before any CREDIT.
pub const INITIAL_CREDIT_BYTES: u32 = 262_144;

/// The type of a frame; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    Hello = 0x01,
    Load = 0x02,
    Loaded = 0x03,
    Refused = 0x04,
    Worker = 0x05,
    Kill = 0x06,
    Drain = 0x07,
    Resync = 0x08,
    Request = 0x10,
    Body = 0x11,
    End = 0x12,
    Credit = 0x13,
    Cancel = 0x14,
    Response = 0x15,
    Log = 0x16,
    Done = 0x17,
    Dial = 0x20,
    Resolve = 0x21,
    Dialed = 0x22,
    Resolved = 0x23,
    Failed = 0x24,
    Close = 0x25,
}

impl FrameType {
    /// The type with this number, or `None` when version 1 has no such type.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0x01 => Self::Hello,
            0x02 => Self::Load,
            0x03 => Self::Loaded,
            0x04 => Self::Refused,
            0x05 => Self::Worker,
            0x06 => Self::Kill,
            0x07 => Self::Drain,
            0x08 => Self::Resync,
            0x10 => Self::Request,
            0x11 => Self::Body,
            0x12 => Self::End,
            0x13 => Self::Credit,
            0x14 => Self::Cancel,
            0x15 => Self::Response,
            0x16 => Self::Log,
            0x17 => Self::Done,
            0x20 => Self::Dial,
            0x21 => Self::Resolve,
            0x22 => Self::Dialed,
            0x23 => Self::Resolved,
            0x24 => Self::Failed,
            0x25 => Self::Close,
            _ => return None,
        })
    }

    /// Whether frames of this type belong on the control socket (else on a lane).
    pub fn is_control(self) -> bool {
        (self as u8) < 0x10
    }
}

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub frame_type: FrameType,
    /// 0 on the control socket.
    pub stream: u32,
    pub payload: Bytes,
}

/// What a peer did that the protocol forbids. Whoever sees one stops at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Shorthand for an `Err(Violation)`.
pub fn violation<T>(message: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(message.into()))
}

/// Appends a frame whose payload `write` appends. The payload must not exceed [`MAX_PAYLOAD_BYTES`].
pub fn write_frame(out: &mut Vec<u8>, frame_type: FrameType, stream: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, frame_type as u8, 0, 0, 0]);
    out.extend_from_slice(&stream.to_le_bytes());
    write(out);
    let payload_bytes = out.len() - start - HEAD_BYTES;
    debug_assert!(payload_bytes <= MAX_PAYLOAD_BYTES);
    let length = u32::try_from(payload_bytes).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
