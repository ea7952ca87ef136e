//! A transaction in small pieces, with rests between them.
//!
//! Where a machine has few cores the store shares one with threads that messages wait for. The system
//! gives even the lowest priority its turn, and takes the core back at its next tick, milliseconds
//! later: a thread that sleeps by itself takes so much from nobody. The store that writes calls it
//! row by row; the commit at the end is one piece.

use std::thread;
use std::time::{Duration, Instant};

/// How long a piece of rows is: what a message may have to wait for the core.
const WORK: Duration = Duration::from_micros(100);
/// How long the core is left to others then; the system makes it some 50 us more.
const REST: Duration = Duration::from_micros(100);
/// Rows between two looks at the clock; each takes 5 to 10 us.
const ROWS_A_LOOK: u32 = 8;

/// The pieces of one transaction.
#[derive(Debug)]
pub(super) struct Pieces {
    /// When this piece began; `None`: there are no rests, for the store is behind.
    begun: Option<Instant>,
    rows: u32,
}

impl Pieces {
    /// The first piece begins; `rests`: there is time.
    pub(super) fn begin(rests: bool) -> Self {
        Self {
            begun: rests.then(Instant::now),
            rows: 0,
        }
    }

    /// Before a row: rests where the piece has been long enough.
    pub(super) fn row(&mut self) {
        let Some(begun) = &mut self.begun else { return };
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_A_LOOK) && begun.elapsed() >= WORK {
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
        let mut pieces = Pieces::begin(true);
        let first = pieces.begun.expect("it rests");
        thread::sleep(WORK);
        for _ in 1..ROWS_A_LOOK {
            pieces.row();
        }
        assert_eq!(pieces.begun, Some(first), "not looked yet");
        pieces.row();
        let second = pieces.begun.expect("it rests");
        assert!(second - first >= WORK + REST);
    }

    #[test]
    fn without_rests_no_clock_is_looked_at() {
        let mut pieces = Pieces::begin(false);
        (0..3 * ROWS_A_LOOK).for_each(|_| pieces.row());
        assert_eq!(pieces.begun, None);
    }
}
