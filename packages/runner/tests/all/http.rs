//! `wasi:http` handlers, versions 0.2 and 0.3: what they see of a request, and what becomes of their answers.

use crate::support::artifact::guest;
use crate::support::exchange::{get, invoke, request};
use crate::support::runner::Runner;
use crate::support::socket::bytes;
use serde_json::{Value, json};

#[test]
fn a_handler_sees_the_whole_request() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let mut asked = request("PROPFIND", "/headers?a=%20b&c", b"")
        .with_header("Host", "example.com")
        .with_header("x-two", "1")
        .with_header("X-Two", "2")
        .with_header("Authorization", "Basic Og==");
    asked.head.headers.push((bytes("x-latin"), bytes::Bytes::from_static(b"caf\xe9")));
    let answer = invoke(&mut runner, &asked);
    assert_eq!(answer.status, 200);
    let seen: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(seen["method"], "PROPFIND");
    assert_eq!(seen["target"], "/headers?a=%20b&c");
    assert_eq!(seen["scheme"], "http");
    assert_eq!(seen["authority"], "example.com");
    let headers = seen["headers"].as_array().expect("fields");
    for field in [["host", "example.com"], ["x-two", "1"], ["x-two", "2"], ["authorization", "Basic Og=="]] {
        assert!(headers.contains(&json!(field)), "{field:?} in {headers:?}");
    }
    let first = headers.iter().position(|field| field == &json!(["x-two", "1"]));
    assert!(first < headers.iter().position(|field| field == &json!(["x-two", "2"])), "duplicates keep their order");
    assert!(headers.iter().any(|field| field[0] == "x-latin"));
}

#[test]
fn connection_level_fields_stay_with_the_dispatcher() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let asked = get("/headers").with_header("connection", "close, x-a").with_header("transfer-encoding", "chunked");
    let answer = invoke(&mut runner, &asked);
    assert!(!answer.text().contains("connection") && !answer.text().contains("transfer-encoding"), "{}", answer.text());
    let answer = invoke(&mut runner, &get("/set-header?name=te&value=trailers"));
    assert_eq!((answer.status, answer.header("te")), (200, vec![]));
    let answer = invoke(&mut runner, &get("/set-header?name=x-a&value=%C3%A9"));
    assert_eq!((answer.status, answer.header("x-a")), (200, vec!["é".to_owned()]));
}

#[test]
fn bodies_and_trailers_come_back() {
    for name in ["probe", "probe-0-3"] {
        let mut runner = Runner::load(&guest(name), 1, json!({}));
        let body: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
        let answer = invoke(&mut runner, &request("POST", "/echo", &body));
        assert_eq!((answer.status, answer.body == body), (200, true), "{name}");
        assert_eq!(answer.trailers, Some(vec![]));
    }
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let answer = invoke(&mut runner, &get("/trailers?name=x-sum&value=42"));
    assert_eq!(answer.trailers, Some(vec![(bytes("x-sum"), bytes("42"))]));
}

#[test]
fn trailers_of_a_request_pass_through_a_handler() {
    // The 0.3 probe's echo hands the body on as it is, which brings its trailers along.
    let mut runner = Runner::load(&guest("probe-0-3"), 1, json!({}));
    let mut asked = request("POST", "/echo", b"body");
    asked.trailers.push((bytes("x-sum"), bytes("42")));
    let answer = invoke(&mut runner, &asked);
    assert_eq!(answer.text(), "body");
    assert_eq!(answer.done.outcome.name(), "ok");
}

#[test]
fn no_body_follows_head_and_statuses_without_one() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let answer = invoke(&mut runner, &request("HEAD", "/download?bytes=1000&length=1", b""));
    assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, vec!["1000".to_owned()]));
    assert_eq!(answer.done.outcome.name(), "ok");
    // A handler that knows HEAD announces the length and writes nothing.
    let answer = invoke(&mut runner, &request("HEAD", "/content-length-lie?length=10&bytes=0", b""));
    assert_eq!((answer.status, answer.trailers.is_some(), answer.done.outcome.name()), (200, true, "ok"));
    for code in [204, 304] {
        let answer = invoke(&mut runner, &get(&format!("/status?code={code}")));
        assert_eq!((answer.status, answer.body.len(), answer.done.outcome.name()), (code, 0, "ok"));
    }
}

#[test]
fn each_request_has_a_fresh_process_and_its_own_randomness() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let mut seen = std::collections::HashSet::new();
    for _ in 0..5 {
        assert_eq!(invoke(&mut runner, &get("/counter")).text(), "1");
        let answer = invoke(&mut runner, &get("/random?bytes=16"));
        assert!(seen.insert(answer.text()), "two workers drew the same number");
    }
}

#[test]
fn the_environment_is_what_load_gives() {
    let env = json!([["GREETING", "hello"], ["EMPTY", ""]]);
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "env": env }));
    let answer = invoke(&mut runner, &get("/env"));
    let seen: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(seen["variables"], env);
}

#[test]
fn the_same_request_costs_the_same_fuel() {
    for name in ["probe", "probe-0-3"] {
        let mut runner = Runner::load(&guest(name), 1, json!({}));
        let first = invoke(&mut runner, &get("/download?bytes=100000")).done.fuel;
        assert!(first > 1_000, "{name}: {first}");
        for _ in 0..4 {
            assert_eq!(invoke(&mut runner, &get("/download?bytes=100000")).done.fuel, first, "{name}");
        }
    }
}

#[test]
fn nothing_outside_is_in_reach() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    for (path, said) in [
        ("/outgoing?url=http://127.0.0.1/", "HttpRequestDenied"),
        ("/outgoing?url=https://example.com/", "HttpRequestDenied"),
        ("/connect?address=127.0.0.1:80", "PermissionDenied"),
        ("/connect?address=[::1]:80", "PermissionDenied"),
        ("/listen", "PermissionDenied"),
        ("/resolve?name=localhost", "error"),
        ("/file?path=/in/component", "NotFound"),
        ("/file?path=/etc/passwd", "NotFound"),
        ("/file?path=/tmp/x&write=1", "NotFound"),
    ] {
        let answer = invoke(&mut runner, &get(path));
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains(said), "{path}: {}", answer.text());
    }
}

#[test]
fn what_is_printed_is_logged_and_bounded() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "logBytes": 300 }));
    let answer = invoke(&mut runner, &get("/early-response"));
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "read 0 bytes after the answer, complete: true\n");
    let answer = invoke(&mut runner, &get("/log?bytes=100000"));
    assert_eq!(answer.done.outcome.name(), "ok", "the guest does not notice");
    let stderr = String::from_utf8_lossy(&answer.stderr);
    let notice = "\nthe log limit of 300 bytes is reached; the rest is dropped\n";
    assert_eq!(stderr.matches(notice).count(), 1, "{stderr}");
    assert_eq!(answer.stdout.len() + answer.stderr.len(), 300 + notice.len());
    let mut runner = Runner::load(&guest("probe"), 1, json!({ "logLines": 5 }));
    let answer = invoke(&mut runner, &get("/log?bytes=100000"));
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert!(stderr.ends_with("\nthe log limit of 5 lines is reached; the rest is dropped\n"), "{stderr}");
    assert_eq!(answer.stdout.len() + stderr.find("\n\n").expect("a notice") + 1, 500);
}

#[test]
fn the_account_of_a_request_is_plausible() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let done = invoke(&mut runner, &get("/spin?rounds=1000000")).done;
    assert!(done.fuel > 1_000_000, "{done:?}");
    assert!(done.cpu_us > 0 && done.wall_us > 0, "{done:?}");
    assert!(done.peak_memory_bytes >= 1 << 20 && done.peak_memory_bytes < 4 << 20, "{done:?}");
    let more = invoke(&mut runner, &get("/memory?bytes=20000000")).done;
    assert!(more.peak_memory_bytes >= 20_000_000 && more.peak_memory_bytes < 24_000_000, "{more:?}");
}
