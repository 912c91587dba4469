//! Payloads as a dispatcher reads and writes them.

use crate::protocol::done::{Done, MAX_DETAIL_BYTES, Outcome};
use crate::protocol::frame::{Violation, violation};
use crate::protocol::headers::{HeaderList, read_headers, write_headers};
use crate::protocol::request::RequestHead;
use crate::protocol::text::{PayloadReader, write_text16};
use bytes::{Buf, Bytes};

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub headers: HeaderList,
}

pub fn read_response(payload: Bytes) -> Result<ResponseHead, Violation> {
    let mut reader = PayloadReader::new(payload);
    let head = ResponseHead { status: reader.u16()?, headers: read_headers(&mut reader)? };
    reader.end()?;
    Ok(head)
}

/// A list of fields that is all of a payload.
pub fn read_trailers(payload: &Bytes) -> Result<HeaderList, Violation> {
    let mut reader = PayloadReader::new(payload.clone());
    let headers = read_headers(&mut reader)?;
    reader.end()?;
    Ok(headers)
}

pub fn read_credit(payload: &Bytes) -> Result<u32, Violation> {
    let mut reader = PayloadReader::new(payload.clone());
    let bytes = reader.u32()?;
    reader.end()?;
    Ok(bytes)
}

/// The source of a LOG, and what was printed.
pub fn read_log(payload: &Bytes) -> Result<(u8, Bytes), Violation> {
    match payload.first() {
        Some(source @ (1 | 2)) => Ok((*source, payload.slice(1..))),
        Some(_) => violation("the source is 1 or 2"),
        None => violation("payload ends too early"),
    }
}

const OUTCOMES: [Outcome; 13] = [
    Outcome::Ok,
    Outcome::FuelExhausted,
    Outcome::CpuExceeded,
    Outcome::WallExceeded,
    Outcome::MemoryExceeded,
    Outcome::ResourceExceeded,
    Outcome::StackOverflow,
    Outcome::Trap,
    Outcome::NoResponse,
    Outcome::ResponseInvalid,
    Outcome::HeaderTooLarge,
    Outcome::Cancelled,
    Outcome::Internal,
];

pub fn outcome(name: &[u8]) -> Option<Outcome> {
    OUTCOMES.into_iter().find(|outcome| outcome.name().as_bytes() == name)
}

pub fn read_done(payload: Bytes) -> Result<Done, Violation> {
    const NUMBERS_BYTES: usize = 4 * 8 + 4;
    let mut reader = PayloadReader::new(payload.clone());
    let name = reader.text16()?;
    let detail = reader.text16()?;
    let mut numbers = payload.slice(4 + name.len() + detail.len()..);
    if numbers.len() != NUMBERS_BYTES {
        return violation("the payload ends too early or too late");
    }
    if detail.len() > MAX_DETAIL_BYTES {
        return violation("the detail is too long");
    }
    Ok(Done {
        outcome: outcome(&name).ok_or_else(|| Violation("the outcome is unknown".into()))?,
        detail: String::from_utf8(detail.to_vec()).map_err(|error| Violation(error.to_string()))?,
        fuel: numbers.get_u64_le(),
        cpu_us: numbers.get_u64_le(),
        wall_us: numbers.get_u64_le(),
        peak_memory_bytes: numbers.get_u64_le(),
        worker: numbers.get_u32_le(),
    })
}

pub fn write_request(head: &RequestHead, out: &mut Vec<u8>) {
    for text in [&head.method, &head.scheme, &head.authority] {
        write_text16(out, text);
    }
    out.extend_from_slice(&u32::try_from(head.path.len()).expect("a short path").to_le_bytes());
    out.extend_from_slice(&head.path);
    write_text16(out, &head.remote);
    write_header_list(&head.headers, out);
}

pub fn write_header_list(headers: &HeaderList, out: &mut Vec<u8>) {
    write_headers(out, headers.iter().map(|(name, value)| (&name[..], &value[..])));
}
