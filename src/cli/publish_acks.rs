//! The acknowledgements that come back to `publish`.
//!
//! A thread reads them off the socket while the lines go out, so that neither side ever waits for
//! the other to read. Acknowledgements are cumulative: only the last one counts.

use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::Deserialize;

use super::Failure;
use super::client::{Line, foreign, read_line};

/// A line of the engine to a producer.
#[derive(Debug, Deserialize)]
struct Said {
    ack: Option<u64>,
    error: Option<String>,
}

/// What the watching thread tells.
#[derive(Debug)]
pub(super) enum Reply {
    Acknowledged(u64),
    Refused(String),
    /// It is none of the engine's.
    Foreign(Failure),
}

/// Where it publishes.
const LISTEN: &str = "[ingest] listen";

/// The acknowledgements of one connection.
pub(super) struct Acks {
    /// Ends when the engine has closed the connection.
    replies: Receiver<Reply>,
    acknowledged: u64,
}

impl Acks {
    /// Starts to read what the engine says on `stream`; the thread ends with the connection.
    pub(super) fn watch(stream: &TcpStream) -> io::Result<Acks> {
        let stream = stream.try_clone()?;
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(Line::Whole) = read_line(&mut from, &mut line) {
                if let Some(reply) = parse_reply(&line)
                    && sender.send(reply).is_err()
                {
                    return;
                }
            }
        });
        let acknowledged = 0;
        Ok(Acks {
            replies,
            acknowledged,
        })
    }

    /// Waits until `sent` lines are acknowledged; each acknowledgement has `timeout` to come.
    pub(super) fn wait_for(&mut self, sent: u64, timeout: Duration) -> Result<u64, Failure> {
        while self.acknowledged < sent {
            match self.replies.recv_timeout(timeout) {
                Ok(reply) => self.take(reply)?,
                Err(why) => return Err(missing(sent, self.acknowledged, why, timeout)),
            }
        }
        Ok(self.acknowledged)
    }

    /// Why the engine has refused, if it said so before it closed.
    pub(super) fn complaint(&mut self) -> Option<Failure> {
        const LAST_WORDS: Duration = Duration::from_secs(1);
        while let Ok(reply) = self.replies.recv_timeout(LAST_WORDS) {
            if let Err(failure) = self.take(reply) {
                return Some(failure);
            }
        }
        None
    }

    fn take(&mut self, reply: Reply) -> Result<(), Failure> {
        match reply {
            Reply::Acknowledged(count) => self.acknowledged = self.acknowledged.max(count),
            Reply::Foreign(failure) => return Err(failure),
            // Delivery's words say how to subscribe.
            Reply::Refused(why) if why.contains("\"subscribe\"") => {
                return Err(Failure::because(format_args!(
                    "this is not {LISTEN}: subscribers connect here, as at [delivery] listen ({why})"
                )));
            }
            Reply::Refused(why) => {
                return Err(Failure::because(format_args!("the engine refuses: {why}")));
            }
        }
        Ok(())
    }
}

pub(super) fn parse_reply(line: &[u8]) -> Option<Reply> {
    if let Some(failure) = foreign(line, LISTEN) {
        return Some(Reply::Foreign(failure));
    }
    let said: Said = serde_json::from_slice(line).ok()?;
    match said.error {
        Some(why) => Some(Reply::Refused(why)),
        None => said.ack.map(Reply::Acknowledged),
    }
}

fn missing(sent: u64, acknowledged: u64, why: RecvTimeoutError, timeout: Duration) -> Failure {
    let why = match why {
        RecvTimeoutError::Timeout => format!("nothing more came for {timeout:?}"),
        RecvTimeoutError::Disconnected => "the engine closed the connection".to_owned(),
    };
    Failure::Failed(format!(
        "sent {sent} messages, {acknowledged} acknowledged, then {why}; it is safe to send the \
         same lines again, for the engine knows what it has by the messageId"
    ))
}
