use std::hint::black_box;

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, ResponseOutparam};

use crate::answer;
use crate::query::Query;

const PAGE_BYTES: usize = 64 * 1024;

/// Computes without end and without a call to the host.
pub fn endless_loop() {
    let mut value = 1u64;
    loop {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Computes `rounds` rounds, then answers: the same fuel each time.
pub fn spin(answer: ResponseOutparam, query: &Query) {
    let mut value = 1u64;
    for _ in 0..query.number("rounds", 1000) {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    answer::text(answer, 200, &value.to_string());
}

/// Calls itself without end.
pub fn recurse(answer: ResponseOutparam) {
    answer::text(answer, 200, &descend(black_box(0)).to_string());
}

#[allow(unconditional_recursion, reason = "this is what the route is for")]
fn descend(depth: u64) -> u64 {
    // The addition after the call keeps it from becoming a loop.
    black_box(descend(black_box(depth + 1))) + 1
}

/// Allocates and touches `bytes` bytes; without a number, until something stops it.
pub fn memory(answer: ResponseOutparam, query: &Query) {
    let limit = query.number("bytes", u64::MAX) as usize;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut total = 0;
    while total < limit {
        let size = (16 * PAGE_BYTES).min(limit - total);
        blocks.push(black_box(vec![1; size]));
        total += size;
    }
    answer::text(answer, 200, &format!("{total} bytes\n"));
}

/// Grows the memory page by page until it is refused, and answers with the number of pages.
pub fn memory_growth_count(answer: ResponseOutparam) {
    let before = core::arch::wasm32::memory_size::<0>();
    let mut pages = 0;
    while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {
        pages += 1;
    }
    answer::text(answer, 200, &format!("{{\"before\":{before},\"grown\":{pages}}}"));
}

/// Makes `count` resources of the host and keeps them all.
pub fn resources(answer: ResponseOutparam, query: &Query) {
    let count = query.number("count", 1000);
    let kept: Vec<Fields> = (0..count / 2).map(|_| Fields::new()).collect();
    let also: Vec<_> = (0..count / 2).map(|_| monotonic_clock::subscribe_duration(1_000_000_000)).collect();
    answer::text(answer, 200, &format!("{} resources\n", kept.len() + also.len()));
}
