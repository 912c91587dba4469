//! One request and its answer, with credit in both directions.

use super::payload::{
    read_credit, read_done, read_log, read_response, read_trailers, write_header_list, write_request,
};
use super::runner::Runner;
use super::socket::{Socket, bytes, encode};
use crate::protocol::done::Done;
use crate::protocol::frame::{Frame, FrameType, INITIAL_CREDIT_BYTES};
use crate::protocol::headers::HeaderList;
use crate::protocol::request::RequestHead;
use bytes::Bytes;

/// What is asked.
#[derive(Clone)]
pub struct Request {
    pub head: RequestHead,
    pub body: Bytes,
    pub trailers: HeaderList,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// 0 when there was no RESPONSE.
    pub status: u16,
    pub headers: HeaderList,
    pub body: Vec<u8>,
    /// `None` when there was no END.
    pub trailers: Option<HeaderList>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub done: Done,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Vec<String> {
        let matching = self.headers.iter().filter(|(known, _)| &known[..] == name.as_bytes());
        matching.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// A GET of `path`.
pub fn get(path: &str) -> Request {
    request("GET", path, b"")
}

pub fn request(method: &str, path: &str, body: &[u8]) -> Request {
    let head = RequestHead {
        method: bytes(method),
        scheme: bytes("http"),
        authority: bytes("example.com"),
        path: bytes(path),
        remote: bytes("192.0.2.1"),
        headers: Vec::new(),
    };
    Request { head, body: Bytes::copy_from_slice(body), trailers: Vec::new() }
}

impl Request {
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.head.headers.push((bytes(name), bytes(value)));
        self
    }

    /// REQUEST alone.
    pub fn opening(&self, stream: u32) -> Vec<u8> {
        let mut payload = Vec::new();
        write_request(&self.head, &mut payload);
        encode(FrameType::Request, stream, &payload)
    }

    /// END with the trailers.
    pub fn ending(&self, stream: u32) -> Vec<u8> {
        let mut payload = Vec::new();
        write_header_list(&self.trailers, &mut payload);
        encode(FrameType::End, stream, &payload)
    }
}

/// An answer that is being put together from the frames of one stream.
pub struct Collector {
    pub stream: u32,
    status: u16,
    headers: HeaderList,
    pub body: Vec<u8>,
    trailers: Option<HeaderList>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Body bytes that were neither received nor granted anew.
    window: u32,
    /// Bytes granted for the request's body.
    pub credit: u32,
}

impl Collector {
    pub fn new(stream: u32) -> Self {
        Self {
            stream,
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            window: INITIAL_CREDIT_BYTES,
            credit: INITIAL_CREDIT_BYTES,
        }
    }

    /// Takes a frame, grants what a body used, and gives the answer when it is complete.
    pub fn take(&mut self, frame: Frame, lane: &mut Socket) -> Option<Answer> {
        assert_eq!(frame.stream, self.stream);
        match frame.frame_type {
            FrameType::Response => {
                assert_eq!(self.status, 0, "RESPONSE comes once");
                let head = read_response(frame.payload).expect("a head");
                (self.status, self.headers) = (head.status, head.headers);
            }
            FrameType::Body => {
                let length = u32::try_from(frame.payload.len()).expect("a short frame");
                assert!(
                    self.status != 0 && self.trailers.is_none() && length > 0,
                    "BODY stands between RESPONSE and END"
                );
                assert!(length <= self.window, "no more is sent than was granted");
                self.body.extend_from_slice(&frame.payload);
                lane.send_frame(FrameType::Credit, self.stream, &length.to_le_bytes());
            }
            FrameType::End => {
                assert!(self.status != 0 && self.trailers.is_none(), "END comes once, after RESPONSE");
                self.trailers = Some(read_trailers(&frame.payload).expect("trailers"));
            }
            FrameType::Log => match read_log(&frame.payload).expect("a source") {
                (1, bytes) => self.stdout.extend_from_slice(&bytes),
                (_, bytes) => self.stderr.extend_from_slice(&bytes),
            },
            FrameType::Credit => self.credit += read_credit(&frame.payload).expect("a number"),
            FrameType::Done => {
                return Some(Answer {
                    status: self.status,
                    headers: std::mem::take(&mut self.headers),
                    body: std::mem::take(&mut self.body),
                    trailers: self.trailers.take(),
                    stdout: std::mem::take(&mut self.stdout),
                    stderr: std::mem::take(&mut self.stderr),
                    done: read_done(frame.payload).expect("an account"),
                });
            }
            other => panic!("{other:?} is not for a dispatcher"),
        }
        None
    }
}

/// Sends a request on a lane and waits for its answer.
pub fn exchange(lane: &mut Socket, stream: u32, request: &Request) -> Answer {
    let mut collector = Collector::new(stream);
    lane.send(&request.opening(stream));
    let mut rest = request.body.clone();
    let mut ended = false;
    loop {
        while !rest.is_empty() && collector.credit > 0 {
            let chunk = rest.split_to(rest.len().min(collector.credit as usize).min(65_536));
            collector.credit -= u32::try_from(chunk.len()).expect("a short chunk");
            lane.send_frame(FrameType::Body, stream, &chunk);
        }
        if rest.is_empty() && !ended {
            lane.send(&request.ending(stream));
            ended = true;
        }
        let frame = lane.frame();
        if frame.stream.is_multiple_of(2) {
            deny(&frame, lane);
            continue;
        }
        if let Some(answer) = collector.take(frame, lane) {
            if !ended {
                lane.send_frame(FrameType::Cancel, stream, b"");
            }
            return answer;
        }
    }
}

/// Answers for a dispatcher whose policy allows nothing.
fn deny(frame: &Frame, lane: &mut Socket) {
    match frame.frame_type {
        FrameType::Dial | FrameType::Resolve => {
            lane.send_frame(FrameType::Failed, frame.stream, b"\x06\0denied");
            lane.send_frame(FrameType::Close, frame.stream, b"\0");
        }
        FrameType::Close => {}
        other => panic!("{other:?} on a connection that was denied"),
    }
}

/// Sends a request to a runner with one request per worker, and waits until the lane is free again.
pub fn invoke(runner: &mut Runner, request: &Request) -> Answer {
    let answer = exchange(&mut runner.lanes[0], 7, request);
    let report = runner.report();
    assert_eq!(report["ended"]["status"], 0, "{report}");
    assert_eq!(report["ended"]["worker"], answer.done.worker, "{report}");
    assert!(report["started"].is_u64(), "{report}");
    answer
}
