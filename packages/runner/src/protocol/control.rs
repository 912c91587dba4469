//! The JSON payloads of the control socket.

use super::frame::{Frame, FrameType, Violation, violation, write_frame};
use serde::{Deserialize, Serialize};

/// Version of the protocol that HELLO names.
pub const PROTOCOL_VERSION: u32 = 1;

/// The version of the engine that runners are built with.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// What a runner says of itself, once, when it can be lent.
#[derive(Debug, Serialize)]
pub struct Hello {
    pub protocol: u32,
    pub runner: &'static str,
    pub wasmtime: &'static str,
    pub lanes: usize,
}

/// What the file at `component` is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Component,
    /// A core module that imports WASI preview 1.
    Module,
}

/// What to load and how to run it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Path of the precompiled file.
    pub component: String,
    pub kind: Kind,
    /// Fuel of one invocation.
    pub fuel: u64,
    /// CPU time of one invocation.
    pub cpu_ms: u64,
    /// Wall time of one invocation.
    pub wall_ms: u64,
    /// Total of all linear memories of one invocation.
    pub memory_bytes: u64,
    /// Core instances of one invocation.
    pub instances: usize,
    pub memories: usize,
    pub tables: usize,
    /// Elements of all tables of one invocation.
    pub table_elements: usize,
    /// Handles that a guest may have open at once, each a small allocation of the host.
    pub resources: usize,
    /// Bytes that one call may make the host copy out of the guest.
    pub hostcall_bytes: usize,
    /// Random bytes of one call.
    pub random_bytes: u64,
    pub response_header_bytes: usize,
    /// Total of what one invocation may print.
    pub log_bytes: usize,
    pub log_lines: usize,
    pub requests_per_worker: u32,
    /// Invocations a worker takes at once.
    pub concurrency: u32,
    /// Lanes on which workers are started at once.
    pub lanes: Vec<usize>,
    /// Nothing follows a worker of these lanes: the sandbox ends with it.
    #[serde(default)]
    pub one_worker: bool,
    pub env: Vec<(String, String)>,
    /// Certificates (PEM) that outgoing TLS trusts beside the public ones.
    #[serde(default)]
    pub egress_roots: String,
}

impl Load {
    /// How much writable memory a worker may have beside what the supervisor has when the function is loaded: guests' memories and tables,
    /// and what the host keeps for them. More than any honest worker needs, as this only bounds one that was taken over.
    pub fn data_bytes(&self) -> u64 {
        /// Stacks, buffers of both directions, handles.
        const INVOCATION_BYTES: u64 = 16 << 20;
        const WORKER_BYTES: u64 = 64 << 20;
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let each = self
            .memory_bytes
            .saturating_add(bytes(self.table_elements).saturating_mul(8))
            .saturating_add(bytes(self.hostcall_bytes).saturating_mul(2))
            .saturating_add(bytes(self.log_bytes))
            .saturating_add(INVOCATION_BYTES);
        each.saturating_mul(self.concurrency.into()).saturating_add(WORKER_BYTES)
    }

    /// The CPU time, in seconds, after which the kernel ends a worker that serves one request: that of making the instance and that of the
    /// invocation, and one for the runner itself. `None` for workers whose time depends on how many requests there are.
    pub fn worker_cpu_seconds(&self) -> Option<u64> {
        (self.requests_per_worker == 1).then(|| 2 * self.cpu_ms.div_ceil(1_000) + 1)
    }
}

/// The export that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum World {
    #[serde(rename = "http-0.2")]
    Http02,
    #[serde(rename = "http-0.3")]
    Http03,
    #[serde(rename = "command")]
    Command,
    #[serde(rename = "module")]
    Module,
}

/// The artifact can be served.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    pub world: World,
    pub load_us: u64,
}

/// Why an artifact cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    NotAnArtifact,
    Version,
    Cpu,
    Settings,
    World,
    Limits,
    Internal,
}

/// The artifact cannot be served; the runner exits.
#[derive(Debug, Serialize)]
pub struct Refused {
    pub reason: RefusedReason,
    pub detail: String,
}

/// How a worker ended, as `wait4` told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    pub worker: u32,
    pub status: i32,
    pub signal: i32,
    pub cpu_us: u64,
    pub max_rss_kb: u64,
}

/// What happened on a lane.
#[derive(Debug, Default, Serialize)]
pub struct WorkerReport {
    pub lane: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resynced: Option<bool>,
}

#[derive(Deserialize)]
struct LaneOnly {
    lane: usize,
}

#[derive(Deserialize)]
struct KillPayload {
    lane: usize,
    worker: u32,
}

#[derive(Deserialize)]
struct ResyncPayload {
    lane: usize,
    nonce: String,
}

/// What the dispatcher may say on the control socket.
#[derive(Debug)]
pub enum Command {
    Load(Box<Load>),
    /// Keep a worker on this lane from now on.
    Keep {
        lane: usize,
    },
    Kill {
        lane: usize,
        worker: u32,
    },
    Drain {
        lane: usize,
    },
    Resync {
        lane: usize,
        nonce: [u8; 32],
    },
}

fn parse<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T, Violation> {
    serde_json::from_slice(&frame.payload)
        .map_err(|error| Violation(format!("payload of {:?} is not what it must be: {error}", frame.frame_type)))
}

fn parse_nonce(text: &str) -> Result<[u8; 32], Violation> {
    let mut nonce = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return violation("nonce must be 64 hex digits");
    }
    for (byte, pair) in nonce.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
        *byte = value(pair[0]) << 4 | value(pair[1]);
    }
    Ok(nonce)
}

impl Command {
    /// # Errors
    /// A frame that the dispatcher may not send here, or a payload that lacks a member.
    pub fn read(frame: &Frame) -> Result<Self, Violation> {
        Ok(match frame.frame_type {
            FrameType::Load => Self::Load(parse(frame)?),
            FrameType::Worker => {
                let LaneOnly { lane } = parse(frame)?;
                Self::Keep { lane }
            }
            FrameType::Kill => {
                let KillPayload { lane, worker } = parse(frame)?;
                Self::Kill { lane, worker }
            }
            FrameType::Drain => {
                let LaneOnly { lane } = parse(frame)?;
                Self::Drain { lane }
            }
            FrameType::Resync => {
                let ResyncPayload { lane, nonce } = parse(frame)?;
                Self::Resync { lane, nonce: parse_nonce(&nonce)? }
            }
            other => return violation(format!("{other:?} is not for the supervisor")),
        })
    }
}

/// Appends a frame with a JSON payload.
pub fn write_control(out: &mut Vec<u8>, frame_type: FrameType, payload: &impl Serialize) {
    write_frame(out, frame_type, 0, |out| {
        // Writing these plain structures into a vector cannot fail.
        serde_json::to_writer(out, payload).unwrap_or_else(|error| unreachable!("{error}"));
    });
}
