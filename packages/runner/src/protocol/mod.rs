//! The runner protocol: frames, what they carry, and how they are read and written. See docs/runner-protocol.md.

pub mod control;
pub mod decoder;
pub mod done;
pub mod egress;
pub mod frame;
pub mod headers;
pub mod request;
pub mod response;
pub mod text;
