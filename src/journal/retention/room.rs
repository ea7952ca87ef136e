//! How far the journal may grow: what `journal.max_bytes` leaves.
//!
//! Retention asks; the scheduler accepts messages up to the position that is granted. Positions
//! only grow, so a grant that arrives late is merely too small. Pure.
//!
//! ```text
//! max_bytes | closed files | open segment | granted: n segments | reserve |
//! ```
//! The reserve takes settlements, which go on at the limit, what was on its way to the journal when
//! it was reached, and the compacted file that makes room again.

use crate::journal::format::Position;
use crate::limits::JOURNAL_RESERVE;

/// The bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes on disk at most.
    pub(crate) max_bytes: u64,
    /// Bytes of one segment.
    pub(crate) segment_len: u64,
}

impl Room {
    /// Up to where messages may go, when closed files take `used` bytes and segment `open` is being
    /// filled; zero: nowhere.
    #[must_use]
    pub(crate) fn grant(&self, used: u64, open: u64) -> Position {
        let segments = self.max_bytes.saturating_sub(used) / self.segment_len;
        match segments.checked_sub(1 + JOURNAL_RESERVE) {
            Some(more) => (open + 1)
                .saturating_add(more)
                .saturating_mul(self.segment_len),
            None => 0,
        }
    }

    /// Whether it is time to make room at a higher price.
    #[must_use]
    pub(crate) fn is_scarce(&self, used: u64) -> bool {
        used >= self.max_bytes / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        max_bytes: 1_000,
        segment_len: 100,
    };

    #[test]
    fn a_grant_ends_where_the_reserve_begins() {
        assert_eq!(JOURNAL_RESERVE, 3);
        // The open segment, and six more; or none; or not even the open one.
        assert_eq!(ROOM.grant(0, 0), 700);
        assert_eq!(ROOM.grant(500, 5), 700);
        assert_eq!(ROOM.grant(600, 6), 700);
        assert_eq!(ROOM.grant(601, 6), 0);
        assert_eq!(ROOM.grant(u64::MAX, 6), 0);
    }

    #[test]
    fn a_grant_never_goes_back_while_segments_are_closed_and_grows_when_some_go() {
        let mut before = 0;
        for closed in 0..=6 {
            let granted = ROOM.grant(closed * 100, closed);
            assert!(granted >= before, "{closed}");
            before = granted;
        }
        assert!(ROOM.grant(500, 6) > before);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let room = Room {
            max_bytes: u64::MAX,
            segment_len: 1,
        };
        assert_eq!(room.grant(0, u64::MAX - 1), u64::MAX);
    }
}
