//! One subscriber's connection: what it may say, and what it owes.
//!
//! The delivery agent feeds it lines and the time; it answers with what to do. It owns no socket.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::join::{Answer, Join, Taken};
use super::outbox::Outbox;
use super::tell::News;
use crate::limits::SUBSCRIBER_LINE_LEN_MAX;
use crate::message::DestinationIndex;
use crate::net::framer::Framer;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// To be assigned.
    Subscribe {
        /// The destinations' names.
        destinations: Vec<String>,
        /// Whether it acknowledges.
        ack: bool,
    },
    /// So many more frames are settled.
    Acknowledge(u32),
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has not said what it wants; it is cut when the time (in ns) has come.
    Greeting(u64),
    /// It is a subscriber.
    Subscribed {
        /// It acknowledges.
        ack: bool,
    },
    /// It was told why it is cut, and may read that until the time (in ns) has come.
    Leaving(u64),
    /// Its socket is gone; frames for it may still be in the ring.
    Gone,
}

/// A line of a subscriber.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    subscribe: Option<Vec<String>>,
    #[serde(default)]
    ack: Option<Ack>,
}

/// `"ack":true` beside `subscribe`, `"ack":N` alone.
#[derive(Debug)]
enum Ack {
    Wanted(bool),
    Through(u64),
}

/// By hand: an untagged enum tries `bool` first, and an error that nobody reads costs three
/// allocations for each acknowledgement.
impl<'de> Deserialize<'de> for Ack {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AckVisitor)
    }
}

struct AckVisitor;

impl Visitor<'_> for AckVisitor {
    type Value = Ack;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, or how many frames")
    }

    fn visit_bool<E>(self, wanted: bool) -> Result<Ack, E> {
        Ok(Ack::Wanted(wanted))
    }

    fn visit_u64<E>(self, through: u64) -> Result<Ack, E> {
        Ok(Ack::Through(through))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Where it is in its life.
    pub phase: Phase,
    /// Cuts its lines.
    pub framer: Framer,
    /// What waits to be written.
    pub outbox: Outbox,
    /// What the scheduler is to be told of it.
    pub news: News,
    /// The socket takes bytes, as far as is known.
    pub is_writable: bool,
    /// It took no bytes for at least a tick.
    pub was_blocked: bool,
    /// When it took bytes last, or had nothing to take, in ns; kept while it is not writable.
    pub took_at_ns: Option<u64>,
    /// The first destination that it was given, for the log.
    pub first_destination: Option<DestinationIndex>,
    /// What it has asked for.
    pub(super) taken: Taken,
    /// Its subscriptions that are on their way, in their order; it is not read meanwhile.
    pub(super) joins: VecDeque<Join>,
    /// What the scheduler has answered to the first of them so far.
    pub(super) answer: Answer,
    /// Bytes of its unfinished line, if that is long.
    pub long_len: usize,
    /// It is in the list of those to be written to.
    pub is_listed: bool,
    /// It is in the queue of those to be read.
    pub is_queued: bool,
    /// Frames wholly written.
    pub written: u64,
    /// Frames that it has acknowledged.
    pub acknowledged: u64,
    /// When it began to owe the oldest acknowledgement, in ns; meaningful while it owes one.
    pub owing_since_ns: u64,
}

impl Connection {
    /// A new connection, which shall say what it wants before `until_ns`.
    #[must_use]
    pub fn new(peer: SocketAddr, until_ns: u64) -> Self {
        Self {
            peer,
            phase: Phase::Greeting(until_ns),
            framer: Framer::new(SUBSCRIBER_LINE_LEN_MAX),
            outbox: Outbox::default(),
            news: News::default(),
            is_writable: true,
            was_blocked: false,
            took_at_ns: None,
            first_destination: None,
            taken: Taken::default(),
            joins: VecDeque::new(),
            answer: Answer::default(),
            long_len: 0,
            is_listed: false,
            is_queued: false,
            written: 0,
            acknowledged: 0,
            owing_since_ns: 0,
        }
    }

    /// Understands a line.
    ///
    /// # Errors
    /// What is wrong with it, and what to send instead.
    pub fn hear(&mut self, line: &[u8], now_ns: u64) -> Result<Request, String> {
        // serde would fill a struct from an array too.
        if line.trim_ascii_start().first() == Some(&b'[') {
            return Err(format!("not an object; {}", self.expectation()));
        }
        let words: Words = serde_json::from_slice(line)
            .map_err(|error| format!("not understood ({error}); {}", self.expectation()))?;
        match (words.subscribe, words.ack, self.phase) {
            (Some(_), Some(Ack::Through(_)), _) => Err(self.expectation().to_owned()),
            (Some(destinations), ack, phase) => {
                let ack = matches!(ack, Some(Ack::Wanted(true)));
                match phase {
                    Phase::Greeting(_) => self.subscribe(destinations, ack),
                    Phase::Subscribed { ack: known } if known == ack => {
                        self.subscribe(destinations, ack)
                    }
                    _ => Err(self.expectation().to_owned()),
                }
            }
            (None, Some(Ack::Through(through)), Phase::Subscribed { ack: true }) => {
                self.acknowledge(through, now_ns)
            }
            _ => Err(self.expectation().to_owned()),
        }
    }

    fn subscribe(&mut self, destinations: Vec<String>, ack: bool) -> Result<Request, String> {
        if destinations.is_empty() {
            return Err("no destination named; send {\"subscribe\":[\"table1\"]}".to_owned());
        }
        self.phase = Phase::Subscribed { ack };
        Ok(Request::Subscribe { destinations, ack })
    }

    fn acknowledge(&mut self, through: u64, now_ns: u64) -> Result<Request, String> {
        if through > self.written {
            return Err(format!(
                "acknowledged {through} frames, but only {} were sent on this connection",
                self.written
            ));
        }
        let frames = through.saturating_sub(self.acknowledged);
        self.acknowledged += frames;
        if frames > 0 {
            self.owing_since_ns = now_ns;
        }
        Ok(Request::Acknowledge(
            u32::try_from(frames).unwrap_or(u32::MAX),
        ))
    }

    /// What it should have sent.
    #[must_use]
    pub fn expectation(&self) -> &'static str {
        match self.phase {
            Phase::Subscribed { ack: true } => {
                "send {\"ack\":N}, N = frames done with so far, or subscribe to more with \
                 {\"subscribe\":[\"table2\"],\"ack\":true}: this connection acknowledges"
            }
            Phase::Subscribed { ack: false } => {
                "nothing is expected after the subscription but another one without \"ack\", such as \
                 {\"subscribe\":[\"table2\"]}; connect anew with \"ack\":true to acknowledge"
            }
            _ => "send {\"subscribe\":[\"table1\"]} or {\"subscribe\":[\"table1\"],\"ack\":true}",
        }
    }

    /// Frames were wholly written.
    pub fn note_written(&mut self, frames: u32, now_ns: u64) {
        if self.written == self.acknowledged {
            self.owing_since_ns = now_ns;
        }
        self.written += u64::from(frames);
    }

    /// Whether its socket has taken nothing for too long, though something waits; to be asked again
    /// and again. While it is not writable it has taken nothing.
    pub fn is_unread(&mut self, now_ns: u64, timeout_ns: Option<u64>) -> bool {
        let Some(timeout_ns) = timeout_ns else {
            return false;
        };
        let is_subscribed = matches!(self.phase, Phase::Subscribed { .. });
        if self.is_writable || !is_subscribed {
            self.took_at_ns = None;
            return false;
        }
        let took_at_ns = *self.took_at_ns.get_or_insert(now_ns);
        now_ns.saturating_sub(took_at_ns) >= timeout_ns
    }

    /// Whether it has owed an acknowledgement for too long.
    #[must_use]
    pub fn is_overdue(&self, now_ns: u64, ack_timeout_ns: u64) -> bool {
        self.phase == Phase::Subscribed { ack: true }
            && self.written > self.acknowledged
            && now_ns.saturating_sub(self.owing_since_ns) >= ack_timeout_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Connection {
        Connection::new(([127, 0, 0, 1], 9).into(), 0)
    }

    fn subscribed(ack: bool) -> Connection {
        let mut connection = new();
        let line = format!("{{\"subscribe\":[\"a\"],\"ack\":{ack}}}");
        connection.hear(line.as_bytes(), 0).expect("a good line");
        connection
    }

    #[test]
    fn a_subscription_is_understood_with_and_without_ack() {
        let request = new().hear(b"{ \"subscribe\" : [\"a\",\"b\"] }", 0);
        let destinations = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            request,
            Ok(Request::Subscribe {
                destinations,
                ack: false
            })
        );
        assert_eq!(subscribed(true).phase, Phase::Subscribed { ack: true });
    }

    #[test]
    fn wrong_lines_are_answered_with_what_to_send() {
        let lines: [&[u8]; 11] = [
            b"hello",
            b"{}",
            b"[]",
            b"[[\"a\"]]",
            b" [[\"a\"],true]",
            b"{\"ack\":1}",
            b"{\"subscribe\":[]}",
            b"{\"subscribe\":\"a\"}",
            b"{\"subscribe\":[\"a\"],\"ack\":1}",
            b"{\"subscribe\":[\"a\"],\"akc\":true}",
            b"\xff\xfe",
        ];
        for line in lines {
            let error = new().hear(line, 0).expect_err("a wrong line");
            assert!(error.contains("{\"subscribe\":[\"table1\"]}"), "{error}");
        }
        assert!(subscribed(false).hear(b"{\"ack\":0}", 0).is_err());
        assert!(subscribed(true).hear(b"{\"ack\":-1}", 0).is_err());
    }

    #[test]
    fn a_later_subscription_adds_up_if_it_says_the_same_of_acknowledgements() {
        let plain: &[u8] = b"{\"subscribe\":[\"b\"]}";
        let refusing: &[u8] = b"{\"subscribe\":[\"b\"],\"ack\":false}";
        let acknowledging: &[u8] = b"{\"subscribe\":[\"b\"],\"ack\":true}";
        for (ack, line, is_right) in [
            (false, plain, true),
            (false, refusing, true),
            (false, acknowledging, false),
            (true, acknowledging, true),
            (true, plain, false),
            (true, refusing, false),
        ] {
            let heard = subscribed(ack).hear(line, 0);
            let expected = Request::Subscribe {
                destinations: vec!["b".to_owned()],
                ack,
            };
            match is_right {
                true => assert_eq!(heard, Ok(expected)),
                false => assert!(heard.is_err_and(|it| it.contains("subscribe"))),
            }
        }
        assert!(subscribed(false).hear(b"{\"subscribe\":[]}", 0).is_err());
    }

    #[test]
    fn acknowledgements_are_cumulative_and_bounded_by_what_was_sent() {
        let mut connection = subscribed(true);
        connection.note_written(5, 0);
        assert_eq!(
            connection.hear(b"{\"ack\":3}", 0),
            Ok(Request::Acknowledge(3))
        );
        assert_eq!(
            connection.hear(b"{\"ack\":2}", 0),
            Ok(Request::Acknowledge(0))
        );
        assert_eq!(
            connection.hear(b"{\"ack\":5}", 0),
            Ok(Request::Acknowledge(2))
        );
        let error = connection
            .hear(b"{\"ack\":6}", 0)
            .expect_err("one too many");
        assert!(error.contains("only 5"), "{error}");
    }

    #[test]
    fn who_owes_too_long_is_overdue_and_progress_counts() {
        let mut connection = subscribed(true);
        assert!(!connection.is_overdue(1_000, 10), "it owes nothing");
        connection.note_written(2, 100);
        assert!(!connection.is_overdue(109, 10));
        assert!(connection.is_overdue(110, 10));
        connection.hear(b"{\"ack\":1}", 110).expect("a good line");
        assert!(!connection.is_overdue(119, 10));
        connection.note_written(1, 119);
        assert!(
            connection.is_overdue(120, 10),
            "a newer frame does not excuse an older one"
        );
    }
}
