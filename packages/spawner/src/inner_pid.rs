//! Where bubblewrap tells the process id of the first process inside a sandbox.

use rustix::io::Errno;
use rustix::process::Pid;
use serde::Deserialize;
use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd};

/// It writes less than two hundred bytes.
const MAX_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "child-pid")]
    child_pid: i32,
}

/// The pipe of `--info-fd`. It is read when the process is to be killed: most sandboxes are ready long before.
pub struct InnerPid {
    pipe: PipeReader,
    text: Vec<u8>,
    known: Option<Pid>,
}

impl InnerPid {
    /// Takes a pipe that does not block.
    pub fn new(pipe: PipeReader) -> Self {
        Self { pipe, text: Vec::new(), known: None }
    }

    /// The first process inside; `None` as long as bubblewrap has not said it.
    pub fn read(&mut self) -> Option<Pid> {
        let mut bytes = [0; 512];
        while self.known.is_none() && self.text.len() < MAX_BYTES {
            match rustix::io::read(&self.pipe, &mut bytes) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
                Ok(count) => self.text.extend_from_slice(&bytes[..count]),
            }
            // Until it is whole, it is not JSON.
            let info = serde_json::from_slice::<Info>(&self.text).ok();
            self.known = info.and_then(|info| Pid::from_raw(info.child_pid)).filter(|pid| pid.as_raw_pid() > 1);
        }
        self.known
    }
}

impl AsFd for InnerPid {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read_in_pieces(pieces: &[&str]) -> Vec<Option<i32>> {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&reader, true).expect("it does not block");
        let mut inner = InnerPid::new(reader);
        let read = |piece: &&str| {
            writer.write_all(piece.as_bytes()).expect("there is room");
            inner.read().map(Pid::as_raw_pid)
        };
        pieces.iter().map(read).collect()
    }

    #[test]
    fn it_is_known_as_soon_as_all_of_it_was_said() {
        assert_eq!(read_in_pieces(&["", "{\n    \"child-pid\": 12", "34\n", "}\n"]), [None, None, None, Some(1234)]);
        assert_eq!(read_in_pieces(&["{\"child-pid\": 7, \"net-namespace\": 4026531840}"]), [Some(7)]);
    }

    #[test]
    fn never_a_number_that_would_mean_others() {
        for pid in ["0", "1", "-1", "-1234", "99999999999", "\"7\""] {
            assert_eq!(read_in_pieces(&[&format!("{{\"child-pid\": {pid}}}")]), [None], "{pid}");
        }
    }
}
