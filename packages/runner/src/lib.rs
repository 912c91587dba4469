//! Runs one WebAssembly function inside a sandbox: a supervisor that forks, and workers that serve requests.

pub mod answer;
pub mod artifact;
pub mod cgi;
pub mod clock;
pub mod engine;
pub mod failure;
pub mod guest_log;
pub mod host;
pub mod http_request;
pub mod invocation;
pub mod lane;
pub mod lane_page;
pub mod limits;
pub mod outbox;
pub mod outgoing;
pub mod process;
pub mod program;
pub mod protocol;
pub mod request_body;
pub mod socket;
pub mod stdout_pipe;
pub mod stream;
pub mod supervisor;
pub mod ticker;
pub mod worker;
