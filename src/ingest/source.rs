//! What ingest knows of a source: when to dial it, and how far its connection is.
//!
//! Values only; the agent in `mod` owns the sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;

use fastrand::Rng;

use super::attempts::Attempts;
use super::hold::Wait;
use super::share::Share;
use crate::limits::{RECONNECT_MS_MAX, RECONNECT_MS_MIN};
use crate::log_limit::LogLimit;
use crate::message::SourceIndex;
use crate::net::Key;
use crate::net::framer::Framer;

/// What a configured source is doing.
#[derive(Debug)]
pub(crate) enum Dial {
    /// It waits until then, in ns.
    Resting(u64),
    /// Its name is being looked up, until then, in ns.
    Resolving(u64),
    /// Connections have been begun.
    Connecting(Attempts),
    /// The connection stands.
    Connected,
}

/// A message server that the engine dials.
#[derive(Debug)]
pub(crate) struct Source {
    /// As configured.
    pub address: String,
    /// Whether to acknowledge.
    pub ack: bool,
    /// What it is doing.
    pub dial: Dial,
    failures: u32,
    /// Limits the lines about its connections that ended, ...
    pub log_disconnects: LogLimit,
    /// ... that were made, ...
    pub log_connects: LogLimit,
    /// ... and that could not be made.
    pub log_failures: LogLimit,
}

impl Source {
    /// Dials at once.
    #[must_use]
    pub(crate) fn new(address: String, ack: bool) -> Self {
        Self {
            address,
            ack,
            dial: Dial::Resting(0),
            failures: 0,
            log_disconnects: LogLimit::default(),
            log_connects: LogLimit::default(),
            log_failures: LogLimit::default(),
        }
    }

    /// The address, where it needs no look-up.
    #[must_use]
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }

    /// The connection ended, or could not be made: exponential back-off with full jitter. Returns
    /// how many failures there were in a row.
    pub(crate) fn rest(&mut self, now_ns: u64, rng: &mut Rng) -> u32 {
        let ceiling_ms = (RECONNECT_MS_MIN << self.failures.min(16)).min(RECONNECT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause_ns = rng.u64(..=ceiling_ms * 1_000_000);
        self.dial = Dial::Resting(now_ns.saturating_add(pause_ns));
        self.failures
    }

    /// When it must be looked at if nothing happens, in ns.
    #[must_use]
    pub(crate) fn wakes_at_ns(&self) -> u64 {
        match &self.dial {
            Dial::Resting(until_ns) | Dial::Resolving(until_ns) => *until_ns,
            Dial::Connecting(attempts) => attempts.wakes_at_ns(),
            Dial::Connected => u64::MAX,
        }
    }

    /// Whether this is one of its connections that were begun.
    #[must_use]
    pub(crate) fn tries(&self, key: Key) -> bool {
        matches!(&self.dial, Dial::Connecting(attempts) if attempts.has(key))
    }

    /// It has sent a line that was accepted, or is known: the next failure is a first one. Lines that
    /// are rejected do not count, or who sends one and closes is dialled without a pause.
    pub(crate) fn is_well(&mut self) {
        self.failures = 0;
    }
}

/// Whether a connection's peer was told that what was read of it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// It was, or nothing was read.
    Told,
    /// It may not have been.
    Due,
    /// It is in the list of connections whose peers are told soon.
    Listed {
        /// The connection is looked at again then, for there may be more to read.
        again: bool,
    },
}

/// A connection to or from a source.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Which source it is; one that dialled in has an index of its own.
    pub source: SourceIndex,
    /// Which of the configured sources; `None`: it dialled in.
    pub configured: Option<usize>,
    /// For rejected lines and logs.
    pub name: String,
    /// Where it dialled in from; `None`: the engine has dialled it.
    pub peer: Option<SocketAddr>,
    /// When something was read of it last, in ns, or it came; for those that dialled in.
    pub read_at_ns: Option<u64>,
    /// No line has come yet.
    pub is_new: bool,
    /// Told apart from earlier connections of the source.
    pub number: u32,
    /// Cuts its lines.
    pub framer: Framer,
    /// Whether it wants acknowledgements.
    pub ack: bool,
    /// It is in the queue of connections to read.
    pub is_queued: bool,
    /// It is not read on before it has this.
    pub waits_for: Option<Wait>,
    /// How much of the time its wrong lines may take.
    pub share: Share,
    /// No message may be put before this time, in ms: its predecessors must stay in front.
    pub floor_ms: u64,
    /// Lines that are not blank, so far.
    pub lines: u64,
    /// The last of them that went to the scheduler.
    pub forwarded: u64,
    /// Lines up to here are the engine's responsibility.
    pub responsible: u64,
    /// Lines up to here were acknowledged.
    pub acknowledged: u64,
    /// Rejected lines that hold up its acknowledgements.
    pub unkept: Unkept,
    /// It is in the list of connections that wait for rejected lines to be kept.
    pub awaits_kept: bool,
    /// Bytes of an acknowledgement that the socket did not take.
    pub unsent: Vec<u8>,
    /// Since when the socket has taken none of them, in ns.
    pub unsent_since_ns: u64,
    /// Whether its peer knows what was read.
    pub confirmation: Confirmation,
    /// The peer has ended its side: nothing more comes, and it is told what is taken.
    pub has_ended: bool,
    /// A write has failed, in this way: the peer is told nothing more, and what it has sent is read.
    pub broken: Option<ErrorKind>,
}

impl Connection {
    /// How many lines can be acknowledged now: rejected lines behind the last one that the
    /// scheduler answered for are taken care of once they have ended and are kept.
    #[must_use]
    pub(crate) fn acknowledgeable(&self) -> u64 {
        let line = if self.responsible == self.forwarded {
            self.lines - u64::from(self.framer.is_skipping())
        } else {
            self.responsible
        };
        self.unkept.bound(line)
    }

    /// Bytes of it were read.
    pub(crate) fn note_read(&mut self) {
        if self.confirmation == Confirmation::Told {
            self.confirmation = Confirmation::Due;
        }
    }

    /// Whether nothing more is to be read, nor to be told.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        let is_told = self.acknowledged == self.lines && self.unsent.is_empty();
        let owes = self.ack && self.broken.is_none() && !is_told;
        self.has_ended && !self.framer.is_holding() && !owes
    }

    /// The line that was cut last is to be cut again in another turn.
    pub(super) fn put_off(&mut self, range: &Range<usize>) {
        self.framer.hold(range);
        self.lines -= 1;
    }

    /// The last line was rejected, and is kept when the log is kept up to `end`.
    pub(crate) fn note_rejected(&mut self, end: u64) {
        if self.ack {
            self.unkept.add(self.lines, end);
        }
    }
}

/// Rejected lines of a connection that are not kept yet: an acknowledgement covers all lines before
/// it, so none may go past the first of them. They are waited for in two groups: what comes while
/// the first group waits does not put off its end.
#[derive(Debug, Default)]
pub(crate) struct Unkept {
    waiting: Option<Group>,
    gathering: Option<Group>,
}

#[derive(Debug)]
struct Group {
    first_line: u64,
    /// Where in the log its last line ends.
    end: u64,
}

impl Unkept {
    fn add(&mut self, line: u64, end: u64) {
        let group = match self.waiting {
            None => &mut self.waiting,
            Some(_) => &mut self.gathering,
        };
        let first_line = group.as_ref().map_or(line, |it| it.first_line);
        *group = Some(Group { first_line, end });
    }

    /// The log is kept up to here.
    pub(crate) fn advance(&mut self, kept: u64) {
        while self.waiting.as_ref().is_some_and(|it| it.end <= kept) {
            self.waiting = self.gathering.take();
        }
    }

    /// Whether more can be acknowledged only once more is kept.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    fn bound(&self, line: u64) -> u64 {
        let before = self.waiting.as_ref().map(|it| it.first_line - 1);
        before.map_or(line, |it| line.min(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_rejected_without_end_do_not_put_off_those_before_them() {
        let mut unkept = Unkept::default();
        let (mut written, mut bound) = (0, 0);
        for line in 1..=100 {
            written += 10;
            unkept.add(line, written);
            // Each sync covers what was written three lines ago.
            unkept.advance(written - 30.min(written));
            assert!(unkept.bound(line) < line, "line {line} is not kept");
            bound = unkept.bound(line);
        }
        assert!(bound > 90, "{bound}");
        unkept.advance(written);
        assert_eq!((unkept.bound(100), unkept.is_waiting()), (100, false));
    }

    #[test]
    fn pauses_grow_to_the_limit_and_begin_anew_after_a_frame() {
        let mut rng = Rng::with_seed(7);
        let mut source = Source::new("127.0.0.1:1".to_owned(), false);
        let mut longest_ns = 0;
        for failure in 0..2_000_u32 {
            source.rest(1_000, &mut rng);
            let Dial::Resting(until_ns) = source.dial else {
                panic!("it rests")
            };
            let ceiling_ms = (RECONNECT_MS_MIN << failure.min(16)).min(RECONNECT_MS_MAX);
            assert!(until_ns - 1_000 <= ceiling_ms * 1_000_000);
            longest_ns = longest_ns.max(until_ns);
        }
        assert!(
            longest_ns > RECONNECT_MS_MAX * 900_000,
            "the jitter uses the whole range"
        );
        source.is_well();
        assert_eq!(source.rest(0, &mut rng), 1);
    }
}
