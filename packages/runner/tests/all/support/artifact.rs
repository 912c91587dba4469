//! Precompiled guests, made once and kept in Cargo's folder for tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// What artifacts are compiled with; the runner's engine is set up to match.
const FLAGS: [&str; 4] = ["-C", "cache=n", "-W", "fuel=1,epoch-interruption=y"];

/// The project's root folder.
pub fn project_root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The compiler that the tests were given.
pub fn wasmtime() -> PathBuf {
    let Some(command) = std::env::var_os("PLAYA_WASMTIME") else {
        panic!(
            "PLAYA_WASMTIME must name a wasmtime command of the runner's version; `npm test` builds one and sets it"
        );
    };
    // Relative to where the tests were started from, not to this package.
    let path = PathBuf::from(&command);
    if path.is_absolute() { path } else { project_root().join(path) }
}

/// A folder for what tests write.
pub fn scratch() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runner");
    std::fs::create_dir_all(&folder).expect("a folder for artifacts");
    folder
}

/// The triple that artifacts are compiled for.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Compiles the file `source` with more `flags` to `name`.cwasm.
pub fn compile(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let output = scratch().join(format!("{name}.cwasm"));
    let result = Command::new(wasmtime())
        .arg("compile")
        .args(if flags.is_empty() { &FLAGS[..] } else { flags })
        .args(["--target", &target(), "-o"])
        .arg(&output)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", wasmtime().display()));
    assert!(result.status.success(), "compiling {name}: {}", String::from_utf8_lossy(&result.stderr));
    output
}

/// The artifact of a guest: of a component or module in test/guests/prebuilt, or of a text in test/guests/wat.
pub fn guest(name: &str) -> PathBuf {
    static MADE: OnceLock<Mutex<HashMap<String, Arc<OnceLock<PathBuf>>>>> = OnceLock::new();
    let made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .expect("no test panics with it")
        .entry(name.into())
        .or_default()
        .clone();
    made.get_or_init(|| make(name)).clone()
}

fn make(name: &str) -> PathBuf {
    let guests = project_root().join("test/guests");
    let binary = guests.join(format!("prebuilt/{name}.wasm"));
    if binary.exists() {
        return compile(&binary, name, &[]);
    }
    text(name, &std::fs::read_to_string(guests.join(format!("wat/{name}.wat"))).expect("a guest of that name"))
}

/// The artifact of a WebAssembly text.
pub fn text(name: &str, text: &str) -> PathBuf {
    let source = scratch().join(format!("{name}.wasm"));
    std::fs::write(&source, wat::parse_str(text).expect("valid WebAssembly text")).expect("a writable folder");
    compile(&source, name, &[])
}
