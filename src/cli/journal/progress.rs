//! How far a long reading is: a line on the terminal that is written over, and gone at the end.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use super::Place;
use crate::journal::format::Position;
use crate::journal::storage::Storage as _;

/// How often the line is renewed.
const EVERY: Duration = Duration::from_millis(500);

/// Shows how far a reading is, on a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    due: Instant,
    first: Position,
    end: Position,
    is_watched: bool,
    has_shown: bool,
}

impl Progress {
    /// For one reading of a whole journal.
    pub(super) fn of(place: &Place) -> Self {
        let segments = place.storage.segments().unwrap_or_default();
        let at = |number: Option<&u64>| number.copied().unwrap_or(0) * place.segment_len;
        let now = Instant::now();
        Self {
            begun: now,
            due: now + EVERY,
            first: at(segments.first()),
            end: at(segments.last()) + place.segment_len,
            is_watched: stderr().is_terminal(),
            has_shown: false,
        }
    }

    /// Reading has come to a place.
    pub(super) fn at(&mut self, position: Position) {
        if !self.is_watched || Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + EVERY;
        self.has_shown = true;
        let read = position.saturating_sub(self.first);
        let percent = read * 100 / (self.end - self.first).max(1);
        let rate = read as f64 / 1e6 / self.begun.elapsed().as_secs_f64();
        // The terminal may be gone.
        let _ = write!(stderr(), "\r{:3} %, {rate:.0} MB/s ", percent.min(100));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.has_shown {
            let _ = write!(stderr(), "\r{:24}\r", "");
        }
    }
}
