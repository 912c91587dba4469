use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

use crate::answer;
use crate::query::Query;

/// Answers with `code`, or says that wasi:http does not take it.
pub fn status(answer: ResponseOutparam, query: &Query) {
    let response = OutgoingResponse::new(Fields::new());
    let code = query.number("code", 200) as u16;
    if response.set_status_code(code).is_err() {
        return answer::text(answer, 200, "wasi:http refused the status\n");
    }
    let body = response.body().expect("the first body");
    ResponseOutparam::set(answer, Ok(response));
    if query.number("empty", 0) == 0 {
        let output = body.write().expect("the first stream");
        let _ = answer::write(&output, format!("status {code}\n").as_bytes());
        drop(output);
    }
    answer::finish(body);
}

/// Sets the field `name` to `value`, or says that wasi:http does not take it.
pub fn set_header(answer: ResponseOutparam, query: &Query) {
    let fields = Fields::new();
    match fields.append(query.text("name"), query.bytes("value")) {
        Ok(()) => answer::finish(answer::start(answer, 200, fields)),
        Err(error) => answer::text(answer, 200, &format!("wasi:http refused the field: {error:?}\n")),
    }
}

/// Answers with `bytes` bytes of fields, `size` bytes each, or says how far wasi:http let it go.
pub fn headers_flood(answer: ResponseOutparam, query: &Query) {
    let fields = Fields::new();
    let size = query.number("size", 1024) as usize;
    let mut left = query.number("bytes", 1024) as usize;
    for index in 0.. {
        let count = left.min(size);
        if count == 0 {
            break;
        }
        if let Err(error) = fields.append(&format!("x-flood-{index}"), &vec![b'x'; count]) {
            return answer::text(answer, 200, &format!("wasi:http refused field {index}: {error:?}\n"));
        }
        left -= count;
    }
    answer::finish(answer::start(answer, 200, fields));
}

/// A body with the trailers `name: value`.
pub fn trailers(answer: ResponseOutparam, query: &Query) {
    let body = answer::start(answer, 200, Fields::new());
    let output = body.write().expect("the first stream");
    let _ = answer::write(&output, b"with trailers\n");
    drop(output);
    let trailers = Fields::new();
    trailers.append(query.text("name"), query.bytes("value")).expect("a valid trailer");
    let _ = OutgoingBody::finish(body, Some(trailers));
}

/// Announces `length` bytes and writes `bytes`.
pub fn content_length_lie(answer: ResponseOutparam, query: &Query) {
    let fields = Fields::new();
    fields.append("content-length", query.bytes("length")).expect("a valid field");
    let body = answer::start(answer, 200, fields);
    let output = body.write().expect("the first stream");
    let _ = answer::write(&output, &vec![b'x'; query.number("bytes", 10) as usize]);
    drop(output);
    answer::finish(body);
}

/// Answers with an error code in place of a response.
pub fn error_code(answer: ResponseOutparam) {
    ResponseOutparam::set(answer, Err(ErrorCode::InternalError(Some("asked for".to_string()))));
}
