//! Repeats: how many duplicates each source has sent, until ingest was sent the count. Ingest reads
//! a source no further for a moment whose duplicates take more than their share of the time.
//!
//! Intake's answers feed it; ingest gets one event a source and duty cycle at most.

use super::pending::Pending;
use crate::message::SourceIndex;

/// Duplicates of one connection of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) source: SourceIndex,
    pub(super) connection: u32,
    pub(super) count: u32,
}

/// The counts that ingest has not been sent.
#[derive(Debug, Default)]
pub(super) struct Repeats(Pending<Count>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The one that sent the last of them.
    connection: u32,
    count: u32,
}

impl Repeats {
    /// A line of this connection is a duplicate.
    #[inline]
    pub(super) fn note(&mut self, source: SourceIndex, connection: u32) {
        let known = self.0.note(source);
        if known.connection != connection {
            // The one before is gone: nobody is left to be told.
            let count = 0;
            *known = Count { connection, count };
        }
        known.count = known.count.saturating_add(1);
    }

    /// The next source of which ingest is sent the count.
    pub(super) fn next(&mut self) -> Option<Repeated> {
        let (source, known) = self.0.next()?;
        let Count { connection, count } = std::mem::take(known);
        Some(Repeated {
            source,
            connection,
            count,
        })
    }

    /// Whether ingest has been sent all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each source has one connection; between two of them, ingest is sent some of the counts.
        #[test]
        fn of_each_source_all_duplicates_are_sent_and_each_once(
            steps in prop::collection::vec((0..5_u32, 0..3_usize), 0..200),
        ) {
            let mut repeats = Repeats::default();
            let (mut noted, mut sent) = (BTreeMap::<_, u32>::new(), BTreeMap::<_, u32>::new());
            for (source, sends) in steps {
                repeats.note(source, source + 7);
                *noted.entry(source).or_default() += 1;
                for _ in 0..sends {
                    let Some(repeated) = repeats.next() else { break };
                    prop_assert_eq!(repeated.connection, repeated.source + 7);
                    *sent.entry(repeated.source).or_default() += repeated.count;
                }
            }
            while let Some(repeated) = repeats.next() {
                *sent.entry(repeated.source).or_default() += repeated.count;
            }
            prop_assert_eq!(sent, noted);
            prop_assert!(repeats.is_empty());
        }
    }

    #[test]
    fn what_a_connection_has_sent_that_is_gone_is_not_charged_to_the_next_one() {
        let mut repeats = Repeats::default();
        (0..10).for_each(|_| repeats.note(3, 1));
        repeats.note(3, 2);
        let expected = Repeated {
            source: 3,
            connection: 2,
            count: 1,
        };
        assert_eq!((repeats.next(), repeats.next()), (Some(expected), None));
    }
}
