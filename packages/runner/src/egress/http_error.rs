//! What went wrong with an outgoing request, in the words of `wasi:http`.

use crate::protocol::egress::FailureCode;
use std::error::Error as StdError;
use std::io;
use wasmtime_wasi_http::Error;

/// Why there is no connection.
pub fn from_failure(code: FailureCode) -> Error {
    match code {
        FailureCode::Denied => Error::HttpRequestDenied,
        FailureCode::AddressDenied => Error::DestinationIpProhibited,
        FailureCode::DnsFailed => Error::DnsError { rcode: Some("SERVFAIL".to_owned()), info_code: None },
        FailureCode::NameNotFound => Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
        FailureCode::DnsTimeout => Error::DnsTimeout,
        FailureCode::Refused => Error::ConnectionRefused,
        FailureCode::Timeout => Error::ConnectionTimeout,
        FailureCode::Unreachable => Error::DestinationUnavailable,
        FailureCode::Reset => Error::ConnectionTerminated,
        FailureCode::Limit => Error::ConnectionLimitReached,
        FailureCode::Internal => Error::InternalError(None),
    }
}

/// Why there is no TLS.
pub fn from_tls(error: &io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
        }
        Some(_) => Error::TlsProtocolError,
        None => from_io(error),
    }
}

fn from_io(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::ConnectionReadTimeout,
        io::ErrorKind::QuotaExceeded => Error::ConnectionLimitReached,
        // The peer has ended in the middle of what it had announced.
        io::ErrorKind::UnexpectedEof => Error::HttpResponseIncomplete,
        _ => Error::ConnectionTerminated,
    }
}

/// Why there is no response, or no more of its body.
pub fn from_hyper(error: &hyper::Error) -> Error {
    let mut source = error.source();
    while let Some(cause) = source {
        // The guest's own body.
        match cause.downcast_ref() {
            Some(Error::HttpRequestBodySize(bytes)) => return Error::HttpRequestBodySize(*bytes),
            Some(other) => return Error::InternalError(Some(other.to_string())),
            None => {}
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                from_tls(error)
            } else {
                from_io(error)
            };
        }
        source = cause.source();
    }
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else if error.is_incomplete_message() || error.is_body_write_aborted() {
        Error::HttpResponseIncomplete
    } else if error.is_closed() || error.is_canceled() {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}
