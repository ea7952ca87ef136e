//! How a transaction is written: in bulk, or in small pieces with rests between them.
//!
//! On a machine with few cores the store, and a server beside it, share a core with threads that
//! messages wait for. The system gives even the lowest priority its turn and takes the core back at its
//! next tick, milliseconds later; a thread that sleeps by itself gives it back at once. The follower
//! picks the pace of each transaction. The store keeps it: row by row where the work is its own, in
//! small sends where it is a server's. The commit is one piece.

use std::thread;
use std::time::{Duration, Instant};

/// How long a piece is: how long a message may wait for the core.
const WORK: Duration = Duration::from_micros(100);
/// How long the core is free then; the system adds some 50 us.
const REST: Duration = Duration::from_micros(100);
/// Rows between two readings of the clock; each row takes 5 to 10 us.
const ROWS_PER_READING: u32 = 8;

/// The pace of one transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// More rows wait behind it, or its end is waited for.
    #[default]
    Bulk,
    /// There is time, and the core may be needed.
    Paced,
}

impl Pace {
    /// How large a piece is: one of the two.
    pub(super) fn pick<T>(self, bulk: T, paced: T) -> T {
        match self {
            Self::Bulk => bulk,
            Self::Paced => paced,
        }
    }

    /// Between two pieces: leaves the core to others, where there is time.
    pub(super) fn rest(self, length: Duration) {
        if self == Self::Paced {
            thread::sleep(length);
        }
    }
}

/// Divides one transaction into pieces by the clock.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When this piece began; `None`: it is written in bulk.
    begun: Option<Instant>,
    rows: u32,
}

impl Pacer {
    /// The first piece begins.
    pub(super) fn begin(pace: Pace) -> Self {
        Self {
            begun: (pace == Pace::Paced).then(Instant::now),
            rows: 0,
        }
    }

    /// Before a row: rests where the piece has been long enough.
    pub(super) fn row(&mut self) {
        let Some(begun) = &mut self.begun else { return };
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_READING) && begun.elapsed() >= WORK {
            thread::sleep(REST);
            *begun = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_was_long_enough_is_followed_by_a_rest_and_another_one() {
        let mut pacer = Pacer::begin(Pace::Paced);
        let first = pacer.begun.expect("it rests");
        thread::sleep(WORK);
        for _ in 1..ROWS_PER_READING {
            pacer.row();
        }
        assert_eq!(pacer.begun, Some(first), "not looked yet");
        pacer.row();
        let second = pacer.begun.expect("it rests");
        assert!(second - first >= WORK + REST);
    }

    #[test]
    fn in_bulk_no_clock_is_read() {
        let mut pacer = Pacer::begin(Pace::Bulk);
        (0..3 * ROWS_PER_READING).for_each(|_| pacer.row());
        assert_eq!(pacer.begun, None);
    }
}
