//! Waiting for whatever comes first.

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Events that are taken at once.
const BATCH: usize = 64;

/// What can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Dispatcher,
    /// Children have ended.
    Children,
    /// The standard error of a sandbox.
    Stderr(u32),
    /// Where bubblewrap tells what is inside a sandbox.
    InnerPid(u32),
}

impl Source {
    fn number(self) -> u64 {
        let (kind, id) = match self {
            Self::Dispatcher => (0, 0),
            Self::Children => (1, 0),
            Self::Stderr(id) => (2, id),
            Self::InnerPid(id) => (3, id),
        };
        u64::from(id) << 2 | kind
    }

    fn of(number: u64) -> Self {
        let id = (number >> 2) as u32;
        match number & 3 {
            0 => Self::Dispatcher,
            1 => Self::Children,
            2 => Self::Stderr(id),
            _ => Self::InnerPid(id),
        }
    }
}

/// A set of sources. What is closed leaves it by itself.
pub struct Watch {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Watch {
    /// # Errors
    /// What `epoll_create1` says.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(BATCH) })
    }

    /// # Errors
    /// What `epoll_ctl` says.
    pub fn add(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        // Once for each look at an inner process: its pipe stays readable when it was closed at the other end.
        let flags = match source {
            Source::InnerPid(_) => epoll::EventFlags::IN | epoll::EventFlags::ET,
            _ => epoll::EventFlags::IN,
        };
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(source.number()), flags)?)
    }

    /// # Errors
    /// What `epoll_ctl` says.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something can be read, or for so long; `None` is for ever. Returns what can be read, which may be nothing.
    ///
    /// # Errors
    /// What `epoll_wait` says.
    pub fn wait(&mut self, timeout_ms: Option<u64>) -> io::Result<Vec<Source>> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ms % 1_000 * 1_000_000).unwrap_or(0),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.iter().map(|event| Source::of(event.data.u64())).collect()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_source_is_known_again() {
        for source in
            [Source::Dispatcher, Source::Children, Source::Stderr(0), Source::Stderr(u32::MAX), Source::InnerPid(7)]
        {
            assert_eq!(Source::of(source.number()), source);
        }
    }

    #[test]
    fn what_can_be_read_is_named_and_nothing_else() {
        let mut watch = Watch::new().expect("an epoll");
        let pipes: Vec<_> = (0..3).map(|_| std::io::pipe().expect("a pipe")).collect();
        for ((reader, _), id) in pipes.iter().zip(0..) {
            watch.add(reader, Source::Stderr(id)).expect("it can be watched");
        }
        assert_eq!(watch.wait(Some(0)).expect("it works"), []);
        (&pipes[1].1).write_all(b"a").expect("there is room");
        assert_eq!(watch.wait(None).expect("it works"), [Source::Stderr(1)]);
        watch.remove(&pipes[1].0).expect("it was watched");
        assert_eq!(watch.wait(Some(0)).expect("it works"), []);
    }
}
