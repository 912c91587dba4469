//! All tests of the runner, in one program. Those that start it need `PLAYA_WASMTIME`, a `wasmtime` command of the
//! runner's version, to compile the guests with.

#[allow(dead_code, reason = "the tests need a part of it")]
#[path = "../../src/cgi/variables.rs"]
mod cgi_variables;
#[allow(dead_code, reason = "the tests need a part of it")]
#[path = "../../src/hardening/mod.rs"]
mod hardening;
#[path = "../../src/protocol/mod.rs"]
#[allow(dead_code, reason = "the tests need a part of it")]
mod protocol;

mod cancellation;
mod commands;
mod decoder_fuzz;
mod egress;
mod failures;
mod frame_fixtures;
mod http;
mod instance;
mod lanes;
mod limits;
mod loading;
mod streaming;
mod support;
mod system_call_filters;
