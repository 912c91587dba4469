//! The supervisor: loads the function, keeps a worker on each lane, and never runs a guest.

use crate::clock::monotonic_ms;
use crate::control_socket::ControlSocket;
use crate::engine::{Allocation, build_engine};
use crate::function::Function;
use crate::hardening::{Hardening, rlimits};
use crate::host::{Guest, build_linker};
use crate::lane::{Lane, LaneState, Resync};
use crate::lane_page::LanePages;
use crate::process::{self, Reaped};
use crate::protocol::control::{Command, Ended, Hello, Load, Loaded, PROTOCOL_VERSION, WASMTIME_VERSION, WorkerReport};
use crate::protocol::frame::{FrameType, Violation, violation};
use crate::report::report;
use crate::ticker;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;
use wasmtime::Engine;
use wasmtime::component::Linker;

/// How long a worker may outlive the deadline of an invocation before it is killed.
const GRACE_MS: u64 = 100;

/// Pause before a worker is forked again after the kernel has refused to.
const FORK_RETRY_MS: u64 = 100;

/// Why the supervisor ends.
#[derive(Debug)]
pub enum End {
    /// The control socket was closed.
    Closed,
    Refused,
    Violation(Violation),
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The state of a runner.
pub struct Supervisor {
    control: ControlSocket,
    lanes: Vec<Lane>,
    pages: LanePages,
    engine: Engine,
    linker: Linker<Guest>,
    function: Option<Function>,
    hardening: Hardening,
    /// Number of the worker that was forked last.
    last_worker: u32,
    pid: i32,
}

/// Does once what every worker would do again.
fn warm_up() {
    // The alternate signal stack.
    Engine::tls_eager_initialize();
    // What the processor can is asked of it once, which is slow in a virtual machine: by the standard library, for whoever searches
    // in the strings of an artifact.
    #[cfg(target_arch = "x86_64")]
    std::hint::black_box(std::arch::is_x86_feature_detected!("avx2"));
    // By the generator of random numbers too. This one is thrown away: a worker must not inherit the state of a generator, as
    // all workers would draw the same numbers.
    std::hint::black_box(StdRng::from_seed([0; 32]).next_u64());
    // Where the clock lies is asked of the kernel once.
    monotonic_ms();
}

fn broken(error: &wasmtime::Error) -> io::Error {
    io::Error::other(format!("{error:#}"))
}

impl Supervisor {
    /// Builds engine and linker, gives up what a runner needs no more, and says HELLO.
    ///
    /// # Errors
    /// The engine cannot be built, or a system call fails.
    pub fn new(control: OwnedFd, lanes: Vec<OwnedFd>) -> io::Result<Self> {
        for fd in lanes.iter().chain([&control]) {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        process::keep_heap();
        process::prepare_supervisor()?;
        let engine = build_engine(Allocation::OnDemand).map_err(|error| broken(&error))?;
        let linker = build_linker(&engine).map_err(|error| broken(&error))?;
        warm_up();
        let pages = LanePages::map(lanes.len())?;
        let control = ControlSocket::new(control);
        // Everything of the runner itself is set up; nothing of a function has been seen.
        let hardening = Hardening::supervisor()?;
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            runner: env!("CARGO_PKG_VERSION"),
            wasmtime: WASMTIME_VERSION,
            lanes: lanes.len(),
        };
        control.say(FrameType::Hello, &hello);
        Ok(Self {
            control,
            lanes: lanes.into_iter().map(Lane::new).collect(),
            pages,
            engine,
            linker,
            function: None,
            hardening,
            last_worker: 0,
            pid: process::own_pid(),
        })
    }

    /// Serves the control socket until it is closed.
    pub fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.turn() {
                self.kill_all();
                if matches!(end, End::Refused) {
                    self.control.linger();
                }
                return end;
            }
        }
    }

    fn turn(&mut self) -> Result<(), End> {
        self.flush()?;
        if self.wait()? {
            self.read_control()?;
        }
        while let Some(reaped) = process::reap() {
            self.on_reaped(&reaped);
        }
        self.kill_late_workers();
        for lane in 0..self.lanes.len() {
            self.resync(lane)?;
            self.start_worker(lane);
        }
        Ok(())
    }

    /// Waits for something to do; tells whether the control socket can be read. The rest is found out by trying.
    fn wait(&mut self) -> Result<bool, End> {
        let mut fds = Vec::with_capacity(1 + self.lanes.len());
        let entry = |fd: &OwnedFd, events| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        fds.push(entry(&self.control.fd, self.control.poll_events()));
        for lane in &self.lanes {
            match &lane.state {
                LaneState::Resyncing(resync) => fds.push(entry(&lane.fd, resync.poll_events())),
                LaneState::Empty | LaneState::Running { .. } | LaneState::Broken => {}
            }
        }
        process::wait_for_events(&mut fds, self.timeout_ms())?;
        Ok(fds[0].revents != 0)
    }

    /// Workers publish deadlines without a word, so the supervisor looks in time for the earliest one it knows, and for
    /// the earliest that could have been published since: one wall time from now.
    fn timeout_ms(&self) -> Option<u64> {
        let function = self.function.as_ref()?;
        let now = monotonic_ms();
        let mut timeout = None;
        let mut sooner = |ms: u64| timeout = Some(timeout.map_or(ms, |known: u64| known.min(ms)));
        for (index, lane) in self.lanes.iter().enumerate() {
            match lane.state {
                LaneState::Running { .. } => {
                    let limit = function.load.wall_ms + GRACE_MS;
                    let due = match self.pages.page(index).deadline_ms() {
                        0 => limit,
                        deadline_ms => deadline_ms.saturating_add(GRACE_MS + 1).saturating_sub(now).min(limit),
                    };
                    sooner(due.max(1));
                }
                LaneState::Empty if lane.keep => sooner(lane.retry_at_ms.saturating_sub(now)),
                _ => {}
            }
        }
        timeout
    }

    /// Obeys what the dispatcher has said.
    fn read_control(&mut self) -> Result<(), End> {
        let is_open = self.control.receive()?;
        while let Some(frame) = self.control.next_frame().map_err(End::Violation)? {
            let command = Command::read(&frame).map_err(End::Violation)?;
            self.on_command(command)?;
        }
        if is_open { Ok(()) } else { Err(End::Closed) }
    }

    fn flush(&mut self) -> Result<(), End> {
        if self.control.flush()? { Ok(()) } else { Err(End::Closed) }
    }

    fn on_command(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Load(load) => return self.on_load(*load),
            Command::Keep { lane } => {
                self.lane(lane)?.keep = true;
                self.start_worker(lane);
            }
            Command::Kill { lane, worker } => {
                if let LaneState::Running { pid, worker: running } = self.lane(lane)?.state
                    && running == worker
                {
                    process::signal_child(pid, libc::SIGKILL);
                }
            }
            Command::Drain { lane } => {
                let lane = self.lane(lane)?;
                lane.keep = false;
                if let LaneState::Running { pid, .. } = lane.state {
                    process::signal_child(pid, libc::SIGTERM);
                }
            }
            Command::Resync { lane, nonce } => {
                let state = &mut self.lane(lane)?.state;
                if !matches!(state, LaneState::Broken) {
                    return Err(End::Violation(Violation("RESYNC of a lane whose worker has not broken off".into())));
                }
                *state = LaneState::Resyncing(Resync::new(nonce));
            }
        }
        Ok(())
    }

    /// The lane of a command that only makes sense after LOAD.
    fn lane(&mut self, lane: usize) -> Result<&mut Lane, End> {
        let count = self.lanes.len();
        if self.function.is_none() {
            return Err(End::Violation(Violation("a lane was named before LOAD".into())));
        }
        self.lanes.get_mut(lane).ok_or_else(|| End::Violation(Violation(format!("lane {lane} is not one of {count}"))))
    }

    fn on_load(&mut self, load: Load) -> Result<(), End> {
        if self.function.is_some() {
            return violation("LOAD was sent twice").map_err(End::Violation);
        }
        let started = Instant::now();
        let function = match Function::load(load, &self.engine, &self.linker, self.lanes.len()) {
            Ok(function) => function,
            Err(refused) => {
                self.control.say(FrameType::Refused, &refused);
                self.flush()?;
                return Err(End::Refused);
            }
        };
        ticker::prepare(&function.engine)?;
        rlimits::limit_data(function.load.data_bytes())?;
        self.hardening.seal()?;
        let loaded = Loaded {
            world: function.program.world(),
            load_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let lanes = function.load.lanes.clone();
        let keep = !function.load.one_worker;
        self.function = Some(function);
        for lane in &lanes {
            self.lanes[*lane].keep = keep;
        }
        // The first worker serves the first request: it is forked alone, before anything is said of it.
        let mut lanes = lanes.into_iter();
        if let Some(first) = lanes.next() {
            self.fork(first);
        }
        self.control.say(FrameType::Loaded, &loaded);
        self.flush()?;
        for lane in lanes {
            if matches!(self.lanes[lane].state, LaneState::Empty) {
                self.fork(lane);
            }
        }
        Ok(())
    }

    /// Starts a worker where one is wanted and none is.
    fn start_worker(&mut self, lane: usize) {
        let state = &self.lanes[lane];
        let wanted = state.keep && matches!(state.state, LaneState::Empty) && state.retry_at_ms <= monotonic_ms();
        if wanted && let Some(worker) = self.fork(lane) {
            self.report(&WorkerReport { lane, started: Some(worker), ..WorkerReport::default() });
        }
    }

    /// Forks a worker for an empty lane; returns its number.
    fn fork(&mut self, lane: usize) -> Option<u32> {
        let function = self.function.as_ref()?;
        self.pages.page(lane).reset();
        let worker = self.last_worker + 1;
        let state = &mut self.lanes[lane];
        let pages = &self.pages;
        let (supervisor, hardening) = (self.pid, &self.hardening);
        let forked = process::fork_worker(|| {
            function.run_worker(pages, lane, state.fd.as_raw_fd(), worker, supervisor, hardening)
        });
        match forked {
            Ok(pid) => {
                self.last_worker = worker;
                state.state = LaneState::Running { pid, worker };
                Some(worker)
            }
            Err(error) => {
                report(format_args!("supervisor: fork: {error}"));
                state.retry_at_ms = monotonic_ms() + FORK_RETRY_MS;
                None
            }
        }
    }

    fn on_reaped(&mut self, reaped: &Reaped) {
        let running = |lane: &Lane| match lane.state {
            LaneState::Running { pid, worker } if pid == reaped.pid => Some(worker),
            _ => None,
        };
        let Some((lane, worker)) =
            self.lanes.iter().enumerate().find_map(|(index, lane)| Some((index, running(lane)?)))
        else {
            return;
        };
        let ended = Ended {
            worker,
            status: reaped.status,
            signal: reaped.signal,
            cpu_us: reaped.cpu_us,
            max_rss_kb: reaped.max_rss_kb,
        };
        let mut report = WorkerReport { lane, ended: Some(ended), ..WorkerReport::default() };
        if reaped.status == 0 && reaped.signal == 0 {
            let state = &mut self.lanes[lane];
            state.state = LaneState::Empty;
            if self.pages.page(lane).is_lane_closed() {
                state.keep = false;
            }
            if state.keep {
                report.started = self.fork(lane);
            }
        } else {
            self.lanes[lane].state = LaneState::Broken;
        }
        self.report(&report);
    }

    fn report(&self, report: &WorkerReport) {
        self.control.say(FrameType::Worker, report);
    }

    fn kill_late_workers(&self) {
        let now = monotonic_ms();
        for (index, lane) in self.lanes.iter().enumerate() {
            if let LaneState::Running { pid, .. } = lane.state {
                let deadline_ms = self.pages.page(index).deadline_ms();
                if deadline_ms != 0 && now > deadline_ms.saturating_add(GRACE_MS) {
                    process::signal_child(pid, libc::SIGKILL);
                }
            }
        }
    }

    fn resync(&mut self, index: usize) -> Result<(), End> {
        let lane = &mut self.lanes[index];
        let LaneState::Resyncing(resync) = &mut lane.state else { return Ok(()) };
        if !resync.advance(&lane.fd)? {
            return Ok(());
        }
        lane.state = LaneState::Empty;
        let started = if lane.keep { self.fork(index) } else { None };
        self.report(&WorkerReport { lane: index, started, resynced: Some(true), ..WorkerReport::default() });
        Ok(())
    }

    /// In a sandbox the kernel does this when the supervisor ends; elsewhere nobody does.
    fn kill_all(&self) {
        for lane in &self.lanes {
            if let LaneState::Running { pid, .. } = lane.state {
                process::signal_child(pid, libc::SIGKILL);
            }
        }
    }
}
