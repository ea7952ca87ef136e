//! How far the journal may grow, and what is said where it may not.
//!
//! Retention calls it in each cycle; the scheduler gets what is granted.

use std::sync::atomic::Ordering;

use tracing::{debug, error};

use super::ranges::HeldBy;
use super::{LOG_LIMIT_NS, RetentionAgent};
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::protocol::FromRetention;
use crate::journal::storage::Storage;

impl<S: Storage + Clone> RetentionAgent<S> {
    /// Tells the scheduler how far messages may go.
    pub(super) fn grant(&mut self, now: Now) {
        let open = self.open.map_or(self.parts.next_segment, |it| it.number);
        let granted = self.room.grant(self.ranges.len(), open);
        if granted == 0 && self.state.next_sequence == 0 {
            // What may go is not known before the first query; until then nothing is granted.
            return;
        }
        if self.granted != Some(granted)
            && let Some(mut permit) = self.parts.to_scheduler.claim(1)
        {
            permit.send(FromRetention::Granted(granted));
            self.granted = Some(granted);
        }
        // Back when a whole segment is free: not at each one that goes and is filled at once.
        let is_short = granted < (open + 2) * self.parts.segment_len;
        self.note_limit(is_short && (self.is_limited || self.is_at_limit), now);
    }

    fn note_limit(&mut self, is_limited: bool, now: Now) {
        if std::mem::replace(&mut self.is_limited, is_limited) == is_limited {
            return;
        }
        self.parts.limited.store(is_limited, Ordering::Relaxed);
        self.is_at_limit = is_limited;
        let is_first = now.ns >= self.log_limit_at_ns;
        if is_limited {
            self.parts.counters.add(Counter::JournalLimit, 1);
        }
        if is_limited && is_first {
            self.log_limit_at_ns = now.ns + LOG_LIMIT_NS;
            self.log_limit();
        } else if !is_limited {
            debug!("the journal has room again: sources are read");
        }
    }

    pub(super) fn why_held(&self) -> &'static str {
        let oldest = self.ranges.iter().next();
        match oldest.and_then(|it| self.ranges.held_by(it, &self.state)) {
            Some(HeldBy::Store) => "the store has not followed: see why, or make it faster",
            Some(HeldBy::Unsettled) => {
                "messages wait for subscribers that are absent or slow: connect them"
            }
            Some(HeldBy::Window) => {
                "ids in the dedup window are remembered: they are about to be \
                 carried forward"
            }
            None => "old segments are about to go",
        }
    }

    fn log_limit(&self) {
        let why = self.why_held();
        error!(
            max_bytes = self.room.max_bytes,
            "the journal has reached journal.max_bytes: sources wait until old segments go, delivery \
             goes on. What holds the oldest one: {why}; or raise journal.max_bytes"
        );
    }
}
