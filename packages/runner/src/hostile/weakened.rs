//! `playa-weakened-runner`: the hostile runner that gives up nothing. It belongs to the tests alone, which show with it that a check of the
//! sandbox can fail.

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
    stand_in::main(false)
}
