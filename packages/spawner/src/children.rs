//! The spawner's children: waiting for them, ending them, and those that it did not start.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use std::fs;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// The next child that has ended, without waiting.
pub fn reap() -> Option<(Pid, Exit)> {
    let (pid, status) = wait(WaitOptions::NOHANG).ok().flatten()?;
    Some((pid, Exit { code: status.exit_status(), signal: status.terminating_signal() }))
}

/// Kills a process. It may have ended already.
pub fn kill(pid: Pid) {
    // ESRCH is all that can be said of one's own sandbox, and means that there is nothing to do.
    let _ = kill_process(pid, Signal::KILL);
}

/// Kills all children that the spawner did not start.
///
/// What is left of a sandbox whose bubblewrap was ended by somebody else comes to the spawner (`PR_SET_CHILD_SUBREAPER`). Most of it dies with its parent;
/// but where that ended while it set the sandbox up, the first process inside waits for ever (<https://github.com/containers/bubblewrap/issues/633>).
pub fn kill_orphans(is_own: impl Fn(Pid) -> bool) {
    let pid = std::process::id();
    // Where the kernel does not tell, a later server does it (`stragglers.ts`).
    let Ok(children) = fs::read_to_string(format!("/proc/self/task/{pid}/children")) else { return };
    for child in children.split_ascii_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)) {
        if !is_own(child) {
            kill(child);
        }
    }
}
