//! Length-prefixed byte strings and integers, as payloads hold them.

use super::frame::{Violation, violation};
use bytes::{Buf, Bytes};

/// Appends a `text16`. Longer than 65,535 bytes is a mistake of the caller and is cut.
pub fn write_text16(out: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&text[..usize::from(length)]);
}

/// Takes a payload apart from front to back; the parts share its memory.
pub struct PayloadReader(Bytes);

impl PayloadReader {
    /// Reads `payload` from its first byte.
    pub fn new(payload: Bytes) -> Self {
        Self(payload)
    }

    fn need(&self, bytes: usize) -> Result<(), Violation> {
        if self.0.len() < bytes { violation("payload ends too early") } else { Ok(()) }
    }

    /// One byte.
    ///
    /// # Errors
    /// The payload ends too early; so for all of these.
    pub fn u8(&mut self) -> Result<u8, Violation> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    /// A little-endian `u16`.
    pub fn u16(&mut self) -> Result<u16, Violation> {
        self.need(2)?;
        Ok(self.0.get_u16_le())
    }

    /// A little-endian `u32`.
    pub fn u32(&mut self) -> Result<u32, Violation> {
        self.need(4)?;
        Ok(self.0.get_u32_le())
    }

    /// A `text16`.
    pub fn text16(&mut self) -> Result<Bytes, Violation> {
        let length = usize::from(self.u16()?);
        self.need(length)?;
        Ok(self.0.split_to(length))
    }

    /// A `bytes32`.
    pub fn bytes32(&mut self) -> Result<Bytes, Violation> {
        let length = self.u32()? as usize;
        self.need(length)?;
        Ok(self.0.split_to(length))
    }

    /// Checks that nothing is left.
    pub fn end(self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { violation("payload is longer than its content") }
    }
}
