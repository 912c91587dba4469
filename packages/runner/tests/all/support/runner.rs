//! A running runner, without a sandbox.
#![allow(
    unsafe_code,
    reason = "the sockets must have fixed numbers in the child, which only a step before exec can do"
)]

use super::socket::Socket;
use crate::protocol::frame::FrameType;
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The first descriptor of a runner.
const CONTROL: RawFd = 3;

pub struct Runner {
    pub child: Child,
    pub control: Socket,
    pub lanes: Vec<Socket>,
    /// The payload of HELLO.
    pub hello: Value,
}

impl Runner {
    /// Starts a runner and reads its HELLO.
    pub fn start(lanes: usize) -> Self {
        let mut ours = Vec::new();
        let mut theirs: Vec<OwnedFd> = Vec::new();
        for _ in 0..=lanes {
            let (our, their) = UnixStream::pair().expect("a pair of sockets");
            ours.push(Socket::new(our));
            theirs.push(their.into());
        }
        let numbers: Vec<RawFd> = theirs.iter().map(AsRawFd::as_raw_fd).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_playa-runner"));
        command.arg(lanes.to_string()).stdin(Stdio::null()).env_clear();
        // SAFETY: only dup, dup2 and close are called between fork and exec, all of which are allowed there.
        unsafe {
            command.pre_exec(move || {
                // Out of the way first, as the numbers that are wanted may be among those that are there.
                let mut moved = [0; 64];
                for (index, number) in numbers.iter().enumerate() {
                    moved[index] = libc::fcntl(*number, libc::F_DUPFD_CLOEXEC, 100);
                }
                for (index, number) in moved[..numbers.len()].iter().enumerate() {
                    if libc::dup2(*number, CONTROL + RawFd::try_from(index).unwrap_or(0)) == -1 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the runner starts");
        let control = ours.remove(0);
        let mut runner = Self { child, control, lanes: ours, hello: Value::Null };
        let (frame_type, hello) = runner.said();
        assert_eq!(frame_type, FrameType::Hello);
        runner.hello = hello;
        runner
    }

    /// Starts a runner that has loaded `artifact` with the given changes to the usual settings.
    pub fn load(artifact: &Path, lanes: usize, changes: Value) -> Self {
        let mut runner = Self::start(lanes);
        runner.send_load(artifact, changes);
        let (frame_type, payload) = runner.said();
        assert_eq!(frame_type, FrameType::Loaded, "{payload}");
        runner
    }

    /// Sends LOAD.
    pub fn send_load(&mut self, artifact: &Path, changes: Value) {
        let mut load = json!({
            "component": artifact,
            "kind": "component",
            "fuel": 10_000_000_000_u64,
            "cpuMs": 30_000,
            "wallMs": 60_000,
            "memoryBytes": 134_217_728,
            "instances": 100,
            "memories": 100,
            "tables": 100,
            "tableElements": 1_000_000,
            "resources": 10_000,
            "hostcallBytes": 8_388_608,
            "randomBytes": 1_048_576,
            "responseHeaderBytes": 65_536,
            "logBytes": 65_536,
            "logLines": 1_000,
            "requestsPerWorker": 1,
            "concurrency": 1,
            "lanes": [0],
            "env": [],
        });
        for (name, value) in changes.as_object().expect("an object") {
            load[name] = value.clone();
        }
        self.command(FrameType::Load, &load);
    }

    /// Sends a frame on the control socket.
    pub fn command(&mut self, frame_type: FrameType, payload: &Value) {
        self.control.send_frame(frame_type, 0, payload.to_string().as_bytes());
    }

    /// The next frame of the control socket.
    pub fn said(&mut self) -> (FrameType, Value) {
        let frame = self.control.frame();
        (frame.frame_type, serde_json::from_slice(&frame.payload).expect("JSON"))
    }

    /// The next report of a worker.
    pub fn report(&mut self) -> Value {
        let (frame_type, payload) = self.said();
        assert_eq!(frame_type, FrameType::Worker, "{payload}");
        payload
    }

    /// Closes the control socket and waits for the end.
    pub fn close(mut self) -> ExitStatus {
        self.control.stream.shutdown(std::net::Shutdown::Both).expect("an open socket");
        self.child.wait().expect("a child")
    }

    /// The processes that the runner has forked and not waited for.
    pub fn workers(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(path).expect("a running runner");
        children.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // A test that fails leaves nothing behind. An error here means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
