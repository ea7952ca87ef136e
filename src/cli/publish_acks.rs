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
use super::client::{Line, read_line};

/// A line of the engine to a producer.
#[derive(Debug, Deserialize)]
struct Said {
    ack: Option<u64>,
    error: Option<String>,
}

/// What the watching thread tells.
#[derive(Debug)]
pub(super) enum News {
    Acknowledged(u64),
    Refused(String),
}

/// The acknowledgements of one connection.
pub(super) struct Acks {
    /// Ends when the engine has closed the connection.
    news: Receiver<News>,
    acknowledged: u64,
}

impl Acks {
    /// Starts to read what the engine says on `stream`; the thread ends with the connection.
    pub(super) fn watch(stream: &TcpStream) -> io::Result<Acks> {
        let stream = stream.try_clone()?;
        let (tell, news) = channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(Line::Whole) = read_line(&mut from, &mut line) {
                if let Some(news) = understand(&line)
                    && tell.send(news).is_err()
                {
                    return;
                }
            }
        });
        let acknowledged = 0;
        Ok(Acks { news, acknowledged })
    }

    /// Waits until `sent` lines are acknowledged; each acknowledgement has `timeout` to come.
    pub(super) fn wait_for(&mut self, sent: u64, timeout: Duration) -> Result<u64, Failure> {
        while self.acknowledged < sent {
            match self.news.recv_timeout(timeout) {
                Ok(news) => self.take(news)?,
                Err(why) => return Err(missing(sent, self.acknowledged, why, timeout)),
            }
        }
        Ok(self.acknowledged)
    }

    /// Why the engine has refused, if it said so before it closed.
    pub(super) fn complaint(&mut self) -> Option<Failure> {
        const LAST_WORDS: Duration = Duration::from_millis(200);
        while let Ok(news) = self.news.recv_timeout(LAST_WORDS) {
            if let Err(failure) = self.take(news) {
                return Some(failure);
            }
        }
        None
    }

    fn take(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Acknowledged(count) => self.acknowledged = self.acknowledged.max(count),
            News::Refused(why) => {
                return Err(Failure::because(format_args!("the engine refuses: {why}")));
            }
        }
        Ok(())
    }
}

pub(super) fn understand(line: &[u8]) -> Option<News> {
    let said: Said = serde_json::from_slice(line).ok()?;
    match said.error {
        Some(why) => Some(News::Refused(why)),
        None => said.ack.map(News::Acknowledged),
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
