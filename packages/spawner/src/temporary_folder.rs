//! A folder of a test's own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed with all that is in it when it is dropped.
pub struct TemporaryFolder {
    pub path: PathBuf,
}

impl TemporaryFolder {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("playa-spawner-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self { path }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A test that has failed has said so already.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
