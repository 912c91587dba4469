//! A REQUEST as the `http` crate has it.

use crate::protocol::headers::HeaderList;
use crate::protocol::request::RequestHead;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// Stands in where a client has named no host, as HTTP/1.0 allows.
const NO_AUTHORITY: &str = "localhost";

/// The same request with `body`.
///
/// # Errors
/// Method, target or a field cannot be expressed; the text says which.
pub fn http_request<B>(head: &RequestHead, body: B) -> Result<Request<B>, String> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme(&head.scheme)?);
    parts.authority = Some(if head.authority.is_empty() {
        Authority::from_static(NO_AUTHORITY)
    } else {
        Authority::from_maybe_shared(head.authority.clone()).map_err(|error| format!("the authority: {error}"))?
    });
    parts.path_and_query =
        Some(PathAndQuery::from_maybe_shared(head.path.clone()).map_err(|error| format!("the path: {error}"))?);
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(&head.method).map_err(|error| format!("the method: {error}"))?;
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| format!("the target: {error}"))?;
    *request.headers_mut() = header_map(&head.headers)?;
    Ok(request)
}

fn scheme(text: &Bytes) -> Result<Scheme, String> {
    match &text[..] {
        b"http" => Ok(Scheme::HTTP),
        b"https" => Ok(Scheme::HTTPS),
        other => Scheme::try_from(other).map_err(|error| format!("the scheme: {error}")),
    }
}

/// A list of fields as a map; duplicates of a name stay in order.
///
/// # Errors
/// A name is no token, a value holds control characters, or there are too many; the text says which.
pub fn header_map(headers: &HeaderList) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name).map_err(|error| format!("a field's name: {error}"))?;
        let value = HeaderValue::from_maybe_shared(value.clone()).map_err(|error| format!("field {name}: {error}"))?;
        map.try_append(name, value).map_err(|error| format!("the fields: {error}"))?;
    }
    Ok(map)
}
