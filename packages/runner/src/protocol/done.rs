//! The payload of DONE: how an invocation ended and what it used.

use super::text::write_text16;

/// The longest detail that DONE carries.
pub const MAX_DETAIL_BYTES: usize = 4_096;

/// How an invocation ended, as far as a worker can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    FuelExhausted,
    CpuExceeded,
    WallExceeded,
    MemoryExceeded,
    ResourceExceeded,
    StackOverflow,
    Trap,
    NoResponse,
    ResponseInvalid,
    HeaderTooLarge,
    Cancelled,
    Internal,
}

impl Outcome {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::FuelExhausted => "fuel_exhausted",
            Self::CpuExceeded => "cpu_exceeded",
            Self::WallExceeded => "wall_exceeded",
            Self::MemoryExceeded => "memory_exceeded",
            Self::ResourceExceeded => "resource_exceeded",
            Self::StackOverflow => "stack_overflow",
            Self::Trap => "trap",
            Self::NoResponse => "no_response",
            Self::ResponseInvalid => "response_invalid",
            Self::HeaderTooLarge => "header_too_large",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// The account of one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub outcome: Outcome,
    /// For people; cut to [`MAX_DETAIL_BYTES`] when written.
    pub detail: String,
    pub fuel: u64,
    pub cpu_us: u64,
    pub wall_us: u64,
    pub peak_memory_bytes: u64,
    pub worker: u32,
}

impl Done {
    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_text16(out, self.outcome.name().as_bytes());
        write_text16(out, &self.detail.as_bytes()[..self.detail.floor_char_boundary(MAX_DETAIL_BYTES)]);
        for number in [self.fuel, self.cpu_us, self.wall_us, self.peak_memory_bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.worker.to_le_bytes());
    }
}
