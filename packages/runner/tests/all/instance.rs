//! Workers that serve many requests, several at once.

use crate::protocol::frame::FrameType;
use crate::support::artifact::guest;
use crate::support::exchange::{Answer, Collector, Request, exchange, get};
use crate::support::runner::Runner;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn many(concurrency: u32) -> Value {
    json!({ "requestsPerWorker": 1_000_000, "concurrency": concurrency })
}

/// Sends all requests at once and waits for all answers, in the order of the requests.
fn all(lane: &mut Socket, requests: &[Request]) -> Vec<Answer> {
    let mut out = Vec::new();
    let mut collectors = BTreeMap::new();
    for (index, request) in requests.iter().enumerate() {
        let stream = u32::try_from(index * 2 + 1).expect("few");
        out.extend(request.opening(stream));
        out.extend(request.ending(stream));
        collectors.insert(stream, Collector::new(stream));
    }
    lane.send(&out);
    let mut answers = BTreeMap::new();
    while answers.len() < requests.len() {
        let frame = lane.frame();
        let stream = frame.stream;
        if let Some(answer) = collectors.get_mut(&stream).expect("a stream of ours").take(frame, lane) {
            answers.insert(stream, answer);
        }
    }
    answers.into_values().collect()
}

#[test]
fn every_request_has_its_own_instance() {
    for name in ["probe", "probe-0-3"] {
        let mut runner = Runner::load(&guest(name), 1, many(16));
        for _ in 0..3 {
            let answers = all(&mut runner.lanes[0], &vec![get("/"); 16]);
            assert!(
                answers.iter().all(|answer| answer.done.outcome.name() == "ok" && answer.done.worker == 1),
                "{name}"
            );
            assert!(
                answers.windows(2).all(|pair| pair[0].done.fuel == pair[1].done.fuel),
                "{name}: fuel is each one's own"
            );
        }
    }
    let mut runner = Runner::load(&guest("probe"), 1, many(16));
    for _ in 0..5 {
        let answers = all(&mut runner.lanes[0], &vec![get("/counter"); 16]);
        assert!(answers.iter().all(|answer| answer.text() == "1"), "an instance was used twice");
    }
    let mut seen = std::collections::HashSet::new();
    for answer in all(&mut runner.lanes[0], &vec![get("/random?bytes=16"); 16]) {
        assert!(seen.insert(answer.text()), "two instances drew the same number");
    }
}

#[test]
fn memory_of_one_request_is_not_seen_by_the_next() {
    // The probe's memory starts with the same bytes and the same size whatever the one before has written.
    let mut runner = Runner::load(&guest("probe"), 1, many(1));
    for _ in 0..3 {
        let lane = &mut runner.lanes[0];
        let answer = exchange(lane, 1, &get("/memory?bytes=20000000"));
        assert!(answer.done.peak_memory_bytes > 20_000_000);
        let answer = exchange(lane, 3, &get("/memory-growth-count"));
        let counted: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(counted["before"], 17);
    }
}

#[test]
fn a_worker_that_looks_out_for_the_next_request_goes_to_sleep_without_one() {
    let mut runner = Runner::load(&guest("probe"), 1, many(16));
    // At once one after the other, so that it pays to look out.
    for request in 0..100_u32 {
        assert_eq!(exchange(&mut runner.lanes[0], request * 2 + 1, &get("/")).status, 200);
    }
    let worker = runner.workers()[0];
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).expect("a running worker");
        stat.rsplit_once(") ").expect("a state").1.chars().next()
    };
    // A worker that never slept would keep this test from its end.
    while state() != Some('S') {
        std::thread::yield_now();
    }
    assert_eq!(exchange(&mut runner.lanes[0], 1, &get("/")).status, 200);
    drop(runner.lanes.remove(0));
    assert_eq!(runner.report()["ended"]["status"], 0);
}

#[test]
fn many_wait_at_once() {
    let mut runner = Runner::load(&guest("probe"), 1, many(64));
    let answers = all(&mut runner.lanes[0], &vec![get("/sleep?ms=300"); 64]);
    let total: u64 = answers.iter().map(|answer| answer.done.wall_us).sum();
    assert!(answers.iter().all(|answer| answer.text() == "awake\n"));
    // One after the other they would have waited for 64 times 300 ms, the last alone for 19 s.
    assert!(answers.iter().all(|answer| answer.done.wall_us < 15_000_000), "{total}");
}

#[test]
fn an_endless_loop_holds_up_nobody() {
    let mut runner = Runner::load(
        &guest("probe"),
        1,
        json!({ "requestsPerWorker": 1_000, "concurrency": 8, "fuel": 1_000_000_000_000_000_u64 }),
    );
    let lane = &mut runner.lanes[0];
    lane.send(&get("/loop").opening(99));
    lane.send(&get("/loop").ending(99));
    for _ in 0..5 {
        assert_eq!(exchange(lane, 1, &get("/")).status, 200);
    }
    lane.send_frame(FrameType::Cancel, 99, b"");
    let frame = lane.frame();
    let answer = Collector::new(99).take(frame, lane).expect("DONE");
    assert_eq!(answer.done.outcome.name(), "cancelled");
    assert!(answer.done.fuel > 0);
}

#[test]
fn a_failure_is_that_of_one_request() {
    let mut runner = Runner::load(
        &guest("probe"),
        1,
        json!({
            "requestsPerWorker": 1_000, "concurrency": 16, "fuel": 300_000_000, "memoryBytes": 33_554_432,
        }),
    );
    let paths = ["/", "/trap", "/", "/memory", "/recurse", "/", "/loop", "/silent", "/", "/exit?code=1", "/"];
    let outcomes = [
        "ok",
        "trap",
        "ok",
        "memory_exceeded",
        "stack_overflow",
        "ok",
        "fuel_exhausted",
        "no_response",
        "ok",
        "trap",
        "ok",
    ];
    for _ in 0..3 {
        let answers = all(&mut runner.lanes[0], &paths.map(get));
        for ((path, outcome), answer) in paths.iter().zip(outcomes).zip(&answers) {
            assert_eq!(answer.done.outcome.name(), outcome, "{path}: {}", answer.done.detail);
            assert_eq!(answer.done.worker, 1, "the worker lives on");
        }
    }
}

#[test]
fn a_slow_reader_holds_up_nobody() {
    let mut runner = Runner::load(&guest("probe"), 1, many(8));
    let lane = &mut runner.lanes[0];
    lane.send(&get("/download?bytes=10000000").opening(99));
    lane.send(&get("/").ending(99));
    // Its first credit comes, and is not granted anew.
    let mut taken = 0;
    while taken < crate::protocol::frame::INITIAL_CREDIT_BYTES as usize {
        let frame = lane.frame();
        taken += if frame.frame_type == FrameType::Body { frame.payload.len() } else { 0 };
    }
    for _ in 0..5 {
        assert_eq!(exchange(lane, 1, &get("/")).status, 200);
    }
}

#[test]
fn a_worker_is_replaced_when_it_is_used_up() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "requestsPerWorker": 3, "concurrency": 2 }));
    for round in 1..=3 {
        for index in 0..3 {
            let answer = exchange(&mut runner.lanes[0], 1 + 2 * index, &get("/"));
            assert_eq!((answer.status, answer.done.worker), (200, round));
        }
        let report = runner.report();
        assert_eq!((&report["ended"]["status"], &report["started"]), (&json!(0), &json!(round + 1)), "{report}");
    }
}

#[test]
fn more_at_once_than_was_agreed_is_a_violation() {
    let mut runner = Runner::load(&guest("probe"), 1, many(2));
    for stream in [1, 3, 5] {
        runner.lanes[0].send(&get("/never").opening(stream));
    }
    let report = runner.report();
    assert_eq!(report["ended"]["status"], 2, "{report}");
}

#[test]
fn commands_and_large_components_are_served_too() {
    for (name, kind) in [("command-component", "component"), ("command-module", "module")] {
        let changes = json!({ "kind": kind, "requestsPerWorker": 1_000, "concurrency": 8 });
        let mut runner = Runner::load(&guest(name), 1, changes);
        for _ in 0..3 {
            let answers = all(&mut runner.lanes[0], &vec![get("/"); 8]);
            assert!(answers.iter().all(|answer| answer.text() == "command\n"), "{name}");
        }
    }
}
