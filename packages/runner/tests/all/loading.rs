//! LOAD: what is loaded, and what is refused and why.

use crate::protocol::frame::FrameType;
use crate::support::artifact::{compile, guest, project_root, scratch, text, wasmtime};
use crate::support::exchange::{get, invoke};
use crate::support::runner::Runner;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The reason and the detail with which a file is refused; the runner ends after it.
fn refusal(artifact: &Path, changes: Value) -> (String, String) {
    let mut runner = Runner::start(1);
    runner.send_load(artifact, changes);
    let (frame_type, payload) = runner.said();
    assert_eq!(frame_type, FrameType::Refused, "{payload}");
    runner.control.stream.shutdown(std::net::Shutdown::Both).expect("an open socket");
    assert_eq!(runner.child.wait().expect("a child").code(), Some(3));
    let part = |name: &str| payload[name].as_str().expect("text").to_owned();
    (part("reason"), part("detail"))
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, bytes).expect("a writable folder");
    path
}

#[test]
fn every_world_is_recognised() {
    for (name, kind, world) in [
        ("probe", "component", "http-0.2"),
        ("probe-0-3", "component", "http-0.3"),
        ("command-component", "component", "command"),
        ("command-module", "module", "module"),
    ] {
        let mut runner = Runner::start(1);
        runner.send_load(&guest(name), json!({ "kind": kind }));
        let (frame_type, payload) = runner.said();
        assert_eq!((frame_type, &payload["world"]), (FrameType::Loaded, &json!(world)), "{name}");
        assert!(payload["loadUs"].is_u64());
        let answer = invoke(&mut runner, &get("/"));
        assert_eq!((answer.status, answer.done.outcome.name()), (200, "ok"), "{name}: {}", answer.done.detail);
        assert_eq!(runner.close().code(), Some(0));
    }
}

#[test]
fn hello_names_the_versions() {
    let runner = Runner::start(3);
    let named = runner.hello["wasmtime"].as_str().expect("text");
    let version = Command::new(wasmtime()).arg("--version").output().expect("a compiler");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.trim().ends_with(named), "{version}");
    let lock = std::fs::read_to_string(project_root().join("Cargo.lock")).expect("the lock file");
    let locked = lock.split_once("name = \"wasmtime\"\nversion = \"").expect("wasmtime is locked").1;
    assert!(locked.starts_with(&format!("{named}\"")));
    let expected = json!({ "protocol": 1, "runner": env!("CARGO_PKG_VERSION"), "wasmtime": named, "lanes": 3 });
    assert_eq!(runner.hello, expected);
}

#[test]
fn what_is_no_artifact_is_refused() {
    let whole = std::fs::read(guest("silent")).expect("an artifact");
    let files = [
        file("empty.cwasm", b""),
        file(
            "random.cwasm",
            &(0..5_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
        ),
        file("truncated.cwasm", &whole[..whole.len() / 2]),
        file("component.cwasm", &wat::parse_str("(component)").expect("valid text")),
        file("elf.cwasm", &std::fs::read(env!("CARGO_BIN_EXE_playa-runner")).expect("a program")),
    ];
    for file in files {
        let (reason, detail) = refusal(&file, json!({}));
        assert_eq!(reason, "not_an_artifact", "{}: {detail}", file.display());
    }
    // A module where a component was announced, and the other way round.
    assert_eq!(refusal(&guest("command-module"), json!({})).0, "not_an_artifact");
    assert_eq!(refusal(&guest("probe"), json!({ "kind": "module" })).0, "not_an_artifact");
}

#[test]
fn a_missing_file_is_no_fault_of_the_artifact() {
    let (reason, detail) = refusal(&scratch().join("missing.cwasm"), json!({}));
    assert_eq!(reason, "internal");
    assert!(detail.contains("No such file"), "{detail}");
}

#[test]
fn an_artifact_of_another_engine_is_refused() {
    let source = project_root().join("test/guests/prebuilt/command-component.wasm");
    let without_fuel = compile(&source, "without-fuel", &["-C", "cache=n", "-W", "epoch-interruption=y"]);
    let (reason, detail) = refusal(&without_fuel, json!({}));
    assert_eq!(reason, "settings");
    assert!(detail.contains("fuel"), "{detail}");
    // The major version stands in the file as text, after its length.
    let mut changed = std::fs::read(guest("silent")).expect("an artifact");
    let at = changed.windows(3).position(|window| window == b"\x0248").expect("the version");
    changed[at + 1..at + 3].copy_from_slice(b"47");
    let (reason, detail) = refusal(&file("version.cwasm", &changed), json!({}));
    assert_eq!(reason, "version", "{detail}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn an_artifact_for_features_that_the_processor_lacks_is_refused() {
    if std::arch::is_x86_feature_detected!("avx512vbmi") {
        // Then there is nothing that the compiler knows and this processor lacks.
        return;
    }
    let source = project_root().join("test/guests/prebuilt/command-component.wasm");
    let flags = ["-C", "cache=n", "-W", "fuel=1,epoch-interruption=y", "-C", "cranelift-has-avx512vbmi=true"];
    let (reason, detail) = refusal(&compile(&source, "avx512vbmi", &flags), json!({}));
    assert_eq!(reason, "cpu", "{detail}");
}

#[test]
fn what_cannot_be_called_is_refused_by_name() {
    for (name, kind, said) in [
        ("unknown-import", "component", "acme:unknown/thing"),
        ("other-world", "component", "wasi:http/incoming-handler"),
        ("wrong-handler", "component", "wasi:http/incoming-handler"),
        ("foreign-module", "module", "env::launch"),
        ("library-module", "module", "_start"),
        ("wrong-start-module", "module", "_start"),
    ] {
        let (reason, detail) = refusal(&guest(name), json!({ "kind": kind }));
        assert_eq!(reason, "world", "{name}: {detail}");
        assert!(detail.contains(said), "{name}: {detail}");
    }
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let silent = guest("silent");
    for changes in [
        json!({ "fuel": 0 }),
        json!({ "wallMs": 0 }),
        json!({ "requestsPerWorker": 0 }),
        json!({ "concurrency": 0 }),
        json!({ "concurrency": 2 }),
        json!({ "concurrency": 1_001, "requestsPerWorker": 2_000 }),
        json!({ "lanes": [1] }),
    ] {
        let (reason, detail) = refusal(&silent, changes.clone());
        assert_eq!(reason, "limits", "{changes}: {detail}");
    }
}

#[test]
fn a_command_line_that_is_wrong_is_refused() {
    for arguments in [&["none"][..], &["0"], &["1001"], &["1", "2"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_playa-runner")).args(arguments).output().expect("the runner starts");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage"), "{arguments:?}");
    }
    // The sockets are missing.
    let output = Command::new(env!("CARGO_BIN_EXE_playa-runner")).output().expect("the runner starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("file descriptor 3"));
}

#[test]
fn the_smallest_modules_run() {
    // A command that does nothing gives no answer, and is no error of the runner.
    let nothing = text("nothing-module", r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let mut runner = Runner::load(&nothing, 1, json!({ "kind": "module" }));
    let answer = invoke(&mut runner, &get("/"));
    assert_eq!(answer.done.outcome.name(), "no_response");
}
