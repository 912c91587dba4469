//! `playa-runner [LANES]`: file descriptor 3 is the control socket, 4 … 3+LANES are the lanes (8 unless told).

mod active_wait;
mod answer;
mod artifact;
mod call;
mod cgi;
mod clock;
mod control_socket;
mod cpu_budget;
mod egress;
mod engine;
mod failure;
mod function;
mod guest_log;
mod hardening;
mod host;
mod http_request;
mod invocation;
mod lane;
mod lane_page;
mod limits;
mod outbox;
mod outgoing;
mod process;
mod program;
mod protocol;
mod receive_window;
mod report;
mod request_body;
mod socket;
mod stdout_pipe;
mod stream;
mod supervisor;
mod ticker;
mod watch;
mod worker;

use report::report;
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use supervisor::{End, Supervisor};

/// The control socket was closed: the ordinary end.
const EXIT_CLOSED: u8 = 0;
/// The runner could not do its work; standard error says why.
const EXIT_INTERNAL: u8 = 1;
/// The dispatcher broke the protocol.
const EXIT_VIOLATION: u8 = 2;
/// The artifact cannot be served; REFUSED says why.
const EXIT_REFUSED: u8 = 3;
/// The command line is wrong.
const EXIT_USAGE: u8 = 64;

const DEFAULT_LANES: usize = 8;
const MAX_LANES: usize = 1_000;

fn main() -> ExitCode {
    let lanes = match lane_count() {
        Ok(lanes) => lanes,
        Err(message) => {
            report(format_args!("{message}\nusage: playa-runner [LANES]"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let supervisor = process::inherited_sockets(lanes).and_then(|(control, lanes)| Supervisor::new(control, lanes));
    // The process ends after it, which frees everything at once; to take it apart would be time lost.
    match supervisor.map(|supervisor| ManuallyDrop::new(supervisor).run()) {
        Ok(End::Closed) => ExitCode::from(EXIT_CLOSED),
        Ok(End::Refused) => ExitCode::from(EXIT_REFUSED),
        Ok(End::Violation(violation)) => {
            report(format_args!("{violation}"));
            ExitCode::from(EXIT_VIOLATION)
        }
        Ok(End::Broken(error)) | Err(error) => {
            report(format_args!("{error}"));
            ExitCode::from(EXIT_INTERNAL)
        }
    }
}

fn lane_count() -> Result<usize, String> {
    // The first is the program's own name.
    let mut arguments = std::env::args().skip(1);
    let lanes = match arguments.next() {
        None => DEFAULT_LANES,
        Some(text) => text.parse().map_err(|_| format!("{text:?} is not a number of lanes"))?,
    };
    if arguments.next().is_some() {
        return Err("there is one argument at most".to_owned());
    }
    if !(1..=MAX_LANES).contains(&lanes) {
        return Err(format!("the number of lanes must be 1 to {MAX_LANES}"));
    }
    Ok(lanes)
}
