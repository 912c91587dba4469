//! Why an invocation failed: Wasmtime's errors in the words of the protocol.

use crate::protocol::done::Outcome;
use std::fmt::Write;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Frames of the guest's stack that a detail names.
const NAMED_FRAMES: usize = 5;

/// An outcome that is not `ok`, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub outcome: Outcome,
    pub detail: String,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into() }
    }

    /// What an error means that ended a guest. `memory_refused`: it was denied memory before.
    pub fn from_guest_error(error: &wasmtime::Error, memory_refused: bool) -> Self {
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Self::from_trap(*trap, error, memory_refused);
        }
        if memory_refused {
            return Self::new(Outcome::MemoryExceeded, format!("memory was refused before: {error:#}"));
        }
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return if *code == 0 {
                Self::new(Outcome::NoResponse, "the guest exited before it had answered")
            } else {
                Self::new(Outcome::Trap, format!("exit: the guest exited with code {code}"))
            };
        }
        Self::new(Outcome::Trap, format!("host: {error:#}"))
    }

    fn from_trap(trap: Trap, error: &wasmtime::Error, memory_refused: bool) -> Self {
        match trap {
            Trap::OutOfFuel => Self::new(Outcome::FuelExhausted, "all fuel is consumed"),
            Trap::Interrupt => Self::wall_exceeded(),
            Trap::StackOverflow => Self::new(Outcome::StackOverflow, "the call stack is exhausted"),
            _ if memory_refused => Self::new(Outcome::MemoryExceeded, format!("memory was refused before: {trap}")),
            _ => {
                let mut detail = format!("{}: {trap}", kind(trap));
                if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
                    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
                    for (index, name) in names.take(NAMED_FRAMES).enumerate() {
                        // Writing to a string cannot fail.
                        let _ = write!(detail, "{} {name}", if index == 0 { ", in" } else { " <" });
                    }
                }
                Self::new(Outcome::Trap, detail)
            }
        }
    }

    /// The wall clock limit was reached.
    pub fn wall_exceeded() -> Self {
        Self::new(Outcome::WallExceeded, "the time limit is reached")
    }
}

/// A word for each trap, which callers may rely on.
fn kind(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::HeapMisaligned => "heap_misaligned",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull => "indirect_call_to_null",
        Trap::BadSignature => "bad_signature",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_division_by_zero",
        Trap::BadConversionToInteger => "bad_conversion_to_integer",
        Trap::NullReference => "null_reference",
        Trap::ArrayOutOfBounds => "array_out_of_bounds",
        Trap::AllocationTooLarge => "allocation_too_large",
        Trap::CastFailure => "cast_failure",
        Trap::CannotEnterComponent => "cannot_enter_component",
        _ => "other",
    }
}
