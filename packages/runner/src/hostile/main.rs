//! `playa-hostile-runner [LANES]`: stands in for a runner that was taken over. It speaks the protocol and gives up exactly what the
//! runner gives up, with the same code; then it tries, for each request, the attack that the path names, in a process that is made as a worker is.
//! `playa doctor` starts it in the place of the runner.

mod attack;
mod attempt;
mod forged_frames;
#[path = "../hardening/mod.rs"]
mod hardening;
#[path = "../process.rs"]
#[allow(dead_code, reason = "a stand-in is never drained")]
mod process;
#[path = "../protocol/mod.rs"]
#[allow(dead_code, reason = "a stand-in needs a part of it")]
mod protocol;
mod stand_in;

use std::process::ExitCode;

fn main() -> ExitCode {
    stand_in::main(true)
}
