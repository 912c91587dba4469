//! One sandbox: bubblewrap's outer process, what it writes, and how it ends.

use crate::children::{self, Exit};
use crate::connection::open_connection;
use crate::control_groups::ControlGroups;
use crate::inner_pid::InnerPid;
use crate::last_bytes::LastBytes;
use crate::launch::{Launcher, Program};
use crate::message::Start;
use crate::settings::Settings;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::CString;
use std::fmt::Display;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// A sandbox whose bubblewrap was started.
pub struct Sandbox {
    /// Bubblewrap's outer process, a child of the spawner.
    pub outer: Pid,
    pub inner: InnerPid,
    /// Until nobody holds its other end any more.
    pub stderr: Option<UnixStream>,
    said: LastBytes,
    /// Set when the outer process was waited for: from then on its number may be somebody else's.
    pub exit: Option<Exit>,
}

impl Sandbox {
    /// Makes folder, sockets and control group, and starts bubblewrap.
    ///
    /// # Errors
    /// What failed and why, for the operator. Folder and group may be there nonetheless.
    pub fn start(
        start: Start,
        settings: &Settings,
        groups: &ControlGroups,
        launcher: &mut Launcher,
    ) -> Result<Self, String> {
        let uid = sandbox_user(start.uid)?;
        settings.folder.make(start.id).map_err(failed("the folder of a sandbox cannot be made"))?;
        let sockets = (0..=start.lanes)
            .map(|index| open_connection(&settings.address, &settings.token, start.id, index))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed("the dispatcher cannot be reached"))?;
        let (stderr, their_stderr) = open_stderr().map_err(failed("its standard error cannot be made"))?;
        let (info, info_end) = open_pipe().map_err(failed("a pipe cannot be made"))?;
        // Opened for each: a shared one would share its offset, and the second sandbox would read nothing.
        let filter = openat(CWD, settings.seccomp_filter.as_c_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("the system call filter cannot be opened"))?;
        let group_members = groups.make(start.id, start.lanes).map_err(failed("a control group cannot be made"))?;
        let arguments = start
            .arguments
            .into_iter()
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed("an argument cannot be passed on"))?;
        let mut descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(OwnedFd::as_fd).collect();
        descriptors.extend([info_end.as_fd(), filter.as_fd()]);
        let outer = launcher
            .start(&Program {
                path: &settings.bubblewrap,
                arguments: &arguments,
                stderr: their_stderr.as_fd(),
                descriptors: &descriptors,
                uid,
                group_members: group_members.as_deref(),
            })
            .map_err(|error| {
                format!("bubblewrap {} cannot be started: {error}", settings.bubblewrap.to_string_lossy())
            })?;
        Ok(Self { outer, inner: InnerPid::new(info), stderr: Some(stderr), said: LastBytes::default(), exit: None })
    }

    /// Reads what was written to standard error, and sees when nobody can write there any more.
    pub fn read_stderr(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(pipe) = &self.stderr {
            match rustix::io::read(pipe, &mut bytes) {
                Ok(0) => self.stderr = None,
                Ok(count) => self.said.push(&bytes[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.stderr = None,
            }
        }
    }

    /// The last of what was written to standard error.
    pub fn said(&self) -> String {
        self.said.text()
    }

    /// Kills everything in it, if it is known whom to kill.
    ///
    /// It is the first process inside, never bubblewrap's outer one: killing that can leave the namespace alive
    /// (<https://github.com/containers/bubblewrap/issues/633>). Returns whether it was known.
    pub fn kill(&mut self) -> bool {
        // After the end the number may be somebody else's.
        if self.exit.is_some() {
            return true;
        }
        let inner = self.inner.read();
        if let Some(pid) = inner {
            children::kill(pid);
        }
        inner.is_some()
    }

    /// Whether all of its processes are gone: each holds standard error.
    pub fn is_over(&self) -> bool {
        self.exit.is_some() && self.stderr.is_none()
    }
}

/// The user that bubblewrap is started as. Never root: what breaks out of a sandbox would be root outside.
fn sandbox_user(uid: Option<u32>) -> Result<Option<u32>, String> {
    let is_root = rustix::process::geteuid().is_root();
    match uid {
        Some(0) => Err("sandboxes are never started as root".to_owned()),
        None if is_root => Err("sandboxes are never started as root, and no other user was named".to_owned()),
        uid => Ok(uid),
    }
}

/// Where a sandbox writes its standard error, and where it is read without blocking. A socket, as more can be done to the kernel with a pipe.
fn open_stderr() -> std::io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((ours, theirs))
}

/// A pipe whose reading end does not block.
fn open_pipe() -> std::io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = std::io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

fn failed<E: Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
