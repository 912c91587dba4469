//! Streams: `POST /` gives the body back as it arrives, `GET /stream?bytes=N` sends N bytes, anything else explains itself.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// How many bytes are moved at once.
const CHUNK_BYTES: u64 = 65_536;
/// The most that WASI lets one blocking write carry.
const WRITE_BYTES: usize = 4_096;
const USAGE: &str = "POST a body to get it back, or GET /stream?bytes=N for N bytes (at most 1 GiB).\n";
const MAX_STREAM_BYTES: u64 = 1 << 30;

struct Echo;

wasip2::http::proxy::export!(Echo);

impl Guest for Echo {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match (request.method(), path) {
            (Method::Post | Method::Put | Method::Patch, _) => echo(request, outparam),
            (Method::Get, "/stream") => match bytes_wanted(query) {
                Some(bytes) => respond(outparam, 200, "application/octet-stream", |output| send(output, bytes)),
                None => respond(outparam, 400, "text/plain", |output| write(output, USAGE.as_bytes())),
            },
            _ => respond(outparam, 200, "text/plain", |output| write(output, USAGE.as_bytes())),
        }
    }
}

/// Gives the request's body back, with its content type, while it still arrives.
fn echo(request: IncomingRequest, outparam: ResponseOutparam) {
    let types = request.headers().get("content-type");
    let content_type = types.first().and_then(|value| str::from_utf8(value).ok()).unwrap_or("application/octet-stream");
    let Ok(body) = request.consume() else {
        return respond(outparam, 500, "text/plain", |_| Ok(()));
    };
    let Ok(input) = body.stream() else {
        return respond(outparam, 500, "text/plain", |_| Ok(()));
    };
    respond(outparam, 200, content_type, |output| copy(&input, output));
}

/// Sends a response whose body is what `produce` writes. A body that fails is left unfinished, so that the host cuts it off.
fn respond(
    outparam: ResponseOutparam,
    status: u16,
    content_type: &str,
    produce: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) {
    let headers = Fields::new();
    headers
        .set("content-type", &[content_type.as_bytes().to_vec()])
        .expect("the request's own content type is a valid value");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("the status is a valid one");
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(outparam, Ok(response));
    let output = body.write().expect("the stream is taken once");
    let produced = produce(&output);
    drop(output);
    if produced.is_ok() {
        // An error here means that nobody listens any more.
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Moves bytes inside the host, without bringing them into this component's memory.
fn copy(input: &InputStream, output: &OutputStream) -> Result<(), StreamError> {
    loop {
        match output.blocking_splice(input, CHUNK_BYTES) {
            Ok(_) => {}
            Err(StreamError::Closed) => return output.blocking_flush(),
            Err(error) => return Err(error),
        }
    }
}

/// Sends so many bytes of a repeating alphabet.
fn send(output: &OutputStream, bytes: u64) -> Result<(), StreamError> {
    let chunk: Vec<u8> = (b'a'..=b'z').cycle().take(WRITE_BYTES).collect();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(WRITE_BYTES as u64) as usize;
        output.blocking_write_and_flush(&chunk[..length])?;
        left -= length as u64;
    }
    Ok(())
}

fn write(output: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    output.blocking_write_and_flush(bytes)
}

/// The value of `bytes` in a query, when it is a number within the limit.
fn bytes_wanted(query: &str) -> Option<u64> {
    let value = query.split('&').find_map(|field| field.strip_prefix("bytes="))?;
    value.parse().ok().filter(|bytes| *bytes <= MAX_STREAM_BYTES)
}
