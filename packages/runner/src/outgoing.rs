//! Outgoing HTTP of guests, and which fields are not theirs.

use crate::egress::guest::GuestEgress;
use crate::egress::http_error::from_failure;
use crate::limits;
use http::header;
use http::{HeaderName, Request, Response};
use std::sync::Arc;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// Fields that belong to a connection, not to a message; guests neither see nor set them. `host` is not among them:
/// programs look for it, and copy it with the other fields of a request.
fn is_forbidden(name: &HeaderName) -> bool {
    const MORE: [HeaderName; 3] = [
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("http2-settings"),
    ];
    matches!(
        *name,
        header::CONNECTION
            | header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
    ) || MORE.contains(name)
}

/// What `wasi:http` asks the host.
pub struct Hooks {
    filter: ForbiddenHeaderFilter,
    egress: GuestEgress,
}

impl Hooks {
    /// Sends requests by way of `egress`.
    pub fn new(egress: GuestEgress) -> Self {
        Self { filter: Arc::new(is_forbidden), egress }
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        self.filter.clone()
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processing: Io,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send> {
        let client = self.egress.client().clone();
        let invocation = self.egress.invocation();
        Box::new(async move {
            let invocation = invocation.map_err(from_failure)?;
            let (response, body_taken) = client.send(invocation, request, options.unwrap_or_default()).await?;
            let io: Io = Box::new(async move {
                // The sender is dropped, never used.
                let _ = body_taken.await;
                Ok(())
            });
            Ok((response, io))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::BODY_CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        limits::BODY_CHUNK_BYTES
    }
}
