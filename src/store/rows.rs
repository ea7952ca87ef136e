//! What one transaction writes: rows, and settlements of rows that were written before.
//!
//! Filled by the follower from whole batches; read by a [`super::Store`]. A settlement whose
//! message is here as well becomes part of its row, so that it costs no write of its own. It does
//! not know the database.
//!
//! ```text
//! rows    | sequence, header, settled, start | ...   ascending sequences
//! frames  | frame | frame | frame | ...              copied: the reader reuses its buffer
//! updates | settlement | ...                         of messages that are not among the rows
//! ```

use super::pace::Pace;
use crate::journal::batch::{Batch, JournalRecord};
use crate::journal::format::Settlement;
use crate::limits::{STORE_GATHER_LEN_KEPT, STORE_GATHER_ROWS_KEPT, STORE_UPDATES_MAX};
use crate::message::Record;
use crate::message::layout::RecordHeader;

/// What a transaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows that now say DELIVERED: inserted so, or updated.
    pub settled: u64,
    /// Rows that the database refused for good; they were kept aside.
    pub unstored: u64,
}

impl Applied {
    /// This row was not inserted.
    pub(super) fn pass_over(&mut self, row: &Row<'_>) {
        self.inserted -= 1;
        self.settled -= u64::from(row.settled_us.is_some());
    }
}

/// Rows and settlements, gathered for one transaction.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<Stored>,
    frames: Vec<u8>,
    updates: Vec<Settlement>,
    /// When the first of the updates was settled.
    first_settled_us: Option<u64>,
    pace: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    sequence: u64,
    header: RecordHeader,
    frame_start: usize,
    settled_us: Option<u64>,
    /// It was accepted long before the others, and may have a row.
    is_carried: bool,
}

/// One row to insert.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The message's place in the unified stream.
    pub sequence: u64,
    /// Its fields and its frame.
    pub record: Record<'a>,
    /// When it was settled, us since the epoch; `None`: not yet.
    pub settled_us: Option<u64>,
}

impl Rows {
    /// Takes what a batch holds.
    pub fn take(&mut self, batch: &Batch<'_>) {
        for record in batch.records() {
            self.push(&record, false);
        }
        for settlement in batch.settlements() {
            self.settle(settlement);
        }
    }

    /// Takes what a batch of a group's journal carries: a database that began behind has no rows of it.
    pub(super) fn take_carried(&mut self, batch: &Batch<'_>) {
        let before = self.rows.len();
        batch.carried().for_each(|it| self.push(&it.record, true));
        if self.rows.len() > before {
            self.rows.sort_by_key(|it| it.sequence);
            self.rows.dedup_by_key(|it| it.sequence);
        }
    }

    fn push(&mut self, record: &JournalRecord<'_>, is_carried: bool) {
        self.rows.push(Stored {
            sequence: record.sequence,
            header: *record.header(),
            frame_start: self.frames.len(),
            settled_us: None,
            is_carried,
        });
        self.frames.extend_from_slice(record.frame());
    }

    fn settle(&mut self, settlement: Settlement) {
        match self.find(settlement.sequence) {
            // The first settlement of a message is the one that counts, as in the database.
            Some(row) => {
                row.settled_us.get_or_insert(settlement.settled_us);
            }
            None => {
                self.first_settled_us.get_or_insert(settlement.settled_us);
                self.updates.push(settlement);
            }
        }
    }

    /// Finds a row by its sequence: where it stands if there are no gaps, else by halving.
    fn find(&mut self, sequence: u64) -> Option<&mut Stored> {
        let first = self.rows.first()?.sequence;
        let guess = usize::try_from(sequence.checked_sub(first)?).ok()?;
        let at = match self.rows.get(guess) {
            Some(row) if row.sequence == sequence => guess,
            _ => self
                .rows
                .binary_search_by_key(&sequence, |it| it.sequence)
                .ok()?,
        };
        self.rows.get_mut(at)
    }

    /// The rows, sequences ascending.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|it| {
            let frame = &self.frames[it.frame_start..][..it.header.frame_len as usize];
            Row {
                sequence: it.sequence,
                record: Record::new(it.header, frame),
                settled_us: it.settled_us,
            }
        })
    }

    /// At most `count` of the rows, from all over them.
    pub fn sample(&self, count: usize) -> impl Iterator<Item = Row<'_>> {
        let step = self.rows.len().div_ceil(count).max(1);
        self.iter().step_by(step)
    }

    /// Sorts the updates by sequence, which is the order of the rows in the database: messages are
    /// delivered by priority, and each page should be visited once. The first settlement of a
    /// message stays before its later ones.
    pub fn order_updates(&mut self) {
        self.updates.sort_by_key(|it| it.sequence);
    }

    /// Sets how they are to be written.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// How they are to be written.
    #[must_use]
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Settlements of messages whose rows were written earlier.
    #[must_use]
    pub fn updates(&self) -> &[Settlement] {
        &self.updates
    }

    /// Rows and updates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() + self.updates.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What writing all of it does, if each update finds its row unsettled.
    #[must_use]
    pub fn as_applied(&self) -> Applied {
        let mut applied = self.as_applied_rows();
        applied.settled += self.updates.len() as u64;
        applied
    }

    /// What writing the rows does, without the updates.
    #[must_use]
    pub fn as_applied_rows(&self) -> Applied {
        let settled = self.rows.iter().filter(|it| it.settled_us.is_some());
        Applied {
            inserted: self.rows.len() as u64,
            settled: settled.count() as u64,
            unstored: 0,
        }
    }

    /// Rows, without the updates.
    #[must_use]
    pub fn rows_len(&self) -> usize {
        self.rows.len()
    }

    /// First and last sequence of the rows that were not carried.
    #[must_use]
    pub fn sequences(&self) -> Option<(u64, u64)> {
        Some((self.first()?.sequence, self.rows.last()?.sequence))
    }

    /// The first row of what was accepted just now.
    fn first(&self) -> Option<&Stored> {
        self.rows.iter().find(|it| !it.is_carried)
    }

    /// When the first of it happened: us since the epoch.
    #[must_use]
    pub fn oldest_us(&self) -> Option<u64> {
        let row = self.first().map(|it| it.header.arrival_us);
        row.into_iter().chain(self.first_settled_us).min()
    }

    /// Whether more would be too much for one transaction.
    #[must_use]
    pub fn is_full(&self, rows_max: usize, len_max: usize) -> bool {
        self.rows.len() >= rows_max
            || self.frames.len() >= len_max
            || self.updates.len() >= STORE_UPDATES_MAX
    }

    /// Empties it, keeping the memory that a store which is not behind needs.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.frames.clear();
        self.updates.clear();
        self.rows.shrink_to(STORE_GATHER_ROWS_KEPT);
        self.frames.shrink_to(STORE_GATHER_LEN_KEPT);
        self.updates.shrink_to(STORE_GATHER_ROWS_KEPT);
        self.first_settled_us = None;
    }
}
