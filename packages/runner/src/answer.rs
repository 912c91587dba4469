//! The way of a response from the guest to the lane: checked, and sent as fast as there is credit.

use crate::failure::Failure;
use crate::outbox::Outbox;
use crate::protocol::done::Outcome;
use crate::protocol::frame::{FrameType, MAX_PAYLOAD_BYTES, write_frame};
use crate::protocol::headers::write_headers;
use crate::protocol::response::write_response;
use crate::stream::Stream;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use std::future::poll_fn;
use wasmtime_wasi_http::WasiBody;

/// A list of fields must fit into one frame; what remains is for status, trailers' count and lengths.
const MAX_HEADER_BYTES: usize = MAX_PAYLOAD_BYTES - 1_024;

/// Bytes that a field counts beside its name and value, as in HTTP/1.1: a colon, a space and a line end.
const FIELD_OVERHEAD_BYTES: usize = 4;

/// Sends the response of one invocation.
pub struct Answer<'a> {
    stream: &'a Stream,
    outbox: &'a Outbox,
    max_header_bytes: usize,
    /// The request was HEAD, so that no body follows whatever the fields say.
    head_only: bool,
}

fn invalid(detail: impl Into<String>) -> Failure {
    Failure::new(Outcome::ResponseInvalid, detail)
}

/// Fields that belong to a connection; the dispatcher has its own.
fn is_connection_level(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE | header::TE | header::TRAILER)
        || name == "keep-alive"
        || name == "proxy-connection"
}

impl<'a> Answer<'a> {
    /// `max_header_bytes` bounds the fields of the head, and those of the trailers.
    pub fn new(stream: &'a Stream, outbox: &'a Outbox, max_header_bytes: usize, head_only: bool) -> Self {
        let max_header_bytes = max_header_bytes.min(MAX_HEADER_BYTES);
        Self { stream, outbox, max_header_bytes, head_only }
    }

    /// The limit of the fields, for who reads a head before it is sent.
    pub fn max_header_bytes(&self) -> usize {
        self.max_header_bytes
    }

    /// Sends head, body and trailers.
    ///
    /// # Errors
    /// The response breaks a rule; what was sent so far stays sent.
    pub async fn send(&self, response: Response<WasiBody>) -> Result<(), Failure> {
        let (parts, mut body) = response.into_parts();
        let declared = self.send_head(parts.status, &parts.headers)?;
        let without_body = self.head_only || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut sent: u64 = 0;
        let mut trailers = HeaderMap::new();
        while !body.is_end_stream() {
            let Some(frame) = body.frame().await else { break };
            let frame = match frame {
                Ok(frame) => frame,
                // Wasmtime finds that the declared length was not written, which is right in answer to HEAD.
                Err(_) if without_body => break,
                Err(error) => return Err(invalid(format!("the guest broke off the response body: {error}"))),
            };
            match frame.into_data() {
                Ok(_) if without_body => {}
                Ok(chunk) => {
                    sent += chunk.len() as u64;
                    if declared.is_some_and(|declared| sent > declared) {
                        return Err(invalid("the response body is longer than its content-length"));
                    }
                    self.send_body(chunk).await;
                }
                Err(frame) => {
                    if let Ok(fields) = frame.into_trailers() {
                        trailers = fields;
                    }
                }
            }
        }
        if let Some(declared) = declared
            && sent != declared
            && !without_body
        {
            return Err(invalid(format!("the response body has {sent} bytes, its content-length says {declared}")));
        }
        self.send_end(&trailers)
    }

    /// Returns the declared length of the body.
    fn send_head(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<u64>, Failure> {
        if !(200..=599).contains(&status.as_u16()) {
            return Err(invalid(format!("the response has status {}", status.as_u16())));
        }
        self.check_size(headers)?;
        let declared = content_length(headers)?;
        self.outbox.append(|out| {
            write_frame(out, FrameType::Response, self.stream.number, |out| {
                write_response(out, status.as_u16(), fields(headers));
            });
        });
        Ok(declared)
    }

    fn check_size(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let bytes: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES).sum();
        if bytes > self.max_header_bytes {
            let detail = format!("the fields have {bytes} bytes, the limit is {}", self.max_header_bytes);
            return Err(Failure::new(Outcome::HeaderTooLarge, detail));
        }
        Ok(())
    }

    async fn send_body(&self, mut chunk: Bytes) {
        while !chunk.is_empty() {
            let wanted = chunk.len().min(MAX_PAYLOAD_BYTES);
            let granted = poll_fn(|context| self.stream.poll_credit(context, wanted)).await;
            let part = chunk.split_to(granted);
            self.outbox.append(|out| {
                write_frame(out, FrameType::Body, self.stream.number, |out| out.extend_from_slice(&part));
            });
        }
    }

    fn send_end(&self, trailers: &HeaderMap) -> Result<(), Failure> {
        self.check_size(trailers)?;
        self.outbox.append(|out| {
            write_frame(out, FrameType::End, self.stream.number, |out| write_headers(out, fields(trailers)));
        });
        Ok(())
    }
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .iter()
        .filter(|(name, _)| !is_connection_level(name))
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let digits = value.as_bytes();
    let length = if digits.iter().all(u8::is_ascii_digit) && values.next().is_none() {
        value.to_str().ok().and_then(|text| text.parse().ok())
    } else {
        None
    };
    length.map(Some).ok_or_else(|| invalid("the response has a content-length that is not one number"))
}
