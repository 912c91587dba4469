//! What a sandbox is started with, and how its end is told.

use crate::support::{Spawner, is_root, proc_file};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};

#[test]
fn its_sockets_are_connections_that_say_whose_they_are() {
    let mut spawner = Spawner::real();
    spawner.start_sandbox(7, 2, "for fd in 3 4 5; do echo from $fd >&$fd; done; read line <&4; echo got $line >&2");
    let mut seen = BTreeSet::new();
    let mut sockets: Vec<_> = (0..3).map(|_| spawner.connections.recv().expect("a connection")).collect();
    for (sandbox, index, socket) in &mut sockets {
        seen.insert((*sandbox, *index));
        let mut text = [0; 7];
        socket.read_exact(&mut text).expect("the sandbox speaks");
        assert_eq!(text, format!("from {}\n", *index + 3).as_bytes());
    }
    assert_eq!(seen, BTreeSet::from([(7, 0), (7, 1), (7, 2)]));
    let lane = sockets.iter_mut().find(|(_, index, _)| *index == 1).expect("seen above");
    lane.2.write_all(b"an answer\n").expect("it is open");
    assert_eq!(
        spawner.exited(7),
        json!({ "type": "exited", "id": 7, "code": 0, "signal": null, "stderr": "got an answer\n" })
    );
}

#[test]
fn it_has_its_sockets_and_nothing_else() {
    let mut spawner = Spawner::real();
    // Nothing but single digits can be redirected to in every shell, and what fails would be told on 2.
    let script =
        "for fd in 0 1 3 4 5 6 7 8 9; do { true >&$fd; } 2>&- && echo $fd >&2; done; env >&2; pwd >&2; umask >&2";
    spawner.start_sandbox(1, 1, script);
    let stderr = spawner.exited(1)["stderr"].clone();
    assert_eq!(stderr, "0\n1\n3\n4\nPWD=/\n/\n0022\n");
}

#[test]
fn its_processes_are_the_first_to_go_and_have_no_rights() {
    let mut spawner = Spawner::real();
    spawner.start_sandbox(1, 1, "read line <&3");
    let control = std::iter::repeat_with(|| spawner.connections.recv().expect("a connection"))
        .find(|(_, index, _)| *index == 0)
        .expect("there is one");
    // Bubblewrap, the first process inside, and the shell.
    let processes = spawner.until("all three run", |pids| pids.len() == 3);
    let group_of = |pid: i32| proc_file(pid, "stat").split(' ').nth(4).map(str::to_owned);
    let own_group = group_of(i32::try_from(spawner.child.id()).expect("a process id"));
    for pid in processes {
        assert_ne!(group_of(pid), own_group, "a Ctrl-C would end it");
        assert_eq!(proc_file(pid, "oom_score_adj"), "1000\n");
        let status = proc_file(pid, "status");
        assert!(!is_root() || status.contains("Uid:\t154321\t154321\t154321\t154321\n"), "{status}");
        assert!(status.lines().any(|line| line.trim_end() == "Groups:" || !is_root()), "{status}");
    }
    assert_ne!(proc_file(spawner.child.id(), "oom_score_adj"), "1000\n");
    drop(control);
    assert_eq!(spawner.exited(1)["signal"], Value::Null);
}

#[test]
fn signals_are_kept_from_the_spawner_and_not_from_sandboxes() {
    let mut spawner = Spawner::real();
    for signal in ["INT", "TERM", "HUP", "QUIT", "PIPE", "USR1"] {
        let pid = spawner.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status().expect("there is a kill");
        assert!(sent.success());
    }
    for (signal, id) in ["HUP", "INT", "TERM", "PIPE", "CHLD"].into_iter().zip(1..) {
        spawner.start_sandbox(id, 1, &format!("kill -s {signal} $$; echo goes on >&2"));
        let event = spawner.exited(id);
        // By default the end of a child is no reason to end.
        assert_eq!(event["stderr"] == "goes on\n", signal == "CHLD", "{signal}: {event}");
    }
}

#[test]
fn the_last_of_its_standard_error_is_told() {
    let mut spawner = Spawner::real();
    spawner.start_sandbox(1, 1, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; exit 3");
    let event = spawner.exited(1);
    assert_eq!(event["code"], 3);
    let stderr = event["stderr"].as_str().expect("text");
    assert_eq!(stderr.len(), 4096);
    assert!(stderr.ends_with("line 19998\nline 19999\n"));
}

#[test]
fn many_at_once_and_one_after_the_other_leave_nothing_behind() {
    let mut spawner = Spawner::real();
    spawner.start_sandbox(1, 8, "exit 0");
    spawner.exited(1);
    let before = spawner.open_descriptors();
    for round in 0..5 {
        let first = 2 + round * 20;
        for id in first..first + 20 {
            spawner.start_sandbox(id, 8, if id % 2 == 0 { "exit 0" } else { "exec sleep 1000" });
            if id % 2 == 1 {
                spawner.kill(id);
            }
        }
        let mut ended: Vec<u64> = (0..20).map(|_| spawner.event()["id"].as_u64().expect("an id")).collect();
        ended.sort_unstable();
        assert_eq!(ended, (first.into()..u64::from(first) + 20).collect::<Vec<_>>());
    }
    assert_eq!(spawner.open_descriptors(), before);
    spawner.expect_no_child();
    assert_eq!(std::fs::read_dir(spawner.run_folder()).expect("it is there").count(), 0);
}
