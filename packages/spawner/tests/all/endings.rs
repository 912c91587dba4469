//! How sandboxes and the spawner end, and that nothing is left.

use crate::support::Spawner;
use serde_json::json;
use std::process::Command;

fn kill(pid: i32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("there is a kill").success());
}

/// A shell that only SIGKILL ends, and that leaves its sockets and its output behind.
const STUBBORN: &str = "trap '' HUP INT TERM; exec 3>&- 4>&-; while :; do sleep 1000; done";

#[test]
fn a_kill_ends_all_of_it() {
    let mut spawner = Spawner::real();
    spawner.start_sandbox(5, 1, STUBBORN);
    spawner.until("it runs", |pids| pids.len() == 3);
    spawner.kill(5);
    let event = spawner.exited(5);
    assert_eq!((&event["code"], &event["signal"]), (&json!(137), &json!(null)));
    assert_eq!(spawner.processes(), [] as [i32; 0]);
    // What is gone is passed over.
    spawner.kill(5);
    spawner.kill(6);
    spawner.start_sandbox(6, 1, "exit 0");
    spawner.exited(6);
}

#[test]
fn a_kill_before_it_is_known_whom_is_remembered() {
    let mut spawner = Spawner::real();
    for id in 1..=30 {
        spawner.start_sandbox(id, 1, STUBBORN);
        spawner.kill(id);
    }
    for _ in 1..=30 {
        assert_eq!(spawner.event()["type"], "exited");
    }
    assert_eq!(spawner.processes(), [] as [i32; 0]);
    spawner.expect_no_child();
}

#[test]
fn somebody_else_kills_bubblewrap_at_any_moment() {
    let mut spawner = Spawner::real();
    for id in 1..=60 {
        spawner.start_sandbox(id, 1, STUBBORN);
        // The outer process is the first of them; how far it is by then is chance.
        let outer = spawner.until("it is there", |pids| !pids.is_empty());
        kill(*outer.iter().min().expect("one"));
        let event = spawner.exited(id);
        assert_eq!(event["signal"], 9);
        assert_eq!(spawner.processes(), [] as [i32; 0], "sandbox {id}");
    }
    spawner.expect_no_child();
}

#[test]
fn a_program_that_never_says_what_is_inside_ends_as_well() {
    let mut spawner = Spawner::start();
    let stuck = spawner.program("stuck", "#!/bin/sh\nsleep 1000 &\nwait\n");
    let configure = spawner.configuration(&stuck);
    spawner.say(&configure);
    spawner.event();
    spawner.start_sandbox(1, 1, "");
    spawner.kill(1);
    assert_eq!(spawner.exited(1)["signal"], 9);
    spawner.expect_no_child();
}

#[test]
fn the_dispatcher_closes() {
    let mut spawner = Spawner::real();
    for id in 1..=3 {
        spawner.start_sandbox(id, 1, STUBBORN);
    }
    spawner.until("they run", |pids| pids.len() == 9);
    spawner.close();
    let (status, stderr) = spawner.ended();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    spawner.expect_nothing_left();
}

#[test]
fn the_dispatcher_dies_while_sandboxes_start() {
    for _ in 0..10 {
        let mut spawner = Spawner::real();
        for id in 1..=5 {
            spawner.start_sandbox(id, 1, STUBBORN);
        }
        std::fs::create_dir_all(spawner.run_folder().join("99/sub")).expect("a folder");
        spawner.close();
        let (status, _) = spawner.ended();
        assert_eq!(status.code(), Some(0));
        spawner.expect_nothing_left();
    }
}

#[test]
fn a_dispatcher_that_was_never_there() {
    let mut spawner = Spawner::start();
    spawner.close();
    assert_eq!(spawner.ended().0.code(), Some(0));
}
