//! What the spawner itself has to say, on standard error.

use std::fmt::Arguments;
use std::io::Write;

/// Writes one line. Nobody may be listening, which is no reason to stop.
pub fn report(message: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "playa-spawner: {message}");
}
