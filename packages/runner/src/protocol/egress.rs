//! The payloads of even streams: one outgoing connection or one look-up each.

use super::frame::{Violation, violation};
use super::text::{PayloadReader, write_text16};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Addresses that RESOLVED holds at most.
const MAX_ADDRESSES: u16 = 64;

/// Why a connection or a look-up was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCode {
    /// No rule of the policy allows it.
    Denied,
    /// It is, or resolves to, an address that nobody reaches.
    AddressDenied,
    DnsFailed,
    DnsTimeout,
    NameNotFound,
    Refused,
    Timeout,
    Unreachable,
    Reset,
    /// Too many connections.
    Limit,
    Internal,
}

impl FailureCode {
    const ALL: [(&'static str, Self); 11] = [
        ("denied", Self::Denied),
        ("address_denied", Self::AddressDenied),
        ("dns_failed", Self::DnsFailed),
        ("dns_timeout", Self::DnsTimeout),
        ("name_not_found", Self::NameNotFound),
        ("refused", Self::Refused),
        ("timeout", Self::Timeout),
        ("unreachable", Self::Unreachable),
        ("reset", Self::Reset),
        ("limit", Self::Limit),
        ("internal", Self::Internal),
    ];

    fn from_name(name: &[u8]) -> Result<Self, Violation> {
        let known = Self::ALL.iter().find(|(known, _)| known.as_bytes() == name);
        known.map_or_else(|| violation("FAILED with an unknown code"), |(_, code)| Ok(*code))
    }
}

/// Why the dispatcher has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Both directions were complete, or the worker asked for it.
    Ordinary,
    Reset,
    /// Nothing was sent for too long, or it was open for too long.
    Timeout,
    /// More bytes than are allowed.
    Limit,
}

/// Appends the payload of DIAL. `invocation` is the stream for which it is made.
pub fn write_dial(out: &mut Vec<u8>, invocation: u32, host: &str, port: u16) {
    out.extend_from_slice(&invocation.to_le_bytes());
    write_text16(out, host.as_bytes());
    out.extend_from_slice(&port.to_le_bytes());
}

/// Appends the payload of RESOLVE.
pub fn write_resolve(out: &mut Vec<u8>, invocation: u32, name: &str) {
    out.extend_from_slice(&invocation.to_le_bytes());
    write_text16(out, name.as_bytes());
}

/// Appends the payload of the worker's CLOSE.
pub fn write_close(out: &mut Vec<u8>) {
    out.push(0);
}

fn read_address(reader: &mut PayloadReader) -> Result<IpAddr, Violation> {
    let bytes = reader.text16()?;
    if let Ok(bytes) = <[u8; 4]>::try_from(&bytes[..]) {
        return Ok(IpAddr::from(bytes));
    }
    let bytes = <[u8; 16]>::try_from(&bytes[..]);
    bytes.map_or_else(|_| violation("an address has 4 or 16 bytes"), |bytes| Ok(IpAddr::from(bytes)))
}

/// Reads DIALED: the address that was connected to.
///
/// # Errors
/// It is not that; so for all of these.
pub fn read_dialed(payload: Bytes) -> Result<SocketAddr, Violation> {
    let mut reader = PayloadReader::new(payload);
    let address = read_address(&mut reader)?;
    let port = reader.u16()?;
    reader.end()?;
    Ok(SocketAddr::new(address, port))
}

/// Reads RESOLVED: the addresses of a name.
pub fn read_resolved(payload: Bytes) -> Result<Vec<IpAddr>, Violation> {
    let mut reader = PayloadReader::new(payload);
    let count = reader.u16()?;
    if count > MAX_ADDRESSES {
        return violation("too many addresses");
    }
    let addresses = (0..count).map(|_| read_address(&mut reader)).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(addresses)
}

/// Reads FAILED.
pub fn read_failed(payload: Bytes) -> Result<FailureCode, Violation> {
    let mut reader = PayloadReader::new(payload);
    let code = FailureCode::from_name(&reader.text16()?)?;
    reader.end()?;
    Ok(code)
}

/// Reads CLOSE.
pub fn read_close(payload: Bytes) -> Result<CloseReason, Violation> {
    let mut reader = PayloadReader::new(payload);
    let reason = match reader.u8()? {
        0 => CloseReason::Ordinary,
        1 => CloseReason::Reset,
        2 => CloseReason::Timeout,
        3 => CloseReason::Limit,
        other => return violation(format!("CLOSE for reason {other}")),
    };
    reader.end()?;
    Ok(reason)
}
