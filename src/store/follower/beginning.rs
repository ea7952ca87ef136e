//! Where the following begins, where it goes on when the database or the journal is another one than before, and what is
//! logged of that.

use super::{FollowError, Follower};
use crate::counters::Counter;
use crate::journal::format::Position;
use crate::journal::storage::Storage;
use crate::store::Store;
use crate::store::rows::Rows;

/// What a follower does where the database has followed further than the journal goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenAhead {
    /// It stops: the journal was cut, or is another one.
    #[default]
    Stops,
    /// It waits until the journal is there again: a member's own database, whose group brings the journal the
    /// same bytes.
    Waits,
    /// It goes back to the journal's beginning: the database of a group, which the member that served before
    /// has filled from records that the group lost. Rows that are there are known again.
    GoesBack,
}

impl<S: Storage, D: Store> Follower<S, D> {
    /// Asks the database how far it is, and has the reader go on there. `None`: the journal is not there yet.
    pub(super) fn begin(&mut self, recorded: Position) -> Result<Option<Position>, FollowError> {
        let stored = self.store.position()?;
        let segment_len = self.reader.segment_len();
        // Behind a segment that was closed, a reader stands at the beginning of the next one.
        let reachable = (recorded / segment_len + 1) * segment_len;
        let is_beyond = stored > recorded && stored != reachable;
        let is_ahead = self.origin.map_or(is_beyond, |origin| stored > origin);
        let from = match self.when_ahead {
            WhenAhead::Stops if is_ahead => return Err(FollowError::Ahead { stored, recorded }),
            WhenAhead::Waits if is_beyond => return Ok(None),
            WhenAhead::GoesBack if is_ahead => {
                // At once: whoever serves next may have a journal that is longer again.
                self.store.apply(&Rows::default(), 0)?;
                tracing::warn!(
                    stored,
                    recorded,
                    "the database has more than the group's journal, whose end was lost: the journal is \
                     followed anew from where it begins, and rows of what was lost stay"
                );
                0
            }
            _ => stored,
        };
        self.reader.seek(from);
        self.stored = Some(from);
        self.counters
            .set(Counter::StorePosition, self.reader.position());
        Ok(Some(from))
    }

    /// The database has less than it had: it was restored, replaced, or made anew. What the journal
    /// still has is followed again; rows that are there are known again.
    pub(super) fn go_back(&mut self, stored: Position, found: Position) {
        tracing::warn!(
            from = found,
            instead_of = stored,
            "the database has less than it had: it is filled again from what the journal still has"
        );
        self.gather_anew(found);
        self.has_logged_gap = false;
        self.stored = Some(found);
        self.counters.set(Counter::StorePosition, found);
    }

    /// Forgets the rows: those behind this position are gathered another time.
    pub(super) fn gather_anew(&mut self, stored: Position) {
        self.rows.clear();
        self.is_retry = false;
        self.reader.seek(stored);
    }

    pub(super) fn log_gap(&mut self) {
        if self.reader.has_landed() && !self.has_logged_gap {
            self.has_logged_gap = true;
            tracing::warn!(
                "the journal was cut or repaired where the store stood: what was lost there stays \
                 in the database as it is"
            );
        }
        let gone = self.reader.skipped_segments();
        if gone > 0 && !self.has_logged_gap {
            self.has_logged_gap = true;
            tracing::warn!(
                "{gone} journal segments that the store had not followed are gone: their messages \
                 have no row"
            );
        }
    }
}
