//! Coarse time for the dedup window: where in the stream of ids each stretch of time began.
//!
//! The window asks only when a stretch ends or the oldest one expires; between, a claim costs one
//! comparison with [`Marks::turn_ms`]. It knows numbers of ids, not ids.

use std::collections::VecDeque;
use std::time::Duration;

/// Stretches that the window's time is cut into.
const STRETCHES: u64 = 256;

/// A stretch of time, and the number of the first id in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Its first millisecond.
    pub(super) start_ms: u64,
    /// The number of its first id.
    pub(super) first: u64,
}

/// The stretches that are not forgotten, oldest first.
#[derive(Debug)]
pub(super) struct Marks {
    marks: VecDeque<Mark>,
    window_ms: u64,
    stretch_ms: u64,
    /// When [`Self::turn`] is due next.
    pub(super) turn_ms: u64,
}

impl Marks {
    pub(super) fn new(window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self {
            // One more for the stretch under way, one for the expiring, one for rounding.
            marks: VecDeque::with_capacity(STRETCHES as usize + 3),
            window_ms,
            stretch_ms: window_ms.div_ceil(STRETCHES).max(1),
            turn_ms: 0,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// Begins the stretch of `now_ms`, in which `next` is the number of the first id, and ends
    /// those past their time. Gives the number of the first id that lives on.
    #[cold]
    pub(super) fn turn(&mut self, now_ms: u64, next: u64) -> u64 {
        let start_ms = now_ms - now_ms % self.stretch_ms;
        if self
            .marks
            .back()
            .is_none_or(|last| last.start_ms < start_ms)
        {
            self.marks.push_back(Mark {
                start_ms,
                first: next,
            });
        }
        while self
            .marks
            .front()
            .is_some_and(|mark| self.ends_ms(mark) <= now_ms)
        {
            self.marks.pop_front();
        }
        let oldest_ends_ms = self
            .marks
            .front()
            .map_or(u64::MAX, |mark| self.ends_ms(mark));
        self.turn_ms = oldest_ends_ms.min(start_ms.saturating_add(self.stretch_ms));
        self.marks.front().map_or(next, |mark| mark.first)
    }

    /// When the last id that the stretch can hold is `window` old.
    fn ends_ms(&self, mark: &Mark) -> u64 {
        mark.start_ms
            .saturating_add(self.stretch_ms)
            .saturating_add(self.window_ms)
    }
}
