//! Duplicates of connections whose producers are told what became of each line, until ingest was sent
//! them.
//!
//! Intake's answers feed it; ingest gets what comes out, before an acknowledgement of the same
//! lines. Lines that follow each other are one run, and above [`DUPLICATE_RUNS_MAX`] runs no arrival
//! is taken.

use std::collections::VecDeque;

use super::message::Line;
use crate::limits::DUPLICATE_RUNS_MAX;

/// So many lines from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Line,
    pub(super) count: u32,
}

/// The runs, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    runs: VecDeque<Run>,
}

impl Duplicates {
    /// This line is a duplicate.
    pub(super) fn add(&mut self, line: Line) {
        if let Some(last) = self.runs.back_mut()
            && (last.first.source, last.first.connection) == (line.source, line.connection)
            && last.first.number + u64::from(last.count) == line.number
        {
            last.count += 1;
            return;
        }
        self.runs.push_back(Run {
            first: line,
            count: 1,
        });
    }

    pub(super) fn next(&mut self) -> Option<Run> {
        self.runs.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether so many more lines find room.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.runs.len() + count <= DUPLICATE_RUNS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(connection: u32, number: u64) -> Line {
        Line {
            source: 3,
            connection,
            number,
        }
    }

    #[test]
    fn lines_that_follow_each_other_are_one_run() {
        let mut duplicates = Duplicates::default();
        for (connection, number) in [(1, 4), (1, 5), (1, 6), (1, 8), (2, 9), (1, 9)] {
            duplicates.add(line(connection, number));
        }
        let runs: Vec<_> = std::iter::from_fn(|| duplicates.next()).collect();
        let run = |connection, number, count| Run {
            first: line(connection, number),
            count,
        };
        assert_eq!(
            runs,
            [run(1, 4, 3), run(1, 8, 1), run(2, 9, 1), run(1, 9, 1)]
        );
        assert!(duplicates.is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_runs() {
        let mut duplicates = Duplicates::default();
        assert!(duplicates.has_room(DUPLICATE_RUNS_MAX));
        for number in 1..=DUPLICATE_RUNS_MAX as u64 {
            duplicates.add(line(1, 2 * number));
        }
        assert!(duplicates.has_room(0) && !duplicates.has_room(1));
    }
}
