//! The WASI 0.3 counterpart of the probe: an asynchronous handler, its bodies streams of the component model.

mod reach;

use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

const CHUNK_BYTES: usize = 64 * 1024;
/// A prime, so that no power of two hides a block that is sent twice or left out.
const PATTERN_PERIOD: usize = 251;

struct Probe;

wasip3::http::service::export!(Probe);

impl wasip3::exports::http::handler::Guest for Probe {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "" | "/" => text(200, "probe 0.3\n"),
            "/echo" => echo(request),
            "/upload" => upload(request).await,
            "/download" => download(number(query, "bytes", 1024) as usize),
            "/stream" => stream(number(query, "chunks", 4), number(query, "delayMs", 0)),
            "/headers" => headers(&request),
            "/status" => text(number(query, "code", 200) as u16, "status\n"),
            "/sleep" => {
                monotonic_clock::wait_for(number(query, "ms", 10) * 1_000_000).await;
                text(200, "awake\n")
            }
            "/never" => {
                monotonic_clock::wait_for(u64::MAX / 2).await;
                text(200, "never\n")
            }
            "/loop" => loop {
                std::hint::black_box(0);
            },
            "/trap" => core::arch::wasm32::unreachable(),
            "/memory" => {
                let mut blocks = Vec::new();
                loop {
                    blocks.push(std::hint::black_box(vec![1u8; 1024 * 1024]));
                }
            }
            "/outgoing" => text(200, &reach::outgoing(query, 1).await),
            "/outgoing-parallel" => text(200, &reach::outgoing(query, number(query, "times", 4)).await),
            "/connect" => text(200, &reach::connect(query).await),
            "/resolve" => text(200, &reach::resolve(query).await),
            "/udp" => text(200, &reach::udp()),
            "/error-code" => Err(ErrorCode::InternalError(Some("asked for".to_string()))),
            "/answer-then-trap" => answer_then_trap(),
            _ => text(404, "no such route\n"),
        }
    }
}

fn number(query: &str, name: &str, fallback: u64) -> u64 {
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(fallback)
}

/// A response whose body a task writes after the head has been given back.
fn streamed<F>(
    status: u16,
    write: impl FnOnce(wasip3::wit_bindgen::StreamWriter<u8>) -> F,
) -> Result<Response, ErrorCode>
where
    F: Future<Output = ()> + 'static,
{
    let (writer, reader) = wit_stream::new();
    let response = respond(status, reader)?;
    spawn_local(write(writer));
    Ok(response)
}

fn respond(status: u16, body: StreamReader<u8>) -> Result<Response, ErrorCode> {
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (response, _sent) = Response::new(Fields::new(), Some(body), trailers_reader);
    let taken = response.set_status_code(status);
    taken.map_err(|()| ErrorCode::InternalError(Some("the status was refused".to_string())))?;
    Ok(response)
}

fn text(status: u16, text: &str) -> Result<Response, ErrorCode> {
    let bytes = text.as_bytes().to_vec();
    streamed(status, |mut writer| async move {
        writer.write_all(bytes).await;
    })
}

fn open(request: Request) -> StreamReader<u8> {
    let (result, result_reader) = wit_future::new(|| Ok(()));
    drop(result);
    let (body, _trailers) = Request::consume_body(request, result_reader);
    body
}

fn echo(request: Request) -> Result<Response, ErrorCode> {
    respond(200, open(request))
}

async fn upload(request: Request) -> Result<Response, ErrorCode> {
    let mut body = open(request);
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    let (mut bytes, mut sum) = (0usize, 0u32);
    loop {
        let (result, mut filled) = body.read(buffer).await;
        bytes += filled.len();
        sum = filled.iter().fold(sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
        filled.clear();
        buffer = filled;
    }
    text(200, &format!("{{\"bytes\":{bytes},\"sum\":{sum}}}"))
}

fn download(bytes: usize) -> Result<Response, ErrorCode> {
    streamed(200, move |mut writer| async move {
        let mut left = bytes;
        while left > 0 {
            let count = left.min(PATTERN_PERIOD * 256);
            let block = (0..count).map(|index| (index % PATTERN_PERIOD) as u8).collect();
            if !writer.write_all(block).await.is_empty() {
                return;
            }
            left -= count;
        }
    })
}

fn stream(chunks: u64, delay_ms: u64) -> Result<Response, ErrorCode> {
    streamed(200, move |mut writer| async move {
        for index in 0..chunks {
            if index > 0 {
                monotonic_clock::wait_for(delay_ms * 1_000_000).await;
            }
            if !writer.write_all(vec![b'a' + (index % 26) as u8; 16]).await.is_empty() {
                return;
            }
        }
    })
}

fn answer_then_trap() -> Result<Response, ErrorCode> {
    streamed(200, |mut writer| async move {
        writer.write_all(b"before the trap".to_vec()).await;
        core::arch::wasm32::unreachable()
    })
}

fn headers(request: &Request) -> Result<Response, ErrorCode> {
    let method = format!("{:?}", request.get_method());
    let authority = request.get_authority().unwrap_or_default();
    let mut lines = format!("{method} {} {authority}\n", request.get_path_with_query().unwrap_or_default());
    for (name, value) in request.get_headers().copy_all() {
        lines.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    text(200, &lines)
}
