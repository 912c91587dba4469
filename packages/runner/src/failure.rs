//! Why an invocation failed: Wasmtime's errors in the words of the protocol.

use crate::cpu_budget::CpuExceeded;
use crate::limits::Refusal;
use crate::protocol::done::Outcome;
use std::fmt::Write;
use wasmtime::component::ResourceTableError;
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

    /// What an error means that ended a guest. `refusal`: what it was denied before.
    pub fn from_guest_error(error: &wasmtime::Error, refusal: Option<Refusal>) -> Self {
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Self::from_trap(*trap, error, refusal);
        }
        if error.downcast_ref::<CpuExceeded>().is_some() {
            return Self::cpu_exceeded();
        }
        // What wraps the cause is the guest's stack.
        let cause = error.root_cause();
        if is_beyond_resources(error) {
            return Self::new(Outcome::ResourceExceeded, cause.to_string());
        }
        if let Some(refusal) = refusal {
            return Self::refused(refusal, &cause.to_string());
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

    fn from_trap(trap: Trap, error: &wasmtime::Error, refusal: Option<Refusal>) -> Self {
        match (trap, refusal) {
            (Trap::OutOfFuel, _) => Self::new(Outcome::FuelExhausted, "all fuel is consumed"),
            (Trap::Interrupt, _) => Self::wall_exceeded(),
            (Trap::NoAsyncResult, _) => Self::new(Outcome::NoResponse, "the guest ended without a response"),
            (Trap::StackOverflow, _) => Self::new(Outcome::StackOverflow, "the call stack is exhausted"),
            (_, Some(refusal)) => Self::refused(refusal, &describe(trap)),
            (_, None) => {
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

    /// A guest that was refused something came to nothing.
    pub fn refused(refusal: Refusal, end: &str) -> Self {
        match refusal {
            Refusal::Memory => Self::new(Outcome::MemoryExceeded, format!("memory was refused: {end}")),
            Refusal::TableElements => {
                Self::new(Outcome::ResourceExceeded, format!("elements of a table were refused: {end}"))
            }
        }
    }

    /// The limit of CPU time was reached.
    pub fn cpu_exceeded() -> Self {
        Self::new(Outcome::CpuExceeded, CpuExceeded.to_string())
    }

    /// The wall clock limit was reached.
    pub fn wall_exceeded() -> Self {
        Self::new(Outcome::WallExceeded, "the time limit is reached")
    }
}

/// Whether a host function or an instantiation failed for want of a place. Only one of Wasmtime's errors has a type.
fn is_beyond_resources(error: &wasmtime::Error) -> bool {
    const TEXTS: [&str; 4] = [
        "resource limit exceeded",
        "store handle limit exceeded",
        "fuel allocated for hostcalls has been exhausted",
        "requested len",
    ];
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return true;
    }
    let cause = error.root_cause().to_string();
    cause == ResourceTableError::Full.to_string() || TEXTS.iter().any(|text| cause.contains(text))
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
