//! A function that does what its path says: the tests' good, slow, large, broken and hostile function in one.
//! Every route is a method of its path and query alone, so that a test reads as the request it sends.

mod answer;
mod checksum;
mod json;
mod query;
mod routes;

use query::Query;
use routes::{exchange, exhaust, failure, heads, reach, reflect, stream};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Probe;

wasip2::http::proxy::export!(Probe);

impl Guest for Probe {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query::parse(query);
        match path {
            "" | "/" => answer::text(answer, 200, "probe\n"),
            "/echo" => exchange::echo(&request, answer),
            "/upload" => exchange::upload(&request, answer),
            "/early-response" => exchange::early_response(&request, answer),
            "/read-slowly" => exchange::read_slowly(&request, answer, &query),
            "/ignore-body" => answer::text(answer, 200, "ignored\n"),
            "/stream" => stream::stream(answer, &query),
            "/download" => stream::download(answer, &query),
            "/status" => heads::status(answer, &query),
            "/set-header" => heads::set_header(answer, &query),
            "/headers-flood" => heads::headers_flood(answer, &query),
            "/trailers" => heads::trailers(answer, &query),
            "/content-length-lie" => heads::content_length_lie(answer, &query),
            "/error-code" => heads::error_code(answer),
            "/headers" => reflect::headers(&request, answer),
            "/env" => reflect::environment(answer),
            "/random" => reflect::random(answer, &query),
            "/counter" => reflect::counter(answer),
            "/log" => reflect::log(answer, &query),
            "/announce" => reflect::announce(answer, &query),
            "/sleep" => reflect::sleep_then_answer(answer, &query),
            "/outgoing" => reach::outgoing(answer, &query),
            "/connect" => reach::connect(answer, &query),
            "/listen" => reach::listen(answer),
            "/resolve" => reach::resolve(answer, &query),
            "/file" => reach::file(answer, &query),
            "/loop" => exhaust::endless_loop(),
            "/spin" => exhaust::spin(answer, &query),
            "/recurse" => exhaust::recurse(answer),
            "/memory" => exhaust::memory(answer, &query),
            "/memory-growth-count" => exhaust::memory_growth_count(answer),
            "/table" => exhaust::resources(answer, &query),
            "/trap" => failure::trap(&query),
            "/panic" => panic!("the panic that was asked for"),
            "/exit" => std::process::exit(query.number("code", 0) as i32),
            "/silent" => drop(answer),
            "/never" => failure::never(answer),
            "/answer-then-trap" => failure::answer_then_trap(answer, &query),
            "/answer-then-loop" => failure::answer_then_loop(answer, &query),
            "/answer-then-never" => failure::answer_then_never(answer, &query),
            "/answer-then-return" => failure::answer_then_return(answer),
            "/unfinished-body" => failure::unfinished_body(answer, &query),
            _ => answer::text(answer, 404, "no such route\n"),
        }
    }
}
