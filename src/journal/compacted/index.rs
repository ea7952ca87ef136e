//! The index of a compacted file: which of its batches holds a record.
//!
//! Made as the file is written, or by reading it through at start. Replay asks it.

use std::ops::Range;

use super::header::{CompactedHeader, HEADER_LEN};
use super::reader::CompactedReader;
use crate::journal::error::JournalError;
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind, Position};
use crate::journal::storage::Storage;

/// Where the batches of a compacted file stand: 16 bytes for `CARRIED_BATCH_LEN` of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedIndex {
    /// What the file stands for.
    pub header: CompactedHeader,
    /// How many records it holds.
    pub entries: u64,
    /// Bytes of the file.
    pub len: u64,
    /// Bytes of those that batches of ids take.
    pub ids_len: u64,
    /// Position and offset of each batch.
    batches: Vec<(Position, u64)>,
}

impl CompactedIndex {
    /// Of a file that holds nothing.
    #[must_use]
    pub fn empty(header: CompactedHeader) -> Self {
        Self {
            header,
            entries: 0,
            len: HEADER_LEN as u64,
            ids_len: 0,
            batches: Vec::new(),
        }
    }

    /// Reads a compacted file through, and checks it.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn load<S: Storage>(storage: &S, segments: Range<u64>) -> Result<Self, JournalError> {
        let mut reader = CompactedReader::open(storage, segments)?;
        let mut index = Self::empty(reader.header().clone());
        while let Some(batch) = reader.advance(storage)? {
            index.add(&batch);
        }
        // With the end mark.
        index.len = reader.offset();
        Ok(index)
    }

    /// Notes the batch that follows those before it.
    pub(super) fn add(&mut self, batch: &BatchHeader) {
        let len = BATCH_HEADER_LEN as u64 + u64::from(batch.body_len);
        match batch.kind {
            BatchKind::Carried => {
                self.batches.push((batch.position, self.len));
                self.entries += u64::from(batch.entries);
            }
            BatchKind::Ids => self.ids_len += len,
            _ => {}
        }
        self.len += len;
    }

    /// The offset of the batch that holds the record of this position, if any does.
    #[must_use]
    pub fn batch_of(&self, position: Position) -> Option<u64> {
        let behind = self.batches.partition_point(|it| it.0 <= position);
        Some(self.batches[behind.checked_sub(1)?].1)
    }
}
