//! What can be wrong with what the spawner is told and what it starts.

use crate::support::{Spawner, TOKEN, bubblewrap, is_root};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn what_is_no_request_ends_it_in_order() {
    let long = format!("{{\"type\":\"kill\",\"id\":{}", " ".repeat(100_000));
    for line in ["{\"type\":\n", "hello\n", "\n", "{\"type\":\"dance\"}\n", "\u{fffd}\0\n", &long] {
        let mut spawner = Spawner::real();
        spawner.start_sandbox(1, 1, "sleep 1000; exit 0");
        spawner.until("it runs", |pids| pids.len() == 3);
        spawner.say_bytes(line.as_bytes());
        let (status, stderr) = spawner.ended();
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("playa-spawner: a line is "), "{stderr}");
        spawner.expect_nothing_left();
    }
}

#[test]
fn requests_that_make_no_sense_end_it_as_well() {
    let mut early = Spawner::start();
    early.start_sandbox(1, 1, "");
    assert_eq!(early.ended().0.code(), Some(2));

    let mut twice = Spawner::real();
    let again = twice.configuration("/bin/true");
    twice.say(&again);
    assert_eq!(twice.ended().0.code(), Some(2));

    let mut same = Spawner::real();
    same.start_sandbox(1, 1, "exec sleep 1000");
    same.start_sandbox(1, 1, "exec sleep 1000");
    let (status, stderr) = same.ended();
    assert_eq!(status.code(), Some(2));
    assert!(stderr.contains("there is a sandbox 1 already"), "{stderr}");
    same.expect_nothing_left();
}

#[test]
fn the_token_is_never_told() {
    let mut spawner = Spawner::start();
    let mut configure = spawner.configuration("/bin/true");
    configure["token"] = format!("{}x", &TOKEN[..63]).into();
    spawner.say(&configure);
    let (status, stderr) = spawner.ended();
    assert_eq!(status.code(), Some(2));
    assert!(stderr.contains("token") && !stderr.contains(&TOKEN[..32]), "{stderr}");
}

#[test]
fn a_bubblewrap_that_cannot_be_started_is_told_of() {
    let spawner = Spawner::start();
    let text = spawner.program("text", "no program\n");
    let data = spawner.program("data", "no program\n");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o644)).expect("its own file");
    for (path, reason) in [
        ("/no/such/bwrap", "No such file or directory"),
        (data.as_str(), "Permission denied"),
        (text.as_str(), "Exec format error"),
    ] {
        let mut spawner = Spawner::configured(path);
        spawner.start_sandbox(1, 1, "");
        let event = spawner.exited(1);
        let stderr = event["stderr"].as_str().expect("text");
        assert_eq!(event["code"], json!(null));
        assert!(stderr.contains(path) && stderr.contains(reason), "{stderr}");
        spawner.close();
        assert_eq!(spawner.ended().0.code(), Some(0));
    }
}

#[test]
fn a_bubblewrap_that_fails_is_quoted() {
    let mut spawner = Spawner::start();
    let refusing =
        spawner.program("refusing", "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n");
    let configure = spawner.configuration(&refusing);
    spawner.say(&configure);
    spawner.event();
    spawner.start_sandbox(1, 1, "");
    let event = spawner.exited(1);
    assert_eq!(event["code"], 1);
    assert_eq!(event["stderr"], "bwrap: setting up uid map: Permission denied\n");
}

#[test]
fn nothing_is_started_as_root() {
    if !is_root() {
        return;
    }
    let mut spawner = Spawner::real();
    for (id, uid) in [(1, json!(null)), (2, json!(0))] {
        spawner.say(&json!({ "type": "start", "id": id, "lanes": 1, "uid": uid, "arguments": ["/bin/true"] }));
        let event = spawner.exited(id);
        assert!(event["stderr"].as_str().expect("text").starts_with("sandboxes are never started as root"), "{event}");
    }
}

#[test]
fn a_dispatcher_that_cannot_be_reached_is_told_of() {
    let mut spawner = Spawner::start();
    let mut configure = spawner.configuration(&bubblewrap());
    configure["socketName"] = "playa-nobody-listens-here".into();
    spawner.say(&configure);
    spawner.event();
    spawner.start_sandbox(1, 1, "");
    let stderr = spawner.exited(1)["stderr"].as_str().expect("text").to_owned();
    assert!(stderr.starts_with("the dispatcher cannot be reached: "), "{stderr}");
}

#[test]
fn a_folder_that_is_there_already_is_told_of() {
    let mut spawner = Spawner::real();
    std::fs::create_dir(spawner.run_folder().join("1")).expect("a folder");
    spawner.start_sandbox(1, 1, "");
    let stderr = spawner.exited(1)["stderr"].as_str().expect("text").to_owned();
    assert!(stderr.contains("folder") && stderr.contains("File exists"), "{stderr}");
}

#[test]
fn who_starts_it_by_hand_is_told_how_it_is_started() {
    let program = env!("CARGO_BIN_EXE_playa-spawner");
    let alone = Command::new("/bin/sh").args(["-c", "exec 3>&-; exec \"$0\"", program]).output().expect("it starts");
    assert_eq!(alone.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(stderr.contains("file descriptor 3 must be a socket"), "{stderr}");
    let asked = Command::new(program).arg("--help").output().expect("it starts");
    assert_eq!(asked.status.code(), Some(64));
}
