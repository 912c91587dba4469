//! Even streams: the connections and look-ups of a guest, with the test in the place of the dispatcher.

use crate::protocol::frame::{Frame, FrameType};
use crate::support::artifact::guest;
use crate::support::exchange::{Request, get};
use crate::support::runner::Runner;
use crate::support::socket::encode;
use serde_json::json;

const STREAM: u32 = 7;

/// Asks for `path` and gives the first frame on an even stream: DIAL or RESOLVE.
fn opened(runner: &mut Runner, path: &str) -> Frame {
    let request: Request = get(path);
    runner.lanes[0].send(&request.opening(STREAM));
    runner.lanes[0].send(&request.ending(STREAM));
    runner.lanes[0].frame()
}

fn dialed(stream: u32) -> Vec<u8> {
    encode(FrameType::Dialed, stream, b"\x04\0\x09\x09\x09\x09\x50\0")
}

/// The types and streams of all frames up to DONE.
fn until_done(runner: &mut Runner) -> Vec<(FrameType, u32)> {
    let mut seen = Vec::new();
    loop {
        let frame = runner.lanes[0].frame();
        seen.push((frame.frame_type, frame.stream));
        if frame.frame_type == FrameType::Done {
            return seen;
        }
    }
}

#[test]
fn a_request_goes_over_a_connection_that_is_closed_before_done() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let dial = opened(&mut runner, "/outgoing?url=http://a.test:8080/x");
    assert_eq!((dial.frame_type, dial.stream), (FrameType::Dial, 2));
    assert_eq!(&dial.payload[..], b"\x07\0\0\0\x06\0a.test\x90\x1f");
    runner.lanes[0].send(&dialed(2));
    let head = runner.lanes[0].frame();
    assert_eq!((head.frame_type, head.stream), (FrameType::Body, 2));
    let text = String::from_utf8_lossy(&head.payload).into_owned();
    assert!(text.starts_with("GET /x HTTP/1.1\r\n") && text.contains("host: a.test:8080\r\n"), "{text}");
    runner.lanes[0].send_frame(FrameType::Body, 2, b"HTTP/1.1 204 No Content\r\n\r\n");
    let seen = until_done(&mut runner);
    let closed = seen.iter().position(|frame| *frame == (FrameType::Close, 2)).expect("CLOSE");
    assert!(closed < seen.len() - 1, "{seen:?}");
    // The worker ends when the dispatcher has answered with its own.
    runner.lanes[0].send_frame(FrameType::Close, 2, b"\0");
    assert_eq!(runner.report()["ended"]["status"], 0);
}

#[test]
fn what_the_dispatcher_closes_is_answered_and_an_error_for_the_guest() {
    for (reason, said) in [(b"\x01", "ConnectionTerminated"), (b"\x02", "ConnectionReadTimeout")] {
        let mut runner = Runner::load(&guest("probe"), 1, json!({}));
        let dial = opened(&mut runner, "/outgoing?url=http://a.test/");
        runner.lanes[0].send(&dialed(dial.stream));
        assert_eq!(runner.lanes[0].frame().frame_type, FrameType::Body);
        runner.lanes[0].send_frame(FrameType::Close, dial.stream, reason);
        let mut text = Vec::new();
        let mut closed = 0;
        loop {
            let frame = runner.lanes[0].frame();
            match frame.frame_type {
                FrameType::Close => closed += 1,
                FrameType::Body => text.extend_from_slice(&frame.payload),
                FrameType::Done => break,
                _ => {}
            }
        }
        assert_eq!(closed, 1);
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(said), "{text}");
        assert_eq!(runner.report()["ended"]["status"], 0);
    }
}

#[test]
fn no_more_is_sent_than_was_granted() {
    const GRANTED: usize = 262_144;
    let mut runner = Runner::load(&guest("egress"), 1, json!({}));
    let dial = opened(&mut runner, "/post?url=http://a.test/&bytes=1000000");
    runner.lanes[0].send(&dialed(dial.stream));
    let mut sent = 0;
    while sent < GRANTED {
        let frame = runner.lanes[0].frame();
        assert_eq!((frame.frame_type, frame.stream), (FrameType::Body, dial.stream));
        sent += frame.payload.len();
    }
    assert_eq!(sent, GRANTED);
    // Cancelled while it waits for credit: it neither sends more nor hangs.
    runner.lanes[0].send_frame(FrameType::Cancel, STREAM, b"");
    let seen = until_done(&mut runner);
    assert!(seen.iter().all(|(frame_type, _)| *frame_type != FrameType::Body), "{seen:?}");
    runner.lanes[0].send_frame(FrameType::Close, dial.stream, b"\0");
    assert_eq!(runner.report()["ended"]["status"], 0);
}

#[test]
fn a_dispatcher_that_breaks_the_rules_of_even_streams_is_left() {
    let credit = encode(FrameType::Credit, 4, &1_u32.to_le_bytes());
    for (what, frames) in [
        ("BODY before DIALED", encode(FrameType::Body, 2, b"x")),
        ("END before DIALED", encode(FrameType::End, 2, b"\0\0")),
        ("RESOLVED for a DIAL", encode(FrameType::Resolved, 2, b"\0\0")),
        ("DIALED twice", [dialed(2), dialed(2)].concat()),
        ("FAILED after DIALED", [dialed(2), encode(FrameType::Failed, 2, b"\x06\0denied")].concat()),
        ("an empty BODY", [dialed(2), encode(FrameType::Body, 2, b"")].concat()),
        ("a stream that is not open", credit),
        ("CLOSE twice", [encode(FrameType::Close, 2, b"\0"), encode(FrameType::Close, 2, b"\0")].concat()),
        ("REQUEST on an even stream", get("/").opening(2)),
    ] {
        let mut runner = Runner::load(&guest("probe"), 1, json!({}));
        assert_eq!(opened(&mut runner, "/outgoing?url=http://a.test/").frame_type, FrameType::Dial, "{what}");
        runner.lanes[0].send(&frames);
        assert_eq!(runner.report()["ended"]["status"], 2, "{what}");
    }
}
