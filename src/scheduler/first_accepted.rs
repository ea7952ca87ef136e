//! First accepted lines: the connections of sources of which a line was accepted, until ingest was
//! sent an event for each. A source is dialled again at once only after an accepted line; duplicates
//! do not count.
//!
//! Intake feeds it each message's connection; ingest gets one event a connection.

use super::pending::Pending;
use crate::message::SourceIndex;

/// The last connection of each source that had a line accepted; 0: none yet.
#[derive(Debug, Default)]
pub(super) struct FirstAccepted(Pending<u32>);

impl FirstAccepted {
    /// A line of this connection was accepted.
    #[inline]
    pub(super) fn note(&mut self, source: SourceIndex, connection: u32) {
        if self.0.get(source) != Some(&connection) {
            self.note_first(source, connection);
        }
    }

    #[cold]
    fn note_first(&mut self, source: SourceIndex, connection: u32) {
        *self.0.note(source) = connection;
    }

    /// The next source that ingest is sent an event for.
    pub(super) fn next(&mut self) -> Option<SourceIndex> {
        self.0.next().map(|(source, _)| source)
    }

    /// Whether nothing is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connection_is_told_of_once_and_a_source_waits_once() {
        let mut accepted = FirstAccepted::default();
        for connection in 1..4 {
            for _ in 0..10 {
                accepted.note(7, connection);
                accepted.note(0, 1);
            }
        }
        assert!(!accepted.is_empty());
        let sent: Vec<_> = std::iter::from_fn(|| accepted.next()).collect();
        assert_eq!(sent, [0, 7]);
        accepted.note(7, 3);
        assert!(accepted.is_empty(), "nothing has changed");
        accepted.note(7, 4);
        assert_eq!(accepted.next(), Some(7));
    }

    proptest! {
        /// The naive model is a set of pending sources.
        #[test]
        fn a_source_is_pending_exactly_from_a_new_connection_s_first_line_to_its_event(
            steps in prop::collection::vec((0..6_u32, 1..4_u32, any::<bool>()), 0..80),
        ) {
            let mut accepted = FirstAccepted::default();
            let (mut last, mut pending) = ([0; 6], BTreeSet::new());
            for (source, connection, is_sent) in steps {
                accepted.note(source, connection);
                if std::mem::replace(&mut last[source as usize], connection) != connection {
                    pending.insert(source);
                }
                if is_sent {
                    let sent = accepted.next();
                    prop_assert_eq!(sent.is_some(), sent.is_some_and(|it| pending.remove(&it)));
                }
                prop_assert_eq!(accepted.is_empty(), pending.is_empty());
            }
            let left: BTreeSet<_> = std::iter::from_fn(|| accepted.next()).collect();
            prop_assert_eq!(left, pending);
        }
    }

    /// With a look through all pending sources for each, this would be 10^11 steps.
    #[test]
    fn a_crowd_of_sources_that_connect_at_once_costs_one_step_each() {
        let mut accepted = FirstAccepted::default();
        let crowd = 500_000;
        (0..crowd).for_each(|source| accepted.note(source, 1));
        (0..crowd).for_each(|source| accepted.note(source, 2));
        assert_eq!(
            std::iter::from_fn(|| accepted.next()).count(),
            crowd as usize
        );
    }
}
