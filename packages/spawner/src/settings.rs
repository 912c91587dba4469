//! What is the same for all sandboxes of a spawner.

use crate::folders::RunFolder;
use crate::message::{Configure, TOKEN_BYTES};
use rustix::net::SocketAddrUnix;
use std::ffi::CString;
use std::io;

/// As the dispatcher has configured it.
pub struct Settings {
    pub address: SocketAddrUnix,
    pub token: [u8; TOKEN_BYTES],
    pub folder: RunFolder,
    pub bubblewrap: CString,
    pub seccomp_filter: CString,
}

impl Settings {
    /// # Errors
    /// A path or a name is none, or the folder of the folders is not there.
    pub fn open(configure: Configure) -> io::Result<Self> {
        Ok(Self {
            address: SocketAddrUnix::new_abstract_name(configure.socket_name.as_bytes())?,
            token: configure.token,
            folder: RunFolder::open(&configure.run_directory)?,
            bubblewrap: CString::new(configure.bubblewrap)?,
            seccomp_filter: CString::new(configure.seccomp_filter)?,
        })
    }
}
