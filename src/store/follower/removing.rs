//! The follower's removal of old rows, between its writes: `[store] keep`. When a piece is due, and how large
//! it is, [`super::Keep`] says.

use super::{FollowError, Follower};
use crate::clock::Now;
use crate::counters::Counter;
use crate::faults::Part;
use crate::journal::storage::Storage;
use crate::store::{Store, StoreError};

impl<S: Storage, D: Store> Follower<S, D> {
    /// Removes a piece of the old rows, if one is due, behind a step that wrote so many rows and updates.
    /// What fails there holds up no row.
    ///
    /// # Errors
    /// Another member of the group writes now.
    pub(super) fn remove_old(&mut self, written: usize, now: Now) -> Result<(), FollowError> {
        if self.stored.is_none() || self.is_unbatched {
            return Ok(());
        }
        self.keep.wrote(written);
        let is_behind = written > 0 || self.is_full();
        let Some(removal) = self.keep.due(is_behind, now) else {
            return Ok(());
        };
        let removed = match self.store.remove(&removal) {
            Ok(removed) => removed,
            Err(error @ StoreError::TermOver(_)) => return Err(error.into()),
            Err(error) => {
                self.keep.failed(now);
                self.note_keep(Err(error.words().to_owned()), now);
                return Ok(());
            }
        };
        (self.counters).add(Counter::StoreRowsRemoved, removed.rows);
        (self.counters).add(Counter::StorePartitionsDropped, removed.partitions);
        if removal.from == 0 && removal.before_us > 0 {
            let oldest_us = removed.oldest_us.unwrap_or(now.epoch_us);
            let age_s = now.epoch_us.saturating_sub(oldest_us) / 1_000_000;
            self.counters.set(Counter::StoreOldestRowSeconds, age_s);
        }
        if let Some(passed) = self.keep.done(removed, now) {
            self.note_keep(passed, now);
        }
        Ok(())
    }

    /// Whether old rows can be removed.
    fn note_keep(&mut self, passed: Result<(), String>, now: Now) {
        let is_failing = passed.is_err();
        (self.counters).set(Counter::StoreKeepFailing, u64::from(is_failing));
        let faults = self.counters.faults();
        match passed {
            Ok(()) => faults.clear(Part::StoreKeep),
            Err(cause) => {
                let is_new = faults
                    .get(Part::StoreKeep)
                    .is_none_or(|it| it.reason != cause);
                faults.set(Part::StoreKeep, now.epoch_us, &cause);
                if let Some(more) = self.log_keep.admit_if(is_new, now) {
                    tracing::warn!("old rows cannot be removed ([store] keep): {cause}{more}");
                }
            }
        }
    }
}
