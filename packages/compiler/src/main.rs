//! `wasmtime`, cut down to the commands that build-cwasm needs, so that one lock file pins compiler and runner together.

use std::process::ExitCode;

use clap::Parser;
use wasmtime_cli::commands::{CompileCommand, SettingsCommand};

/// Compiles WebAssembly ahead of time: Wasmtime's own `compile` and `settings`, and no other command of it.
#[derive(Parser)]
#[allow(clippy::large_enum_variant, reason = "there is one, for the length of the program")]
#[command(name = "wasmtime", version = wasmtime_environ::VERSION)]
enum Command {
    /// Compiles a WebAssembly module or component
    Compile(CompileCommand),
    /// Displays the Cranelift settings of a target
    Settings(SettingsCommand),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Compile(command) => command.execute(),
        Command::Settings(command) => command.execute(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As the full command prints it: the error and its causes.
            eprintln!("Error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
