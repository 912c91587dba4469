//! The payload of RESPONSE.

use super::frame::Violation;
use super::headers::{HeaderList, read_headers, write_headers};
use super::text::PayloadReader;
use bytes::Bytes;

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub headers: HeaderList,
}

impl ResponseHead {
    /// # Errors
    /// The payload is not a response head, or not only that.
    pub fn read(payload: Bytes) -> Result<Self, Violation> {
        let mut reader = PayloadReader::new(payload);
        let head = Self { status: reader.u16()?, headers: read_headers(&mut reader)? };
        reader.end()?;
        Ok(head)
    }
}

/// Appends the payload.
pub fn write_response<'a>(out: &mut Vec<u8>, status: u16, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(&status.to_le_bytes());
    write_headers(out, headers);
}
