use std::thread::sleep;
use std::time::Duration;

use wasip2::http::types::{Fields, IncomingBody, IncomingRequest, ResponseOutparam};
use wasip2::io::streams::{InputStream, StreamError};

use crate::answer;
use crate::checksum::Crc32;
use crate::query::Query;

const READ_BYTES: u64 = 64 * 1024;

/// Sends the request's body back while it comes.
pub fn echo(request: &IncomingRequest, answer: ResponseOutparam) {
    let fields = Fields::new();
    for value in request.headers().get("content-type") {
        fields.append("content-type", &value).expect("a field that the request had");
    }
    let (incoming, input) = open(request);
    let body = answer::start(answer, 200, fields);
    let output = body.write().expect("the first stream");
    let ended = read_all(&input, |bytes| answer::write(&output, bytes).is_ok());
    drop(output);
    drop(input);
    drop(incoming);
    // A body that was cut short must not become an answer that looks complete.
    if ended.is_ok() {
        answer::finish(body);
    }
}

/// Counts the body and answers `{"bytes","crc32"}`, or how reading failed.
pub fn upload(request: &IncomingRequest, answer: ResponseOutparam) {
    let (_incoming, input) = open(request);
    let mut bytes = 0;
    let mut checksum = Crc32::new();
    let ended = read_all(&input, |chunk| {
        bytes += chunk.len() as u64;
        checksum.update(chunk);
        true
    });
    let failure = ended.is_err();
    answer::json(answer, &format!("{{\"bytes\":{bytes},\"crc32\":{},\"failed\":{failure}}}", checksum.value()));
}

/// Answers completely, then reads the body to its end and logs how much there was.
pub fn early_response(request: &IncomingRequest, answer: ResponseOutparam) {
    let (_incoming, input) = open(request);
    answer::text(answer, 200, "early\n");
    let mut bytes = 0;
    let ended = read_all(&input, |chunk| {
        bytes += chunk.len() as u64;
        true
    });
    println!("read {bytes} bytes after the answer, complete: {}", ended.is_ok());
}

/// Reads `size` bytes at a time with `delayMs` between, then answers as `upload`.
pub fn read_slowly(request: &IncomingRequest, answer: ResponseOutparam, query: &Query) {
    let (_incoming, input) = open(request);
    let size = query.number("size", 16 * 1024);
    let pause = Duration::from_millis(query.number("delayMs", 1));
    let mut bytes = 0;
    while let Ok(chunk) = input.blocking_read(size) {
        bytes += chunk.len() as u64;
        sleep(pause);
    }
    answer::json(answer, &format!("{{\"bytes\":{bytes}}}"));
}

fn open(request: &IncomingRequest) -> (IncomingBody, InputStream) {
    let body = request.consume().expect("the first reader of the body");
    let input = body.stream().expect("the first stream of the body");
    (body, input)
}

/// Reads until the end, or until `take` says no.
fn read_all(input: &InputStream, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), ()> {
    loop {
        match input.blocking_read(READ_BYTES) {
            Ok(bytes) if take(&bytes) => {}
            Ok(_) => return Err(()),
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(_)) => return Err(()),
        }
    }
}
