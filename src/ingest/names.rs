//! Names that messages create: so many in a turn of a connection, up to a bound in all.
//!
//! A line whose destination is new costs more than others: every stage makes room for the name. A
//! source that names thousands of them takes its turns like all others.

use tracing::warn;

use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::CREATED_PER_TURN;
use crate::log_limit::LogLimit;
use crate::message::{DestinationIndex, Directory, Found};

/// Whom a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressee {
    /// A destination that there is, now.
    Known(DestinationIndex),
    /// None, and none is created.
    Unknown,
    /// One that may be created in another turn, or is about to go: it is gone or there by then.
    NextTurn,
}

/// How many names may be created.
#[derive(Debug, Default)]
pub(super) struct NewNames {
    /// In the present turn.
    left: usize,
    log_full: LogLimit,
}

impl NewNames {
    /// A turn of a connection begins.
    pub(super) fn begin_turn(&mut self) {
        self.left = CREATED_PER_TURN;
    }

    /// Finds the destination of a line, or creates it.
    #[inline]
    pub(super) fn find(
        &mut self,
        directory: &mut Directory,
        name: &str,
        counters: &Counters,
        now: Now,
    ) -> Addressee {
        match directory.look(name) {
            Found::At(index) => Addressee::Known(index),
            Found::Retiring => Addressee::NextTurn,
            Found::Nowhere if !directory.may_create_this(name) => Addressee::Unknown,
            Found::Nowhere => self.create(directory, name, counters, now),
        }
    }

    #[cold]
    fn create(
        &mut self,
        directory: &mut Directory,
        name: &str,
        counters: &Counters,
        now: Now,
    ) -> Addressee {
        if self.left == 0 && !directory.is_full() {
            return Addressee::NextTurn;
        }
        match directory.create(name) {
            Found::At(index) => {
                // There may have been no room a moment ago.
                self.left = self.left.saturating_sub(1);
                Addressee::Known(index)
            }
            Found::Retiring => Addressee::NextTurn,
            Found::Nowhere => {
                self.note_full(directory.count(), counters, now);
                Addressee::Unknown
            }
        }
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if let Some(more) = self.log_full.overdue(now) {
            warn!(
                count = more.count,
                "more lines were rejected, for there are max_destinations"
            );
        }
    }

    fn note_full(&mut self, count: usize, counters: &Counters, now: Now) {
        counters.add(Counter::DestinationsFull, 1);
        if let Some(more) = self.log_full.admit(now) {
            warn!(
                count,
                "there are max_destinations: lines for others are rejected as unknown_destination; \
                 raise [scheduler] max_destinations, or see who names them{more}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_creates_so_many_and_the_bound_is_said_and_counted() {
        const MAX: usize = CREATED_PER_TURN + 10;
        let (counters, now) = (Counters::default(), Now::default());
        let mut directory = Directory::new(["known"], true, MAX);
        let mut names = NewNames::default();
        names.begin_turn();
        let mut find = |names: &mut NewNames, name: usize| {
            names.find(&mut directory, &name.to_string(), &counters, now)
        };
        for name in 0..CREATED_PER_TURN {
            let index = name as DestinationIndex + 1;
            assert_eq!(find(&mut names, name), Addressee::Known(index));
        }
        assert_eq!(find(&mut names, MAX), Addressee::NextTurn);
        assert_eq!(find(&mut names, 0), Addressee::Known(1), "it is there");
        names.begin_turn();
        for name in CREATED_PER_TURN..MAX - 1 {
            assert!(matches!(find(&mut names, name), Addressee::Known(_)));
        }
        assert_eq!(find(&mut names, MAX), Addressee::Unknown);
        assert_eq!(counters.get(Counter::DestinationsFull), 1);
        assert_eq!(directory.count(), MAX);
    }

    #[test]
    fn a_name_that_may_be_about_to_go_is_asked_for_again_in_the_next_turn() {
        let (counters, now) = (Counters::default(), Now::default());
        let mut directory = Directory::new(["known"], true, 2);
        let mut names = NewNames::default();
        names.begin_turn();
        let mut find = |directory: &mut Directory| names.find(directory, "new", &counters, now);
        assert_eq!(find(&mut directory), Addressee::Known(1));
        directory.begin_retiring(1);
        directory.forget(1);
        assert_eq!(find(&mut directory), Addressee::NextTurn);
        directory.retire(1);
        assert_eq!(find(&mut directory), Addressee::Known(2), "it is anew");
    }

    #[test]
    fn nothing_is_created_where_that_is_not_set() {
        let (counters, now) = (Counters::default(), Now::default());
        let mut directory = Directory::new(["known"], false, 100);
        let mut names = NewNames::default();
        let found = names.find(&mut directory, "other", &counters, now);
        assert_eq!(found, Addressee::Unknown);
        assert_eq!(counters.get(Counter::DestinationsFull), 0);
    }
}
