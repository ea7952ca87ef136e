//! How much goes into one transaction: less where the database's disk is short of room.
//!
//! A transaction takes room twice, in the database's log and then in its file, and the log keeps its
//! length. One that is too large for what is free fails, and what it has written of its log is missing to
//! the next one. The journal gives room back only for what the store has taken, so the store must go on
//! with what there is. Values only.

use crate::limits::{
    STORE_BATCH_GROWTH, STORE_GATHER_LEN_MAX, STORE_GATHER_ROWS_MAX, STORE_ROOM_SHARE,
};
use crate::store::rows::Rows;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    /// So many rows are not waited for.
    rows_full: usize,
    /// Rows that had room last, while it is short.
    rows_max: usize,
    /// Bytes of frames that have room now.
    len_max: usize,
    /// The last transaction found no room.
    found_no_room: bool,
}

impl Gathering {
    /// `batch_rows` make a batch full.
    pub(super) fn new(batch_rows: usize) -> Self {
        Self {
            rows_full: batch_rows.max(1),
            rows_max: usize::MAX,
            len_max: STORE_GATHER_LEN_MAX,
            found_no_room: false,
        }
    }

    /// So many bytes are free on the database's disk; `None`: nobody knows.
    pub(super) fn set_room(&mut self, free_len: Option<u64>) {
        let len = free_len.map_or(usize::MAX, |it| {
            usize::try_from(it / STORE_ROOM_SHARE).unwrap_or(usize::MAX)
        });
        // One batch of the journal at least.
        self.len_max = len.clamp(1, STORE_GATHER_LEN_MAX);
    }

    /// Whether the rows need not wait for more: there is much, or much waits behind them.
    pub(super) fn is_batch(&self, rows: &Rows) -> bool {
        let rows_max = self.rows_full.min(self.rows_max);
        rows.len() >= rows_max || rows.is_full(rows_max, self.len_max)
    }

    /// Whether more would be too much for one transaction.
    pub(super) fn is_all(&self, rows: &Rows) -> bool {
        let rows_max = self.rows_full.saturating_mul(STORE_BATCH_GROWTH);
        let rows_max = rows_max.min(STORE_GATHER_ROWS_MAX);
        rows.len() >= self.rows_max || rows.is_full(rows_max, self.len_max)
    }

    /// The transaction found no room.
    pub(super) fn note_no_room(&mut self) {
        self.found_no_room = true;
    }

    /// Whether the same rows would find none again: these are too many, and half of them are enough.
    pub(super) fn take_fewer(&mut self, rows: &Rows) -> bool {
        let fewer = std::mem::take(&mut self.found_no_room) && rows.len() > 1;
        if fewer {
            self.rows_max = rows.len() / 2;
        }
        fewer
    }

    /// A transaction had room: the next one may take somewhat more.
    pub(super) fn note_written(&mut self) {
        self.found_no_room = false;
        self.rows_max = self.rows_max.saturating_add(self.rows_max / 4 + 1);
    }
}
