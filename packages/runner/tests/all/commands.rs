//! Commands as CGI/1.1: the meta-variables, and the response on standard output.

use crate::cgi_variables::variables;
use crate::support::artifact::{compile, guest, project_root, scratch};
use crate::support::exchange::{get, invoke, request};
use crate::support::runner::Runner;
use crate::support::socket::bytes;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;

const COMMANDS: [(&str, &str); 2] = [("command-component", "component"), ("command-module", "module")];

fn environment(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_request_is_in_the_environment() {
    for (name, kind) in COMMANDS {
        let changes = json!({ "kind": kind, "env": [["GREETING", "grüße"]] });
        let mut runner = Runner::load(&guest(name), 1, changes);
        let mut asked = request("POST", "/environment?x=%20y&z", b"1234")
            .with_header("Content-Type", "text/plain")
            .with_header("Content-Length", "4")
            .with_header("Cookie", "a=1")
            .with_header("cookie", "b=2")
            .with_header("X-Two", "1")
            .with_header("x-two", "2")
            .with_header("Authorization", "Basic Og==")
            .with_header("Proxy", "http://evil.example")
            .with_header("X_Under", "1")
            .with_header("Connection", "close");
        asked.head.authority = bytes("example.com:8443");
        asked.head.scheme = bytes("https");
        let answer = invoke(&mut runner, &asked);
        assert_eq!(answer.status, 200, "{name}");
        let seen = environment(&answer.text());
        let expected: BTreeMap<String, String> = [
            ("GREETING", "grüße"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", concat!("playa/", env!("CARGO_PKG_VERSION"))),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8443"),
            ("HTTPS", "on"),
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_SCHEME", "https"),
            ("REQUEST_URI", "/environment?x=%20y&z"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/environment"),
            ("QUERY_STRING", "x=%20y&z"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("REMOTE_HOST", "192.0.2.1"),
            ("CONTENT_TYPE", "text/plain"),
            ("CONTENT_LENGTH", "4"),
            // There was no Host field; programs look for it.
            ("HTTP_HOST", "example.com:8443"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_X_TWO", "1, 2"),
            ("HTTP_AUTHORIZATION", "Basic Og=="),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn paths_are_decoded_and_addresses_understood() {
    let head = |path: &str, authority: &str, remote: &str| {
        let mut head = get(path).head;
        head.authority = bytes(authority);
        head.remote = bytes(remote);
        variables(&head).into_iter().collect::<BTreeMap<_, _>>()
    };
    let seen = head("/a%20b%2fc%zz%00/%C3%A9?", "[::1]:8080", "[2001:db8::1]:443");
    assert_eq!(seen["PATH_INFO"], "/a b/c%zz%00/é");
    assert_eq!(seen["QUERY_STRING"], "");
    assert_eq!((&seen["SERVER_NAME"][..], &seen["SERVER_PORT"][..]), ("[::1]", "8080"));
    assert_eq!(seen["REMOTE_ADDR"], "2001:db8::1");
    let seen = head("/%e9", "example.com", "2001:db8::1");
    assert_eq!((&seen["PATH_INFO"][..], &seen["SERVER_PORT"][..]), ("/é", "80"));
    assert_eq!(seen["REMOTE_ADDR"], "2001:db8::1");
    assert!(!seen.contains_key("HTTPS") && !seen.contains_key("CONTENT_LENGTH"));
}

#[test]
fn standard_output_becomes_the_response() {
    for (name, kind) in COMMANDS {
        let mut runner = Runner::load(&guest(name), 1, json!({ "kind": kind }));
        let answer = invoke(&mut runner, &get("/"));
        assert_eq!((answer.status, &answer.text()[..]), (200, "command\n"), "{name}");
        assert_eq!(answer.header("content-type"), ["text/plain"]);
        let answer = invoke(&mut runner, &get("/status?code=418"));
        assert_eq!((answer.status, &answer.text()[..], answer.header("status").len()), (418, "status\n", 0), "{name}");
        let answer = invoke(&mut runner, &get("/redirect"));
        assert_eq!((answer.status, answer.header("location").len()), (302, 1), "{name}");
        let answer = invoke(&mut runner, &get("/duplicates"));
        assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"], "{name}");
        let answer = invoke(&mut runner, &get("/stderr"));
        assert_eq!(String::from_utf8_lossy(&answer.stderr), "a line on stderr\n", "{name}");
        let answer = invoke(&mut runner, &get("/answer-then-exit?code=0"));
        assert_eq!((answer.status, answer.done.outcome.name()), (200, "ok"), "{name}");
        let answer = invoke(&mut runner, &request("HEAD", "/download?bytes=1000000", b""));
        assert_eq!((answer.status, answer.body.len(), answer.done.outcome.name()), (200, 0, "ok"), "{name}");
    }
}

#[test]
fn a_go_program_with_its_own_cgi_library_is_a_function() {
    let go = ["go", "/usr/local/go/bin/go"].into_iter().find(|go| Command::new(go).arg("version").output().is_ok());
    let Some(go) = go else {
        println!("skipped: there is no Go on this machine");
        return;
    };
    let module = scratch().join("go-cgi.wasm");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&module)
        .arg(".")
        .current_dir(project_root().join("test/guests/go-cgi"))
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod")])
        .output()
        .expect("Go runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut runner = Runner::load(&compile(&module, "go-cgi", &[]), 1, json!({ "kind": "module" }));
    let answer = invoke(&mut runner, &get("/path/here?a=b").with_header("x-test", "value"));
    assert_eq!(answer.done.outcome.name(), "ok", "{}: {}", answer.done.detail, String::from_utf8_lossy(&answer.stderr));
    assert_eq!(answer.text(), "GET /path/here host=example.com query=a=b header=value\n");
    let body: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 251) as u8).collect();
    let asked = request("POST", "/echo", &body).with_header("content-length", &body.len().to_string());
    let answer = invoke(&mut runner, &asked);
    assert_eq!((answer.status, answer.body == body), (200, true));
    assert_eq!(invoke(&mut runner, &get("/status?code=404")).status, 404);
    let answer = invoke(&mut runner, &get("/panic"));
    assert!(String::from_utf8_lossy(&answer.stderr).contains("the panic that was asked for"), "{answer:?}");
}
