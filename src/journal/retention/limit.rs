//! How far the journal may grow, and what is said where it may not.
//!
//! Retention calls it in each cycle; the scheduler gets what is granted.

use tracing::{debug, error};

use super::core::{LOG_LIMIT_NS, Retention};
use super::ranges::HeldBy;
use crate::clock::Now;
use crate::counters::Counter;
use crate::faults::Part;
use crate::journal::format::Position;
use crate::journal::storage::Storage;

impl<S: Storage + Clone> Retention<S> {
    /// How far messages may go, where the scheduler was told otherwise.
    pub(super) fn grant(&mut self, now: Now) -> Option<Position> {
        let open = self.open.map_or(self.next_segment, |it| it.number);
        let granted = self.room.grant(self.ranges.len(), open);
        if granted == 0 && self.state.next_sequence == 0 {
            // What may go is not known before the first query; until then nothing is granted.
            return None;
        }
        // Back when a whole segment is free: not at each one that goes and is filled at once.
        let is_short = granted < (open + 2) * self.segment_len;
        self.note_limit(is_short && (self.is_limited || self.is_at_limit), now);
        (self.granted != Some(granted)).then_some(granted)
    }

    /// The scheduler is told.
    pub(super) fn note_granted(&mut self, granted: Position) {
        self.granted = Some(granted);
    }

    fn note_limit(&mut self, is_limited: bool, now: Now) {
        if std::mem::replace(&mut self.is_limited, is_limited) == is_limited {
            return;
        }
        self.is_at_limit = is_limited;
        let is_first = now.ns >= self.log_limit_at_ns;
        let faults = self.counters.faults();
        if !is_limited {
            faults.clear(Part::JournalLimit);
            debug!("the journal has room again: sources are read");
            return;
        }
        let words = format!(
            "the journal has reached journal.max_bytes: sources wait until old segments go, delivery \
             goes on. What holds the oldest one: {}; or raise journal.max_bytes",
            self.why_held()
        );
        faults.set(Part::JournalLimit, now.epoch_us, &words);
        self.counters.add(Counter::JournalLimit, 1);
        if is_first {
            self.log_limit_at_ns = now.ns + LOG_LIMIT_NS;
            error!(max_bytes = self.room.max_bytes, "{words}");
        }
    }

    pub(super) fn why_held(&self) -> &'static str {
        let oldest = self.ranges.iter().next();
        match oldest.and_then(|it| self.ranges.held_by(it, &self.state)) {
            Some(HeldBy::Store) => "the store has not followed: see why, or make it faster",
            Some(HeldBy::Unsettled) => {
                "messages wait for subscribers that are absent or slow: connect them"
            }
            Some(HeldBy::Window) if self.group.is_some() => {
                "ids in the dedup window are remembered: [dedup] window says for how long"
            }
            Some(HeldBy::Window) => {
                "ids in the dedup window are remembered: they are about to be \
                 carried forward"
            }
            None => "old segments are about to go",
        }
    }
}
