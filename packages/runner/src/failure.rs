//! Why an invocation failed: Wasmtime's errors in the words of the protocol.

use crate::protocol::done::Outcome;
use std::fmt::Write;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

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
        // What wraps the cause is the guest's stack.
        let cause = error.root_cause();
        if memory_refused {
            return Self::new(Outcome::MemoryExceeded, format!("memory was refused: {cause}"));
        }
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return if *code == 0 {
                Self::new(Outcome::NoResponse, "the guest exited before it had answered")
            } else {
                Self::new(Outcome::Trap, format!("exit: the guest exited with code {code}"))
            };
        }
        if let Some(error @ (FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig)) = error.downcast_ref() {
            return Self::new(Outcome::HeaderTooLarge, format!("the guest made too large a list of fields: {error}"));
        }
        Self::new(Outcome::Trap, format!("host: {cause}"))
    }

    fn from_trap(trap: Trap, error: &wasmtime::Error, memory_refused: bool) -> Self {
        match trap {
            Trap::OutOfFuel => Self::new(Outcome::FuelExhausted, "all fuel is consumed"),
            Trap::Interrupt => Self::wall_exceeded(),
            Trap::NoAsyncResult => Self::new(Outcome::NoResponse, "the guest ended without a response"),
            Trap::StackOverflow => Self::new(Outcome::StackOverflow, "the call stack is exhausted"),
            _ if memory_refused => {
                Self::new(Outcome::MemoryExceeded, format!("memory was refused before: {}", describe(trap)))
            }
            _ => {
                let mut detail = format!("{}: {}", kind(trap), describe(trap));
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

/// A word for each trap, which callers may rely on: Wasmtime's own, as in `integer_division_by_zero`.
fn kind(trap: Trap) -> String {
    if trap == Trap::UnreachableCodeReached {
        return "unreachable".to_owned();
    }
    let mut kind = String::new();
    for char in format!("{trap:?}").chars() {
        if char.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('_');
        }
        kind.push(char.to_ascii_lowercase());
    }
    kind
}

/// What Wasmtime says of a trap, without its prefix.
fn describe(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}
