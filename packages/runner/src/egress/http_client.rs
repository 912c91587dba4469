//! HTTP over connections of the dispatcher: one client for a worker.

use super::http_body::{RequestBody, ResponseBody};
use super::http_error::{from_failure, from_hyper, from_tls};
use super::http_pool::{Destination, HttpPool, Link, Returning, Sender};
use super::lane::EgressLane;
use super::tls::client_config;
use futures::channel::oneshot;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// The most that the fields of a response may have.
const MAX_HEADER_BYTES: usize = 128 << 10;

/// Fields of a response.
const MAX_HEADERS: usize = 1_000;

/// What a peer may send of one HTTP/2 response before the guest reads it.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// What may come on an HTTP/2 connection in all before guests read it.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Ends when the request's body was taken, or nobody wants it any more.
pub type BodyTaken = oneshot::Receiver<()>;

/// Sends the requests of all guests of a worker.
pub struct HttpClient {
    lane: EgressLane,
    /// Certificates of the operator, beside the public ones (PEM).
    extra_roots: String,
    /// Made for the first connection that needs it.
    tls: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
    pool: Arc<HttpPool>,
}

/// Runs the tasks of HTTP/2 connections.
#[derive(Clone)]
struct Tasks;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

impl HttpClient {
    /// A client without connections.
    pub fn new(lane: EgressLane, extra_roots: String) -> Self {
        Self { lane, extra_roots, tls: OnceLock::new(), pool: Arc::default() }
    }

    /// The lane whose streams it uses.
    pub fn lane(&self) -> &EgressLane {
        &self.lane
    }

    /// An invocation has ended: what it left open is closed. `last`: so is all else.
    pub fn end_invocation(&self, invocation: u32, last: bool) {
        if last {
            self.close();
        } else {
            self.lane.close_owned_by(invocation);
        }
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.pool.clear();
        self.lane.close_all();
    }

    /// Sends a request and gives the response as soon as its head is there.
    ///
    /// # Errors
    /// In the words of `wasi:http`.
    pub async fn send(
        &self,
        invocation: u32,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, BodyTaken), Error> {
        let target = Target::of(&request)?;
        let (parts, body) = request.into_parts();
        let (body, sent, taken) = RequestBody::new(body);
        let mut request = Request::from_parts(parts, body);
        loop {
            let mut link = match self.pool.take(&target.destination, invocation).await {
                Some(link) => link,
                None => {
                    within(options.connect_timeout, Error::ConnectionTimeout, self.connect(&target, invocation)).await?
                }
            };
            target.shape(&mut request, &link.sender)?;
            let sending = link.sender.send(request);
            let response = match within_plain(options.first_byte_timeout, sending).await {
                None => return Err(Error::ConnectionReadTimeout),
                Some(Ok(response)) => response,
                Some(Err(mut error)) => match error.take_message() {
                    // The server had closed it while it waited.
                    Some(unsent) if link.used => {
                        request = unsent;
                        continue;
                    }
                    _ => return Err(from_hyper(error.error())),
                },
            };
            let link = match &link.sender {
                Sender::Http1(_) => Some(link),
                Sender::Http2(_) => None,
            };
            let returning = Returning { pool: self.pool.clone(), link, sent };
            let body = |incoming| ResponseBody::new(incoming, options.between_bytes_timeout, returning);
            return Ok((response.map(|incoming| body(incoming).boxed_unsync()), taken));
        }
    }

    async fn connect(&self, target: &Target, invocation: u32) -> Result<Link, Error> {
        let Destination { tls, host, port } = &target.destination;
        let stream = self.lane.dial(invocation, host, *port).map_err(from_failure)?;
        let connection = stream.connection().clone();
        poll_fn(|context| connection.poll_connected(context)).await.map_err(from_failure)?;
        let sender = if *tls {
            let connector = TlsConnector::from(self.tls_config()?);
            let stream = connector.connect(target.server_name()?, stream).await.map_err(|error| from_tls(&error))?;
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                http2_sender(stream).await?
            } else {
                http1_sender(stream).await?
            }
        } else {
            http1_sender(stream).await?
        };
        let destination = target.destination.clone();
        if let Sender::Http2(sender) = &sender {
            let sender = Sender::Http2(sender.clone());
            self.pool.put(Link {
                sender,
                connection: connection.clone(),
                destination: destination.clone(),
                used: true,
            });
        }
        Ok(Link { sender, connection, destination, used: false })
    }

    fn tls_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let config = self.tls.get_or_init(|| client_config(&self.extra_roots));
        config.clone().map_err(|error| Error::InternalError(Some(error.to_string())))
    }
}

async fn http1_sender(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, Error> {
    let mut builder = http1::Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEADER_BYTES);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| from_hyper(&error))?;
    // How it ends the request is told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::Http1(sender))
}

async fn http2_sender(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, Error> {
    let mut builder = http2::Builder::new(Tasks);
    builder
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| from_hyper(&error))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::Http2(sender))
}

async fn within<T>(
    limit: Option<Duration>,
    exceeded: Error,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    within_plain(limit, future).await.unwrap_or(Err(exceeded))
}

async fn within_plain<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// Where a request goes to.
struct Target {
    destination: Destination,
    uri: Uri,
    host_field: HeaderValue,
}

impl Target {
    fn of<B>(request: &Request<B>) -> Result<Self, Error> {
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let uri = request.uri().clone();
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        // What stands after the colon must be a port, or nothing stands there.
        let port = match (authority.port(), authority.port_u16()) {
            (_, Some(port)) => port,
            (None, None) => {
                if tls {
                    443
                } else {
                    80
                }
            }
            (Some(_), None) => return Err(Error::HttpRequestUriInvalid),
        };
        let host_field = HeaderValue::from_str(authority.as_str()).map_err(|_| Error::HttpRequestUriInvalid)?;
        Ok(Self { destination: Destination { tls, host, port }, uri, host_field })
    }

    fn server_name(&self) -> Result<ServerName<'static>, Error> {
        let host = &self.destination.host;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(ServerName::from(address));
        }
        // A name that ends in a dot is the same name; certificates have it without.
        let name = host.strip_suffix('.').unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)
    }

    /// Gives a request the form that its connection needs. `host` says where it goes, whatever the guest has set: it may have
    /// copied the fields of the request that it serves.
    fn shape<B>(&self, request: &mut Request<B>, sender: &Sender) -> Result<(), Error> {
        match sender {
            Sender::Http1(_) => {
                let path = self.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
                *request.uri_mut() = Uri::from(path);
                *request.version_mut() = Version::HTTP_11;
                request.headers_mut().insert(header::HOST, self.host_field.clone());
            }
            Sender::Http2(_) => {
                *request.uri_mut() = self.uri.clone();
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(header::HOST);
            }
        }
        Ok(())
    }
}
