//! The supervisor: lanes, workers, their ends and their successors.

use crate::protocol::frame::FrameType;
use crate::support::artifact::guest;
use crate::support::exchange::{Collector, exchange, get, invoke};
use crate::support::runner::Runner;
use crate::support::socket::encode;
use serde_json::{Value, json};
use std::io::Read;
use std::net::Shutdown;

/// Reads a lane up to and including the nonce that comes back.
fn read_to(runner: &mut Runner, lane: usize, nonce: &[u8; 32]) {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(nonce) {
        assert_eq!(runner.lanes[lane].stream.read(&mut byte).expect("a lane"), 1);
        seen.push(byte[0]);
    }
}

fn hex(nonce: &[u8; 32]) -> String {
    nonce.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has_ended(pid: i32) -> bool {
    // A zombie is still there until its parent has waited for it, but does nothing any more.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => true,
    }
}

#[test]
fn workers_are_on_the_lanes_that_were_named() {
    let mut runner = Runner::load(&guest("probe"), 4, json!({ "lanes": [2, 0] }));
    for lane in [0, 2] {
        let answer = exchange(&mut runner.lanes[lane], 7, &get("/"));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.done.worker, if lane == 2 { 1 } else { 2 });
        assert_eq!(runner.report()["lane"], lane);
    }
    runner.command(FrameType::Worker, &json!({ "lane": 3 }));
    assert_eq!(runner.report(), json!({ "lane": 3, "started": 5 }));
    assert_eq!(exchange(&mut runner.lanes[3], 7, &get("/")).done.worker, 5);
}

#[test]
fn where_one_worker_is_wanted_none_follows() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "oneWorker": true }));
    assert_eq!(exchange(&mut runner.lanes[0], 7, &get("/")).status, 200);
    let report = runner.report();
    assert_eq!(report["ended"]["worker"], 1);
    assert_eq!(report["started"], Value::Null);
    // It is not only late: what is said after the next command comes from a supervisor that has made its round.
    runner.command(FrameType::Worker, &json!({ "lane": 0 }));
    assert_eq!(runner.report(), json!({ "lane": 0, "started": 2 }));
}

#[test]
fn a_request_may_be_sent_before_loaded() {
    let mut runner = Runner::start(1);
    runner.send_load(&guest("probe"), json!({}));
    assert_eq!(exchange(&mut runner.lanes[0], 7, &get("/")).status, 200);
    assert_eq!(runner.said().0, FrameType::Loaded);
}

#[test]
fn lanes_work_side_by_side() {
    let mut runner = Runner::load(&guest("probe"), 4, json!({ "lanes": [0, 1, 2, 3] }));
    for lane in 0..4 {
        runner.lanes[lane].send(&get("/sleep?ms=50").opening(7));
        runner.lanes[lane].send(&get("/").ending(7));
    }
    let mut workers = std::collections::BTreeSet::new();
    for lane in &mut runner.lanes {
        let mut collector = Collector::new(7);
        let answer = loop {
            let frame = lane.frame();
            if let Some(answer) = collector.take(frame, lane) {
                break answer;
            }
        };
        assert_eq!(answer.text(), "awake\n");
        workers.insert(answer.done.worker);
    }
    assert_eq!(workers.len(), 4, "each in a process of its own");
}

#[test]
fn a_killed_worker_is_replaced_after_resync() {
    let mut runner = Runner::load(&guest("probe"), 2, json!({ "lanes": [0, 1] }));
    // Half a frame is left behind in each direction: the worker's in the lane, the dispatcher's unread.
    runner.lanes[0].send(&get("/answer-then-never?bytes=100000").opening(7));
    while runner.lanes[0].frame().frame_type != FrameType::Body {}
    runner.command(FrameType::Kill, &json!({ "lane": 0, "worker": 1 }));
    let report = runner.report();
    assert_eq!((&report["ended"]["signal"], &report["ended"]["worker"]), (&json!(9), &json!(1)), "{report}");
    assert!(report.get("started").is_none(), "{report}");

    // The other lane does not notice.
    assert_eq!(exchange(&mut runner.lanes[1], 7, &get("/")).status, 200);
    runner.report();

    let nonce: [u8; 32] = std::array::from_fn(|index| (index * 7 + 3) as u8);
    runner.command(FrameType::Resync, &json!({ "lane": 0, "nonce": hex(&nonce) }));
    let half = &encode(FrameType::Body, 7, &[1; 5_000])[..3_000];
    runner.lanes[0].send(half);
    runner.lanes[0].send(&nonce[..10]);
    runner.lanes[0].send(&nonce[10..]);
    read_to(&mut runner, 0, &nonce);
    let report = runner.report();
    assert_eq!((&report["resynced"], &report["lane"]), (&json!(true), &json!(0)), "{report}");
    assert!(report["started"].is_u64(), "{report}");
    runner.lanes[0].decoder = Default::default();
    assert_eq!(invoke(&mut runner, &get("/")).status, 200);
}

#[test]
fn kill_is_for_the_worker_that_was_meant() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    invoke(&mut runner, &get("/"));
    runner.command(FrameType::Kill, &json!({ "lane": 0, "worker": 1 }));
    assert_eq!(invoke(&mut runner, &get("/")).done.worker, 2, "the second worker was not meant");
}

#[test]
fn a_drained_lane_stays_empty_until_it_is_wanted_again() {
    let mut runner = Runner::load(&guest("probe"), 2, json!({ "lanes": [0, 1] }));
    runner.command(FrameType::Drain, &json!({ "lane": 0 }));
    let report = runner.report();
    assert_eq!((&report["ended"]["status"], report.get("started")), (&json!(0), None), "{report}");
    runner.command(FrameType::Worker, &json!({ "lane": 0 }));
    assert_eq!(runner.report()["started"], 3);
    assert_eq!(invoke(&mut runner, &get("/")).status, 200);

    // One that is busy ends after its request.
    runner.lanes[1].send(&get("/answer-then-return").opening(7));
    while runner.lanes[1].frame().frame_type != FrameType::End {}
    runner.command(FrameType::Drain, &json!({ "lane": 1 }));
    assert!(matches!(runner.lanes[1].frame().frame_type, FrameType::Log | FrameType::Done));
    runner.lanes[1].send_frame(FrameType::Cancel, 7, b"");
    let report = runner.report();
    assert_eq!((&report["lane"], &report["ended"]["status"], report.get("started")), (&json!(1), &json!(0), None));
}

#[test]
fn a_drained_worker_of_many_requests_finishes_them() {
    let changes = json!({ "requestsPerWorker": 1_000, "concurrency": 4 });
    let mut runner = Runner::load(&guest("probe"), 1, changes);
    runner.lanes[0].send(&get("/answer-then-never?bytes=5").opening(9));
    runner.lanes[0].send(&get("/").ending(9));
    while runner.lanes[0].frame().frame_type != FrameType::Body {}
    runner.command(FrameType::Drain, &json!({ "lane": 0 }));
    // It goes on to serve what it has.
    runner.lanes[0].send_frame(FrameType::Cancel, 9, b"");
    assert_eq!(runner.lanes[0].frame().frame_type, FrameType::Done);
    let report = runner.report();
    assert_eq!((&report["ended"]["status"], report.get("started")), (&json!(0), None), "{report}");
}

#[test]
fn the_usage_of_a_worker_is_reported() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    exchange(&mut runner.lanes[0], 7, &get("/memory?bytes=30000000"));
    let report = runner.report();
    assert!(report["ended"]["maxRssKb"].as_u64() > Some(29_000), "{report}");
    assert!(report["ended"]["cpuUs"].as_u64() > Some(100), "{report}");
}

#[test]
fn a_closed_lane_ends_its_worker_and_no_other() {
    let mut runner = Runner::load(&guest("probe"), 2, json!({ "lanes": [0, 1] }));
    runner.lanes[0].stream.shutdown(Shutdown::Both).expect("a lane");
    let report = runner.report();
    assert_eq!((&report["ended"]["status"], report.get("started")), (&json!(0), None), "{report}");
    assert_eq!(exchange(&mut runner.lanes[1], 7, &get("/")).status, 200);
}

#[test]
fn all_end_with_the_control_socket() {
    let mut runner = Runner::load(&guest("probe"), 3, json!({ "lanes": [0, 1, 2] }));
    runner.lanes[1].send(&get("/answer-then-never").opening(7));
    while runner.lanes[1].frame().frame_type != FrameType::Body {}
    let workers = runner.workers();
    assert_eq!(workers.len(), 3);
    assert_eq!(runner.close().code(), Some(0));
    // A worker that was killed takes a moment to be gone; that it goes is the point.
    while !workers.iter().all(|worker| has_ended(*worker)) {
        std::thread::yield_now();
    }
}

#[test]
fn workers_end_with_a_killed_supervisor() {
    let mut runner = Runner::load(&guest("probe"), 2, json!({ "lanes": [0, 1] }));
    runner.lanes[1].send(&get("/answer-then-never").opening(7));
    while runner.lanes[1].frame().frame_type != FrameType::Body {}
    let workers = runner.workers();
    runner.child.kill().expect("a child");
    runner.child.wait().expect("a child");
    while !workers.iter().all(|worker| has_ended(*worker)) {
        std::thread::yield_now();
    }
}

#[test]
fn a_runner_that_was_never_lent_ends_with_the_control_socket() {
    assert_eq!(Runner::start(8).close().code(), Some(0));
}

#[test]
fn a_worker_ends_when_its_dispatcher_breaks_the_protocol() {
    let request = get("/never").opening(7);
    let cases: [(&str, Vec<u8>); 8] = [
        ("unknown type", vec![0, 0, 0, 0, 0x99, 0, 0, 0, 7, 0, 0, 0]),
        ("flags", vec![0, 0, 0, 0, 0x14, 1, 0, 0, 7, 0, 0, 0]),
        ("too long", vec![1, 0, 4, 0, 0x10, 0, 0, 0, 7, 0, 0, 0]),
        ("even stream", get("/").opening(8)),
        ("a frame that is the worker's own", encode(FrameType::Response, 7, &[200, 0, 0, 0])),
        ("a stream in use", [request.clone(), request.clone()].concat()),
        ("a second request", [request.clone(), get("/").opening(9)].concat()),
        ("a body after its end", [request, get("/").ending(7), encode(FrameType::Body, 7, b"x")].concat()),
    ];
    for (what, bytes) in cases {
        let mut runner = Runner::load(&guest("probe"), 1, json!({}));
        runner.lanes[0].send(&bytes);
        let report = runner.report();
        assert_eq!((&report["ended"]["status"], report.get("started")), (&json!(2), None), "{what}: {report}");
    }
}

#[test]
fn the_supervisor_ends_when_its_dispatcher_breaks_the_protocol() {
    let cases: [(&str, FrameType, Value); 6] = [
        ("a lane before LOAD", FrameType::Worker, json!({ "lane": 0 })),
        ("a frame of the runner's own", FrameType::Loaded, json!({})),
        ("a lane's frame", FrameType::Cancel, json!({})),
        ("a member that is missing", FrameType::Kill, json!({ "lane": 0 })),
        ("a nonce that is too short", FrameType::Resync, json!({ "lane": 0, "nonce": "00" })),
        ("LOAD without its members", FrameType::Load, json!({ "component": "/in/component" })),
    ];
    for (what, frame_type, payload) in cases {
        let mut runner = Runner::start(1);
        runner.command(frame_type, &payload);
        assert!(runner.control.try_frame().is_none(), "{what}");
        assert_eq!(runner.child.wait().expect("a child").code(), Some(2), "{what}");
    }
    for (what, frame_type, payload) in [
        ("a lane that there is not", FrameType::Worker, json!({ "lane": 1 })),
        ("RESYNC of a lane that is in order", FrameType::Resync, json!({ "lane": 0, "nonce": "0".repeat(64) })),
        (
            "LOAD again",
            FrameType::Load,
            json!({
                "component": "", "kind": "component", "fuel": 1, "cpuMs": 1, "wallMs": 1, "memoryBytes": 1, "instances": 1,
                "memories": 1, "tables": 1, "tableElements": 1, "resources": 1, "hostcallBytes": 1, "randomBytes": 1,
                "responseHeaderBytes": 1, "logBytes": 1, "logLines": 1, "requestsPerWorker": 1, "concurrency": 1, "lanes": [], "env": [],
            }),
        ),
    ] {
        let mut runner = Runner::load(&guest("probe"), 1, json!({}));
        runner.command(frame_type, &payload);
        assert!(runner.control.try_frame().is_none(), "{what}");
        assert_eq!(runner.child.wait().expect("a child").code(), Some(2), "{what}");
    }
}
