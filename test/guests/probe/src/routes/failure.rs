use std::hint::black_box;
use std::thread::sleep;
use std::time::Duration;

use wasip2::http::types::{Fields, OutgoingBody, ResponseOutparam};
use wasip2::io::streams::OutputStream;

use super::exhaust::endless_loop;
use crate::answer;
use crate::query::Query;

const FOREVER: Duration = Duration::from_secs(1_000_000);

/// Traps in the way that `kind` names.
pub fn trap(query: &Query) {
    match query.text("kind") {
        "divide" => {
            let divisor = black_box(0u32);
            // SAFETY: none; it takes away the check, so that the division itself traps.
            unsafe { std::hint::assert_unchecked(divisor != 0) };
            black_box(black_box(7) / divisor);
        }
        "bounds" => {
            let address = black_box(usize::MAX - 7);
            // SAFETY: none; the read is outside of the memory and traps.
            unsafe { black_box(std::ptr::read_volatile(address as *const u8)) };
        }
        _ => core::arch::wasm32::unreachable(),
    }
}

/// Waits for ever and answers nothing.
pub fn never(answer: ResponseOutparam) {
    sleep(FOREVER);
    drop(answer);
}

/// Sends the head and `bytes` bytes, then traps.
pub fn answer_then_trap(answer: ResponseOutparam, query: &Query) {
    let _kept = begin(answer, query);
    core::arch::wasm32::unreachable()
}

/// Sends the head and `bytes` bytes, then computes without end.
pub fn answer_then_loop(answer: ResponseOutparam, query: &Query) {
    let _kept = begin(answer, query);
    endless_loop();
}

/// Sends the head and `bytes` bytes, then waits for ever.
pub fn answer_then_never(answer: ResponseOutparam, query: &Query) {
    let _kept = begin(answer, query);
    sleep(FOREVER);
}

/// Sends a whole answer and works on for a while afterwards.
pub fn answer_then_return(answer: ResponseOutparam) {
    answer::text(answer, 200, "answered\n");
    sleep(Duration::from_millis(20));
    println!("worked on after the answer");
}

/// Sends the head and `bytes` bytes, then returns without ending the body.
pub fn unfinished_body(answer: ResponseOutparam, query: &Query) {
    let (body, output) = begin(answer, query);
    // A stream is a child of its body, and goes first.
    drop(output);
    drop(body);
}

fn begin(answer: ResponseOutparam, query: &Query) -> (OutgoingBody, OutputStream) {
    let body = answer::start(answer, 200, Fields::new());
    let output = body.write().expect("the first stream");
    let _ = answer::write(&output, &vec![b'x'; query.number("bytes", 1000) as usize]);
    let _ = output.blocking_flush();
    (body, output)
}
