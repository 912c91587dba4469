//! What a worker has to say on its lane, until it is written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Frames that wait to be written, in order.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Everything before is written already.
    written: usize,
    waker: Option<Waker>,
}

/// The outgoing side of a lane; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Pending>>);

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what `write` appends: whole frames.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.lock();
        write(&mut pending.bytes);
        if let Some(waker) = pending.waker.take() {
            drop(pending);
            waker.wake();
        }
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        let pending = self.lock();
        pending.written == pending.bytes.len()
    }

    /// Asks to be woken when something is appended.
    pub fn wake_on_append(&self, waker: &Waker) {
        let mut pending = self.lock();
        if !pending.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            pending.waker = Some(waker.clone());
        }
    }

    /// Hands what is pending to `write`, which returns how many bytes it took, until nothing is left or it fails.
    ///
    /// # Errors
    /// The one that `write` gave.
    pub fn flush<E>(&self, mut write: impl FnMut(&[u8]) -> Result<usize, E>) -> Result<(), E> {
        /// A buffer that a burst has blown up is given back.
        const KEEP_BYTES: usize = 1 << 20;
        let mut pending = self.lock();
        while pending.written < pending.bytes.len() {
            let taken = write(&pending.bytes[pending.written..])?;
            pending.written += taken;
        }
        pending.written = 0;
        pending.bytes.clear();
        if pending.bytes.capacity() > KEEP_BYTES {
            pending.bytes = Vec::new();
        }
        Ok(())
    }
}
