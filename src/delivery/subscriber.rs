//! One subscriber's connection: what it may say, what it owes, and what waits for it.
//!
//! The core feeds it lines and the time; it answers with what to do. It owns no socket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::answer::Answer;
use super::lookup::{Lookup, Requested};
use super::outbox::{Completed, Outbox};
use super::report::Report;
use super::request::{Request, Subscription};
use crate::access::Token;
use crate::limits::SUBSCRIBER_LINE_LEN_MAX;
use crate::message::DestinationIndex;
use crate::net::framer::Framer;
use crate::plural::{counted, several};

/// What a line comes to.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) enum Accepted {
    /// These names and patterns are to be looked up, if the token is right.
    Subscribe(Vec<String>, Option<Token>),
    /// So many more frames are settled.
    Acknowledge(u32),
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not said what it wants; it is closed when the time (in ns) has come.
    Greeting(u64),
    /// It is a subscriber, and acknowledges or not.
    Subscribed { ack: bool },
    /// It was sent an error line, and may read that until this time, in ns.
    Leaving(u64),
    /// Its socket is gone; frames for it may still be in the ring.
    Gone,
}

/// How far the scheduler knows that a subscriber leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// Not at all: it is one of those that are served.
    None,
    /// `Gone` is on its way, or was sent.
    Reported,
    /// `Forget` has come: no frame for it follows.
    Forgotten,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) peer: SocketAddr,
    /// The names in its certificate, where one was asked for.
    pub(super) certificate: Option<Vec<String>>,
    pub(super) phase: Phase,
    pub(super) parting: Parting,
    /// Cuts its lines.
    pub(super) framer: Framer,
    /// What waits to be written.
    pub(super) outbox: Outbox,
    /// Its events for the scheduler.
    pub(super) report: Report,
    /// The socket takes bytes, as far as is known.
    pub(super) is_writable: bool,
    /// It took no bytes for at least a tick.
    pub(super) was_blocked: bool,
    /// When it took bytes last, or had nothing to take, in ns; kept while it is not writable.
    took_at_ns: Option<u64>,
    /// The first destinations that it was given, for the log.
    pub(super) first_destinations: Vec<DestinationIndex>,
    /// Destinations that others had when it subscribed, for the log.
    pub(super) standby_count: usize,
    /// Its first subscription was answered, and logged.
    pub(super) is_announced: bool,
    pub(super) requested: Requested,
    /// Its subscriptions that are on their way, in their order; it is not read meanwhile.
    pub(super) lookups: VecDeque<Lookup>,
    /// What the scheduler has answered to the first of them so far.
    pub(super) answer: Answer,
    /// Bytes of its unfinished line, if that is long.
    pub(super) long_len: usize,
    /// It is among those to be written to.
    pub(super) is_write_pending: bool,
    /// It is in the queue of those to be read.
    pub(super) is_queued: bool,
    /// What the present write has completed.
    pub(super) completed: Completed,
    /// Frames wholly written.
    pub(super) written: u64,
    /// Frames that it has acknowledged.
    pub(super) acknowledged: u64,
    /// When it began to owe the oldest acknowledgement, in ns; meaningful while it owes one.
    owing_since_ns: u64,
}

impl Subscriber {
    /// A new connection, which shall say what it wants before `until_ns`.
    pub(super) fn new(peer: SocketAddr, until_ns: u64) -> Self {
        Self {
            peer,
            certificate: None,
            phase: Phase::Greeting(until_ns),
            parting: Parting::None,
            framer: Framer::new(SUBSCRIBER_LINE_LEN_MAX),
            outbox: Outbox::default(),
            report: Report::default(),
            is_writable: true,
            was_blocked: false,
            took_at_ns: None,
            first_destinations: Vec::new(),
            standby_count: 0,
            is_announced: false,
            requested: Requested::default(),
            lookups: VecDeque::new(),
            answer: Answer::default(),
            long_len: 0,
            is_write_pending: false,
            is_queued: false,
            completed: Completed::default(),
            written: 0,
            acknowledged: 0,
            owing_since_ns: 0,
        }
    }

    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.phase, Phase::Subscribed { .. })
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// It leaves: the scheduler is to hear so at once, for others stand by. A frame that is half written is
    /// delivered when it is whole, so that it is waited for.
    pub(super) fn part(&mut self) {
        if self.parting == Parting::None && !self.outbox.has_begun_frame() {
            self.parting = Parting::Reported;
            self.report.gone = true;
        }
    }

    /// Takes a line.
    ///
    /// # Errors
    /// What is wrong with it, and what to send instead.
    pub(super) fn on_line(&mut self, line: &[u8], now_ns: u64) -> Result<Accepted, String> {
        let request = Request::parse(line);
        let request = request.map_err(|why| format!("{why}; {}", self.expectation()))?;
        match (request, self.phase) {
            (Some(Request::Subscribe(asked)), Phase::Greeting(_)) => self.subscribe(asked),
            (Some(Request::Subscribe(asked)), Phase::Subscribed { ack }) if ack == asked.ack => {
                self.subscribe(asked)
            }
            (Some(Request::Acknowledge(through)), Phase::Subscribed { ack: true }) => {
                self.acknowledge(through, now_ns)
            }
            _ => Err(self.expectation().to_owned()),
        }
    }

    fn subscribe(&mut self, asked: Subscription) -> Result<Accepted, String> {
        if asked.destinations.is_empty() {
            return Err("no destination named; send {\"subscribe\":[\"table1\"]}".to_owned());
        }
        self.phase = Phase::Subscribed { ack: asked.ack };
        Ok(Accepted::Subscribe(asked.destinations, asked.token))
    }

    fn acknowledge(&mut self, through: u64, now_ns: u64) -> Result<Accepted, String> {
        if through > self.written {
            return Err(format!(
                "acknowledged {}, but only {} sent on this connection",
                several(through, "frame"),
                counted(self.written, "was", "were")
            ));
        }
        let frames = through.saturating_sub(self.acknowledged);
        self.acknowledged += frames;
        if frames > 0 {
            self.owing_since_ns = now_ns;
        }
        Ok(Accepted::Acknowledge(
            u32::try_from(frames).unwrap_or(u32::MAX),
        ))
    }

    /// What it should have sent.
    pub(super) fn expectation(&self) -> &'static str {
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
    pub(super) fn note_written(&mut self, frames: u32, now_ns: u64) {
        if self.written == self.acknowledged {
            self.owing_since_ns = now_ns;
        }
        self.written += u64::from(frames);
    }

    /// Whether its socket has taken nothing for too long, though something waits; to be asked again
    /// and again. While it is not writable it has taken nothing.
    pub(super) fn is_unread(&mut self, now_ns: u64, timeout_ns: Option<u64>) -> bool {
        let Some(timeout_ns) = timeout_ns else {
            return false;
        };
        if self.is_writable || !self.is_subscribed() {
            self.took_at_ns = None;
            return false;
        }
        let took_at_ns = *self.took_at_ns.get_or_insert(now_ns);
        now_ns.saturating_sub(took_at_ns) >= timeout_ns
    }

    /// Whether it has owed an acknowledgement for too long.
    pub(super) fn is_overdue(&self, now_ns: u64, ack_timeout_ns: u64) -> bool {
        self.phase == Phase::Subscribed { ack: true }
            && self.written > self.acknowledged
            && now_ns.saturating_sub(self.owing_since_ns) >= ack_timeout_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Subscriber {
        Subscriber::new(([127, 0, 0, 1], 9).into(), 0)
    }

    fn subscribed(ack: bool) -> Subscriber {
        let mut subscriber = new();
        let line = format!("{{\"subscribe\":[\"a\"],\"ack\":{ack}}}");
        subscriber.on_line(line.as_bytes(), 0).expect("a good line");
        subscriber
    }

    #[test]
    fn a_subscription_is_understood_with_and_without_ack() {
        let request = new().on_line(b"{ \"subscribe\" : [\"a\",\"b\"] }", 0);
        let destinations = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(request, Ok(Accepted::Subscribe(destinations, None)));
        assert_eq!(subscribed(false).phase, Phase::Subscribed { ack: false });
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
            let error = new().on_line(line, 0).expect_err("a wrong line");
            assert!(error.contains("{\"subscribe\":[\"table1\"]}"), "{error}");
        }
        assert!(subscribed(false).on_line(b"{\"ack\":0}", 0).is_err());
        assert!(subscribed(true).on_line(b"{\"ack\":-1}", 0).is_err());
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
            let mut subscriber = subscribed(ack);
            let accepted = subscriber.on_line(line, 0);
            if is_right {
                let expected = Accepted::Subscribe(vec!["b".to_owned()], None);
                assert_eq!(accepted, Ok(expected));
                assert_eq!(subscriber.phase, Phase::Subscribed { ack });
            } else {
                assert!(accepted.is_err_and(|it| it.contains("subscribe")));
            }
        }
        assert!(subscribed(false).on_line(b"{\"subscribe\":[]}", 0).is_err());
    }

    #[test]
    fn acknowledgements_are_cumulative_and_bounded_by_what_was_sent() {
        let mut subscriber = subscribed(true);
        subscriber.note_written(5, 0);
        assert_eq!(
            subscriber.on_line(b"{\"ack\":3}", 0),
            Ok(Accepted::Acknowledge(3))
        );
        assert_eq!(
            subscriber.on_line(b"{\"ack\":2}", 0),
            Ok(Accepted::Acknowledge(0))
        );
        assert_eq!(
            subscriber.on_line(b"{\"ack\":5}", 0),
            Ok(Accepted::Acknowledge(2))
        );
        let error = subscriber
            .on_line(b"{\"ack\":6}", 0)
            .expect_err("one too many");
        assert!(error.contains("only 5"), "{error}");
    }

    #[test]
    fn who_owes_too_long_is_overdue_and_progress_counts() {
        let mut subscriber = subscribed(true);
        assert!(!subscriber.is_overdue(1_000, 10), "it owes nothing");
        subscriber.note_written(2, 100);
        assert!(!subscriber.is_overdue(109, 10));
        assert!(subscriber.is_overdue(110, 10));
        subscriber
            .on_line(b"{\"ack\":1}", 110)
            .expect("a good line");
        assert!(!subscriber.is_overdue(119, 10));
        subscriber.note_written(1, 119);
        assert!(
            subscriber.is_overdue(120, 10),
            "a newer frame does not excuse an older one"
        );
    }
}
