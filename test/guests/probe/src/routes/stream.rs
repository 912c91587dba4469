use std::thread::sleep;
use std::time::Duration;

use wasip2::http::types::{Fields, ResponseOutparam};

use crate::answer;
use crate::query::Query;

/// A prime, so that no power of two hides a block that is sent twice or left out.
const PATTERN_PERIOD: usize = 251;

/// Writes `chunks` pieces of `size` bytes, each a letter of its own, with `delayMs` between them.
pub fn stream(answer: ResponseOutparam, query: &Query) {
    let size = query.number("size", 16) as usize;
    let pause = Duration::from_millis(query.number("delayMs", 0));
    let body = answer::start(answer, 200, Fields::new());
    let output = body.write().expect("the first stream");
    for index in 0..query.number("chunks", 4) {
        if index > 0 && !pause.is_zero() {
            sleep(pause);
        }
        let chunk = vec![b'a' + (index % 26) as u8; size];
        if answer::write(&output, &chunk).is_err() || output.blocking_flush().is_err() {
            println!("nobody reads any more");
            return;
        }
    }
    drop(output);
    answer::finish(body);
}

/// Writes `bytes` bytes: the byte at offset n is n modulo 251. `length=1` announces the length.
pub fn download(answer: ResponseOutparam, query: &Query) {
    let fields = Fields::new();
    let mut left = query.number("bytes", 1024) as usize;
    if query.number("length", 0) == 1 {
        fields.append("content-length", left.to_string().as_bytes()).expect("a valid field");
    }
    let block: Vec<u8> = (0..PATTERN_PERIOD * 256).map(|index| (index % PATTERN_PERIOD) as u8).collect();
    let body = answer::start(answer, 200, fields);
    let output = body.write().expect("the first stream");
    while left > 0 {
        let count = left.min(block.len());
        if answer::write(&output, &block[..count]).is_err() {
            println!("nobody reads any more");
            return;
        }
        left -= count;
    }
    drop(output);
    answer::finish(body);
}
