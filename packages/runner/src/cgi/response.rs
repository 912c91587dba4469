//! A response that a CGI program prints: a header block, and a body.

use crate::failure::Failure;
use crate::protocol::done::Outcome;
use crate::stdout_pipe::{StdoutBody, StdoutPipe};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use std::future::poll_fn;
use wasmtime_wasi_http::WasiBody;

fn invalid(detail: impl Into<String>) -> Failure {
    Failure::new(Outcome::ResponseInvalid, detail)
}

/// Reads the header block of standard output; what follows it is the body.
///
/// A `Location` without `Status` becomes a 302, also when it is a path (which the RFC would have the server resolve itself).
///
/// # Errors
/// The guest ended before the block did, the block is too long, or a line of it is no field.
pub async fn read_response(pipe: StdoutPipe, max_header_bytes: usize) -> Result<Response<WasiBody>, Failure> {
    let mut block = BytesMut::new();
    let mut searched = 0;
    let end = loop {
        if let Some(end) = block_end(&block, searched) {
            break end;
        }
        searched = block.len().saturating_sub(3);
        if block.len() > max_header_bytes {
            let detail = format!("the header block is longer than {max_header_bytes} bytes");
            return Err(Failure::new(Outcome::HeaderTooLarge, detail));
        }
        match poll_fn(|context| pipe.poll_chunk(context)).await {
            Some(chunk) => block.extend_from_slice(&chunk),
            None if block.is_empty() => {
                return Err(Failure::new(Outcome::NoResponse, "the guest ended without output"));
            }
            None => return Err(invalid("the guest ended before an empty line had ended the header block")),
        }
    };
    let head = block.split_to(end).freeze();
    let mut response = parse_head(&head)?;
    *response.body_mut() = StdoutBody { pipe, first: block.freeze() }.boxed_unsync();
    Ok(response)
}

/// Where the body begins: after the first empty line. Lines end in LF or CRLF.
fn block_end(block: &[u8], from: usize) -> Option<usize> {
    if block.starts_with(b"\n") {
        return Some(1);
    }
    if block.starts_with(b"\r\n") {
        return Some(2);
    }
    (from..block.len()).find_map(|at| match &block[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn parse_head(head: &Bytes) -> Result<Response<WasiBody>, Failure> {
    let mut response = Response::new(WasiBody::default());
    let mut status = None;
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(invalid("a line of the header block has no colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let name =
            HeaderName::from_bytes(name).map_err(|_| invalid("a field of the header block has no valid name"))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid(format!("field {name} has no valid value")))?;
        if name == "status" {
            let digits = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
            status =
                Some(StatusCode::from_bytes(digits).map_err(|_| invalid("Status is not a number of three digits"))?);
        } else {
            response
                .headers_mut()
                .try_append(name, value)
                .map_err(|_| invalid("the header block has too many fields"))?;
        }
    }
    let implied = if response.headers().contains_key(header::LOCATION) { StatusCode::FOUND } else { StatusCode::OK };
    *response.status_mut() = status.unwrap_or(implied);
    Ok(response)
}
