use crate::query::Query;
use std::fmt::Write;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

fn request(query: &Query, fields: Fields, method: Method) -> Result<OutgoingRequest, String> {
    let url = query.text("url");
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err("not a url".to_string()),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(fields);
    let prepared = request.set_method(&method).is_ok()
        && request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if prepared { Ok(request) } else { Err("not a request".to_string()) }
}

fn options(query: &Query) -> RequestOptions {
    let options = RequestOptions::new();
    let milliseconds = |name| match query.number(name, 0) {
        0 => None,
        ms => Some(ms * 1_000_000),
    };
    options.set_connect_timeout(milliseconds("connectMs")).expect("a timeout");
    options.set_first_byte_timeout(milliseconds("firstByteMs")).expect("a timeout");
    options.set_between_bytes_timeout(milliseconds("betweenBytesMs")).expect("a timeout");
    options
}

fn respond(request: OutgoingRequest, query: &Query) -> Result<IncomingResponse, String> {
    let future = handle(request, Some(options(query))).map_err(|code| format!("refused: {code:?}"))?;
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(format!("failed: {code:?}")),
        _ => Err("no result".to_string()),
    }
}

/// Reads a body; its trailers or what was wrong at its end.
fn consume(response: IncomingResponse, mut take: impl FnMut(&[u8])) -> Result<Option<Fields>, String> {
    let body = response.consume().expect("the first body");
    let input = body.stream().expect("the first stream");
    loop {
        match input.blocking_read(64 * 1024) {
            Ok(bytes) => take(&bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(match code {
                    Some(code) => format!("{code:?}"),
                    None => error.to_debug_string(),
                });
            }
        }
    }
    drop(input);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    match trailers.get() {
        Some(Ok(Ok(trailers))) => Ok(trailers),
        Some(Ok(Err(code))) => Err(format!("{code:?}")),
        _ => Ok(None),
    }
}

fn describe(response: IncomingResponse) -> String {
    let mut text = format!("status: {}", response.status());
    let (mut bytes, mut sum, mut begin) = (0u64, 0u64, Vec::new());
    let end = consume(response, |chunk| {
        bytes += chunk.len() as u64;
        sum += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        if begin.len() < 1000 {
            begin.extend_from_slice(&chunk[..chunk.len().min(1000)]);
        }
    });
    let _ = write!(text, " bytes: {bytes} sum: {sum}");
    match end {
        Ok(Some(trailers)) => {
            for (name, value) in trailers.entries() {
                let _ = write!(text, " trailer {name}: {}", String::from_utf8_lossy(&value));
            }
        }
        Ok(None) => {}
        Err(error) => {
            let _ = write!(text, " broken: {error}");
        }
    }
    let _ = write!(text, " body: {}", String::from_utf8_lossy(&begin));
    text
}

/// Requests `url`, `times` times one after the other or, with `parallel=1`, side by side; a line for each.
pub fn fetch(query: &Query) -> String {
    let times = query.number("times", 1);
    let start = || {
        let request = request(query, fields(query), Method::Get)?;
        handle(request, Some(options(query))).map_err(|code| format!("refused: {code:?}"))
    };
    let mut lines = Vec::new();
    if query.number("parallel", 0) == 1 {
        let futures: Vec<_> = (0..times).map(|_| start()).collect();
        for future in futures {
            lines.push(match future {
                Ok(future) => {
                    future.subscribe().block();
                    match future.get() {
                        Some(Ok(Ok(response))) => describe(response),
                        Some(Ok(Err(code))) => format!("failed: {code:?}"),
                        _ => "no result".to_string(),
                    }
                }
                Err(error) => error,
            });
        }
    } else {
        for _ in 0..times {
            let response = request(query, fields(query), Method::Get).and_then(|request| respond(request, query));
            lines.push(response.map_or_else(|error| error, describe));
        }
    }
    lines.join("\n")
}

/// What is sent: `host`, and the lines of `fields`, each `name: value`.
fn fields(query: &Query) -> Fields {
    let fields = Fields::new();
    if !query.text("host").is_empty() {
        let _ = fields.append("host", query.bytes("host"));
    }
    for line in query.text("fields").lines() {
        if let Some((name, value)) = line.split_once(": ") {
            let _ = fields.append(name, value.as_bytes());
        }
    }
    fields
}

/// Sends `bytes` to `url`; `declared`: the content-length that is said.
pub fn post(query: &Query) -> String {
    let fields = Fields::new();
    let declared = query.text("declared");
    if !declared.is_empty() && fields.append("content-length", declared.as_bytes()).is_err() {
        return "no such field".to_string();
    }
    let request = match request(query, fields, Method::Post) {
        Ok(request) => request,
        Err(error) => return error,
    };
    let body = match request.body() {
        Ok(body) => body,
        Err(()) => return "no body".to_string(),
    };
    let future = match handle(request, Some(options(query))) {
        Ok(future) => future,
        Err(code) => return format!("refused: {code:?}"),
    };
    let output = body.write().expect("the first stream");
    let mut left = query.number("bytes", 0) as usize;
    while left > 0 {
        let permit = match output.check_write() {
            Ok(0) => {
                output.subscribe().block();
                continue;
            }
            Ok(permit) => permit as usize,
            Err(_) => break,
        };
        let count = left.min(permit).min(64 * 1024);
        if output.write(&vec![b'x'; count]).is_err() {
            break;
        }
        left -= count;
    }
    let _ = output.blocking_flush();
    drop(output);
    let finished = OutgoingBody::finish(body, None);
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(Ok(response))) => describe(response),
        Some(Ok(Err(code))) => format!("failed: {code:?}"),
        _ => "no result".to_string(),
    };
    match finished {
        Ok(()) => response,
        Err(code) => format!("unfinished: {code:?} {response}"),
    }
}

/// Tries to put a line break where none may be.
pub fn inject(query: &Query) -> String {
    let value = query.bytes("value");
    let text = query.text("value");
    let fields = Fields::new();
    let field = fields.append("x-test", value).is_ok();
    let name = Fields::new().append(text, b"v").is_ok();
    let request = OutgoingRequest::new(Fields::new());
    let path = request.set_path_with_query(Some(&format!("/{text}"))).is_ok();
    let authority = request.set_authority(Some(&format!("a{text}"))).is_ok();
    let method = request.set_method(&Method::Other(text.to_string())).is_ok();
    format!("field {field} name {name} path {path} authority {authority} method {method}")
}

/// Hands the body of `url` over as it comes.
pub fn read(query: &Query, take: impl FnMut(&[u8])) {
    if let Ok(response) = request(query, Fields::new(), Method::Get).and_then(|request| respond(request, query)) {
        let _ = consume(response, take);
    }
}
