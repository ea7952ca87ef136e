//! Rate limits for log lines that a peer can cause at will: so many in a window of time, and the count
//! of those left out.
//!
//! Each cause has a limit of its own, owned by the agent that writes the line. Values only: the caller
//! writes the line, and puts what it gets here at the line's end.
//!
//! ```text
//! disconnected              the first lines of a window are written
//! disconnected (and 120 more in 10 s)      the first one behind the window tells of those left out,
//! more have disconnected                   or, where none comes, whoever asks what is overdue
//! ```

use std::fmt;

use crate::clock::Now;
use crate::limits::{LOG_LINES_PER_WINDOW, LOG_WINDOW_NS};

/// The limit of one cause.
///
/// Invariant: nothing is left out while fewer lines than allowed were written in the window.
#[derive(Debug)]
pub(crate) struct LogLimit {
    lines_max: u32,
    /// When the window began; `None`: no line was written yet.
    began_ns: Option<u64>,
    written: u32,
    left_out: u64,
}

/// How many lines of a cause were left out. Displayed behind a line: nothing where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) count: u64,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::of(LOG_LINES_PER_WINDOW)
    }
}

impl LogLimit {
    /// So many lines in a window.
    pub(crate) fn of(lines_max: u32) -> Self {
        Self {
            lines_max,
            began_ns: None,
            written: 0,
            left_out: 0,
        }
    }

    /// Whether a line may be written now, and what it has to tell; `None`: it is one of those left out.
    pub(crate) fn admit(&mut self, now: Now) -> Option<LeftOut> {
        if self.is_over(now) {
            (self.began_ns, self.written) = (Some(now.ns), 0);
        } else if self.written == self.lines_max {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        let count = std::mem::take(&mut self.left_out);
        Some(LeftOut { count })
    }

    /// The same for a line that may be none: then nothing is counted.
    pub(crate) fn admit_if(&mut self, is_line: bool, now: Now) -> Option<LeftOut> {
        is_line.then(|| self.admit(now)).flatten()
    }

    /// What was left out of a window that is over, where no line came since that could tell it. To be
    /// asked every now and then.
    pub(crate) fn overdue(&mut self, now: Now) -> Option<LeftOut> {
        if self.left_out == 0 || !self.is_over(now) {
            return None;
        }
        self.admit(now)
    }

    /// Whether something was left out that is not told yet.
    #[inline]
    pub(crate) fn has_left_out(&self) -> bool {
        self.left_out > 0
    }

    /// Whether its window is over, and nothing is left to tell.
    pub(crate) fn is_at_rest(&self, now: Now) -> bool {
        self.left_out == 0 && self.is_over(now)
    }

    fn is_over(&self, now: Now) -> bool {
        self.began_ns
            .is_none_or(|it| now.ns.saturating_sub(it) >= LOG_WINDOW_NS)
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => Ok(()),
            count => write!(
                f,
                " (and {count} more in {} s)",
                LOG_WINDOW_NS / 1_000_000_000
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Now {
        Now::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn the_first_lines_of_a_window_are_written_and_the_next_window_tells_of_the_others() {
        let mut limit = LogLimit::default();
        let written: Vec<_> = (0..100).filter_map(|it| limit.admit(at(it))).collect();
        assert_eq!(written.len(), LOG_LINES_PER_WINDOW as usize);
        assert!(written.iter().all(|it| it.count == 0));
        assert_eq!(limit.admit(at(9_999)), None);
        let next = limit.admit(at(10_000)).expect("a new window");
        let left_out = 101 - u64::from(LOG_LINES_PER_WINDOW);
        assert_eq!(next.count, left_out);
        assert_eq!(next.to_string(), format!(" (and {left_out} more in 10 s)"));
        assert_eq!(limit.admit(at(10_001)), Some(LeftOut { count: 0 }));
        assert_eq!(LeftOut { count: 0 }.to_string(), "");
    }

    #[test]
    fn what_was_left_out_is_told_when_its_window_is_over_though_no_line_comes() {
        let mut limit = LogLimit::default();
        assert_eq!(limit.overdue(at(60_000)), None, "nothing was left out");
        for _ in 0..LOG_LINES_PER_WINDOW + 7 {
            limit.admit(at(60_000));
        }
        assert_eq!(limit.overdue(at(69_999)), None, "the window is not over");
        assert_eq!(limit.overdue(at(70_000)), Some(LeftOut { count: 7 }));
        assert_eq!(limit.overdue(at(90_000)), None, "it was told");
    }
}
