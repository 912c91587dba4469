//! What an invocation that goes wrong is called, and that the next one is served.

use crate::support::artifact::guest;
use crate::support::exchange::{Answer, get, invoke, request};
use crate::support::runner::Runner;
use serde_json::json;

fn assert_outcome(answer: &Answer, outcome: &str, detail: &str, what: &str) {
    let done = &answer.done;
    assert_eq!(done.outcome.name(), outcome, "{what}: {}", done.detail);
    assert!(done.detail.starts_with(detail), "{what}: {}", done.detail);
    assert!(!done.detail.contains("backtrace"), "{what}: {}", done.detail);
}

/// Runs the same table against every kind of guest that has the paths.
fn check_table(name: &str, kind: &str, table: &[(&str, u16, &str, &str)]) {
    let changes = json!({ "kind": kind, "fuel": 500_000_000, "memoryBytes": 33_554_432, "wallMs": 60_000 });
    let mut runner = Runner::load(&guest(name), 1, changes);
    for (path, status, outcome, detail) in table {
        let answer = invoke(&mut runner, &get(path));
        assert_outcome(&answer, outcome, detail, &format!("{name} {path}"));
        assert_eq!(answer.status, *status, "{name} {path}");
        assert_eq!(invoke(&mut runner, &get("/")).done.outcome.name(), "ok", "the request after {path}");
    }
}

#[test]
fn of_a_0_2_handler() {
    check_table(
        "probe",
        "component",
        &[
            ("/trap", 0, "trap", "unreachable: "),
            ("/trap?kind=divide", 0, "trap", "integer_division_by_zero: "),
            ("/trap?kind=bounds", 0, "trap", "memory_out_of_bounds: "),
            ("/panic", 0, "trap", "unreachable: "),
            ("/exit?code=1", 0, "trap", "exit: "),
            ("/exit?code=0", 0, "no_response", ""),
            ("/silent", 0, "no_response", ""),
            ("/error-code", 0, "no_response", "the guest answered with the error"),
            ("/loop", 0, "fuel_exhausted", ""),
            ("/recurse", 0, "stack_overflow", ""),
            ("/memory", 0, "memory_exceeded", ""),
            ("/table?count=100000", 0, "resource_exceeded", ""),
            ("/status?code=100", 0, "response_invalid", "the response has status 100"),
            ("/status?code=101", 0, "response_invalid", "the response has status 101"),
            ("/status?code=600", 0, "response_invalid", "the response has status 600"),
            ("/headers-flood?bytes=70000&size=30000", 0, "header_too_large", ""),
            ("/headers-flood?bytes=900000&size=30000", 0, "header_too_large", ""),
            ("/content-length-lie?length=10&bytes=5", 200, "response_invalid", ""),
            ("/content-length-lie?length=5&bytes=10", 200, "response_invalid", ""),
            ("/unfinished-body", 200, "response_invalid", ""),
            ("/answer-then-trap?bytes=300000", 200, "trap", "unreachable: "),
            ("/answer-then-loop", 200, "fuel_exhausted", ""),
        ],
    );
}

#[test]
fn of_a_0_3_handler() {
    check_table(
        "probe-0-3",
        "component",
        &[
            ("/trap", 0, "trap", "unreachable: "),
            ("/loop", 0, "fuel_exhausted", ""),
            ("/memory", 0, "memory_exceeded", ""),
            ("/error-code", 0, "no_response", "the guest answered with the error"),
            ("/status?code=100", 0, "response_invalid", ""),
            ("/answer-then-trap", 200, "trap", "unreachable: "),
        ],
    );
}

#[test]
fn of_commands() {
    for (name, kind) in [("command-component", "component"), ("command-module", "module")] {
        check_table(
            name,
            kind,
            &[
                ("/exit?code=1", 0, "trap", "exit: the guest exited with code 1"),
                ("/exit?code=0", 0, "no_response", ""),
                ("/silent", 0, "no_response", ""),
                ("/panic", 0, "trap", "unreachable: "),
                ("/loop", 0, "fuel_exhausted", ""),
                ("/memory", 0, "memory_exceeded", ""),
                ("/no-header", 0, "response_invalid", ""),
                ("/half-header", 0, "response_invalid", ""),
                ("/bad-header", 0, "response_invalid", "a line of the header block has no colon"),
                ("/bad-status", 0, "response_invalid", "Status"),
                ("/status?code=100", 0, "response_invalid", ""),
                ("/header-flood?bytes=70000", 0, "header_too_large", ""),
            ],
        );
    }
}

#[test]
fn the_exit_code_of_a_module_is_told() {
    let mut runner = Runner::load(&guest("command-module"), 1, json!({ "kind": "module" }));
    let answer = invoke(&mut runner, &get("/exit?code=42"));
    assert_outcome(&answer, "trap", "exit: the guest exited with code 42", "exit");
}

#[test]
fn what_goes_wrong_before_the_request_is_told_after_it() {
    for (name, outcome) in [
        ("start-trap", "trap"),
        ("start-recurse", "stack_overflow"),
        ("start-loop", "fuel_exhausted"),
        ("initial-memory", "memory_exceeded"),
        ("many-memories", "memory_exceeded"),
        ("huge-table", "resource_exceeded"),
        ("silent", "no_response"),
        ("loop", "fuel_exhausted"),
        ("bulk-fill", "fuel_exhausted"),
    ] {
        let mut runner = Runner::load(&guest(name), 1, json!({ "fuel": 300_000_000 }));
        for _ in 0..2 {
            let answer = invoke(&mut runner, &get("/"));
            assert_outcome(&answer, outcome, "", name);
        }
    }
    let mut runner = Runner::load(&guest("big-memory-module"), 1, json!({ "kind": "module" }));
    assert_outcome(&invoke(&mut runner, &get("/")), "memory_exceeded", "", "big-memory-module");
    let mut runner = Runner::load(&guest("private-memory-module"), 1, json!({ "kind": "module" }));
    assert_outcome(&invoke(&mut runner, &get("/")), "trap", "host: ", "private-memory-module");
}

#[test]
fn a_request_that_cannot_be_passed_on_is_no_fault_of_the_function() {
    let mut runner = Runner::load(&guest("probe"), 1, json!({}));
    let mut asked = get("/");
    asked.head.authority = "not an authority".into();
    assert_outcome(
        &invoke(&mut runner, &asked),
        "internal",
        "the request cannot be passed on: the authority",
        "authority",
    );
    let asked = request("GET", "no slash", b"");
    assert_outcome(&invoke(&mut runner, &asked), "internal", "the request cannot be passed on: the path", "path");
    let asked = request("BAD METHOD", "/", b"");
    assert_outcome(&invoke(&mut runner, &asked), "internal", "the request cannot be passed on: the method", "method");
    let asked = get("/").with_header("bad name", "x");
    assert_outcome(&invoke(&mut runner, &asked), "internal", "the request cannot be passed on: a field's name", "name");
    assert_eq!(invoke(&mut runner, &get("/")).status, 200);
}
