//! For how long ids must stay: what the dedup window remembers, and recovery must know again.
//!
//! Retention asks it of whole segments, a compaction of single messages. Pure.

use std::time::Duration;

use crate::message::Sequence;

/// The dedup window's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// An id with so many later ones is forgotten.
    pub(crate) messages: u64,
    /// So is one that is older, in ms. Zero: nothing is remembered.
    pub(crate) ms: u64,
}

impl Window {
    /// The window of these settings. Time is kept coarsely there: an id may live 1/256 longer.
    #[must_use]
    pub(crate) fn new(messages: usize, time: Duration) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let is_off = messages == 0 || ms == 0;
        Self {
            messages: messages as u64,
            ms: if is_off {
                0
            } else {
                ms.saturating_add(ms / 256 + 1)
            },
        }
    }

    /// Whether all ids are forgotten that came before sequence `end`, at `end_ms` or earlier.
    pub(super) fn has_passed(
        &self,
        end: Sequence,
        end_ms: u64,
        next_sequence: Sequence,
        now_ms: u64,
    ) -> bool {
        self.ms == 0
            || end.saturating_add(self.messages) <= next_sequence
            || end_ms.saturating_add(self.ms) <= now_ms
    }
}

/// What the window remembers at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembered {
    /// The bounds.
    pub(crate) window: Window,
    /// The sequence of the next message then.
    pub(crate) next_sequence: Sequence,
    /// The engine's own time then, in ms.
    pub(crate) now_ms: u64,
}

impl Remembered {
    /// Whether the id of a message that was recorded at `time_us` is among it.
    pub(super) fn contains(&self, sequence: Sequence, time_us: u64) -> bool {
        let (end, end_ms) = (sequence.saturating_add(1), time_us / 1_000);
        !self
            .window
            .has_passed(end, end_ms, self.next_sequence, self.now_ms)
    }

    /// An id may be remembered so much longer, in us: as coarse as the window's own time is.
    pub(super) fn slack_us(&self) -> u64 {
        (self.window.ms / 256).saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_remembered_until_its_number_or_its_time_has_passed() {
        let at = |next_sequence, now_ms| Remembered {
            window: Window::new(10, Duration::from_secs(256)),
            next_sequence,
            now_ms,
        };
        assert!(at(110, 1_000).contains(100, 1_000_000));
        assert!(!at(111, 1_000).contains(100, 1_000_000), "ten are later");
        assert!(at(101, 258_000).contains(100, 1_000_000));
        assert!(!at(101, 258_001).contains(100, 1_000_000));
    }

    #[test]
    fn a_window_that_is_off_remembers_nothing() {
        for (messages, s) in [(0, 600), (1_000_000, 0)] {
            let remembered = Remembered {
                window: Window::new(messages, Duration::from_secs(s)),
                next_sequence: 0,
                now_ms: 0,
            };
            assert!(!remembered.contains(0, 0));
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let remembered = Remembered {
            window: Window::new(usize::MAX, Duration::MAX),
            next_sequence: u64::MAX,
            now_ms: u64::MAX,
        };
        let _ = remembered.contains(u64::MAX, u64::MAX);
        let _ = remembered.slack_us();
    }
}
