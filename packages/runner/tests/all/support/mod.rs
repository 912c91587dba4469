//! What the tests start the runner and talk to it with.

pub mod artifact;
pub mod exchange;
pub mod payload;
pub mod runner;
pub mod socket;
