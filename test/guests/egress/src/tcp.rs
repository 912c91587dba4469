use crate::query::Query;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

pub fn describe(result: std::io::Result<String>) -> String {
    match result {
        Ok(text) => format!("ok: {text}"),
        Err(error) => format!("error: {:?}", error.kind()),
    }
}

pub fn connect(query: &Query) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((query.text("host"), query.number("port", 0) as u16))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects, sends `send`, and answers with what comes back: all of it, or at most `max` bytes.
pub fn exchange(query: &Query) -> String {
    describe(connect(query).and_then(|mut stream| {
        stream.write_all(query.bytes("send"))?;
        let mut received = Vec::new();
        stream.take(query.number("max", 1 << 20)).read_to_end(&mut received)?;
        Ok(String::from_utf8_lossy(&received).into_owned())
    }))
}

/// Opens `count` connections and keeps them; answers with how many there are and why there are no more.
pub fn many(query: &Query) -> String {
    let mut open = Vec::new();
    for _ in 0..query.number("count", 10) {
        match connect(query) {
            Ok(stream) => open.push(stream),
            Err(error) => return format!("{} open, then {:?}", open.len(), error.kind()),
        }
    }
    format!("{} open", open.len())
}

/// Sends, closes its direction, and reads what comes after that.
pub fn half_close(query: &Query) -> String {
    describe(connect(query).and_then(|mut stream| {
        stream.write_all(query.bytes("send"))?;
        stream.shutdown(Shutdown::Write)?;
        let mut received = String::new();
        stream.read_to_string(&mut received)?;
        let peer = stream.peer_addr()?;
        Ok(format!("{received} from {peer}"))
    }))
}

/// Connects and reads nothing, as long as a connection to the port `gate` is open.
pub fn hold(query: &Query) -> String {
    describe(connect(query).and_then(|_held| {
        let mut gate = TcpStream::connect((query.text("host"), query.number("gate", 0) as u16))?;
        gate.read_to_end(&mut Vec::new())?;
        Ok("held".to_string())
    }))
}

/// Writes until the other side ends it.
pub fn flood(query: &Query) -> String {
    describe(connect(query).and_then(|mut stream| {
        let part = [b'x'; 16 * 1024];
        while stream.write_all(&part).is_ok() {}
        Ok("ended".to_string())
    }))
}

/// Tries UDP.
pub fn udp() -> String {
    describe(UdpSocket::bind("0.0.0.0:0").map(|_| "bound".to_string()))
}

/// The addresses of `name`.
pub fn resolve(query: &Query) -> String {
    describe((query.text("name"), 80).to_socket_addrs().map(|addresses| {
        let texts: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
        texts.join(" ")
    }))
}

/// A GET of `path` with TLS of its own; `roots` (PEM) is what it trusts.
pub fn tls(query: &Query) -> String {
    describe(connect(query).and_then(|stream| {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(query.bytes("roots")) {
            let certificate = certificate.map_err(std::io::Error::other)?;
            roots.add(certificate).map_err(std::io::Error::other)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls_rustcrypto::provider()))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(query.text("host").to_string()).map_err(std::io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        write!(stream, "GET / HTTP/1.0\r\nhost: {}\r\n\r\n", query.text("host"))?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        Ok(String::from_utf8_lossy(&received).into_owned())
    }))
}
