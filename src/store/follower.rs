//! The store's core: gathers what the journal has, writes it in batches, and tries again.
//!
//! Fed by a [`Reader`], up to the position that the journal has published; feeds a [`Store`]. It
//! owns no thread and no clock, and it never waits: each step is one bounded piece of work.
//!
//! ```text
//! stored position <= reader's position <= recorded position (or the beginning of the next segment)
//! rows = all that is in the journal between the first two
//! ```

mod beginning;
mod error;
mod gathering;
mod removing;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::keep::Keep;
use super::lag::{Lag, LagSample, Progress};
use super::pace::Pace;
use super::rows::Rows;
use super::{Applied, Store, StoreError};
use crate::clock::Now;
use crate::config;
use crate::counters::{Counter, Counters};
use crate::faults::Part;
use crate::journal::format::Position;
use crate::journal::reader::Reader;
use crate::journal::storage::Storage;
use crate::log_limit::LogLimit;
use crate::message::Sequence;

pub use beginning::WhenAhead;
pub use error::FollowError;
use gathering::Gathering;

/// Follows the journal into a database.
pub struct Follower<S: Storage, D: Store> {
    reader: Reader<S>,
    store: D,
    counters: Arc<Counters>,
    gathering: Gathering,
    batch_time: Duration,
    /// Where the journal ended when the engine started: the database can have no more of it. `None`:
    /// not known.
    origin: Option<Position>,
    when_ahead: WhenAhead,
    /// The database's position; `None`: it was not asked yet.
    stored: Option<Position>,
    rows: Rows,
    /// When the first of the rows was gathered.
    gathered_ns: u64,
    /// The rows were tried before and failed: they stay as they are, for they may have arrived.
    is_retry: bool,
    /// Nothing more comes: do not wait for a batch to fill.
    is_unbatched: bool,
    has_logged_gap: bool,
    backoff: Backoff,
    lag: Lag,
    keep: Keep,
    log_keep: LogLimit,
}

impl<S: Storage, D: Store> Follower<S, D> {
    /// Follows what `reader` reads, from the store's own position on.
    pub fn new(
        reader: Reader<S>,
        store: D,
        counters: Arc<Counters>,
        settings: &config::Store,
    ) -> Self {
        Self {
            reader,
            store,
            counters,
            gathering: Gathering::new(settings.batch_rows),
            batch_time: settings.batch_time,
            origin: None,
            when_ahead: WhenAhead::default(),
            stored: None,
            rows: Rows::default(),
            gathered_ns: 0,
            is_retry: false,
            is_unbatched: false,
            has_logged_gap: false,
            backoff: Backoff::new(fastrand::Rng::new()),
            lag: Lag::default(),
            keep: Keep::new(settings.keep),
            log_keep: LogLimit::default(),
        }
    }

    /// Tells where the journal ended when nothing had been written to it yet.
    #[must_use]
    pub fn starting_at(self, origin: Position) -> Self {
        Self {
            origin: Some(origin),
            ..self
        }
    }

    /// Tells what to do where the database has more than the journal.
    #[must_use]
    pub fn when_ahead(mut self, when_ahead: WhenAhead) -> Self {
        if when_ahead != WhenAhead::Stops {
            self.lag = Lag::of_group();
        }
        Self { when_ahead, ..self }
    }

    /// Tells the last sequence that the database has, where it was asked before.
    #[must_use]
    pub(crate) fn knowing(mut self, last_sequence: Option<Sequence>) -> Self {
        self.lag.knows(last_sequence);
        self
    }

    /// One piece of work: reads what is there up to `recorded` (zero: not known yet) and at most a
    /// batch, and writes it if the batch is full or old enough. Returns rows and updates written. A
    /// failure that may pass is counted, logged at a limited rate, and retried by a later step.
    ///
    /// # Errors
    /// What does not pass: the following is over.
    pub fn step(&mut self, recorded: Position, now: Now) -> Result<usize, FollowError> {
        if recorded == 0 {
            return Ok(0);
        }
        if !self.has_begun() {
            // Its first answer may take its time.
            self.publish_lag(recorded, now);
        }
        self.log_left_out(now);
        let stepped = match self.backoff.must_wait(now) {
            true => Ok(0),
            false => match self.try_step(recorded, now) {
                Ok(count) => {
                    if self.backoff.is_failing() {
                        self.clear_faults();
                    }
                    self.log_recovery(now);
                    self.remove_old(count, now).map(|()| count)
                }
                Err(error) => self.failed(error, now),
            },
        };
        let is_failing = match &stepped {
            // Another member goes on: nothing fails any more.
            Err(error) if error.is_term_over() => {
                self.clear_faults();
                false
            }
            Err(error) => {
                self.note_fault(&error.to_string(), now);
                true
            }
            Ok(_) => self.backoff.is_failing(),
        };
        self.counters
            .set(Counter::StoreFailing, u64::from(is_failing));
        self.publish_lag(recorded, now);
        stepped
    }

    /// Says since when it fails and why.
    fn note_fault(&self, cause: &str, now: Now) {
        let part = match self.stored {
            Some(_) => Part::Store,
            None => Part::StoreUnreached,
        };
        self.counters.faults().set(part, now.epoch_us, cause);
    }

    fn clear_faults(&self) {
        self.counters.faults().clear(Part::StoreUnreached);
        self.counters.faults().clear(Part::Store);
    }

    /// A failure that may pass is no error: the same is tried again.
    fn failed(&mut self, error: FollowError, now: Now) -> Result<usize, FollowError> {
        if !error.is_transient() {
            return Err(error);
        }
        if matches!(error, FollowError::Store(StoreError::NoRoom(_))) {
            self.gathering.note_no_room();
        }
        self.counters.add(Counter::StoreRetries, 1);
        let cause = error.to_string();
        self.note_fault(&cause, now);
        if let Some(more) = self.backoff.failed(&cause, now) {
            tracing::warn!("{cause}{more}");
        }
        Ok(0)
    }

    fn publish_lag(&mut self, recorded: Position, now: Now) {
        let sample = LagSample {
            is_behind: self.is_behind(recorded),
            oldest_us: self.rows.oldest_us(),
            first_sequence: self.rows.sequences().map(|(first, _)| first),
        };
        self.lag.publish(sample, now, &self.counters);
    }

    /// Whether rows or settlements wait. A group's beats hold none: the position goes with the next rows.
    fn is_behind(&self, recorded: Position) -> bool {
        match self.stored {
            Some(_) => !self.rows.is_empty() || self.reader.position() < recorded,
            None => !self.is_through(recorded),
        }
    }

    /// From now on batches are written at once, full or not.
    pub fn stop_batching(&mut self) {
        self.is_unbatched = true;
    }

    /// Whether the database was asked how far it is, and has answered.
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        self.stored.is_some()
    }

    /// Whether all that stands before `end` is in the database.
    #[must_use]
    pub fn is_through(&self, end: Position) -> bool {
        end == 0 || self.stored.is_some_and(|it| it >= end)
    }

    /// When gathered rows must be written, from `now`; `None`: there are none.
    #[must_use]
    pub fn due_in(&self, now: Now) -> Option<Duration> {
        let age = Duration::from_nanos(now.ns.saturating_sub(self.gathered_ns));
        (!self.rows.is_empty()).then(|| self.batch_time.saturating_sub(age))
    }

    /// The counters that it keeps.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How far it has followed, for the monitor while the store waits for an answer.
    #[must_use]
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        self.lag.progress()
    }

    /// Tidies the database; nothing may be written afterwards.
    ///
    /// # Errors
    /// It could not be tidied; nothing is lost.
    pub fn close(&mut self) -> Result<(), StoreError> {
        self.store.close()
    }

    fn try_step(&mut self, recorded: Position, now: Now) -> Result<usize, FollowError> {
        let stored = match self.stored {
            Some(stored) => stored,
            None => match self.begin(recorded)? {
                Some(stored) => stored,
                None => return Ok(0),
            },
        };
        if !self.is_retry {
            self.gather(recorded, now)?;
        }
        if !self.must_write(stored, now) {
            return Ok(0);
        }
        // The answer may take its time.
        self.publish_lag(recorded, now);
        let applied = self.write(stored)?;
        Ok(applied.map_or(0, |it| self.wrote(it)))
    }

    fn must_write(&self, stored: Position, now: Now) -> bool {
        if self.is_unbatched {
            // Even without rows: the end should not stand behind an end mark that was passed.
            return self.reader.position() != stored;
        }
        let is_old = self.due_in(now).is_some_and(|it| it.is_zero());
        // A segment that was closed on a full disk goes only when the store stands behind it.
        let segment_len = self.reader.segment_len();
        let has_passed = self.reader.position() / segment_len > stored / segment_len;
        is_old || self.is_full() || self.rows.is_empty() && has_passed
    }

    /// Whether it need not wait for more: there is much, or much waits behind it.
    fn is_full(&self) -> bool {
        self.gathering.is_batch(&self.rows)
    }

    /// Takes what is there: more than makes a batch full where there is more, for a store that is
    /// behind does better with fewer and larger transactions.
    fn gather(&mut self, recorded: Position, now: Now) -> Result<(), FollowError> {
        while !self.gathering.is_all(&self.rows) {
            match self.reader.next(recorded) {
                Ok(Some(batch)) => {
                    if self.rows.is_empty() {
                        self.gathered_ns = now.ns;
                        self.gathering.set_room(self.store.free_len());
                    }
                    self.rows.take(&batch);
                    // Who serves has written the rows of a database that the group shares.
                    if self.when_ahead == WhenAhead::Waits {
                        self.rows.take_carried(&batch);
                    }
                }
                Ok(None) => break,
                Err(source) => {
                    let position = self.reader.position();
                    return Err(FollowError::Journal { position, source });
                }
            }
        }
        self.log_gap();
        Ok(())
    }

    /// `None`: the database has gone back, and so has the reader.
    fn write(&mut self, stored: Position) -> Result<Option<Applied>, FollowError> {
        let upto = self.reader.position();
        if self.is_retry {
            let found = self.store.position()?;
            if found == upto {
                return Ok(Some(self.rows.as_applied()));
            }
            if found < stored {
                self.go_back(stored, found);
                return Ok(None);
            }
            if found != stored {
                return Err(FollowError::Moved {
                    expected: stored,
                    found,
                });
            }
            if self.gathering.take_fewer(&self.rows) {
                self.gather_anew(stored);
                return Ok(None);
            }
        }
        self.rows.order_updates();
        self.rows.set_pace(self.pace());
        self.is_retry = true;
        Ok(Some(self.store.apply(&self.rows, upto)?))
    }

    /// A store that keeps up, and is not waited for, is paced.
    fn pace(&self) -> Pace {
        match self.is_unbatched || self.is_full() {
            true => Pace::Bulk,
            false => Pace::Paced,
        }
    }

    fn wrote(&mut self, applied: Applied) -> usize {
        let count = self.rows.len();
        let last_sequence = self.rows.sequences().map(|(_, last)| last);
        self.lag.wrote(count, last_sequence);
        self.rows.clear();
        self.is_retry = false;
        self.gathering.note_written();
        let stored = self.reader.position();
        self.stored = Some(stored);
        self.counters.add(Counter::Stored, applied.inserted);
        self.counters.add(Counter::StoredSettled, applied.settled);
        self.counters.add(Counter::StoreBatches, 1);
        self.counters.set(Counter::StoreBatchRows, count as u64);
        self.counters.set(Counter::StorePosition, stored);
        count
    }
}

#[cfg(test)]
mod tests;
