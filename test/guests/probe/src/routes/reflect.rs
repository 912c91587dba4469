use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam, Scheme};
use wasip2::random::random::get_random_bytes;

use crate::query::Query;
use crate::{answer, json};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The request's head as the function sees it.
pub fn headers(request: &IncomingRequest, answer: ResponseOutparam) {
    let text = format!(
        "{{\"method\":{},\"target\":{},\"scheme\":{},\"authority\":{},\"headers\":{}}}",
        json::string(method_name(&request.method()).as_bytes()),
        json::optional(request.path_with_query()),
        json::optional(request.scheme().map(scheme_name)),
        json::optional(request.authority()),
        json::pairs(request.headers().entries()),
    );
    answer::json(answer, &text);
}

/// All variables and arguments.
pub fn environment(answer: ResponseOutparam) {
    let arguments: Vec<String> = std::env::args().map(|argument| json::string(argument.as_bytes())).collect();
    let variables = json::pairs(std::env::vars());
    answer::json(answer, &format!("{{\"arguments\":[{}],\"variables\":{variables}}}", arguments.join(",")));
}

/// `bytes` random bytes as hexadecimal digits.
pub fn random(answer: ResponseOutparam, query: &Query) {
    let bytes = get_random_bytes(query.number("bytes", 16));
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    answer::text(answer, 200, &digits);
}

/// How often this instance was called: 1 where every request has an instance of its own.
pub fn counter(answer: ResponseOutparam) {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) + 1;
    answer::text(answer, 200, &count.to_string());
}

/// Writes `bytes` bytes to stdout, as many to stderr, in lines of 100; then answers.
pub fn log(answer: ResponseOutparam, query: &Query) {
    let text = query.text("text");
    let line = if text.is_empty() { "x".repeat(99) } else { text.to_string() } + "\n";
    for _ in 0..(query.number("bytes", 100) as usize).div_ceil(line.len()) {
        // A host that keeps no more of it may refuse: the function goes on all the same.
        let _ = std::io::stdout().write_all(line.as_bytes());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    answer::text(answer, 200, "logged\n");
}

/// Says `text` on stdout, so that a test knows that the request is being served, and answers after `ms` milliseconds.
pub fn announce(answer: ResponseOutparam, query: &Query) {
    println!("{}", query.text("text"));
    sleep_then_answer(answer, query);
}

/// Answers after `ms` milliseconds.
pub fn sleep_then_answer(answer: ResponseOutparam, query: &Query) {
    sleep(Duration::from_millis(query.number("ms", 10)));
    answer::text(answer, 200, "awake\n");
}

fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}

fn scheme_name(scheme: Scheme) -> String {
    match scheme {
        Scheme::Http => "http".to_string(),
        Scheme::Https => "https".to_string(),
        Scheme::Other(name) => name,
    }
}
