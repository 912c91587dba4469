//! The meta-variables of a CGI request.

use crate::protocol::request::RequestHead;
use std::net::SocketAddr;

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
    if !authority.is_empty() && !head.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"host")) {
        variables.push(("HTTP_HOST".to_owned(), authority.clone()));
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
