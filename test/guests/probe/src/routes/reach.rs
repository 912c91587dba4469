use std::net::{TcpListener, TcpStream, ToSocketAddrs};

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, ResponseOutparam, Scheme};

use crate::answer;
use crate::query::Query;

/// Tries a request to `url` and answers with its status or the error code.
pub fn outgoing(answer: ResponseOutparam, query: &Query) {
    answer::text(answer, 200, &fetch(query.text("url")));
}

fn fetch(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return "not a url\n".to_string(),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    let prepared = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if !prepared {
        return "not a request\n".to_string();
    }
    let future = match handle(request, None) {
        Ok(future) => future,
        Err(code) => return format!("refused: {code:?}\n"),
    };
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => format!("status: {}\n", response.status()),
        Some(Ok(Err(code))) => format!("failed: {code:?}\n"),
        _ => "no result\n".to_string(),
    }
}

/// Tries a TCP connection to `address` and answers with the error.
pub fn connect(answer: ResponseOutparam, query: &Query) {
    let result = TcpStream::connect(query.text("address"));
    answer::text(answer, 200, &describe(result.map(|_| "connected")));
}

/// Tries to listen on any port.
pub fn listen(answer: ResponseOutparam) {
    let result = TcpListener::bind("127.0.0.1:0");
    answer::text(answer, 200, &describe(result.map(|_| "listening")));
}

/// Tries to look a `name` up.
pub fn resolve(answer: ResponseOutparam, query: &Query) {
    let result = (query.text("name"), 80).to_socket_addrs();
    answer::text(answer, 200, &describe(result.map(|addresses| format!("{} addresses", addresses.count()))));
}

/// Tries to read the file at `path`, or with `write=1` to make it.
pub fn file(answer: ResponseOutparam, query: &Query) {
    let path = query.text("path");
    let result = if query.number("write", 0) == 1 {
        std::fs::write(path, "written by a function").map(|()| "written".to_string())
    } else if query.number("list", 0) == 1 {
        std::fs::read_dir(path).map(|entries| format!("{} entries", entries.count()))
    } else {
        std::fs::read(path).map(|bytes| format!("{} bytes", bytes.len()))
    };
    answer::text(answer, 200, &describe(result));
}

fn describe(result: std::io::Result<impl AsRef<str>>) -> String {
    match result {
        Ok(text) => format!("ok: {}\n", text.as_ref()),
        Err(error) => format!("error: {:?}: {error}\n", error.kind()),
    }
}
