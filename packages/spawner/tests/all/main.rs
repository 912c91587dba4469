//! The shipped spawner with the system's bubblewrap; the test is the dispatcher.

mod endings;
mod faults;
mod sandboxes;
mod support;
