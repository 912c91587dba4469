//! One control group for each sandbox (<https://docs.kernel.org/admin-guide/cgroup-v2.html>), where the server may make them.

use crate::message::ControlGroupState;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// The group of the server's own processes: where controllers are handed on, a group may hold no processes itself.
const SERVER_GROUP: &str = "playa-server";
/// What the groups of sandboxes are called; the sandbox's number follows.
const SANDBOX_GROUP: &str = "playa-sandbox-";
/// The default weight is 100: sandboxes share among themselves, and the server comes first.
const SERVER_CPU_WEIGHT: &str = "1000";
/// Bubblewrap's two processes, the supervisor, and workers that have ended and are not waited for yet.
const OTHER_PROCESSES: u32 = 16;

/// Where control groups are looked for.
pub struct Host {
    /// Where the hierarchy is mounted; `None` where it is not.
    pub mount: Option<PathBuf>,
    /// The group that this process is in.
    pub group: String,
    /// The processes of the server itself.
    pub server_pids: Vec<u32>,
    pub memory_bytes: u64,
}

impl Host {
    /// What is known of this host.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn describe() -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
        Ok(Self {
            mount: mount.and_then(|line| Some(line.split(' ').nth(4)?.into())),
            group: groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_owned(),
            server_pids: vec![std::process::id(), std::os::unix::process::parent_id()],
            memory_bytes: kilobytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024,
        })
    }
}

/// The groups of the sandboxes.
pub struct ControlGroups {
    pub state: ControlGroupState,
    base: Option<PathBuf>,
    /// No sandbox takes the whole machine's memory; what a function may have is enforced by the runner.
    max_bytes: u64,
}

impl ControlGroups {
    /// Takes over the group that the server runs in, if that is its own. Without groups the other layers hold.
    pub fn open(host: io::Result<Host>) -> Self {
        match host.and_then(|host| Ok((take_over(&host)?, host))) {
            Ok((base, host)) => Self {
                state: ControlGroupState {
                    available: true,
                    detail: format!("{} in {}", CONTROLLERS.join(", "), base.display()),
                },
                base: Some(base),
                max_bytes: host.memory_bytes / 4 * 3,
            },
            Err(error) => Self {
                state: ControlGroupState { available: false, detail: error.to_string() },
                base: None,
                max_bytes: 0,
            },
        }
    }

    /// Makes the group of a sandbox. Returns where a process writes `0` to become a member; what it forks from then on is one as well.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self, id: u32, lanes: u32) -> io::Result<Option<CString>> {
        let Some(group) = self.group(id) else { return Ok(None) };
        fs::create_dir_all(&group)?;
        fs::write(group.join("memory.max"), self.max_bytes.to_string())?;
        // The kernel picks a victim; without this the rest of the sandbox would go on without it.
        fs::write(group.join("memory.oom.group"), "1")?;
        fs::write(group.join("pids.max"), lanes.saturating_add(OTHER_PROCESSES).to_string())?;
        Ok(Some(CString::new(group.join("cgroup.procs").into_os_string().into_vec())?))
    }

    /// Kills everything in the group at once; does nothing where there is none.
    pub fn kill(&self, id: u32) {
        let Some(group) = self.group(id) else { return };
        // Opened, not made: it may be gone, or the kernel older than it.
        let file = fs::OpenOptions::new().write(true).open(group.join("cgroup.kill"));
        let _ = file.and_then(|mut file| io::Write::write_all(&mut file, b"1"));
    }

    /// Removes the group of a sandbox that has ended.
    pub fn remove(&self, id: u32) {
        let Some(group) = self.group(id) else { return };
        // One that is still in use stays until the next spawner comes.
        let _ = fs::remove_dir(group);
    }

    fn group(&self, id: u32) -> Option<PathBuf> {
        Some(self.base.as_ref()?.join(format!("{SANDBOX_GROUP}{id}")))
    }
}

fn take_over(host: &Host) -> io::Result<PathBuf> {
    let Some(mount) = &host.mount else {
        return Err(io::Error::other("control groups of version 2 are not mounted"));
    };
    let mut base = mount.join(host.group.trim_start_matches('/'));
    // A spawner that had to be started again finds itself where its predecessor was put.
    if base.ends_with(SERVER_GROUP) {
        base.pop();
    }
    let delegated = read(&base.join("cgroup.controllers"))?;
    let missing: Vec<_> =
        CONTROLLERS.into_iter().filter(|name| !delegated.split_whitespace().any(|word| word == *name)).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(io::Error::other(format!("the controllers {missing} are not delegated to {}", base.display())));
    }
    let members: Vec<u32> = read(&base.join("cgroup.procs"))?.lines().filter_map(|line| line.parse().ok()).collect();
    if members.iter().any(|pid| !host.server_pids.contains(pid)) {
        return Err(io::Error::other(format!(
            "other processes share the server's control group {}; give it one of its own (Delegate=yes)",
            base.display()
        )));
    }
    let server = base.join(SERVER_GROUP);
    fs::create_dir_all(&server)?;
    for pid in members {
        write(&server.join("cgroup.procs"), &pid.to_string())?;
    }
    write(&base.join("cgroup.subtree_control"), &CONTROLLERS.map(|name| format!("+{name}")).join(" "))?;
    write(&server.join("cpu.weight"), SERVER_CPU_WEIGHT)?;
    remove_left_behind(&base)?;
    Ok(base)
}

/// Removes the groups of sandboxes whose spawner was killed. Those that still end stay.
fn remove_left_behind(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(SANDBOX_GROUP.as_bytes()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| named(&error, path))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| named(&error, path))
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
