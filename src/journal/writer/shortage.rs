//! What the journal agent does where the disk is full, or nothing else that it needs is there.
//!
//! First messages wait, and settlements go on; then settlements wait as well, and a counter keeps the
//! scheduler from handing out what would add to them. Both are tried again.

use std::io;
use std::sync::atomic::Ordering;

use tracing::{error, info};

use super::{JournalAgent, WriteError};
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::segment::{RollError, is_descriptors, is_shortage};
use crate::journal::storage::Storage;

/// Between two tries when the disk is full, in ns.
const FULL_RETRY_NS: u64 = 100_000_000;

/// Between two lines about it at least, in ns.
const LOG_NS: u64 = 10_000_000_000;

impl<S: Storage> JournalAgent<S> {
    /// What is short comes back and is waited for; anything else ends the engine.
    pub(super) fn handle_roll_error(
        &mut self,
        error: RollError,
        now: Now,
    ) -> Result<(), WriteError> {
        let error = match error {
            RollError::Write(error) => error,
            RollError::Sync(error) => return Err(self.sync_failed(error)),
        };
        if !is_shortage(&error) {
            let (segment, offset) = self.segments.place();
            return Err(WriteError::Write {
                segment,
                offset,
                source: error,
            });
        }
        self.counters.add(Counter::JournalFull, 1);
        let is_first = !is_descriptors(&error) && self.segments.note_shortage();
        let is_on_disk = self.staged.written >= self.staged.messages_len();
        if !self.staged.has_messages() {
            // Its segment takes no more, as was not known before: the reserve may.
            if !is_first || !self.segments.has_reserve() {
                self.begin_wait(&error, now);
            }
        } else if is_on_disk && self.secures_end() {
            // The settlements behind them found no room, and are written alone.
            self.sync()?;
            self.send_recorded();
        } else if is_descriptors(&error) || !self.segments.has_spare() {
            self.messages_at_ns = now.ns + FULL_RETRY_NS;
            self.begin_shortage(|| log_shortage(&error), now);
            return self.leave_segment(now);
        }
        Ok(())
    }

    /// Whether there is room for the end mark behind the batch's messages: it was made sure of behind its
    /// settlements. Without it they count as not written, and the mark goes where they begin.
    fn secures_end(&mut self) -> bool {
        let len = self.staged.messages_len() as u64;
        self.segments.secure_end(len).is_ok()
    }

    /// Whether messages leave the store the room that it needs.
    #[inline]
    pub(super) fn has_headroom(&mut self, now: Now) -> bool {
        let Some(headroom) = &mut self.headroom else {
            return true;
        };
        let position = self.segments.position();
        headroom.allows(position, now).unwrap_or_else(|| {
            let available = self.segments.available();
            let stored = self.counters.get(Counter::StorePosition);
            headroom.learn(available, position, stored, now)
        })
    }

    /// Messages wait until the store has followed. A segment of some length is left, so that it can go.
    #[cold]
    pub(super) fn leave_headroom(&mut self, now: Now) -> Result<(), WriteError> {
        self.messages_at_ns = now.ns + FULL_RETRY_NS;
        let log = || {
            error!(
                "the journal's disk has no more room than the store needs to follow: sources wait \
                 until it has followed and old segments go"
            );
        };
        self.begin_shortage(log, now);
        if !self.segments.is_worth_leaving() {
            return Ok(());
        }
        self.segments.note_shortage();
        self.leave_segment(now)
    }

    /// The segment takes no more messages: it is left, and may go as soon as all in it is settled.
    fn leave_segment(&mut self, now: Now) -> Result<(), WriteError> {
        match self.segments.leave(self.next_sequence, now) {
            Ok(started) => self.note_started(started),
            Err(RollError::Sync(error)) => return Err(self.sync_failed(error)),
            // It is tried again with the next batch.
            Err(RollError::Write(_)) => {}
        }
        if let Some(started) = self.started.take() {
            self.send_started(started);
            // Pairs with the acquire load of the store, which has to get past the segment's end; not
            // into the new one, which a power loss may take.
            self.recorded
                .store(self.segments.start(), Ordering::Release);
        }
        Ok(())
    }

    /// Messages wait; settlements go on. On a disk that stays nearly full it comes and goes: it is told
    /// now and then.
    fn begin_shortage(&mut self, log: impl FnOnce(), now: Now) {
        if !self.is_full && now.ns >= self.log_full_at_ns {
            self.log_full_at_ns = now.ns + LOG_NS;
            self.is_logged = true;
            log();
        }
        self.is_full = true;
        self.counters.set(Counter::JournalWaiting, 1);
    }

    /// Not even settlements find room.
    fn begin_wait(&mut self, error: &io::Error, now: Now) {
        self.begin_shortage(|| log_shortage(error), now);
        if !self.is_stuck {
            error!(
                %error,
                "the journal finds no room for settlements: nothing is handed out until there is"
            );
        }
        self.is_stuck = true;
        self.retry_at_ns = now.ns + FULL_RETRY_NS;
        self.counters.set(Counter::JournalStuck, 1);
    }

    /// Messages are not written without a reserve for their settlements.
    #[cold]
    pub(super) fn miss_reserve(&mut self, now: Now) {
        let log =
            || error!("the journal's disk has no room set aside: sources wait until there is");
        self.begin_shortage(log, now);
    }

    /// The batch found room.
    #[inline]
    pub(super) fn end_wait(&mut self) {
        if self.is_stuck {
            self.is_stuck = false;
            self.counters.set(Counter::JournalStuck, 0);
            info!("settlements are recorded again");
        }
        if self.is_full && self.staged.has_messages() {
            self.end_shortage();
        }
    }

    /// Where no message waits to be tried, there is room as far as anybody knows.
    #[inline]
    pub(super) fn look_for_room(&mut self) {
        if self.is_full && !self.is_stuck && !self.staged.has_runs() && self.segments.has_reserve()
        {
            self.end_shortage();
        }
    }

    #[cold]
    fn end_shortage(&mut self) {
        self.is_full = false;
        self.counters.set(Counter::JournalWaiting, 0);
        if std::mem::take(&mut self.is_logged) {
            info!("the journal has room again");
        }
    }
}

#[cold]
fn log_shortage(error: &io::Error) {
    let short = if is_descriptors(error) {
        "the journal finds no descriptor for its next segment: sources wait until there is one \
         (raise `ulimit -n`)"
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        "the journal's file system is read-only: sources wait until it may be written to again"
    } else {
        "the journal's disk is full: sources wait until there is room"
    };
    error!(%error, "{short}");
}
