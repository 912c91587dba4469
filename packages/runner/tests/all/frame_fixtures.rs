//! Both languages read test/fixtures/frames.json: every frame decodes to its fields and encodes to its bytes.

use crate::protocol::control::Command;
use crate::protocol::decoder::Decoder;
use crate::protocol::done::Done;
use crate::protocol::egress::{
    CloseReason, FailureCode, read_close, read_dialed, read_failed, read_resolved, write_close, write_dial,
    write_resolve,
};
use crate::protocol::frame::{Frame, FrameType, Violation, write_frame};
use crate::protocol::headers::HeaderList;
use crate::protocol::request::RequestHead;
use crate::protocol::response::write_response;
use crate::protocol::text::PayloadReader;
use crate::support::payload::{
    ResponseHead, outcome, read_credit, read_done, read_log, read_response, read_trailers, write_header_list,
    write_request,
};
use bytes::Bytes;
use serde_json::Value;

fn fixtures() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/fixtures/frames.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the fixtures")).expect("JSON")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn latin1(value: &Value) -> Bytes {
    value.as_str().expect("text").chars().map(|char| u8::try_from(u32::from(char)).expect("Latin-1")).collect()
}

fn header_list(value: &Value) -> HeaderList {
    value.as_array().expect("fields").iter().map(|field| (latin1(&field[0]), latin1(&field[1]))).collect()
}

fn number<T: std::str::FromStr>(value: &Value) -> T
where
    T::Err: std::fmt::Debug,
{
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().expect("a number")
}

fn frame_type(name: &str) -> FrameType {
    let all = (0..=255).filter_map(FrameType::from_number);
    all.into_iter().find(|known| format!("{known:?}").to_uppercase() == name).expect("a known type")
}

fn decode(bytes: &[u8]) -> Result<Option<Frame>, Violation> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let frame = decoder.next_frame()?;
    assert!(frame.is_none() || decoder.is_empty());
    Ok(frame)
}

fn request_of(fields: &Value) -> RequestHead {
    RequestHead {
        method: latin1(&fields["method"]),
        scheme: latin1(&fields["scheme"]),
        authority: latin1(&fields["authority"]),
        path: latin1(&fields["path"]),
        remote: latin1(&fields["remote"]),
        headers: header_list(&fields["headers"]),
    }
}

fn done_of(fields: &Value) -> Done {
    Done {
        outcome: outcome(&latin1(&fields["outcome"])).expect("an outcome"),
        detail: fields["detail"].as_str().expect("text").to_owned(),
        fuel: number(&fields["fuel"]),
        cpu_us: number(&fields["cpuUs"]),
        wall_us: number(&fields["wallUs"]),
        peak_memory_bytes: number(&fields["peakMemoryBytes"]),
        worker: number(&fields["worker"]),
    }
}

/// Compares a payload with the fields it must hold, and writes it anew.
fn check(frame: &Frame, fields: &Value, out: &mut Vec<u8>) {
    let payload = frame.payload.clone();
    match frame.frame_type {
        FrameType::Request => {
            let head = request_of(fields);
            assert_eq!(RequestHead::read(payload).expect("a head"), head);
            write_request(&head, out);
        }
        FrameType::Response => {
            let head = ResponseHead { status: number(&fields["status"]), headers: header_list(&fields["headers"]) };
            assert_eq!(read_response(payload).expect("a head"), head);
            write_response(out, head.status, head.headers.iter().map(|(name, value)| (&name[..], &value[..])));
        }
        FrameType::End => {
            let headers = header_list(&fields["headers"]);
            assert_eq!(read_trailers(&payload).expect("trailers"), headers);
            write_header_list(&headers, out);
        }
        FrameType::Done => {
            let done = done_of(fields);
            assert_eq!(read_done(payload).expect("an account"), done);
            done.write(out);
        }
        FrameType::Credit => {
            let bytes: u32 = number(&fields["bytesGranted"]);
            assert_eq!(read_credit(&payload).expect("credit"), bytes);
            out.extend_from_slice(&bytes.to_le_bytes());
        }
        FrameType::Log => {
            let source: u8 = number(&fields["source"]);
            let bytes = unhex(fields["bytes"].as_str().expect("hex"));
            assert_eq!(read_log(&payload).expect("a log"), (source, Bytes::from(bytes.clone())));
            out.push(source);
            out.extend_from_slice(&bytes);
        }
        FrameType::Body => out.extend_from_slice(&unhex(fields["bytes"].as_str().expect("hex"))),
        FrameType::Cancel => assert!(payload.is_empty()),
        FrameType::Dial => {
            write_dial(
                out,
                number(&fields["invocation"]),
                fields["host"].as_str().expect("text"),
                number(&fields["port"]),
            );
        }
        FrameType::Resolve => {
            write_resolve(out, number(&fields["invocation"]), fields["host"].as_str().expect("text"));
        }
        FrameType::Dialed => {
            let dialed = read_dialed(payload.clone()).expect("an address");
            assert_eq!(dialed.ip().to_string(), fields["address"].as_str().expect("text"));
            assert_eq!(dialed.port(), number::<u16>(&fields["port"]));
            out.extend_from_slice(&payload);
        }
        FrameType::Resolved => {
            let addresses = read_resolved(payload.clone()).expect("addresses");
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            assert_eq!(serde_json::json!(texts), fields["addresses"]);
            out.extend_from_slice(&payload);
        }
        FrameType::Failed => {
            let code: FailureCode = read_failed(payload.clone()).expect("a code");
            let name = fields["code"].as_str().expect("text").replace('_', "");
            assert_eq!(format!("{code:?}").to_lowercase(), name);
            out.extend_from_slice(&payload);
        }
        FrameType::Close => {
            let reason = read_close(payload.clone()).expect("a reason");
            assert_eq!(format!("{reason:?}").to_lowercase(), fields["reason"].as_str().expect("text"));
            if reason == CloseReason::Ordinary { write_close(out) } else { out.extend_from_slice(&payload) }
        }
        _ => {
            let json: Value = serde_json::from_slice(&payload).expect("JSON");
            assert_eq!(json, fields["json"]);
            out.extend_from_slice(&payload);
        }
    }
}

#[test]
fn every_frame_decodes_and_encodes() {
    let fixtures = fixtures();
    let frames = fixtures["frames"].as_array().expect("frames");
    for fixture in frames {
        let name = &fixture["name"];
        let bytes = unhex(fixture["hex"].as_str().expect("hex"));
        let fields = &fixture["fields"];
        let frame = decode(&bytes).expect("no violation").expect("a whole frame");
        assert_eq!(frame.frame_type, frame_type(fields["type"].as_str().expect("a type")), "{name}");
        assert_eq!(frame.stream, number::<u32>(&fields["stream"]), "{name}");
        let mut payload = Vec::new();
        check(&frame, fields, &mut payload);
        let mut encoded = Vec::new();
        write_frame(&mut encoded, frame.frame_type, frame.stream, |out| out.extend_from_slice(&payload));
        assert_eq!(encoded, bytes, "{name}");
    }
}

#[test]
fn there_is_a_fixture_of_every_type() {
    let fixtures = fixtures();
    let frames = fixtures["frames"].as_array().expect("frames");
    for known in (0..=255).filter_map(FrameType::from_number) {
        let is_known = |fixture: &&Value| frame_type(fixture["fields"]["type"].as_str().unwrap_or_default()) == known;
        assert!(frames.iter().any(|fixture| is_known(&fixture)), "no fixture of {known:?}");
    }
}

#[test]
fn commands_of_the_dispatcher_are_understood() {
    let fixtures = fixtures();
    let mut seen = 0;
    for fixture in fixtures["frames"].as_array().expect("frames") {
        let frame = decode(&unhex(fixture["hex"].as_str().expect("hex"))).expect("no violation").expect("a frame");
        let json = &fixture["fields"]["json"];
        match frame.frame_type {
            FrameType::Load => match Command::read(&frame).expect("a command") {
                Command::Load(load) => {
                    assert_eq!(load.component, json["component"].as_str().expect("text"));
                    assert_eq!(load.fuel, number::<u64>(&json["fuel"]));
                    assert_eq!(serde_json::json!(load.env), json["env"]);
                }
                other => panic!("{other:?}"),
            },
            FrameType::Kill => assert!(matches!(Command::read(&frame), Ok(Command::Kill { lane: 2, worker: 17 }))),
            FrameType::Drain => assert!(matches!(Command::read(&frame), Ok(Command::Drain { lane: 7 }))),
            FrameType::Resync => match Command::read(&frame).expect("a command") {
                Command::Resync { lane: 2, nonce } => {
                    assert!(nonce.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index));
                }
                other => panic!("{other:?}"),
            },
            FrameType::Worker => assert!(matches!(Command::read(&frame), Ok(Command::Keep { .. }))),
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 8);
}

#[test]
fn what_is_invalid_is_refused() {
    let fixtures = fixtures();
    for fixture in fixtures["invalid"].as_array().expect("frames") {
        let name = &fixture["name"];
        let decoded = decode(&unhex(fixture["hex"].as_str().expect("hex")));
        if fixture["level"] == "frame" {
            decoded.expect_err(&format!("{name} must not decode"));
            continue;
        }
        let frame = decoded.expect("no violation in the head").expect("a whole frame");
        let payload = frame.payload.clone();
        let refused = match (frame.frame_type, fixture["receiver"].as_str().expect("a receiver")) {
            (FrameType::Request, _) => RequestHead::read(payload).is_err(),
            (FrameType::Response, _) => read_response(payload).is_err(),
            (FrameType::Done, _) => read_done(payload).is_err(),
            (FrameType::End, _) => read_trailers(&payload).is_err(),
            (FrameType::Credit, _) => read_credit(&payload).is_err(),
            (FrameType::Log, _) => read_log(&payload).is_err(),
            (FrameType::Body, _) => payload.is_empty(),
            (FrameType::Cancel, _) => PayloadReader::new(payload).end().is_err(),
            (FrameType::Close, "any" | "worker") => read_close(payload).is_err(),
            (FrameType::Dialed, _) => read_dialed(payload).is_err(),
            (FrameType::Resolved, _) => read_resolved(payload).is_err(),
            (FrameType::Failed, _) => read_failed(payload).is_err(),
            (_, "supervisor") => Command::read(&frame).is_err(),
            // What only a dispatcher reads, in the other language.
            (_, "dispatcher") => true,
            other => panic!("{name}: nobody reads {other:?}"),
        };
        assert!(refused, "{name} must be refused");
    }
}
