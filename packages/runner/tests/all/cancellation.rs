//! CANCEL at every stage of a request.

use crate::protocol::frame::FrameType;
use crate::support::artifact::guest;
use crate::support::exchange::{Answer, Collector, get, invoke, request};
use crate::support::runner::Runner;
use serde_json::json;

fn answer(runner: &mut Runner) -> Answer {
    let lane = &mut runner.lanes[0];
    let mut collector = Collector::new(7);
    loop {
        let frame = lane.frame();
        if let Some(answer) = collector.take(frame, lane) {
            return answer;
        }
    }
}

fn assert_lane_is_free_again(runner: &mut Runner) {
    let report = runner.report();
    assert_eq!(report["ended"]["status"], 0, "{report}");
    assert!(report["started"].is_u64(), "{report}");
    assert_eq!(invoke(runner, &get("/")).status, 200);
}

#[test]
fn a_guest_that_waits_computes_or_reads_is_dropped() {
    for (name, kind) in [("probe", "component"), ("probe-0-3", "component"), ("command-module", "module")] {
        for path in ["/never", "/loop", "/upload"] {
            let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind, "fuel": 1_000_000_000_000_000_u64 }));
            runner.lanes[0].send(&request("POST", path, b"").opening(7));
            runner.lanes[0].send_frame(FrameType::Body, 7, b"some");
            runner.lanes[0].send_frame(FrameType::Cancel, 7, b"");
            let answer = answer(&mut runner);
            assert_eq!((answer.status, answer.done.outcome.name()), (0, "cancelled"), "{name} {path}");
            assert_lane_is_free_again(&mut runner);
        }
    }
}

#[test]
fn after_the_end_of_the_request() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    runner.lanes[0].send(&get("/never").opening(7));
    runner.lanes[0].send(&get("/never").ending(7));
    runner.lanes[0].send_frame(FrameType::Cancel, 7, b"");
    assert_eq!(answer(&mut runner).done.outcome.name(), "cancelled");
    assert_lane_is_free_again(&mut runner);
}

#[test]
fn in_the_middle_of_an_answer_that_nobody_reads() {
    // All credit is used up, so the guest waits for more when the client goes away.
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    runner.lanes[0].send(&get("/download?bytes=100000000").opening(7));
    runner.lanes[0].send(&get("/").ending(7));
    let mut taken = 0;
    while taken < crate::protocol::frame::INITIAL_CREDIT_BYTES as usize {
        let frame = runner.lanes[0].frame();
        taken += if frame.frame_type == FrameType::Body { frame.payload.len() } else { 0 };
    }
    runner.lanes[0].send_frame(FrameType::Cancel, 7, b"");
    let frame = runner.lanes[0].frame();
    assert_eq!(frame.frame_type, FrameType::Done);
    assert_lane_is_free_again(&mut runner);
}

#[test]
fn what_comes_after_done_is_passed_over() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let asked = get("/");
    runner.lanes[0].send(&asked.opening(7));
    // The answer is complete, the request is not.
    assert_eq!(answer(&mut runner).done.outcome.name(), "ok");
    runner.lanes[0].send_frame(FrameType::Cancel, 7, b"");
    assert_lane_is_free_again(&mut runner);
    // Late frames of a stream that is over, for the worker after.
    runner.lanes[0].send_frame(FrameType::Credit, 7, &5_u32.to_le_bytes());
    runner.lanes[0].send_frame(FrameType::Cancel, 7, b"");
    assert_eq!(invoke(&mut runner, &get("/")).status, 200);
}
