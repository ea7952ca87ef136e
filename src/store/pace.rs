//! How a transaction is written: at a stretch, or in small pieces with rests between them.
//!
//! Where a machine has few cores the store, and a server that runs beside it, share one with threads
//! that messages wait for. The system gives even the lowest priority its turn, and takes the core
//! back at its next tick, milliseconds later: who sleeps by himself takes so much from nobody. The
//! follower picks a pace for each transaction; the store that writes keeps it, row by row where the
//! work is its own, and in small sends where it is a server's. What commits at the end is one piece.

use std::thread;
use std::time::{Duration, Instant};

/// How long a piece of rows is: what a message may have to wait for the core.
const WORK: Duration = Duration::from_micros(100);
/// How long the core is left to others then; the system makes it some 50 us more.
const REST: Duration = Duration::from_micros(100);
/// Rows between two looks at the clock; each takes 5 to 10 us.
const ROWS_A_LOOK: u32 = 8;

/// The pace of one transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// More waits behind it, or somebody for its end.
    #[default]
    AtAStretch,
    /// There is time, and the core may be needed.
    InPieces,
}

impl Pace {
    /// How large a piece is: one of the two.
    pub(super) fn pick<T>(self, at_a_stretch: T, in_pieces: T) -> T {
        match self {
            Self::AtAStretch => at_a_stretch,
            Self::InPieces => in_pieces,
        }
    }

    /// Between two pieces: leaves the core to others, where there is time.
    pub(super) fn rest(self, length: Duration) {
        if self == Self::InPieces {
            thread::sleep(length);
        }
    }
}

/// Tells the pieces of one transaction by the clock.
#[derive(Debug)]
pub(super) struct Pieces {
    /// When this piece began; `None`: it is all at a stretch.
    begun: Option<Instant>,
    rows: u32,
}

impl Pieces {
    /// The first piece begins.
    pub(super) fn begin(pace: Pace) -> Self {
        Self {
            begun: (pace == Pace::InPieces).then(Instant::now),
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
        let mut pieces = Pieces::begin(Pace::InPieces);
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
    fn at_a_stretch_no_clock_is_looked_at() {
        let mut pieces = Pieces::begin(Pace::AtAStretch);
        (0..3 * ROWS_A_LOOK).for_each(|_| pieces.row());
        assert_eq!(pieces.begun, None);
    }
}
