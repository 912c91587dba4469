//! The sandbox from within: what a supervisor and its workers give up before they see anything of a guest.
//! docs/sandbox.md has the whole picture.

pub mod allowlist;
pub mod filter;
pub mod kernel;
pub mod rlimits;
pub mod system_call;

use filter::{Filter, OwnPid};
use seccompiler::TargetArch;
use std::io;

/// What a process of this runner may still do, in the order in which it is given up.
pub struct Hardening {
    sealed: Filter,
    worker: Filter,
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("seccomp: {error}"))
}

impl Hardening {
    /// Takes from the supervisor, and from every process that it will fork, what none of them needs after the engine is built. Compiles
    /// the filters of what comes later, so that they only have to be installed.
    ///
    /// # Errors
    /// The kernel has no seccomp, or refuses a limit.
    pub fn supervisor() -> io::Result<Self> {
        let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(invalid)?;
        kernel::forbid_dumps()?;
        kernel::stand_back();
        rlimits::limit_all()?;
        kernel::forbid_new_privileges()?;
        let supervisor = Filter::compile(&allowlist::supervisor(), arch).map_err(invalid)?;
        supervisor.install(OwnPid::current())?;
        // Here, while nobody waits: what follows is on the way of a request.
        let sealed = Filter::compile(&allowlist::loaded_supervisor(), arch).map_err(invalid)?;
        let worker = Filter::compile(&allowlist::worker(), arch).map_err(invalid)?;
        Ok(Self { sealed, worker })
    }

    /// The component is loaded: no file is opened and no memory becomes executable from here on.
    ///
    /// # Errors
    /// The kernel refuses the filter.
    pub fn seal(&self) -> io::Result<()> {
        self.sealed.install(OwnPid::current())
    }

    /// In a worker that was just forked and has nothing to set up any more: from here on it computes, and speaks on its lane.
    ///
    /// # Errors
    /// The kernel refuses the filter or a limit.
    pub fn worker(&self, cpu_seconds: Option<u64>) -> io::Result<()> {
        rlimits::limit_worker(cpu_seconds)?;
        self.worker.install(OwnPid::current())
    }
}
