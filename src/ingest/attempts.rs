//! Attempts to connect to one source, which may have several addresses: in the manner of Happy
//! Eyeballs (RFC 8305), so that one that does not answer costs a quarter of a second and not
//! minutes.
//!
//! Values only: `dial` makes the connections that this asks for, and notes how each ends.
//!
//! ```text
//! addresses, families by turns:  [::1] ----------> refused: the next one at once
//!                                127.0.0.1 ------> no answer for 250 ms: the next one beside it
//!                                [fe80::1] ------> connected: it wins, the others are closed
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::limits::{ADDRESSES_MAX, CONNECT_NEXT_NS, CONNECT_NS_MAX};
use crate::net::Key;

/// The attempts of one dial.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// Addresses that were not tried yet.
    waiting: VecDeque<SocketAddr>,
    /// Connections that were begun.
    under_way: Vec<Key>,
    /// The next address is tried then, in ns.
    next_at_ns: u64,
    /// What is under way then, in ns, has failed.
    until_ns: u64,
    /// Why the last one failed.
    error: Option<io::Error>,
}

impl Attempts {
    /// To connect to one of these, which the system has put in the order of its preference.
    #[must_use]
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        Self {
            waiting: by_turns(addresses),
            under_way: Vec::new(),
            next_at_ns: 0,
            until_ns: u64::MAX,
            error: None,
        }
    }

    /// The address to connect to now, if it is time; [`Attempts::note_begun`] or
    /// [`Attempts::note_refused`] follows.
    pub(crate) fn next(&mut self, now_ns: u64) -> Option<SocketAddr> {
        let is_time = self.under_way.is_empty() || now_ns >= self.next_at_ns;
        is_time.then(|| self.waiting.pop_front()).flatten()
    }

    /// A connection was begun.
    pub(crate) fn note_begun(&mut self, key: Key, now_ns: u64) {
        self.under_way.push(key);
        self.next_at_ns = now_ns + CONNECT_NEXT_NS;
        self.until_ns = now_ns + CONNECT_NS_MAX;
    }

    /// A connection could not be begun.
    pub(crate) fn note_refused(&mut self, error: io::Error) {
        self.error = Some(error);
        self.next_at_ns = 0;
    }

    /// A connection that was begun has failed: the next address is tried at once.
    pub(crate) fn note_failed(&mut self, key: Key, error: io::Error) {
        self.under_way.retain(|it| *it != key);
        self.note_refused(error);
    }

    /// Whether this connection is one of them.
    #[must_use]
    pub(crate) fn has(&self, key: Key) -> bool {
        self.under_way.contains(&key)
    }

    /// The connections under way.
    #[must_use]
    pub(crate) fn under_way(&self) -> &[Key] {
        &self.under_way
    }

    /// Whether none of them comes to anything any more.
    #[must_use]
    pub(crate) fn has_failed(&self, now_ns: u64) -> bool {
        self.waiting.is_empty() && (self.under_way.is_empty() || now_ns >= self.until_ns)
    }

    /// Why they have.
    #[must_use]
    pub(crate) fn error(self) -> io::Error {
        match self.error {
            Some(error) if self.under_way.is_empty() => error,
            _ => {
                let seconds = CONNECT_NS_MAX / 1_000_000_000;
                let words = format!("no answer within {seconds} s");
                io::Error::new(io::ErrorKind::TimedOut, words)
            }
        }
    }

    /// When there is something to do if nothing happens, in ns.
    #[must_use]
    pub(crate) fn wakes_at_ns(&self) -> u64 {
        match self.waiting.is_empty() {
            true => self.until_ns,
            false => self.next_at_ns,
        }
    }
}

/// The families by turns, beginning with that of the first address; each in its order.
fn by_turns(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let starts_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let of = |is_v6: bool| addresses.iter().filter(move |it| it.is_ipv6() == is_v6);
    let (mut first, mut second) = (of(starts_v6), of(!starts_v6));
    let turns = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    let turns = turns.flat_map(|(one, other)| [one, other]).flatten();
    turns.take(ADDRESSES_MAX).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let parse = |it: &&str| it.parse().expect("an address");
        texts.iter().map(parse).collect()
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn families_take_turns_and_each_keeps_its_order() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(by_turns(&found), expected);
        let one_family = addresses(&["1.1.1.1:1", "1.1.1.2:1"]);
        assert_eq!(by_turns(&one_family), one_family);
        assert_eq!(by_turns(&vec![found[0]; 1_000]).len(), ADDRESSES_MAX);
        assert!(by_turns(&[]).is_empty());
    }

    #[test]
    fn one_that_is_refused_is_followed_at_once_and_one_that_is_silent_a_little_later() {
        let found = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        let mut attempts = Attempts::new(&found);
        assert_eq!(attempts.next(0), Some(found[0]));
        attempts.note_begun(7, 0);
        assert_eq!(attempts.next(CONNECT_NEXT_NS - 1), None);
        attempts.note_failed(7, refused());
        assert!(!attempts.has_failed(1));
        assert_eq!(attempts.next(1), Some(found[1]));
        attempts.note_begun(8, 1);
        assert_eq!(attempts.wakes_at_ns(), 1 + CONNECT_NEXT_NS);
        assert_eq!(attempts.next(1 + CONNECT_NEXT_NS), Some(found[2]));
        attempts.note_begun(9, 1 + CONNECT_NEXT_NS);
        assert_eq!(attempts.under_way(), [8, 9]);
        assert!(attempts.has(8) && !attempts.has(7));
        let end_ns = 1 + CONNECT_NEXT_NS + CONNECT_NS_MAX;
        assert_eq!(attempts.wakes_at_ns(), end_ns);
        assert!(!attempts.has_failed(end_ns - 1) && attempts.has_failed(end_ns));
        assert_eq!(attempts.error().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn when_all_are_refused_the_last_reason_is_told() {
        let mut attempts = Attempts::new(&addresses(&["[::1]:1", "1.1.1.1:1"]));
        assert!(attempts.next(0).is_some());
        attempts.note_refused(io::ErrorKind::NetworkUnreachable.into());
        assert!(attempts.next(0).is_some());
        attempts.note_begun(1, 0);
        attempts.note_failed(1, refused());
        assert!(attempts.has_failed(0));
        assert_eq!(attempts.error().kind(), io::ErrorKind::ConnectionRefused);
        assert!(Attempts::new(&[]).has_failed(0), "nowhere to go");
    }
}
