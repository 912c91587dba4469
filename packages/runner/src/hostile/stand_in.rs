//! The part of a runner that the stand-in plays: it answers each request with what became of an attack.

use super::attack::{ATTACKS, Attack, Scene};
use super::forged_frames::{FORGERIES, Socket};
use super::hardening::{Hardening, kernel, rlimits};
use super::process::{self, Reaped};
use super::protocol::control::{
    Command, Ended, Hello, Load, Loaded, PROTOCOL_VERSION, WASMTIME_VERSION, WorkerReport, World, write_control,
};
use super::protocol::decoder::Decoder;
use super::protocol::done::{Done, Outcome};
use super::protocol::frame::{Frame, FrameType, write_frame};
use super::protocol::headers::write_headers;
use super::protocol::request::RequestHead;
use super::protocol::response::write_response;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;

/// An attack that has not ended by then hangs.
const ATTACK_LIMIT_MS: u64 = 5_000;
/// What a process of an attack exits with where it could not even begin.
const EXIT_UNPREPARED: i32 = 250;

struct Lane {
    fd: OwnedFd,
    decoder: Decoder,
    /// The path of the request whose END has not come yet, and its stream.
    request: Option<(u32, String)>,
    worker: u32,
}

struct StandIn {
    control: OwnedFd,
    decoder: Decoder,
    lanes: Vec<Lane>,
    load: Option<Load>,
    /// `None` in the one that belongs to the tests and gives up nothing.
    hardening: Option<Hardening>,
    last_worker: u32,
}

/// Runs until the control socket is closed.
pub fn main(hardened: bool) -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == "--executed" {
        // An attack has come so far as to execute a program.
        return ExitCode::SUCCESS;
    }
    let result = argument.parse().map_err(io::Error::other).and_then(|lanes| run(lanes, hardened));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("playa-hostile-runner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(lanes: usize, hardened: bool) -> io::Result<()> {
    let (control, lanes) = process::inherited_sockets(lanes)?;
    for fd in lanes.iter().chain([&control]) {
        rustix::io::ioctl_fionbio(fd, false)?;
    }
    process::prepare_supervisor()?;
    let hardening = if hardened {
        Some(Hardening::supervisor()?)
    } else {
        // A filter that only looks like one: the number of filters says nothing of what they deny.
        kernel::install_filter(&[seccompiler::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }])?;
        None
    };
    let lane = |fd| Lane { fd, decoder: Decoder::default(), request: None, worker: 0 };
    let mut stand_in = StandIn {
        control,
        decoder: Decoder::default(),
        lanes: lanes.into_iter().map(lane).collect(),
        load: None,
        hardening,
        last_worker: 0,
    };
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        runner: "hostile",
        wasmtime: WASMTIME_VERSION,
        lanes: stand_in.lanes.len(),
    };
    stand_in.say(FrameType::Hello, &hello)?;
    while stand_in.turn()? {}
    Ok(())
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = rustix::net::send(fd, bytes, rustix::net::SendFlags::NOSIGNAL)?;
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// Reads what there is; `false` at the end.
fn read_into(fd: &OwnedFd, decoder: &mut Decoder) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    match rustix::io::read(fd, &mut bytes) {
        Ok(0) | Err(rustix::io::Errno::CONNRESET) => Ok(false),
        Ok(taken) => {
            decoder.push(&bytes[..taken]);
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

impl StandIn {
    fn say(&self, frame_type: FrameType, payload: &impl serde::Serialize) -> io::Result<()> {
        let mut out = Vec::new();
        write_control(&mut out, frame_type, payload);
        write_all(&self.control, &out)
    }

    /// Waits for something to read and deals with it; `false` when the control socket is closed.
    fn turn(&mut self) -> io::Result<bool> {
        let entry = |fd: &OwnedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut fds: Vec<_> =
            [&self.control].into_iter().chain(self.lanes.iter().map(|lane| &lane.fd)).map(entry).collect();
        process::wait_for_events(&mut fds, None)?;
        if fds[0].revents != 0 {
            if !read_into(&self.control, &mut self.decoder)? {
                return Ok(false);
            }
            while let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                self.on_command(Command::read(&frame).map_err(io::Error::other)?)?;
            }
        }
        for (index, entry) in fds[1..].iter().enumerate() {
            if entry.revents == 0 {
                continue;
            }
            let lane = &mut self.lanes[index];
            if !read_into(&lane.fd, &mut lane.decoder)? {
                return Ok(false);
            }
            while let Some(frame) = self.lanes[index].decoder.next_frame().map_err(io::Error::other)? {
                self.on_frame(index, frame)?;
            }
        }
        Ok(true)
    }

    fn on_command(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Load(load) => {
                if let Some(hardening) = &self.hardening {
                    rlimits::limit_data(load.data_bytes())?;
                    hardening.seal()?;
                }
                self.say(FrameType::Loaded, &Loaded { world: World::Http02, load_us: 0 })?;
                for lane in &load.lanes {
                    self.last_worker += 1;
                    self.lanes[*lane].worker = self.last_worker;
                }
                self.load = Some(*load);
                Ok(())
            }
            Command::Keep { lane } => {
                self.last_worker += 1;
                self.lanes[lane].worker = self.last_worker;
                self.say(
                    FrameType::Worker,
                    &WorkerReport { lane, started: Some(self.last_worker), ..WorkerReport::default() },
                )
            }
            Command::Kill { .. } | Command::Drain { .. } | Command::Resync { .. } => Ok(()),
        }
    }

    fn on_frame(&mut self, lane: usize, frame: Frame) -> io::Result<()> {
        match frame.frame_type {
            FrameType::Request => {
                let head = RequestHead::read(frame.payload).map_err(io::Error::other)?;
                let path = String::from_utf8_lossy(&head.path).into_owned();
                self.lanes[lane].request = Some((frame.stream, path));
                Ok(())
            }
            FrameType::End | FrameType::Cancel => match self.lanes[lane].request.take() {
                Some((stream, path)) => self.serve(lane, stream, &path),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn serve(&mut self, lane: usize, stream: u32, path: &str) -> io::Result<()> {
        let name = path.split('?').next().unwrap_or(path).trim_start_matches('/');
        if let Some(forgery) = FORGERIES.iter().find(|known| name.strip_prefix("frames/") == Some(known.name)) {
            let mut out = Vec::new();
            (forgery.write)(&mut out, stream);
            let socket = match forgery.socket {
                Socket::Lane => &self.lanes[lane].fd,
                Socket::Control => &self.control,
            };
            return write_all(socket, &out);
        }
        if name == "frames/half" {
            write_all(&self.lanes[lane].fd, &[100, 0, 0, 0, FrameType::Response as u8])?;
            process::exit_now(0);
        }
        if name == "exit" {
            process::exit_now(0);
        }
        // An account that no invocation can have.
        let used = if name == "boast" { u64::MAX >> 12 } else { 0 };
        let answer = if name.is_empty() {
            let attacks: Vec<_> = ATTACKS.iter().map(|attack| attack.name).collect();
            let forgeries: Vec<_> = FORGERIES.iter().map(|forgery| forgery.name).collect();
            serde_json::json!({ "attacks": attacks, "frames": forgeries })
        } else if name == "boast" {
            serde_json::json!({})
        } else if let Some(attack) = ATTACKS.iter().find(|attack| attack.name == name) {
            let (held, detail) = self.attack(lane, attack)?;
            serde_json::json!({ "attack": name, "held": held, "detail": detail })
        } else {
            serde_json::json!({ "attack": name, "held": false, "detail": "there is no such attack" })
        };
        self.answer(lane, stream, answer.to_string().as_bytes(), used)
    }

    fn answer(&mut self, lane: usize, stream: u32, body: &[u8], used: u64) -> io::Result<()> {
        let fields: [(&[u8], &[u8]); 1] = [(b"content-type", b"application/json")];
        let worker = self.lanes[lane].worker;
        let done = Done {
            outcome: Outcome::Ok,
            detail: String::new(),
            fuel: used,
            cpu_us: used,
            wall_us: used,
            peak_memory_bytes: used,
            worker,
        };
        let mut out = Vec::new();
        write_frame(&mut out, FrameType::Response, stream, |out| write_response(out, 200, fields.into_iter()));
        write_frame(&mut out, FrameType::Body, stream, |out| out.extend_from_slice(body));
        write_frame(&mut out, FrameType::End, stream, |out| write_headers(out, std::iter::empty()));
        write_frame(&mut out, FrameType::Done, stream, |out| done.write(out));
        write_all(&self.lanes[lane].fd, &out)?;
        if self.load.as_ref().is_none_or(|load| load.requests_per_worker != 1) {
            return Ok(());
        }
        self.last_worker += 1;
        self.lanes[lane].worker = self.last_worker;
        let ended = Ended { worker, status: 0, signal: 0, cpu_us: 0, max_rss_kb: 0 };
        let report = WorkerReport { lane, ended: Some(ended), started: Some(self.last_worker), resynced: None };
        self.say(FrameType::Worker, &report)
    }

    /// Tries an attack in a process that was made as workers are; tells whether it was held off, and how.
    fn attack(&self, lane: usize, attack: &Attack) -> io::Result<(bool, String)> {
        let fd = self.lanes[lane].fd.as_raw_fd();
        let sibling = self.fork(fd, wait_for_ever)?;
        let scene = Scene {
            parent: usize::try_from(process::own_pid()).unwrap_or(0),
            sibling: usize::try_from(sibling).unwrap_or(0),
            own_lane: usize::try_from(fd).unwrap_or(0),
            lanes: self.lanes.len(),
        };
        let attacker = self.fork(fd, || match (attack.attempt)(&scene) {
            Ok(()) => 0,
            Err(errno) => errno,
        })?;
        let ended = wait_for(attacker)?;
        process::signal_child(sibling, libc::SIGKILL);
        wait_for(sibling)?;
        Ok(match ended {
            None => (false, "it did not end".to_owned()),
            Some(Reaped { signal: libc::SIGSYS, .. }) => (true, "SIGSYS".to_owned()),
            Some(Reaped { signal, .. }) if signal != 0 => (true, format!("signal {signal}")),
            Some(Reaped { status: 0, .. }) => (false, "it succeeded".to_owned()),
            Some(Reaped { status: EXIT_UNPREPARED, .. }) => (false, "the process could not be prepared".to_owned()),
            Some(Reaped { status, .. }) => (true, errno_name(status)),
        })
    }

    /// Forks as a supervisor forks a worker, and gives up there what a worker gives up.
    fn fork(&self, lane: RawFd, child: impl FnOnce() -> i32) -> io::Result<i32> {
        let supervisor = process::own_pid();
        process::fork_worker(|| {
            let prepared = process::prepare_worker(lane, self.lanes.len(), supervisor);
            let cpu_seconds = self.load.as_ref().and_then(Load::worker_cpu_seconds);
            let hardened = prepared.and_then(|()| match &self.hardening {
                Some(hardening) => hardening.worker(cpu_seconds),
                None => Ok(()),
            });
            if hardened.is_ok() { child() } else { EXIT_UNPREPARED }
        })
    }
}

/// Waits, as an idle worker does, until this process is killed.
fn wait_for_ever() -> i32 {
    let Ok(epoll) = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC) else {
        return EXIT_UNPREPARED;
    };
    loop {
        let mut events = [std::mem::MaybeUninit::uninit(); 1];
        // Nothing is watched; a signal only wakes it.
        let _ = rustix::event::epoll::wait(&epoll, &mut events, None);
    }
}

/// Waits for the end of a child; kills it when that takes too long, and returns `None` then.
fn wait_for(pid: i32) -> io::Result<Option<Reaped>> {
    let mut killed = false;
    loop {
        while let Some(reaped) = process::reap() {
            if reaped.pid == pid {
                return Ok(if killed { None } else { Some(reaped) });
            }
        }
        let before = std::time::Instant::now();
        process::wait_for_events(&mut [], Some(ATTACK_LIMIT_MS))?;
        if before.elapsed().as_millis() >= u128::from(ATTACK_LIMIT_MS) {
            killed = true;
            process::signal_child(pid, libc::SIGKILL);
        }
    }
}

/// The name of an error, as far as attacks come to it.
fn errno_name(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        libc::EISDIR => "EISDIR",
        libc::ESRCH => "ESRCH",
        _ => return format!("error {errno}"),
    };
    name.to_owned()
}
