use crate::query::Query;
use crate::tcp::{connect, describe};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

/// A connection on which PostgreSQL's protocol is spoken.
struct Client {
    stream: TcpStream,
    received: BytesMut,
}

impl Client {
    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
        let mut message = BytesMut::new();
        write(&mut message)?;
        self.stream.write_all(&message)
    }

    fn next(&mut self) -> Result<Message> {
        loop {
            match Message::parse(&mut self.received)? {
                Some(Message::ErrorResponse(body)) => {
                    let mut texts =
                        body.fields().map(|field| Ok(String::from_utf8_lossy(field.value_bytes()).into_owned()));
                    let mut whole = Vec::new();
                    while let Some(text) = texts.next()? {
                        whole.push(text);
                    }
                    return Err(Error::other(whole.join(" ")));
                }
                Some(message) => return Ok(message),
                None => {}
            }
            let mut part = [0; 4096];
            match self.stream.read(&mut part)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&part[..count]),
            }
        }
    }

    /// Starts a session: SCRAM-SHA-256, or nothing where the server asks for nothing.
    fn log_in(&mut self, query: &Query) -> Result<()> {
        let parameters = [("user", query.text("user")), ("database", query.text("database"))];
        self.send(|out| frontend::startup_message(parameters, out))?;
        let mut scram = ScramSha256::new(query.bytes("password"), ChannelBinding::unsupported());
        loop {
            match self.next()? {
                Message::AuthenticationSasl(_) => {
                    self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))?;
                }
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    self.send(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => scram.finish(body.data())?,
                Message::ReadyForQuery(_) => return Ok(()),
                _ => {}
            }
        }
    }

    /// The rows of a query, their columns as text.
    fn query(&mut self, text: &str) -> Result<Vec<String>> {
        self.send(|out| frontend::query(text, out))?;
        let mut rows = Vec::new();
        loop {
            match self.next()? {
                Message::DataRow(body) => {
                    let mut columns = Vec::new();
                    let mut ranges = body.ranges();
                    while let Some(range) = ranges.next()? {
                        let bytes = range.map_or(&b"null"[..], |range| &body.buffer()[range]);
                        columns.push(String::from_utf8_lossy(bytes).into_owned());
                    }
                    rows.push(columns.join(" | "));
                }
                Message::ReadyForQuery(_) => return Ok(rows),
                _ => {}
            }
        }
    }
}

/// Asks a PostgreSQL server: `query` as `user` with `password` in `database`. Answers with its rows, or with its error.
pub fn ask(query: &Query) -> String {
    let rows = connect(query).map(|stream| Client { stream, received: BytesMut::new() }).map(|mut client| {
        client
            .log_in(query)
            .and_then(|()| client.query(query.text("query")))
            .map_or_else(|error| format!("failed: {error}"), |rows| rows.join("\n"))
    });
    describe(rows)
}
