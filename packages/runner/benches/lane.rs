//! Measures a runner straight over its lanes, with no dispatcher in front.
//!
//! `cargo bench -p playa-runner --bench lane -- RUNNER ARTIFACT (process|instance) LANES AT_ONCE SECONDS [PATH] [KIND]`
//!
//! AT_ONCE is the number of requests under way on one lane (1 in mode `process`).

#[path = "../tests/all/support/payload.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of it")]
mod payload;
#[path = "../src/protocol/mod.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of it")]
mod protocol;

use bytes::Bytes;
use payload::{read_done, write_request};
use protocol::decoder::Decoder;
use protocol::done::Outcome;
use protocol::frame::{FrameType, write_frame};
use protocol::headers::write_headers;
use protocol::request::RequestHead;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

struct Lane {
    socket: UnixStream,
    decoder: Decoder,
    /// When each request under way was sent, by the number of its stream.
    sent: Vec<Option<Instant>>,
    idle: bool,
}

fn main() -> Result<(), Failure> {
    // The first is the program's own name, and cargo adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [runner, artifact, mode, lanes, at_once, seconds, rest @ ..] = &arguments[..] else {
        return Err("usage: lane RUNNER ARTIFACT (process|instance) LANES AT_ONCE SECONDS [PATH] [KIND]".into());
    };
    let path = rest.first().map_or("/", |path| path);
    let kind = rest.get(1).map_or("component", |kind| kind);
    let is_process = mode == "process";
    let lane_count: usize = lanes.parse()?;
    let at_once: usize = if is_process { 1 } else { at_once.parse()? };
    let seconds: u64 = seconds.parse()?;

    let mut sockets = Vec::new();
    let mut inherited = Vec::new();
    for _ in 0..=lane_count {
        let (ours, theirs) = UnixStream::pair()?;
        sockets.push(ours);
        inherited.push(OwnedFd::from(theirs));
    }
    let mut child = spawn(runner, &inherited, lane_count)?;
    drop(inherited);
    let mut control = sockets.remove(0);
    control.set_nonblocking(true)?;
    let mut lanes: Vec<Lane> = sockets
        .into_iter()
        .map(|socket| {
            socket.set_nonblocking(true)?;
            Ok(Lane { socket, decoder: Decoder::default(), sent: vec![None; at_once], idle: true })
        })
        .collect::<std::io::Result<_>>()?;

    let load = serde_json::json!({
        "component": artifact, "kind": kind, "fuel": 10_000_000_000_u64, "cpuMs": 10_000, "wallMs": 30_000,
        "memoryBytes": 134_217_728, "instances": 100, "memories": 100, "tables": 100, "tableElements": 1_000_000,
        "resources": 10_000, "hostcallBytes": 8_388_608, "randomBytes": 1_048_576, "logLines": 1_000,
        "responseHeaderBytes": 65_536, "logBytes": 65_536, "env": [],
        "requestsPerWorker": if is_process { 1 } else { 4_000_000_000_u32 },
        "concurrency": at_once, "lanes": (0..lane_count).collect::<Vec<_>>(),
    });
    let mut out = Vec::new();
    write_frame(&mut out, FrameType::Load, 0, |out| out.extend_from_slice(load.to_string().as_bytes()));
    control.write_all(&out)?;

    let head = RequestHead {
        method: Bytes::from_static(b"GET"),
        scheme: Bytes::from_static(b"http"),
        authority: Bytes::from_static(b"localhost"),
        path: Bytes::copy_from_slice(path.as_bytes()),
        remote: Bytes::from_static(b"127.0.0.1"),
        headers: vec![
            (Bytes::from_static(b"host"), Bytes::from_static(b"localhost")),
            (Bytes::from_static(b"user-agent"), Bytes::from_static(b"lane-bench")),
            (Bytes::from_static(b"accept"), Bytes::from_static(b"*/*")),
        ],
    };
    let mut control_decoder = Decoder::default();
    let mut latencies = Vec::new();
    let mut counted_from = None;
    let begin = Instant::now();
    let mut buffer = vec![0; 262_144];
    let mut first = None;
    let mut worker_cpu_us = 0;
    let mut drained = 0;
    while begin.elapsed() < Duration::from_secs(seconds + 1) {
        // The first second warms up.
        if counted_from.is_none() && begin.elapsed() > Duration::from_secs(1) {
            counted_from = Some((Instant::now(), latencies.len()));
        }
        for lane in &mut lanes {
            let mut out = Vec::new();
            for slot in 0..at_once {
                if lane.idle && lane.sent[slot].is_none() {
                    let stream = u32::try_from(slot * 2 + 1)?;
                    write_frame(&mut out, FrameType::Request, stream, |out| write_request(&head, out));
                    write_frame(&mut out, FrameType::End, stream, |out| write_headers(out, std::iter::empty()));
                    lane.sent[slot] = Some(Instant::now());
                    lane.idle = !is_process;
                }
            }
            if !out.is_empty() {
                lane.socket.write_all(&out)?;
            }
        }
        let mut fds = vec![PollFd::new(&control, PollFlags::IN)];
        fds.extend(lanes.iter().map(|lane| PollFd::new(&lane.socket, PollFlags::IN)));
        rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            let taken = control.read(&mut buffer)?;
            if taken == 0 {
                return Err("the runner has ended".into());
            }
            control_decoder.push(&buffer[..taken]);
            while let Some(frame) = control_decoder.next_frame()? {
                let json: serde_json::Value = serde_json::from_slice(&frame.payload)?;
                match frame.frame_type {
                    FrameType::Refused => return Err(json.to_string().into()),
                    FrameType::Loaded => println!("loaded {json}"),
                    FrameType::Worker if json.get("started").is_some() => {
                        worker_cpu_us += json["ended"]["cpuUs"].as_u64().unwrap_or(0);
                        let lane = usize::try_from(json["lane"].as_u64().ok_or("lane")?)?;
                        lanes[lane].idle = true;
                    }
                    FrameType::Worker => return Err(json.to_string().into()),
                    _ => {}
                }
            }
        }
        for (lane, _) in lanes.iter_mut().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            let taken = lane.socket.read(&mut buffer)?;
            lane.decoder.push(&buffer[..taken]);
            while let Some(frame) = lane.decoder.next_frame()? {
                if frame.frame_type != FrameType::Done {
                    continue;
                }
                let done = read_done(frame.payload)?;
                if done.outcome != Outcome::Ok {
                    return Err(format!("{done:?}").into());
                }
                let slot = usize::try_from((frame.stream - 1) / 2)?;
                if let Some(sent) = lane.sent[slot].take() {
                    latencies.push(sent.elapsed());
                }
                first.get_or_insert(done);
            }
        }
    }
    let (from, skipped) = counted_from.ok_or("too short")?;
    let taken = from.elapsed();
    // A drained worker tells what it has used. What was under way is left alone.
    let mut out = Vec::new();
    for lane in 0..lane_count {
        let payload = serde_json::json!({ "lane": lane }).to_string();
        write_frame(&mut out, FrameType::Drain, 0, |out| out.extend_from_slice(payload.as_bytes()));
    }
    control.write_all(&out)?;
    control.set_nonblocking(false)?;
    while drained < lane_count {
        let taken = control.read(&mut buffer)?;
        if taken == 0 {
            return Err("the runner has ended".into());
        }
        control_decoder.push(&buffer[..taken]);
        while let Some(frame) = control_decoder.next_frame()? {
            let json: serde_json::Value = serde_json::from_slice(&frame.payload)?;
            worker_cpu_us += json["ended"]["cpuUs"].as_u64().unwrap_or(0);
            drained += usize::from(json.get("ended").is_some() && json.get("started").is_none());
        }
    }
    drop(control);
    child.wait()?;
    let total = latencies.len();
    let counted = &mut latencies[skipped..];
    let per_second = counted.len() as f64 / taken.as_secs_f64();
    counted.sort_unstable();
    let percentile = |percent: usize| counted[(counted.len() - 1) * percent / 100].as_micros();
    println!("{first:?}");
    println!(
        "{mode}: {per_second:.0} requests/s, p50 {} us, p95 {} us, p99 {} us; CPU of workers {} us a request",
        percentile(50),
        percentile(95),
        percentile(99),
        worker_cpu_us / total as u64
    );
    Ok(())
}

/// Starts the runner through a shell, which moves the sockets to the numbers they must have.
fn spawn(runner: &str, inherited: &[OwnedFd], lanes: usize) -> Result<std::process::Child, Failure> {
    for fd in inherited {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    }
    let mut script = String::from("exec");
    for (index, fd) in inherited.iter().enumerate() {
        script.push_str(&format!(" {{fd{index}}}<&{}", fd.as_raw_fd()));
    }
    script.push_str("; exec");
    for index in 0..inherited.len() {
        script.push_str(&format!(" {}<&${{fd{index}}}", index + 3));
    }
    script.push_str("; exec \"$0\" \"$1\"");
    Ok(Command::new("bash").arg("-c").arg(script).arg(runner).arg(lanes.to_string()).stdin(Stdio::null()).spawn()?)
}
