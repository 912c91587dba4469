//! The payload of RESPONSE.

use super::headers::write_headers;

/// Appends the payload.
pub fn write_response<'a>(out: &mut Vec<u8>, status: u16, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(&status.to_le_bytes());
    write_headers(out, headers);
}
