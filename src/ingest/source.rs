//! A configured source: what the engine is doing to reach it, and how long it pauses between two
//! tries.
//!
//! Values only; `dial` makes the connections.

use std::net::SocketAddr;
use std::sync::Arc;

use fastrand::Rng;

use super::attempts::Attempts;
use crate::limits::{RECONNECT_MS_MAX, RECONNECT_MS_MIN};
use crate::log_limit::LogLimit;
use crate::net::Key;

/// What a configured source is doing.
#[derive(Debug)]
pub(super) enum Dial {
    /// It waits until then, in ns.
    Resting(u64),
    /// Its name is being looked up, until then, in ns.
    Resolving(u64),
    /// Connections have been begun.
    Connecting(Attempts),
    /// The connection stands.
    Connected,
    /// The settings name it no more; its slot is free.
    Removed,
}

/// A message server that the engine dials.
#[derive(Debug)]
pub(super) struct Source {
    /// As configured.
    pub(super) address: Arc<str>,
    /// Whether to acknowledge.
    pub(super) ack: bool,
    /// It is in this process: it has no address, and is told what became of its lines.
    pub(super) is_within: bool,
    /// What it is doing.
    pub(super) dial: Dial,
    failures: u32,
    /// What is told of it.
    pub(super) past: Past,
    /// A look-up is under way, or waits for its place.
    pub(super) is_asked: bool,
    /// The one that is under way is that of the slot's former source.
    pub(super) is_stale: bool,
    /// Limits the lines about its connections that ended, ...
    pub(super) log_disconnects: LogLimit,
    /// ... that were made, ...
    pub(super) log_connects: LogLimit,
    /// ... and that could not be made.
    pub(super) log_failures: LogLimit,
}

/// What a source's connections have come to, without the one that stands.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Since when one stands, or none, in ns.
    pub(super) since_ns: u64,
    pub(super) connects: u64,
    /// Lines that came, and those among them that were rejected.
    pub(super) lines: u64,
    pub(super) rejected: u64,
    /// Why none stands.
    pub(super) why: Option<Arc<str>>,
}

impl Past {
    pub(super) fn note_connected(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        self.connects += 1;
        self.why = None;
    }

    /// After so many lines, of which some were rejected.
    pub(super) fn note_ended(&mut self, (lines, rejected): (u64, u64), why: &str, now_ns: u64) {
        self.since_ns = now_ns;
        self.lines += lines;
        self.rejected += rejected;
        self.note_why(why);
    }

    /// It is not reached.
    pub(super) fn note_why(&mut self, why: &str) {
        if self.why.as_deref() != Some(why) {
            self.why = Some(why.into());
        }
    }
}

impl Source {
    /// Dials at once.
    pub(super) fn new(address: String, ack: bool) -> Self {
        Self {
            past: Past::default(),
            address: address.into(),
            ack,
            is_within: false,
            dial: Dial::Resting(0),
            failures: 0,
            is_asked: false,
            is_stale: false,
            log_disconnects: LogLimit::default(),
            log_connects: LogLimit::default(),
            log_failures: LogLimit::default(),
        }
    }

    /// The same, in this process or not.
    pub(super) fn within(self, is_within: bool) -> Self {
        Self { is_within, ..self }
    }

    /// The address, where it needs no look-up. In this process any will do.
    pub(super) fn literal(&self) -> Option<SocketAddr> {
        if self.is_within {
            return Some(SocketAddr::from(([0, 0, 0, 0], 0)));
        }
        self.address.parse().ok()
    }

    /// The connection ended, or could not be made: exponential back-off with full jitter. Returns
    /// how many failures there were in a row.
    pub(super) fn rest(&mut self, now_ns: u64, rng: &mut Rng) -> u32 {
        let ceiling_ms = (RECONNECT_MS_MIN << self.failures.min(16)).min(RECONNECT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause_ns = rng.u64(..=ceiling_ms * 1_000_000);
        self.dial = Dial::Resting(now_ns.saturating_add(pause_ns));
        self.failures
    }

    /// When its next step is due if nothing happens, in ns.
    pub(super) fn wakes_at_ns(&self) -> u64 {
        match &self.dial {
            Dial::Resting(until_ns) | Dial::Resolving(until_ns) => *until_ns,
            Dial::Connecting(attempts) => attempts.wakes_at_ns(),
            Dial::Connected | Dial::Removed => u64::MAX,
        }
    }

    /// Whether this is one of its connections that were begun.
    pub(super) fn tries(&self, key: Key) -> bool {
        matches!(&self.dial, Dial::Connecting(attempts) if attempts.has(key))
    }

    /// A line of it was accepted: the next failure is a first one. Lines that are rejected or known do
    /// not count, or who sends one and closes is dialled without a pause. The connection may have ended
    /// before that was known: then this is its first failure.
    pub(super) fn note_accepted(&mut self, now_ns: u64, rng: &mut Rng) {
        self.failures = 0;
        if let Dial::Resting(until_ns) = self.dial {
            let _ = self.rest(now_ns, rng);
            if self.wakes_at_ns() > until_ns {
                self.dial = Dial::Resting(until_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let Dial::Resting(until_ns) = source.dial else {
            panic!("it rests")
        };
        // It had ended before that was known.
        source.note_accepted(2_000, &mut rng);
        let soon_ns = until_ns.min(2_000 + RECONNECT_MS_MIN * 1_000_000);
        assert!(source.wakes_at_ns() <= soon_ns);
        source.dial = Dial::Connected;
        source.note_accepted(3_000, &mut rng);
        assert!(matches!(source.dial, Dial::Connected));
        assert_eq!(source.rest(0, &mut rng), 1);
    }
}
