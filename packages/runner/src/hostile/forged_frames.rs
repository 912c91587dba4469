//! What a runner that was taken over could write on its sockets in place of frames that the protocol allows.

use super::protocol::frame::{FrameType, write_frame};
use super::protocol::response::write_response;

/// Which socket the bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    Lane,
    Control,
}

/// Bytes that break the protocol, by a name.
pub struct Forgery {
    pub name: &'static str,
    pub socket: Socket,
    pub write: fn(out: &mut Vec<u8>, stream: u32),
}

macro_rules! forgeries {
    ($($name:literal on $socket:ident => $write:expr,)*) => {
        &[$(Forgery { name: $name, socket: Socket::$socket, write: $write },)*]
    };
}

/// All of them.
pub const FORGERIES: &[Forgery] = forgeries! {
    "random" on Lane => |out, stream| noise(out, stream, 100_000),
    "giant-length" on Lane => |out, stream| head(out, u32::MAX, FrameType::Body as u8, stream),
    "one-byte-too-long" on Lane => |out, stream| head(out, 262_145, FrameType::Body as u8, stream),
    "unknown-type" on Lane => |out, stream| head(out, 0, 0x7f, stream),
    "control-frame-on-lane" on Lane => |out, _| write_frame(out, FrameType::Hello, 0, |out| out.extend_from_slice(b"{}")),
    "request-from-worker" on Lane => |out, stream| write_frame(out, FrameType::Request, stream, |_| {}),
    "stream-never-opened" on Lane => |out, stream| write_frame(out, FrameType::Body, stream ^ 2, |out| out.push(1)),
    "response-twice" on Lane => |out, stream| {
        for _ in 0..2 {
            response(out, stream, &[]);
        }
    },
    "body-before-response" on Lane => |out, stream| write_frame(out, FrameType::Body, stream, |out| out.push(1)),
    "empty-body" on Lane => |out, stream| {
        response(out, stream, &[]);
        write_frame(out, FrameType::Body, stream, |_| {});
    },
    "end-twice" on Lane => |out, stream| {
        response(out, stream, &[]);
        for _ in 0..2 {
            write_frame(out, FrameType::End, stream, |out| out.extend_from_slice(&[0, 0]));
        }
    },
    "done-twice" on Lane => |out, stream| {
        for _ in 0..2 {
            done(out, stream, b"trap");
        }
    },
    "done-without-end" on Lane => |out, stream| {
        response(out, stream, &[]);
        done(out, stream, b"ok");
    },
    "unknown-outcome" on Lane => |out, stream| done(out, stream, b"fine"),
    "outcome-of-the-platform" on Lane => |out, stream| done(out, stream, b"draining"),
    "split-header" on Lane => |out, stream| response(out, stream, &[(b"x-a", b"1\r\nset-cookie: taken=1")]),
    "split-name" on Lane => |out, stream| response(out, stream, &[(b"x-a: 1\r\nx-b", b"2")]),
    "credit-overflow" on Lane => |out, stream| {
        for _ in 0..3 {
            write_frame(out, FrameType::Credit, stream, |out| out.extend_from_slice(&u32::MAX.to_le_bytes()));
        }
        head(out, 0, 0xff, stream);
    },
    "log-of-nobody" on Lane => |out, stream| write_frame(out, FrameType::Log, stream, |out| out.push(9)),
    "headers-beyond-payload" on Lane => |out, stream| {
        write_frame(out, FrameType::Response, stream, |out| out.extend_from_slice(&[200, 0, 0xff, 0xff]));
    },
    "log-flood" on Lane => |out, stream| {
        for _ in 0..40 {
            write_frame(out, FrameType::Log, stream, |out| {
                out.push(1);
                out.resize(out.len() + 65_536, b'x');
            });
        }
    },
    "random-on-control" on Control => |out, stream| noise(out, stream, 100_000),
    "giant-length-on-control" on Control => |out, _| head(out, u32::MAX, FrameType::Worker as u8, 0),
    "hello-twice" on Control => |out, _| control(out, FrameType::Hello, r#"{"protocol":1,"runner":"x","wasmtime":"x","lanes":1}"#),
    "not-json" on Control => |out, _| control(out, FrameType::Worker, "{"),
    "deep-json" on Control => |out, _| control(out, FrameType::Worker, &"[".repeat(200_000)),
    "prototype" on Control => |out, _| control(out, FrameType::Worker, r#"{"__proto__":{"lane":0},"lane":"0"}"#),
    "worker-on-no-lane" on Control => |out, _| control(out, FrameType::Worker, r#"{"lane":999999,"started":7}"#),
    "resynced-unasked" on Control => |out, _| control(out, FrameType::Worker, r#"{"lane":0,"started":9,"resynced":true}"#),
    "lane-frame-on-control" on Control => |out, stream| write_frame(out, FrameType::Body, stream, |out| out.push(1)),
};

fn head(out: &mut Vec<u8>, length: u32, frame_type: u8, stream: u32) {
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[frame_type, 0, 0, 0]);
    out.extend_from_slice(&stream.to_le_bytes());
}

fn response(out: &mut Vec<u8>, stream: u32, headers: &[(&[u8], &[u8])]) {
    write_frame(out, FrameType::Response, stream, |out| write_response(out, 200, headers.iter().copied()));
}

fn done(out: &mut Vec<u8>, stream: u32, outcome: &[u8]) {
    write_frame(out, FrameType::Done, stream, |out| {
        out.extend_from_slice(&u16::try_from(outcome.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(outcome);
        out.resize(out.len() + 2 + 4 * 8 + 4, 0);
    });
}

fn control(out: &mut Vec<u8>, frame_type: FrameType, payload: &str) {
    write_frame(out, frame_type, 0, |out| out.extend_from_slice(payload.as_bytes()));
}

/// Bytes without meaning, other ones for each stream.
fn noise(out: &mut Vec<u8>, stream: u32, count: usize) {
    let mut state = u64::from(stream) | 1;
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.push(state.to_le_bytes()[3]);
    }
}
