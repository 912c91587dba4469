//! The function that a runner is bound to: what was loaded, and the life of a worker that serves it.

use crate::artifact;
use crate::clock::CpuClock;
use crate::egress::http_client::HttpClient;
use crate::egress::lane::EgressLane;
use crate::engine::{Allocation, build_engine};
use crate::hardening::Hardening;
use crate::host::{Guest, build_linker};
use crate::invocation::Setting;
use crate::lane_page::LanePages;
use crate::outbox::Outbox;
use crate::process;
use crate::program::Program;
use crate::protocol::control::{Load, Refused, RefusedReason};
use crate::report::report;
use crate::worker;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Linker;

/// The most invocations at once in one worker; each may reserve several memories of 4 GiB.
const MAX_CONCURRENCY: u32 = 1_000;

/// A loaded function.
pub struct Function {
    pub engine: Engine,
    pub program: Program,
    pub load: Load,
}

impl Function {
    /// Maps and prepares what LOAD names. `engine` and `linker` serve where a worker has one request; others get an
    /// engine with a pool. `lanes` is how many lanes there are.
    ///
    /// # Errors
    /// The artifact cannot be served, or LOAD makes no sense.
    pub fn load(load: Load, engine: &Engine, linker: &Linker<Guest>, lanes: usize) -> Result<Self, Refused> {
        check_limits(&load, lanes)?;
        let path = Path::new(&load.component);
        let internal =
            |error: wasmtime::Error| Refused { reason: RefusedReason::Internal, detail: format!("{error:#}") };
        if load.requests_per_worker > 1 {
            let allocation = Allocation::Pooling { concurrency: load.concurrency, table_elements: load.table_elements };
            let pooling = build_engine(allocation).map_err(internal)?;
            let linker = build_linker(&pooling).map_err(internal)?;
            match artifact::load(&pooling, &linker, path, load.kind) {
                Ok(program) => return Ok(Self { engine: pooling, program, load }),
                // Larger than a slot of the pool, which is no fault of the function: it is mapped on demand instead.
                Err(refused) if refused.reason == RefusedReason::Limits => {}
                Err(refused) => return Err(refused),
            }
        }
        let program = artifact::load(engine, linker, path, load.kind)?;
        Ok(Self { engine: engine.clone(), program, load })
    }

    /// The life of worker number `worker` on `lane`, in its own process; returns its exit status.
    pub fn run_worker(
        &self,
        pages: &LanePages,
        lane: usize,
        fd: RawFd,
        worker: u32,
        supervisor: i32,
        hardening: &Hardening,
    ) -> i32 {
        let prepared = process::prepare_worker(fd, pages.count(), supervisor);
        let page = pages.keep_only(lane);
        // Before anything of the guest runs, as its start functions do when it is instantiated.
        if let Err(error) = prepared.and_then(|()| hardening.worker(self.load.worker_cpu_seconds())) {
            report(format_args!("worker: {error}"));
            return worker::EXIT_INTERNAL;
        }
        let outbox = Outbox::default();
        let lane_streams = EgressLane::new(outbox.clone());
        let setting = Setting {
            engine: &self.engine,
            program: &self.program,
            load: &self.load,
            outbox,
            egress: Arc::new(HttpClient::new(lane_streams, self.load.egress_roots.clone())),
            worker,
            clock: CpuClock::default(),
            used_up: RefCell::default(),
        };
        worker::run(&setting, page, process::own_descriptor(fd))
    }
}

fn check_limits(load: &Load, lanes: usize) -> Result<(), Refused> {
    let wrong = if load.fuel == 0 {
        "fuel must not be 0".to_owned()
    } else if load.wall_ms == 0 {
        "wallMs must not be 0".to_owned()
    } else if load.cpu_ms == 0 {
        "cpuMs must not be 0".to_owned()
    } else if load.requests_per_worker == 0 {
        "requestsPerWorker must not be 0".to_owned()
    } else if load.concurrency == 0 || load.concurrency > MAX_CONCURRENCY {
        format!("concurrency must be 1 to {MAX_CONCURRENCY}")
    } else if load.concurrency > load.requests_per_worker {
        "concurrency must not be more than requestsPerWorker".to_owned()
    } else if let Some(lane) = load.lanes.iter().find(|lane| **lane >= lanes) {
        format!("lane {lane} is not one of {lanes}")
    } else {
        return Ok(());
    };
    Err(Refused { reason: RefusedReason::Limits, detail: wrong })
}
