//! How much the other side may still send on a stream: a body of an invocation, or an outgoing connection.

use crate::outbox::Outbox;
use crate::protocol::frame::{FrameType, INITIAL_CREDIT_BYTES, Violation, violation, write_frame};
use bytes::Bytes;

/// Credit is given back in portions, so that a stream of small chunks does not answer each with a frame.
const GRANT_BYTES: u32 = INITIAL_CREDIT_BYTES / 4;

/// The credit of one direction, on the side that receives.
#[derive(Debug)]
pub struct ReceiveWindow {
    /// Bytes that may still come.
    granted: u32,
    /// Bytes that were passed on and not granted again yet.
    passed_on: u32,
}

impl Default for ReceiveWindow {
    fn default() -> Self {
        Self { granted: INITIAL_CREDIT_BYTES, passed_on: 0 }
    }
}

impl ReceiveWindow {
    /// A BODY frame has come.
    ///
    /// # Errors
    /// It is empty, or more than was granted.
    pub fn take(&mut self, chunk: &Bytes) -> Result<(), Violation> {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        if length == 0 {
            return violation("BODY without bytes");
        }
        if length > self.granted {
            return violation("BODY of more bytes than were granted");
        }
        self.granted -= length;
        Ok(())
    }

    /// So many bytes were passed on: grants them again with a CREDIT frame when they are enough, and `is_open` says that more may come.
    pub fn pass_on(&mut self, bytes: usize, is_open: bool, stream: u32, outbox: &Outbox) {
        self.passed_on += u32::try_from(bytes).unwrap_or(u32::MAX);
        if self.passed_on < GRANT_BYTES || !is_open {
            return;
        }
        let credit = std::mem::take(&mut self.passed_on);
        self.granted += credit;
        outbox.append(|out| {
            write_frame(out, FrameType::Credit, stream, |out| out.extend_from_slice(&credit.to_le_bytes()));
        });
    }
}
