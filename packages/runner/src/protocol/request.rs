//! The payload of REQUEST.

use super::frame::Violation;
use super::headers::{HeaderList, read_headers};
use super::text::PayloadReader;
use bytes::Bytes;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Bytes,
    pub scheme: Bytes,
    pub authority: Bytes,
    /// Path with query, as it stood in the request line.
    pub path: Bytes,
    /// Address of the client, without a port.
    pub remote: Bytes,
    pub headers: HeaderList,
}

impl RequestHead {
    /// # Errors
    /// The payload is not a request head, or not only that.
    pub fn read(payload: Bytes) -> Result<Self, Violation> {
        let mut reader = PayloadReader::new(payload);
        let head = Self {
            method: reader.text16()?,
            scheme: reader.text16()?,
            authority: reader.text16()?,
            path: reader.bytes32()?,
            remote: reader.text16()?,
            headers: read_headers(&mut reader)?,
        };
        reader.end()?;
        Ok(head)
    }
}
