//! CGI/1.1 (RFC 3875): a request as meta-variables, a response as a header block and a body on standard output.

pub mod response;
pub mod variables;
