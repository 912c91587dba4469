//! All even streams of a worker's lane.

use super::brokered_stream::BrokeredStream;
use super::connection::Connection;
use crate::outbox::Outbox;
use crate::protocol::egress::{
    FailureCode, read_close, read_dialed, read_failed, read_resolved, write_dial, write_resolve,
};
use crate::protocol::frame::{Frame, FrameType, Violation, violation, write_frame};
use crate::protocol::headers::read_headers;
use crate::protocol::text::PayloadReader;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Even streams of a worker that are open at once; the dispatcher takes no more.
const MAX_STREAMS: usize = 512;

/// The longest name or address that is asked for; no valid one is longer.
const MAX_HOST_BYTES: usize = 1_024;

#[derive(Debug, Default)]
struct Streams {
    open: BTreeMap<u32, Arc<Connection>>,
    /// The number given last. None is ever used again, so that late frames reach nobody else.
    last: u32,
}

/// The outgoing connections of a worker; clones share them.
#[derive(Clone, Debug)]
pub struct EgressLane {
    outbox: Outbox,
    streams: Arc<Mutex<Streams>>,
}

impl EgressLane {
    /// None are open yet.
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox, streams: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, host: &str, make: impl FnOnce(u32) -> Connection) -> Result<(u32, Arc<Connection>), FailureCode> {
        if host.len() > MAX_HOST_BYTES {
            return Err(FailureCode::NameNotFound);
        }
        let mut streams = self.lock();
        if streams.open.len() >= MAX_STREAMS || streams.last >= u32::MAX - 2 {
            return Err(FailureCode::Limit);
        }
        streams.last += 2;
        let number = streams.last;
        let connection = Arc::new(make(number));
        streams.open.insert(number, connection.clone());
        Ok((number, connection))
    }

    /// Asks for a connection; it is made when [`Connection::poll_connected`] says so.
    ///
    /// # Errors
    /// Too many are open.
    pub fn dial(&self, invocation: u32, host: &str, port: u16) -> Result<BrokeredStream, FailureCode> {
        let make = |number| Connection::dialing(number, self.outbox.clone(), invocation);
        let (number, connection) = self.open(host, make)?;
        self.outbox.append(|out| {
            write_frame(out, FrameType::Dial, number, |out| write_dial(out, invocation, host, port));
        });
        Ok(BrokeredStream::new(connection))
    }

    /// Asks for the addresses of a name.
    ///
    /// # Errors
    /// The dispatcher has none to give.
    pub fn resolve(
        &self,
        invocation: u32,
        name: &str,
    ) -> impl Future<Output = Result<Vec<IpAddr>, FailureCode>> + Send + use<> {
        let make = |number| Connection::resolving(number, self.outbox.clone(), invocation);
        let asked = self.open(name, make).map(|(number, connection)| {
            self.outbox.append(|out| {
                write_frame(out, FrameType::Resolve, number, |out| write_resolve(out, invocation, name));
            });
            BrokeredStream::new(connection)
        });
        async move {
            let asked = asked?;
            poll_fn(|context| asked.connection().poll_resolved(context)).await
        }
    }

    /// Takes a frame of an even stream.
    ///
    /// # Errors
    /// The dispatcher has broken the protocol.
    pub fn on_frame(&self, frame: Frame) -> Result<(), Violation> {
        let Some(connection) = self.lock().open.get(&frame.stream).cloned() else {
            return violation(format!("{:?} on an even stream that is not open", frame.frame_type));
        };
        match frame.frame_type {
            FrameType::Dialed => connection.on_dialed(read_dialed(frame.payload)?),
            FrameType::Resolved => connection.on_resolved(read_resolved(frame.payload)?),
            FrameType::Failed => connection.on_failed(read_failed(frame.payload)?),
            FrameType::Body => connection.on_body(frame.payload),
            FrameType::End => {
                let mut reader = PayloadReader::new(frame.payload);
                if !read_headers(&mut reader)?.is_empty() {
                    return violation("END of a connection with trailers");
                }
                reader.end()?;
                connection.on_end()
            }
            FrameType::Credit => {
                let mut reader = PayloadReader::new(frame.payload);
                let bytes = reader.u32()?;
                reader.end()?;
                connection.on_credit(bytes);
                Ok(())
            }
            FrameType::Close => {
                connection.on_close(read_close(frame.payload)?);
                self.lock().open.remove(&frame.stream);
                Ok(())
            }
            other => violation(format!("{other:?} on an even stream")),
        }
    }

    /// No stream is open in either direction.
    pub fn is_empty(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// Ends what an invocation has left open.
    pub fn close_owned_by(&self, invocation: u32) {
        for connection in self.lock().open.values() {
            if connection.owner() == Some(invocation) {
                connection.close();
            }
        }
    }

    /// Ends all.
    pub fn close_all(&self) {
        for connection in self.lock().open.values() {
            connection.close();
        }
    }
}
