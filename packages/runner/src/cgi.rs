//! CGI/1.1 (RFC 3875): a request as meta-variables, a response as a header block and a body on standard output.

use crate::failure::Failure;
use crate::protocol::done::Outcome;
use crate::protocol::request::RequestHead;
use crate::stdout_pipe::{StdoutBody, StdoutPipe};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::net::SocketAddr;
use wasmtime_wasi_http::WasiBody;

/// The meta-variables of a request.
///
/// The whole path is `PATH_INFO` and `SCRIPT_NAME` is empty: a function does not know where it is mounted. `Authorization`
/// is passed (as `HTTP_AUTHORIZATION`), which the RFC leaves to the server: the function is the party it is meant for.
/// `Proxy` is not, as programs take `HTTP_PROXY` for configuration. Fields whose names hold other characters than letters,
/// digits and `-` are left out, as two of them could become one variable.
pub fn variables(head: &RequestHead) -> Vec<(String, String)> {
    let (path, query) = match head.path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&head.path[..at], &head.path[at + 1..]),
        None => (&head.path[..], &[][..]),
    };
    let is_https = &head.scheme[..] == b"https";
    let authority = text(&head.authority);
    let (name, port) = split_port(&authority);
    let port = port.unwrap_or(if is_https { "443" } else { "80" });
    let remote = text(&head.remote);
    let remote = remote.parse::<SocketAddr>().map_or(remote.clone(), |address| address.ip().to_string());
    let mut variables: Vec<(String, String)> = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", concat!("playa/", env!("CARGO_PKG_VERSION"))),
        ("SERVER_NAME", name),
        ("SERVER_PORT", port),
        ("REQUEST_METHOD", &text(&head.method)),
        ("REQUEST_SCHEME", &text(&head.scheme)),
        ("REQUEST_URI", &text(&head.path)),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", &text(&percent_decoded(path))),
        ("QUERY_STRING", &text(query)),
        ("REMOTE_ADDR", &remote),
        ("REMOTE_HOST", &remote),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if is_https {
        variables.push(("HTTPS".to_owned(), "on".to_owned()));
    }
    for (name, value) in &head.headers {
        if let Some(name) = variable_name(name) {
            let value = text(value);
            match variables.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if name == "CONTENT_LENGTH" => *known = value,
                Some((name, known)) => {
                    known.push_str(if name == "HTTP_COOKIE" { "; " } else { ", " });
                    known.push_str(&value);
                }
                None => variables.push((name, value)),
            }
        }
    }
    variables
}

/// The variable for a field, if it has one.
fn variable_name(name: &[u8]) -> Option<String> {
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
        return None;
    }
    let name: String =
        name.iter().map(|byte| if *byte == b'-' { '_' } else { byte.to_ascii_uppercase() as char }).collect();
    match &name[..] {
        "PROXY" | "CONNECTION" | "KEEP_ALIVE" | "PROXY_CONNECTION" | "TRANSFER_ENCODING" | "UPGRADE" | "TE"
        | "TRAILER" => None,
        "CONTENT_TYPE" | "CONTENT_LENGTH" => Some(name),
        _ => Some(format!("HTTP_{name}")),
    }
}

/// Bytes of a request as a string: UTF-8 where they are that, else Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Splits `host:port`, with care for `[::1]:80`.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (authority, None),
    }
}

/// Decodes `%xx`, but `%00`, which no variable can hold.
fn percent_decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => {
                digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        match escaped {
            Some(byte) if byte != 0 => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

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
