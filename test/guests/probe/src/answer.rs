use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{OutputStream, StreamError};

/// The most that a stream takes between two looks at its permit.
const CHUNK_BYTES: usize = 64 * 1024;

/// Sends the head; the body is to be written and ended by the caller.
pub fn start(answer: ResponseOutparam, status: u16, fields: Fields) -> OutgoingBody {
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).expect("a status that wasi:http takes");
    let body = response.body().expect("the first body");
    ResponseOutparam::set(answer, Ok(response));
    body
}

/// A whole answer of one text.
pub fn text(answer: ResponseOutparam, status: u16, text: &str) {
    whole(answer, status, "text/plain; charset=utf-8", text.as_bytes());
}

/// A whole answer of one JSON text.
pub fn json(answer: ResponseOutparam, text: &str) {
    whole(answer, 200, "application/json", text.as_bytes());
}

fn whole(answer: ResponseOutparam, status: u16, kind: &str, bytes: &[u8]) {
    let fields = Fields::new();
    fields.append("content-type", kind.as_bytes()).expect("a valid field");
    let body = start(answer, status, fields);
    let output = body.write().expect("the first stream");
    let sent = write(&output, bytes);
    drop(output);
    if sent.is_ok() {
        finish(body);
    }
}

/// Writes all bytes, waiting for the reader.
pub fn write(output: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let permit = output.check_write()?;
        if permit == 0 {
            output.subscribe().block();
            continue;
        }
        let count = bytes.len().min(permit as usize).min(CHUNK_BYTES);
        output.write(&bytes[..count])?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Ends a body that is complete.
pub fn finish(body: OutgoingBody) {
    // The host refuses where the length differs from the one that was announced; it tells the caller itself.
    let _ = OutgoingBody::finish(body, None);
}
