//! `playa-spawner`: starts and ends sandboxes for the dispatcher, which is at the other end of file descriptor 3, so that the dispatcher never forks.
//!
//! It outlives the dispatcher by as long as it takes to kill what it started and to remove the run folder. It has one thread, and knows nothing of
//! bubblewrap's options: the dispatcher sends the arguments (`sandbox-command.ts`).

mod children;
mod connection;
mod control_groups;
mod dispatcher;
mod folders;
mod inner_pid;
mod last_bytes;
mod late_kills;
mod launch;
mod line_buffer;
mod message;
mod report;
mod sandbox;
mod settings;
mod signals;
mod spawner;
mod standing;
#[cfg(test)]
mod temporary_folder;
mod watch;

use report::report;
use spawner::{End, Spawner};
use std::process::ExitCode;

/// The dispatcher is gone: the ordinary end.
const EXIT_CLOSED: u8 = 0;
/// The spawner could not do its work; standard error says why.
const EXIT_INTERNAL: u8 = 1;
/// The dispatcher said what is no request.
const EXIT_VIOLATION: u8 = 2;
/// The command line is wrong.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        report(format_args!("there are no arguments; `playa serve` starts this program"));
        return ExitCode::from(EXIT_USAGE);
    }
    match standing::prepare().and_then(Spawner::new).map(Spawner::run) {
        Ok(End::Closed) => ExitCode::from(EXIT_CLOSED),
        Ok(End::Violation(violation)) => {
            report(format_args!("{}; build the server and its spawner from the same sources", violation.0));
            ExitCode::from(EXIT_VIOLATION)
        }
        Ok(End::Broken(error)) | Err(error) => {
            report(format_args!("{error}"));
            ExitCode::from(EXIT_INTERNAL)
        }
    }
}
