//! Which part of a journal is set aside: where the last record that stays ends, and how many messages stand behind it.

use std::ops::Range;

use crate::cluster::record::{low_of, sequence_of};
use crate::journal::batch::Batch;
use crate::journal::error::JournalError;
use crate::journal::format::{BatchKind, Position};
use crate::journal::reader::Reader;
use crate::journal::storage::Storage;
use crate::message::Sequence;

/// The end of a journal from a record on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where the last record that stays ends; 0: none stays.
    pub(super) cut: Position,
    /// What is counted stands from here on.
    pub(super) counted_from: Position,
    /// Where the first one stands that goes; `None`: none does.
    pub(super) first: Option<Position>,
    /// Messages that were accepted in what goes.
    pub(super) messages: u64,
    /// Their sequences.
    pub(super) sequences: Range<Sequence>,
}

impl Extent {
    /// Reads a journal of records through. Where segments are gone that were needed at the last common record -
    /// what they had was carried behind it, and goes with the rest - the journal's beginning is of no use, and
    /// none of it stays.
    ///
    /// # Errors
    /// It cannot be read, or is damaged before its end.
    pub(super) fn read<S: Storage>(
        reader: &mut Reader<S>,
        behind: u64,
    ) -> Result<Self, JournalError> {
        let mut extent = Self::default();
        let (mut begin, mut low) = (None, 0);
        while let Some(batch) = reader.next(Position::MAX)? {
            begin.get_or_insert(batch.position());
            if extent.first.is_none() && sequence_of(&batch).is_none_or(|it| it <= behind) {
                extent.cut = batch.position() + batch.len();
                low = low_of(&batch).unwrap_or(low);
            } else {
                extent.take(&batch);
            }
        }
        extent.counted_from = extent.cut;
        let segment_len = reader.segment_len();
        if let Some(begin) = begin.filter(|it| it / segment_len > low)
            && extent.first.is_some()
        {
            (extent.cut, extent.first) = (0, Some(begin));
        }
        Ok(extent)
    }

    fn take(&mut self, batch: &Batch<'_>) {
        self.first.get_or_insert(batch.position());
        // What was carried forward was accepted before.
        if batch.header().kind != BatchKind::Messages {
            return;
        }
        for record in batch.records() {
            if self.messages == 0 {
                self.sequences.start = record.sequence;
            }
            self.messages += 1;
            self.sequences.end = record.sequence + 1;
        }
    }
}
