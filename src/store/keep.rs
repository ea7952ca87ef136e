//! When old rows are removed, and how many at once: `[store] keep`.
//!
//! Asked by the follower after each step; each [`Removal`] that it gives is one piece for a
//! [`super::Store`], whose [`Removed`] decides about the next one. Pure: it owns no clock and no
//! database.
//!
//! ```text
//! pass    | piece | rest | piece | rest | ...    by the primary key, from the oldest row on, until
//!                                                rows are too young
//! pause                                          a tenth of keep, then the next pass
//! ```
//!
//! Ids ascend with arrival, so no further index is needed, and rows cost no more to write. Rows that are
//! not settled stay; each pass reads them again.

use std::time::Duration;

use crate::clock::Now;
use crate::limits::{
    STORE_REMOVE_AHEAD, STORE_REMOVE_PAUSE_MAX, STORE_REMOVE_PAUSE_MIN, STORE_REMOVE_READ_PAUSE,
    STORE_REMOVE_REST, STORE_REMOVE_RETRY, STORE_REMOVE_ROWS, STORE_REMOVE_ROWS_MAX,
    STORE_REMOVE_ROWS_MIN, STORE_REMOVE_SHARE, STORE_REMOVE_TIME_MAX,
};
use crate::message::Sequence;

/// A pass takes a tenth of `keep` at most to come again.
const PASSES_PER_KEEP: u32 = 10;

/// One piece of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Rows from this sequence on; 0: a pass begins.
    pub from: Sequence,
    /// Rows that were settled before this moment, us since the epoch; 0: none, there is no `keep`.
    pub before_us: u64,
    /// So many rows are looked at.
    pub rows_max: usize,
}

/// What a piece came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// Rows removed.
    pub rows: u64,
    /// Rows that were looked at and stay.
    pub stayed: u64,
    /// Partitions dropped.
    pub partitions: u64,
    /// Where the pass goes on; `None`: it is through.
    pub next: Option<Sequence>,
    /// When the first row of the piece came, us since the epoch; `None`: there is none.
    pub oldest_us: Option<u64>,
    /// Why rows that should go are still there: the database's words.
    pub refused: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The removal of one engine's rows.
#[derive(Debug)]
pub(super) struct Keep {
    /// `None`: for ever. Passes see to the partitions of a server's table nevertheless.
    keep: Option<Duration>,
    /// Where the pass stands.
    from: Sequence,
    rows_max: usize,
    /// The next piece is not due before.
    due_ns: u64,
    /// When a store that is always behind has its share.
    share_ns: u64,
    /// Rows and updates that were written since the last piece.
    written: usize,
    /// Rows that this pass has read and that stay.
    stayed: u64,
    /// What this pass could not remove.
    refused: Option<String>,
}

impl Keep {
    pub(super) fn new(keep: Option<Duration>) -> Self {
        Self {
            keep,
            from: 0,
            rows_max: STORE_REMOVE_ROWS,
            due_ns: 0,
            share_ns: 0,
            written: 0,
            stayed: 0,
            refused: None,
        }
    }

    /// So many rows and updates were written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
    }

    /// The piece that is due now. A store that `is_behind` gives it a small share only; but one that is
    /// always behind removes somewhat more rows than it writes while there are old ones, or the table
    /// would grow for as long as that lasts.
    pub(super) fn due(&self, is_behind: bool, now: Now) -> Option<Removal> {
        let owes = self.written >= self.rows_max / STORE_REMOVE_AHEAD * (STORE_REMOVE_AHEAD - 1);
        let has_turn = !is_behind || owes || now.ns >= self.share_ns;
        (has_turn && now.ns >= self.due_ns).then(|| Removal {
            from: self.from,
            before_us: self.keep.map_or(0, |it| before_us(it, now)),
            rows_max: self.rows_max,
        })
    }

    /// A piece is done. Returns, behind the last one of a pass, what the pass could not remove.
    pub(super) fn done(&mut self, removed: Removed, now: Now) -> Option<Result<(), String>> {
        let Removed { took, .. } = removed;
        let end_ns = now.ns + nanos(took);
        self.written = 0;
        self.share_ns = end_ns + nanos(STORE_REMOVE_SHARE);
        self.stayed += removed.stayed;
        if removed.refused.is_some() {
            self.refused = removed.refused;
        }
        self.rows_max = match took {
            it if it > STORE_REMOVE_TIME_MAX => self.rows_max / 2,
            it if it < STORE_REMOVE_TIME_MAX / 4 => self.rows_max * 2,
            _ => self.rows_max,
        };
        self.rows_max = (self.rows_max).clamp(STORE_REMOVE_ROWS_MIN, STORE_REMOVE_ROWS_MAX);
        if let Some(next) = removed.next {
            self.from = next;
            self.due_ns = end_ns + nanos(STORE_REMOVE_REST);
            return None;
        }
        self.from = 0;
        self.due_ns = end_ns + nanos(self.pause());
        self.stayed = 0;
        Some(self.refused.take().map_or(Ok(()), Err))
    }

    /// A piece has failed: the pass begins again some time later.
    pub(super) fn failed(&mut self, now: Now) {
        self.from = 0;
        self.stayed = 0;
        self.refused = None;
        self.rows_max = STORE_REMOVE_ROWS_MIN;
        self.due_ns = now.ns + nanos(STORE_REMOVE_RETRY);
    }

    fn pause(&self) -> Duration {
        let keep = self
            .keep
            .unwrap_or(STORE_REMOVE_PAUSE_MAX * PASSES_PER_KEEP);
        let pause = (keep / PASSES_PER_KEEP).clamp(STORE_REMOVE_PAUSE_MIN, STORE_REMOVE_PAUSE_MAX);
        let stayed = u32::try_from(self.stayed).unwrap_or(u32::MAX);
        pause.max(STORE_REMOVE_READ_PAUSE * stayed)
    }
}

fn before_us(keep: Duration, now: Now) -> u64 {
    let keep_us = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
    now.epoch_us.saturating_sub(keep_us)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(ms: u64) -> Now {
        Now {
            epoch_us: 1_000_000_000_000,
            ..Now::default()
        }
        .after(Duration::from_millis(ms))
    }

    fn piece(next: Option<Sequence>, took_ms: u64) -> Removed {
        Removed {
            rows: 1,
            next,
            took: Duration::from_millis(took_ms),
            ..Removed::default()
        }
    }

    #[test]
    fn a_pass_goes_on_where_it_stood_after_a_rest() {
        let mut keep = Keep::new(Some(MINUTE));
        let first = keep.due(false, at(0)).expect("it is due");
        assert_eq!((first.from, first.rows_max), (0, STORE_REMOVE_ROWS));
        assert_eq!(first.before_us, 1_000_000_000_000 - 60_000_000);
        assert_eq!(keep.done(piece(Some(501), 15), at(0)), None);
        assert_eq!(keep.due(false, at(24)), None);
        let second = keep.due(false, at(25)).expect("it is due");
        assert_eq!((second.from, second.rows_max), (501, STORE_REMOVE_ROWS));
        assert_eq!(keep.done(piece(None, 15), at(25)), Some(Ok(())));
        assert_eq!(keep.due(false, at(6_039)), None, "a tenth of keep later");
        assert_eq!(keep.due(false, at(6_040)).map(|it| it.from), Some(0));
    }

    #[test]
    fn pieces_become_smaller_and_larger_within_their_bounds() {
        let mut keep = Keep::new(Some(MINUTE));
        let mut size = |took_ms| {
            keep.done(piece(Some(1), took_ms), at(0));
            keep.rows_max
        };
        assert_eq!((size(51), size(30), size(1)), (500, 500, 1_000));
        let last = |sizes: &mut dyn Iterator<Item = usize>| sizes.last();
        let smallest = last(&mut (0..9).map(|_| size(100)));
        assert_eq!(smallest, Some(STORE_REMOVE_ROWS_MIN));
        let largest = last(&mut (0..9).map(|_| size(0)));
        assert_eq!(largest, Some(STORE_REMOVE_ROWS_MAX));
    }

    #[test]
    fn a_store_that_is_always_behind_removes_its_share() {
        let mut keep = Keep::new(Some(MINUTE));
        keep.done(piece(Some(9), 10), at(0));
        assert_eq!(keep.due(true, at(1_009)), None);
        assert_eq!(keep.due(true, at(1_010)).map(|it| it.from), Some(9));
    }

    #[test]
    fn a_store_that_is_always_behind_removes_no_fewer_rows_than_it_writes() {
        let mut keep = Keep::new(Some(MINUTE));
        // Ten thousand rows a second, in steps of 10 ms; a piece takes 20 ms and removes all it looks at.
        let (mut written, mut removed, mut ms) = (0, 0, 0);
        while ms < 60_000 {
            ms += 10;
            written += 100;
            keep.wrote(100);
            if let Some(removal) = keep.due(true, at(ms)) {
                removed += removal.rows_max;
                keep.done(piece(Some(9), 20), at(ms));
                ms += 20;
                written += 200;
                keep.wrote(200);
            }
        }
        assert!(removed >= written, "{removed} of {written}");
        assert!(
            removed <= written / 2 * 3,
            "its share stays small: {removed} of {written}"
        );
    }

    #[test]
    fn a_pass_waits_for_each_row_that_it_would_read_again_in_vain() {
        let mut keep = Keep::new(Some(MINUTE));
        let read = |next, stayed| Removed {
            stayed,
            ..piece(next, 10)
        };
        keep.done(read(Some(9), 60_000), at(0));
        keep.done(read(None, 40_000), at(2_000));
        assert_eq!(
            keep.due(false, at(22_009)),
            None,
            "100,000 rows, 200 us each"
        );
        assert_eq!(keep.due(false, at(22_010)).map(|it| it.from), Some(0));
    }

    #[test]
    fn a_failure_begins_the_pass_again_and_a_refusal_ends_it_with_its_words() {
        let mut keep = Keep::new(Some(MINUTE));
        keep.done(piece(Some(9), 10), at(0));
        keep.failed(at(20));
        assert_eq!(keep.due(false, at(30_019)), None);
        assert_eq!(keep.due(false, at(30_020)).map(|it| it.from), Some(0));
        let refused = Removed {
            refused: Some("a foreign key".to_owned()),
            ..piece(Some(9), 10)
        };
        assert_eq!(keep.done(refused, at(40_000)), None);
        let ended = keep.done(piece(None, 10), at(40_020));
        assert_eq!(ended, Some(Err("a foreign key".to_owned())));
    }

    #[test]
    fn without_keep_no_row_is_old() {
        let removal = Keep::new(None).due(false, at(0));
        assert_eq!(removal.map(|it| it.before_us), Some(0));
    }
}
