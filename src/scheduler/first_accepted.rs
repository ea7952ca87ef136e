//! First accepted lines: the connections of sources of which a line was accepted, until ingest was
//! sent an event for each. A source is dialled again at once only after an accepted line; duplicates
//! do not count.
//!
//! Intake feeds it each message's connection; ingest gets one event a connection. It holds one entry
//! a source at most, however full ingest's ring is.

use crate::message::SourceIndex;

/// The last connection of each source that had a line accepted.
#[derive(Debug, Default)]
pub(super) struct FirstAccepted {
    /// By source.
    sources: Vec<Source>,
    /// The sources that are pending, each once.
    pending: Vec<SourceIndex>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    /// 0: none yet.
    connection: u32,
    is_pending: bool,
}

impl FirstAccepted {
    /// A line of this connection was accepted.
    #[inline]
    pub(super) fn note(&mut self, source: SourceIndex, connection: u32) {
        let known = self.sources.get(source as usize);
        if known.is_none_or(|known| known.connection != connection) {
            self.note_first(source, connection);
        }
    }

    #[cold]
    fn note_first(&mut self, source: SourceIndex, connection: u32) {
        let index = source as usize;
        if self.sources.len() <= index {
            self.sources.resize(index + 1, Source::default());
        }
        let known = &mut self.sources[index];
        known.connection = connection;
        if !std::mem::replace(&mut known.is_pending, true) {
            self.pending.push(source);
        }
    }

    /// The next source that ingest is sent an event for.
    pub(super) fn next(&mut self) -> Option<SourceIndex> {
        let source = self.pending.pop()?;
        self.sources[source as usize].is_pending = false;
        Some(source)
    }

    /// Whether nothing is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
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
                prop_assert_eq!(accepted.pending.len(), pending.len());
                prop_assert!(accepted.pending.iter().all(|source| pending.contains(source)));
            }
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
