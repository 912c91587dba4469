//! What dispatcher and spawner say to each other: one JSON object a line. The other side is `spawner-messages.ts`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes of the secret that a connection begins with.
pub const TOKEN_BYTES: usize = 32;

/// From the dispatcher.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Request {
    /// Said first, once.
    Configure(Configure),
    Start(Start),
    Kill(Kill),
}

/// What is the same for all sandboxes. It cannot be printed: it holds a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configure {
    /// The name in the abstract namespace of Unix sockets that the dispatcher listens on.
    pub socket_name: String,
    #[serde(deserialize_with = "read_token")]
    pub token: [u8; TOKEN_BYTES],
    /// The folders of the sandboxes are made in it, each by its number; it is removed at the end.
    pub run_directory: String,
    /// The path of the program that makes sandboxes.
    pub bubblewrap: String,
    /// The path of the file that it reads its system call filter from.
    pub seccomp_filter: String,
}

/// Start a sandbox.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    pub id: u32,
    /// How many sockets it has beside the control socket.
    pub lanes: u32,
    /// The user and group that bubblewrap is started as; missing where the spawner may not choose.
    pub uid: Option<u32>,
    /// Bubblewrap's arguments. They name file descriptors: 3 is the control socket, the lanes follow, then where it tells the
    /// process id, and then its filter.
    pub arguments: Vec<String>,
}

/// End a sandbox. Unknown and ended ones are passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    pub id: u32,
}

/// To the dispatcher.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event<'a> {
    /// The answer to `configure`.
    ControlGroups { state: &'a ControlGroupState },
    /// All processes of the sandbox are gone, and so is its folder. `stderr` is the last of what was written there, or why it was not started.
    Exited { id: u32, code: Option<i32>, signal: Option<i32>, stderr: &'a str },
}

/// Whether sandboxes have control groups, and of what or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControlGroupState {
    pub available: bool,
    pub detail: String,
}

fn read_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; TOKEN_BYTES], D::Error> {
    let digits = String::deserialize(deserializer)?;
    let mut token = [0; TOKEN_BYTES];
    // Never quoted in an error: it is a secret.
    let refuse = || D::Error::custom("the token is not 64 hexadecimal digits");
    if digits.len() != 2 * TOKEN_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    for (byte, at) in token.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| refuse())?;
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }

    #[test]
    fn a_start_is_read_with_and_without_a_user() {
        let Ok(Request::Start(start)) =
            read(r#"{"type":"start","id":7,"lanes":8,"uid":100500,"arguments":["--a","b"]}"#)
        else {
            panic!("not a start");
        };
        assert_eq!((start.id, start.lanes, start.uid), (7, 8, Some(100_500)));
        assert_eq!(start.arguments, ["--a", "b"]);
        assert!(matches!(
            read(r#"{"type":"start","id":7,"lanes":8,"arguments":[]}"#),
            Ok(Request::Start(Start { uid: None, .. }))
        ));
    }

    #[test]
    fn a_token_is_read_and_a_wrong_one_not_quoted() {
        let configure = |token: &str| {
            read(&format!(
                r#"{{"type":"configure","socketName":"n","token":"{token}","runDirectory":"/r","bubblewrap":"/b","seccompFilter":"/f"}}"#
            ))
        };
        let Ok(Request::Configure(read)) = configure(&"0aF1".repeat(16)) else { panic!("not read") };
        assert_eq!(read.token[..4], [0x0a, 0xf1, 0x0a, 0xf1]);
        for wrong in ["secret".to_owned(), "+1".repeat(32), "zz".repeat(32), "é".repeat(32), "00".repeat(33)] {
            let error = configure(&wrong).err().expect("it is wrong");
            assert!(error.contains("64 hexadecimal digits") && !error.contains(&wrong), "{error}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for line in
            ["", "null", "{}", r#"{"type":"stop"}"#, r#"{"type":"kill","id":-1}"#, r#"{"type":"kill","id":1,"more":2}"#]
        {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn events_are_written_as_the_dispatcher_reads_them() {
        let event = Event::Exited { id: 3, code: None, signal: Some(9), stderr: "a\n" };
        let line = serde_json::to_string(&event).expect("it can be written");
        assert_eq!(line, r#"{"type":"exited","id":3,"code":null,"signal":9,"stderr":"a\n"}"#);
    }
}
