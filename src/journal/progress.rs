//! How far recovery is: a line in the log now and then, where it takes longer than that.

use std::ops::Range;
use std::time::{Duration, Instant};

use tracing::info;

use super::format::Position;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);

/// Logs how far a reading is.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    due: Instant,
    first: Position,
    end: Position,
    entries: u64,
}

impl Progress {
    /// For reading these segments.
    pub(super) fn new(segments: Range<u64>, segment_len: u64) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            due: now + EVERY,
            first: segments.start * segment_len,
            end: segments.end * segment_len,
            entries: 0,
        }
    }

    /// Reading has come to a place, with so many messages and settlements more.
    pub(super) fn at(&mut self, position: Position, entries: u32) {
        self.entries += u64::from(entries);
        let now = Instant::now();
        if now >= self.due {
            self.due = now + EVERY;
            self.log("reading the journal", position);
        }
    }

    /// Reading is over: told if it has taken long.
    pub(super) fn finish(&self, position: Position) {
        if self.started.elapsed() >= EVERY {
            self.log("the journal is read", position);
        }
    }

    fn log(&self, what: &'static str, position: Position) {
        let read = position.saturating_sub(self.first);
        let seconds = self.started.elapsed().as_secs_f64();
        info!(
            percent = (read * 100 / (self.end - self.first).max(1)).min(100),
            entries = self.entries,
            mb_per_second = (read as f64 / 1e6 / seconds) as u64,
            "{what}"
        );
    }
}
