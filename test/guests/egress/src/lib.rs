//! Reaches what its path says: by `wasi:http`, by sockets, and with TLS of its own over sockets.

mod fetch;
mod postgres;
#[path = "../../probe/src/query.rs"]
mod query;
mod tcp;

use query::Query;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

struct Egress;

wasip2::http::proxy::export!(Egress);

impl wasip2::exports::http::incoming_handler::Guest for Egress {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query::parse(query);
        let text = match path {
            "/fetch" => fetch::fetch(&query),
            "/post" => fetch::post(&query),
            "/inject" => fetch::inject(&query),
            "/pass" => return pass(answer, &query),
            "/tcp" => tcp::exchange(&query),
            "/many" => tcp::many(&query),
            "/half" => tcp::half_close(&query),
            "/hold" => tcp::hold(&query),
            "/flood" => tcp::flood(&query),
            "/postgres" => postgres::ask(&query),
            "/udp" => tcp::udp(),
            "/resolve" => tcp::resolve(&query),
            "/tls" => tcp::tls(&query),
            _ => "no such route".to_string(),
        };
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the first body");
        ResponseOutparam::set(answer, Ok(response));
        let output = body.write().expect("the first stream");
        write(&output, text.as_bytes());
        drop(output);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Writes all bytes, waiting for the reader.
fn write(output: &OutputStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(permit) = output.check_write() else { return };
        if permit == 0 {
            output.subscribe().block();
            continue;
        }
        let count = bytes.len().min(permit as usize).min(64 * 1024);
        if output.write(&bytes[..count]).is_err() {
            return;
        }
        bytes = &bytes[count..];
    }
}

/// Answers with the body of `url`, as it comes.
fn pass(answer: ResponseOutparam, query: &Query) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the first body");
    ResponseOutparam::set(answer, Ok(response));
    let output = body.write().expect("the first stream");
    fetch::read(query, |bytes| write(&output, bytes));
    drop(output);
    let _ = OutgoingBody::finish(body, None);
}
