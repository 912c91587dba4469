//! Bodies: in both directions, as they come, with credit and in constant memory.

use crate::protocol::frame::{FrameType, INITIAL_CREDIT_BYTES};
use crate::support::artifact::guest;
use crate::support::exchange::{Collector, exchange, get, invoke, request};
use crate::support::runner::Runner;
use crate::support::socket::encode;
use serde_json::{Value, json};

const LARGE_BYTES: usize = 50 << 20;

/// Memory that a worker may have whatever the size of a body.
const MAX_RSS_KB: u64 = 24 << 10;

const GUESTS: [(&str, &str); 4] = [
    ("probe", "component"),
    ("probe-0-3", "component"),
    ("command-component", "component"),
    ("command-module", "module"),
];

fn max_rss_kb(report: &Value) -> u64 {
    report["ended"]["maxRssKb"].as_u64().expect("a number")
}

#[test]
fn a_large_answer_needs_no_memory() {
    for (name, kind) in GUESTS {
        let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind, "fuel": 1_000_000_000_000_u64 }));
        let answer = exchange(&mut runner.lanes[0], 7, &get(&format!("/download?bytes={LARGE_BYTES}")));
        assert_eq!(answer.done.outcome.name(), "ok", "{name}: {}", answer.done.detail);
        assert_eq!(answer.body.len(), LARGE_BYTES, "{name}");
        assert!(answer.body.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251), "{name}");
        let rss = max_rss_kb(&runner.report());
        assert!(rss < MAX_RSS_KB, "{name}: {rss} KB");
    }
}

#[test]
fn a_large_request_needs_no_memory() {
    let body = vec![b'z'; LARGE_BYTES];
    for (name, kind) in GUESTS {
        let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind, "fuel": 1_000_000_000_000_u64 }));
        let answer = exchange(&mut runner.lanes[0], 7, &request("POST", "/upload", &body));
        assert_eq!(answer.done.outcome.name(), "ok", "{name}: {}", answer.done.detail);
        let counted: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(counted["bytes"], LARGE_BYTES, "{name}");
        let rss = max_rss_kb(&runner.report());
        assert!(rss < MAX_RSS_KB, "{name}: {rss} KB");
    }
}

#[test]
fn a_body_comes_back_while_it_is_sent() {
    for (name, kind) in GUESTS {
        let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind }));
        let lane = &mut runner.lanes[0];
        let asked = request("POST", "/echo", b"");
        let mut collector = Collector::new(7);
        lane.send(&asked.opening(7));
        // Each piece is sent when the one before has come back.
        for piece in 1..=20_u8 {
            lane.send_frame(FrameType::Body, 7, &[piece; 1_000]);
            while collector.body.len() < usize::from(piece) * 1_000 {
                let frame = lane.frame();
                assert!(collector.take(frame, lane).is_none(), "{name}");
            }
        }
        lane.send(&asked.ending(7));
        let answer = loop {
            let frame = lane.frame();
            if let Some(answer) = collector.take(frame, lane) {
                break answer;
            }
        };
        assert_eq!(answer.done.outcome.name(), "ok", "{name}: {}", answer.done.detail);
        assert!(
            answer.body.chunks(1_000).enumerate().all(|(index, piece)| piece == [index as u8 + 1; 1_000]),
            "{name}"
        );
    }
}

#[test]
fn what_a_waiting_guest_has_written_is_sent_at_once() {
    // The guest waits for ever after its first bytes, so they can only come before it has ended.
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let lane = &mut runner.lanes[0];
    lane.send(&get("/answer-then-never?bytes=10").opening(7));
    lane.send(&get("/").ending(7));
    assert_eq!(lane.frame().frame_type, FrameType::Response);
    assert_eq!(&lane.frame().payload[..], [b'x'; 10]);
    lane.send_frame(FrameType::Cancel, 7, b"");
    let mut collector = Collector::new(7);
    let frame = lane.frame();
    let answer = collector.take(frame, lane).expect("DONE");
    assert_eq!(answer.done.outcome.name(), "cancelled");
}

#[test]
fn no_more_is_sent_than_was_granted() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let lane = &mut runner.lanes[0];
    lane.send(&get("/download?bytes=1000000").opening(7));
    lane.send(&get("/").ending(7));
    assert_eq!(lane.frame().frame_type, FrameType::Response);
    let mut taken = 0;
    let mut granted = u64::from(INITIAL_CREDIT_BYTES);
    let mut rounds = 0;
    while taken < 1_000_000 {
        while taken < granted.min(1_000_000) {
            let frame = lane.frame();
            assert_eq!(frame.frame_type, FrameType::Body);
            taken += frame.payload.len() as u64;
        }
        // All of it has come and not a byte more, although the guest has more.
        assert_eq!(taken, granted.min(1_000_000));
        assert!(taken == 1_000_000 || lane.decoder.is_empty());
        let more: u32 = 100_001;
        granted += u64::from(more);
        lane.send_frame(FrameType::Credit, 7, &more.to_le_bytes());
        rounds += 1;
    }
    assert_eq!(rounds, 9);
    assert_eq!(lane.frame().frame_type, FrameType::End);
    assert_eq!(lane.frame().frame_type, FrameType::Done);
}

#[test]
fn credit_is_given_only_for_what_the_guest_has_taken() {
    // The guest never reads: what may be sent is the first credit and no more.
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let lane = &mut runner.lanes[0];
    lane.send(&request("POST", "/answer-then-never?bytes=1", b"").opening(7));
    for _ in 0..4 {
        lane.send_frame(FrameType::Body, 7, &[0; INITIAL_CREDIT_BYTES as usize / 4]);
    }
    lane.send_frame(FrameType::Cancel, 7, b"");
    let mut collector = Collector::new(7);
    loop {
        let frame = lane.frame();
        if collector.take(frame, lane).is_some() {
            break;
        }
    }
    assert_eq!(collector.credit, INITIAL_CREDIT_BYTES, "nothing was granted");
}

#[test]
fn a_worker_ends_when_more_is_sent_than_was_granted() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let lane = &mut runner.lanes[0];
    let mut out = request("POST", "/answer-then-never", b"").opening(7);
    out.extend(encode(FrameType::Body, 7, &[0; INITIAL_CREDIT_BYTES as usize]));
    out.extend(encode(FrameType::Body, 7, &[0; 1]));
    lane.send(&out);
    let report = runner.report();
    assert_eq!((&report["ended"]["status"], report.get("started")), (&json!(2), None), "{report}");
}

#[test]
fn a_body_that_nobody_reads_is_taken_off_the_dispatcher() {
    // The answer is complete long before the body is; the dispatcher then says CANCEL in place of the rest.
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let body = vec![0; 3 << 20];
    let answer = invoke(&mut runner, &request("POST", "/ignore-body", &body));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ignored\n"));
    let answer = invoke(&mut runner, &request("POST", "/early-response", &body));
    assert_eq!((answer.status, answer.text().as_str()), (200, "early\n"));
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert_eq!(said, format!("read {} bytes after the answer, complete: true\n", body.len()));
}
