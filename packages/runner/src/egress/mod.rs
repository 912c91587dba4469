//! What leaves the sandbox: connections that the dispatcher makes, and the protocols of guests over them.

pub mod brokered_stream;
pub mod connection;
pub mod guest;
pub mod http_body;
pub mod http_client;
pub mod http_error;
pub mod http_pool;
pub mod lane;
pub mod sockets;
pub mod tls;
