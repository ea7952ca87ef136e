//! What the writer does where a write finds no room, or messages would take what others need.
//!
//! First messages wait, and settlements go on; then settlements wait as well. [`Shortage`] knows
//! until when; here segments are left and batches are cut short.
//!
//! [`Shortage`]: super::shortage::Shortage

use std::io;
use std::sync::atomic::Ordering;

use super::batch_writer::{BatchWriter, Output};
use super::error::WriteError;
use super::shortage::Missing;
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::protocol::ToRetention;
use crate::journal::segment::RollError;
use crate::journal::storage::{Storage, is_descriptors, is_shortage};

impl<S: Storage> BatchWriter<S> {
    /// What is short comes back and is waited for; anything else ends the engine.
    pub(super) fn handle_roll_error(
        &mut self,
        error: RollError,
        now: Now,
        out: &mut Output<'_>,
    ) -> Result<(), WriteError> {
        let source = match error {
            RollError::Write(error) => error,
            RollError::Sync(error) => return Err(self.sync_failed(error)),
        };
        if !is_shortage(&source) {
            let (segment, offset) = self.segments.place();
            return Err(match source.kind() {
                io::ErrorKind::NotFound => WriteError::Gone { segment, source },
                _ => WriteError::Write {
                    segment,
                    offset,
                    source,
                },
            });
        }
        self.counters.add(Counter::JournalFull, 1);
        let is_first = !is_descriptors(&source) && self.segments.note_shortage();
        let is_on_disk = self.staged.written >= self.staged.messages_len();
        if !self.staged.has_messages() {
            // Its segment takes no more, as was not known before: the reserve may.
            if !is_first || !self.segments.has_reserve() {
                self.shortage.hold_settlements(&source, now);
            }
        } else if is_on_disk && self.secures_end() {
            // The settlements behind them found no room, and are written alone.
            self.sync()?;
            self.send_recorded(out);
        } else if is_descriptors(&source) || !self.segments.has_spare() {
            self.shortage.hold_messages(&Missing::Room(&source), now);
            return self.leave_segment(now, out);
        }
        Ok(())
    }

    /// Whether there is room for the end mark behind the batch's messages: it was made sure of behind
    /// its settlements. Without it they count as not written, and the mark goes where they begin.
    fn secures_end(&mut self) -> bool {
        let len = self.staged.messages_len() as u64;
        self.segments.secure_end(len).is_ok()
    }

    /// Whether messages leave the store's database the room that it needs.
    #[inline]
    pub(super) fn leaves_database_room(&mut self, now: Now) -> bool {
        let Some(room) = &mut self.database_room else {
            return true;
        };
        let position = self.segments.position();
        room.allows(position, now).unwrap_or_else(|| {
            let available = self.segments.available();
            let stored = self.counters.get(Counter::StorePosition);
            room.learn(available, position, stored, now)
        })
    }

    /// Messages wait until the store has followed. A segment of some length is left, so that it can go.
    #[cold]
    pub(super) fn wait_for_store(
        &mut self,
        now: Now,
        out: &mut Output<'_>,
    ) -> Result<(), WriteError> {
        self.shortage.hold_messages(&Missing::DatabaseRoom, now);
        if !self.segments.is_worth_leaving() {
            return Ok(());
        }
        self.segments.note_shortage();
        self.leave_segment(now, out)
    }

    /// The segment takes no more messages: it is left, and may go as soon as all in it is settled.
    fn leave_segment(&mut self, now: Now, out: &mut Output<'_>) -> Result<(), WriteError> {
        match self.segments.leave(self.next_sequence, now) {
            Ok(started) => self.note_started(started, out),
            Err(RollError::Sync(error)) => return Err(self.sync_failed(error)),
            // It is tried again with the next batch.
            Err(RollError::Write(_)) => {}
        }
        if let Some(started) = self.started.take() {
            out.retention.send(ToRetention::Started(started));
            // Pairs with the acquire load of the store, which has to get past the segment's end; not
            // into the new one, which a power loss may take.
            self.recorded
                .store(self.segments.start(), Ordering::Release);
        }
        Ok(())
    }

    /// Tells of free files that are gone without a segment: the reserve may be among them, and messages
    /// wait for the next one.
    #[inline]
    pub(super) fn tell_lost(&mut self, out: &mut Output<'_>) {
        let lost = self.segments.take_lost();
        if lost > 0 {
            out.retention.send(ToRetention::Lost(lost));
        }
    }

    /// Where no message waits to be tried, there is room as far as anybody knows.
    #[inline]
    pub(super) fn end_untried_shortage(&mut self) {
        if self.shortage.is_of_messages_alone() && !self.staged.has_runs() && self.has_reserves() {
            self.shortage.end();
        }
    }
}
