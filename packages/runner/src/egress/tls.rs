//! TLS of `wasi:http`. Guests that use sockets bring their own.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Protocols that are offered, in the order of preference (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The configuration of all connections: the public roots, and those of the operator in `extra_roots` (PEM).
///
/// # Errors
/// `extra_roots` holds something else, or the protocol versions are not supported.
pub fn client_config(extra_roots: &str) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(extra_roots.as_bytes()) {
        let certificate = certificate.map_err(|error| rustls::Error::General(format!("egressRoots: {error}")))?;
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}
