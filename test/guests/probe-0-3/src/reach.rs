//! What is outside of the sandbox, by WASI 0.3.

use wasip3::http::client;
use wasip3::http::types::{Fields, Request, Response, Scheme};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket};
use wasip3::wit_bindgen::StreamResult;
use wasip3::{wit_future, wit_stream};

fn text<'a>(query: &'a str, name: &str) -> &'a str {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

/// Requests `url` so many times side by side; a line for each.
pub async fn outgoing(query: &str, times: u64) -> String {
    let requests = (0..times).map(|_| fetch(text(query, "url")));
    let lines = futures(requests.collect()).await;
    lines.join("\n")
}

/// Polls all until each is ready.
async fn futures<F: Future<Output = String>>(waiting: Vec<F>) -> Vec<String> {
    let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).map(Some).collect();
    let mut results = vec![String::new(); waiting.len()];
    std::future::poll_fn(move |context| {
        for (slot, result) in waiting.iter_mut().zip(&mut results) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(text) = future.as_mut().poll(context)
            {
                *result = text;
                *slot = None;
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(std::mem::take(&mut results))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

async fn fetch(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return "not a url".to_string(),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (request, _sent) = Request::new(Fields::new(), None, trailers_reader, None);
    let prepared = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if !prepared {
        return "not a request".to_string();
    }
    let response = match client::send(request).await {
        Ok(response) => response,
        Err(code) => return format!("failed: {code:?}"),
    };
    let status = response.get_status_code();
    let (result, result_reader) = wit_future::new(|| Ok(()));
    drop(result);
    let (body, trailers) = Response::consume_body(response, result_reader);
    let bytes = body.collect().await;
    match trailers.await {
        Ok(_) => format!("status: {status} body: {}", String::from_utf8_lossy(&bytes)),
        Err(code) => format!("status: {status} broken: {code:?}"),
    }
}

/// Connects to an IPv4 address, sends `send` and reads to the end.
pub async fn connect(query: &str) -> String {
    let Ok(address) = text(query, "address").parse::<std::net::SocketAddrV4>() else {
        return "not an address".to_string();
    };
    let [a, b, c, d] = address.ip().octets();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) });
    let socket = match TcpSocket::create(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(code) => return format!("no socket: {code:?}"),
    };
    if let Err(code) = socket.connect(remote).await {
        return format!("failed: {code:?}");
    }
    let (mut writer, reader) = wit_stream::new();
    let sent = socket.send(reader);
    writer.write_all(text(query, "send").as_bytes().to_vec()).await;
    drop(writer);
    let sent = sent.await;
    let (mut incoming, ended) = socket.receive();
    let mut received = Vec::new();
    loop {
        let (result, bytes) = incoming.read(Vec::with_capacity(1024)).await;
        received.extend_from_slice(&bytes);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(incoming);
    format!("{} sent: {sent:?} received: {:?}", String::from_utf8_lossy(&received), ended.await)
}

/// The addresses of `name`.
pub async fn resolve(query: &str) -> String {
    format!("{:?}", resolve_addresses(text(query, "name").to_string()).await)
}

/// Tries UDP.
pub fn udp() -> String {
    match UdpSocket::create(IpAddressFamily::Ipv4) {
        Ok(_) => "a socket".to_string(),
        Err(code) => format!("failed: {code:?}"),
    }
}
