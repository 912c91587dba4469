//! The decoder takes any bytes, in any pieces, and never panics, hangs or loses a frame.

use crate::protocol::control::Command;
use crate::protocol::decoder::Decoder;
use crate::protocol::egress::{read_close, read_dialed, read_failed, read_resolved};
use crate::protocol::frame::{Frame, FrameType, HEAD_BYTES, MAX_PAYLOAD_BYTES, write_frame};
use crate::protocol::request::RequestHead;
use crate::support::payload::{read_done, read_response, write_request};
use bytes::Bytes;

/// A small generator of numbers, so that every run sees the same ones.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

fn types() -> Vec<FrameType> {
    (0..=255).filter_map(FrameType::from_number).collect()
}

fn random_frame(random: &mut Random) -> Frame {
    let frame_type = types()[random.below(types().len())];
    let stream = if frame_type.is_control() { 0 } else { u32::try_from(random.next() >> 33).expect("31 bits") | 1 };
    let length = match random.below(10) {
        0 => 0,
        1 => random.below(MAX_PAYLOAD_BYTES + 1),
        _ => random.below(300),
    };
    Frame { frame_type, stream, payload: Bytes::from(random.bytes(length)) }
}

/// What the readers of payloads make of it does not matter here; that they come back does.
fn read_payload(frame: &Frame) {
    let _ = RequestHead::read(frame.payload.clone());
    let _ = read_response(frame.payload.clone());
    let _ = read_done(frame.payload.clone());
    let _ = Command::read(frame);
    let _ = read_dialed(frame.payload.clone());
    let _ = read_resolved(frame.payload.clone());
    let _ = read_failed(frame.payload.clone());
    let _ = read_close(frame.payload.clone());
}

#[test]
fn frames_survive_any_cutting() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..100 {
        let frames: Vec<Frame> = (0..1 + random.below(20)).map(|_| random_frame(&mut random)).collect();
        let mut encoded = Vec::new();
        for frame in &frames {
            write_frame(&mut encoded, frame.frame_type, frame.stream, |out| out.extend_from_slice(&frame.payload));
        }
        let mut decoder = Decoder::default();
        let mut decoded = Vec::new();
        let mut rest = &encoded[..];
        while !rest.is_empty() {
            let longest = if random.below(2) == 0 { 20 } else { 100_000 };
            let (piece, tail) = rest.split_at(rest.len().min(1 + random.below(longest)));
            decoder.push(piece);
            rest = tail;
            while let Some(frame) = decoder.next_frame().expect("these frames are valid") {
                decoded.push(frame);
            }
        }
        assert!(decoder.is_empty());
        assert_eq!(decoded, frames);
    }
}

#[test]
fn any_bytes_end_in_frames_or_a_violation() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut violations = 0;
    for _ in 0..20_000 {
        let length = random.below(200);
        let mut bytes = random.bytes(length);
        // Mostly plausible heads, as wholly random ones end at the type.
        if bytes.len() >= HEAD_BYTES && random.below(4) != 0 {
            let known = types();
            bytes[0] = u8::try_from(random.below(180)).expect("small");
            bytes[1..4].fill(0);
            bytes[4] = known[random.below(known.len())] as u8;
            bytes[5..8].fill(0);
            if bytes[4] < 0x10 {
                bytes[8..12].fill(0);
            }
        }
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let mut yielded = 0;
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    yielded += HEAD_BYTES + frame.payload.len();
                    read_payload(&frame);
                }
                Ok(None) => break,
                Err(_) => {
                    violations += 1;
                    break;
                }
            }
        }
        assert!(yielded <= bytes.len());
    }
    assert!(violations > 1_000);
}

#[test]
fn payloads_with_one_changed_byte_are_read_or_refused() {
    let head = RequestHead {
        method: Bytes::from_static(b"GET"),
        scheme: Bytes::from_static(b"http"),
        authority: Bytes::from_static(b"example.com"),
        path: Bytes::from_static(b"/path?query"),
        remote: Bytes::from_static(b"127.0.0.1"),
        headers: vec![(Bytes::from_static(b"name"), Bytes::from_static(b"value")); 3],
    };
    let mut payload = Vec::new();
    write_request(&head, &mut payload);
    let mut refused = 0;
    for at in 0..payload.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = payload.clone();
            changed[at] = value;
            refused += usize::from(RequestHead::read(Bytes::from(changed)).is_err());
        }
        RequestHead::read(Bytes::copy_from_slice(&payload[..at])).expect_err("a part is not a head");
    }
    assert!(refused > 50);
}
