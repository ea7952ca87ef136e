//! Confirmations: TCP acknowledges soon what was read of a connection, for its peer may wait for that
//! with its next bytes (Nagle's algorithm).
//!
//! To confirm takes longer than to read, so it has time until there is nothing to read, or
//! [`CONFIRM_NS_MAX`] have passed. Values only; the agent owns the sockets.

use crate::clock::Now;
use crate::limits::{CONFIRM_NS_MAX, READS_PER_CYCLE};
use crate::net::Key;

/// So many connections do not wait for a cycle in which there is nothing to read.
const LISTED_MAX: usize = 16;

/// Whether TCP has acknowledged what was read of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// It was, or nothing was read.
    Told,
    /// It may not have been.
    Due,
    /// The connection is in the list of those that are confirmed soon.
    Listed {
        /// It is read again then, for there may be more.
        reads_again: bool,
    },
}

impl Confirmation {
    /// Bytes of the connection were read.
    pub(super) fn note_read(&mut self) {
        if *self == Self::Told {
            *self = Self::Due;
        }
    }
}

/// Connections that are confirmed soon.
#[derive(Debug)]
pub(super) struct Confirmations {
    listed: Vec<Key>,
    /// When the first of them is confirmed at the latest, in ns.
    due_at_ns: u64,
}

impl Confirmations {
    pub(super) fn new() -> Self {
        Self {
            listed: Vec::with_capacity(LISTED_MAX + READS_PER_CYCLE),
            due_at_ns: 0,
        }
    }

    /// Lists a connection, if its peer may not know all. With `reads_again`, there may be more to
    /// read.
    pub(super) fn add(
        &mut self,
        key: Key,
        confirmation: &mut Confirmation,
        reads_again: bool,
        now: Now,
    ) {
        match confirmation {
            Confirmation::Listed {
                reads_again: before,
            } => {
                *before |= reads_again;
                return;
            }
            Confirmation::Told if !reads_again => return,
            Confirmation::Told | Confirmation::Due => {
                *confirmation = Confirmation::Listed { reads_again };
            }
        }
        if self.listed.is_empty() {
            self.due_at_ns = now.ns + CONFIRM_NS_MAX;
        }
        self.listed.push(key);
    }

    /// Whether they wait no longer.
    pub(super) fn are_due(&self, now: Now) -> bool {
        let is_late = !self.listed.is_empty() && now.ns >= self.due_at_ns;
        is_late || self.listed.len() >= LISTED_MAX
    }

    /// Takes the list; [`Self::give_back`] follows, so that it need not be made anew.
    pub(super) fn take(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.listed)
    }

    /// The list, which is empty.
    pub(super) fn give_back(&mut self, listed: Vec<Key>) {
        debug_assert!(listed.is_empty() && self.listed.is_empty());
        self.listed = listed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    #[test]
    fn a_connection_is_listed_once_and_is_due_a_moment_after_the_first() {
        let mut confirmations = Confirmations::new();
        let mut first = Confirmation::Told;
        confirmations.add(1, &mut first, false, at(0));
        assert!(!confirmations.are_due(at(u64::MAX)), "its peer knows all");
        first.note_read();
        confirmations.add(1, &mut first, false, at(5));
        confirmations.add(1, &mut first, true, at(6));
        assert_eq!(first, Confirmation::Listed { reads_again: true });
        let mut second = Confirmation::Due;
        confirmations.add(2, &mut second, false, at(9));
        assert!(!confirmations.are_due(at(4 + CONFIRM_NS_MAX)));
        assert!(confirmations.are_due(at(5 + CONFIRM_NS_MAX)));
        let mut listed = confirmations.take();
        assert_eq!(listed, [1, 2]);
        listed.clear();
        confirmations.give_back(listed);
        assert!(!confirmations.are_due(at(u64::MAX)));
    }

    #[test]
    fn many_are_due_at_once() {
        let mut confirmations = Confirmations::new();
        for key in 0..LISTED_MAX {
            assert!(!confirmations.are_due(at(0)));
            confirmations.add(key, &mut Confirmation::Due, false, at(0));
        }
        assert!(confirmations.are_due(at(0)));
    }
}
