//! Time: the worker's own limit, and the supervisor's.

use crate::protocol::frame::FrameType;
use crate::support::artifact::guest;
use crate::support::exchange::{Collector, exchange, get, invoke};
use crate::support::runner::Runner;
use serde_json::json;

/// Guests that compute without end: name, kind, path, and the status that they answer with before.
const ENDLESS: [(&str, &str, &str, u16); 6] = [
    ("probe", "component", "/loop", 0),
    ("probe", "component", "/answer-then-loop", 200),
    ("probe-0-3", "component", "/loop", 0),
    ("command-module", "module", "/loop", 0),
    ("bulk-fill", "component", "/", 0),
    ("start-loop", "component", "/", 0),
];

#[test]
fn a_guest_that_computes_on_is_interrupted() {
    for (name, kind, path, status) in ENDLESS {
        let changes = json!({ "kind": kind, "wallMs": 150, "fuel": 1_000_000_000_000_000_u64 });
        let mut runner = Runner::load(&guest(name), 1, changes);
        let answer = invoke(&mut runner, &get(path));
        assert_eq!(answer.done.outcome.name(), "wall_exceeded", "{name} {path}: {}", answer.done.detail);
        assert_eq!(answer.status, status, "{name} {path}");
        // Where the time was up before there was a request, the answer is immediate.
        assert!(answer.done.wall_us >= 150_000 || name == "start-loop", "{name} {path}");
    }
}

#[test]
fn cpu_time_is_limited_and_waiting_is_free() {
    for (name, kind, path, status) in ENDLESS {
        for requests in [1, 10] {
            let changes = json!({
                "kind": kind, "cpuMs": 100, "fuel": 1_000_000_000_000_000_u64, "requestsPerWorker": requests,
            });
            let mut runner = Runner::load(&guest(name), 1, changes);
            let answer = exchange(&mut runner.lanes[0], 7, &get(path));
            assert_eq!(answer.done.outcome.name(), "cpu_exceeded", "{name} {path}: {}", answer.done.detail);
            assert_eq!(answer.status, status, "{name} {path}");
        }
    }
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "cpuMs": 100 }));
    let answer = invoke(&mut runner, &get("/sleep?ms=300"));
    assert_eq!(answer.done.outcome.name(), "ok", "{}", answer.done.detail);
}

#[test]
fn what_an_invocation_may_have_of_each_thing_is_limited() {
    for (name, path, changes, detail) in [
        ("many-instances", "/", json!({ "instances": 50 }), "instance count too high"),
        ("many-memories", "/", json!({ "memories": 3, "memoryBytes": 1 << 30 }), "memory count too high"),
        ("many-tables", "/", json!({ "tables": 30 }), "table count too high"),
        ("growing-table", "/", json!({ "tableElements": 50_000 }), "elements of a table"),
        ("huge-table", "/", json!({}), "elements of a table"),
        ("probe", "/table?count=1000", json!({ "resources": 100 }), "handle limit exceeded"),
        ("probe", "/headers-flood?bytes=2000000&size=100000", json!({ "hostcallBytes": 65_536 }), "hostcalls"),
        ("probe", "/random?bytes=1025", json!({ "randomBytes": 1_024 }), "1025"),
    ] {
        for requests in [1, 10] {
            let mut changes = changes.clone();
            changes["requestsPerWorker"] = json!(requests);
            let mut runner = Runner::load(&guest(name), 1, changes);
            let answer = exchange(&mut runner.lanes[0], 7, &get(path));
            assert_eq!(answer.done.outcome.name(), "resource_exceeded", "{name} {path}: {}", answer.done.detail);
            assert!(answer.done.detail.contains(detail), "{name} {path}: {}", answer.done.detail);
        }
    }
}

#[test]
fn a_guest_that_waits_on_is_dropped() {
    for (name, kind, path, status) in [
        ("probe", "component", "/never", 0),
        ("probe", "component", "/answer-then-never", 200),
        ("probe-0-3", "component", "/never", 0),
        ("command-component", "component", "/never", 0),
        ("command-module", "module", "/never", 0),
    ] {
        let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind, "wallMs": 150 }));
        let answer = invoke(&mut runner, &get(path));
        assert_eq!(answer.done.outcome.name(), "wall_exceeded", "{name} {path}: {}", answer.done.detail);
        assert_eq!(answer.status, status, "{name} {path}");
        assert!(answer.done.cpu_us < 150_000, "{name} {path}: waiting is no CPU time");
    }
}

#[test]
fn the_supervisor_kills_a_worker_that_outlives_its_deadline() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "wallMs": 300 }));
    let [worker] = runner.workers()[..] else { panic!("one worker") };
    runner.lanes[0].send(&get("/answer-then-never").opening(7));
    // The body tells that the request is under way; then the worker is stopped, so that it cannot end by itself.
    while runner.lanes[0].frame().frame_type != FrameType::Body {}
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(worker).expect("a pid"),
        rustix::process::Signal::STOP,
    )
    .expect("a worker");
    let report = runner.report();
    assert_eq!(report["ended"]["signal"], 9, "{report}");
    assert!(report.get("started").is_none(), "the lane may hold half a frame: {report}");
}

#[test]
fn memory_is_counted_over_all_memories() {
    let artifact = guest("probe");
    let mut runner = Runner::load(&artifact, 1, json!({ "memoryBytes": 33_554_432 }));
    let answer = invoke(&mut runner, &get("/memory-growth-count"));
    let counted: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let pages = counted["before"].as_u64().expect("a number") + counted["grown"].as_u64().expect("a number");
    assert_eq!(pages * 65_536, 33_554_432);
    assert_eq!(answer.done.peak_memory_bytes, 33_554_432);
    // Refused memory that the guest copes with is no failure.
    assert_eq!(answer.done.outcome.name(), "ok");
    let mut collector = Collector::new(7);
    runner.lanes[0].send(&get("/memory?bytes=20000000").opening(7));
    let ending = get("/").ending(7);
    runner.lanes[0].send(&ending);
    let answer = loop {
        let frame = runner.lanes[0].frame();
        if let Some(answer) = collector.take(frame, &mut runner.lanes[0]) {
            break answer;
        }
    };
    assert_eq!(answer.done.outcome.name(), "ok", "below the limit: {}", answer.done.detail);
}
