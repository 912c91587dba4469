//! A list of header or trailer fields: bytes as HTTP/1.1 carries them, in order and with duplicates.

use super::frame::Violation;
use super::text::{PayloadReader, write_text16};
use bytes::Bytes;

/// Names and values, in the order of the message.
pub type HeaderList = Vec<(Bytes, Bytes)>;

/// Reads a `headers` list.
///
/// # Errors
/// The payload ends before the list does.
pub fn read_headers(reader: &mut PayloadReader) -> Result<HeaderList, Violation> {
    let count = usize::from(reader.u16()?);
    let mut headers = Vec::with_capacity(count.min(128));
    for _ in 0..count {
        headers.push((reader.text16()?, reader.text16()?));
    }
    Ok(headers)
}

/// Appends a `headers` list of at most 65,535 fields.
pub fn write_headers<'a>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    let mut count: u16 = 0;
    for (name, value) in headers.take(usize::from(u16::MAX)) {
        write_text16(out, name);
        write_text16(out, value);
        count += 1;
    }
    out[start..start + 2].copy_from_slice(&count.to_le_bytes());
}
