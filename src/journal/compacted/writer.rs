//! Writes a compacted file: gathers entries into batches, and makes the file last.

use std::io;
use std::ops::Range;

use super::header::{CompactedHeader, unfinished};
use super::index::CompactedIndex;
use crate::journal::batch::{Batch, JournalRecord};
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SETTLEMENT_LEN, Settlement,
};
use crate::journal::storage::{Storage, write_whole};
use crate::limits::CARRIED_BATCH_LEN;
use crate::message::{CompactId, Sequence};

/// Writes a compacted file.
#[derive(Debug)]
pub(crate) struct CompactedWriter<S: Storage> {
    file: S::Segment,
    index: CompactedIndex,
    body: Vec<u8>,
    /// What the batch in `body` will be: of its kind, with so many entries.
    kind: BatchKind,
    entries: u32,
    first: (Position, Sequence),
    /// When its first and its last entry were recorded.
    times_us: Range<u64>,
}

/// What is told of an entry of a compacted file besides its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Where its record stood; of an id, where it may have stood.
    pub(crate) position: Position,
    pub(crate) sequence: Sequence,
    /// When its message was recorded.
    pub(crate) time_us: u64,
    /// The entry may count as recorded so much later.
    pub(crate) slack_us: u64,
}

impl<S: Storage> CompactedWriter<S> {
    /// Begins a compacted file, under a name that recovery throws away; or writes over the file that has
    /// that name.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(
        storage: &mut S,
        header: CompactedHeader,
        exists: bool,
    ) -> io::Result<Self> {
        let name = unfinished(&header);
        let file = if exists {
            storage.resume(name)?
        } else {
            storage.create(name)?
        };
        write_whole(storage, &file, 0, &header.encode())?;
        Ok(Self {
            file,
            index: CompactedIndex::empty(header),
            body: Vec::with_capacity(2 * CARRIED_BATCH_LEN),
            kind: BatchKind::Carried,
            entries: 0,
            first: (0, 0),
            times_us: 0..0,
        })
    }

    /// Carries a message forward; positions and sequences ascend.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn message(
        &mut self,
        storage: &S,
        record: &JournalRecord<'_>,
        time_us: u64,
        slack_us: u64,
    ) -> io::Result<()> {
        let len = 8 + record.record_len();
        let entry = Entry {
            position: record.position,
            sequence: record.sequence,
            time_us,
            slack_us,
        };
        self.begin_entry(storage, BatchKind::Carried, &entry, len)?;
        self.body.extend_from_slice(&record.position.to_le_bytes());
        let at = self.body.len();
        self.body.resize(at + record.record_len(), 0);
        record.encode(&mut self.body[at..]);
        Ok(())
    }

    /// Remembers the id of a message that is settled; positions and sequences ascend.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn id(&mut self, storage: &S, id: &CompactId<'_>, entry: &Entry) -> io::Result<()> {
        self.begin_entry(storage, BatchKind::Ids, entry, id.encoded_len())?;
        id.encode(&mut self.body);
        Ok(())
    }

    /// Makes room for an entry of `len` bytes in the batch, or in the next one.
    fn begin_entry(
        &mut self,
        storage: &S,
        kind: BatchKind,
        entry: &Entry,
        len: usize,
    ) -> io::Result<()> {
        let behind = entry.sequence.saturating_sub(self.first.1);
        let is_next = match kind {
            BatchKind::Ids => behind == u64::from(self.entries),
            _ => behind <= u64::from(u32::MAX),
        };
        let is_near = entry.time_us <= self.times_us.start.saturating_add(entry.slack_us);
        let fits = self.body.len() + len <= CARRIED_BATCH_LEN;
        if self.kind != kind || !is_next || !is_near || !fits {
            self.flush(storage)?;
        }
        if self.entries == 0 {
            self.kind = kind;
            self.first = (entry.position, entry.sequence);
            self.times_us = entry.time_us..entry.time_us;
        }
        self.entries += 1;
        self.times_us.end = self.times_us.end.max(entry.time_us);
        Ok(())
    }

    /// Carries settlements forward that a batch at `position` held.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn settlements(
        &mut self,
        storage: &S,
        of: &BatchHeader,
        settlements: &[Settlement],
    ) -> io::Result<()> {
        if settlements.is_empty() {
            return Ok(());
        }
        self.flush(storage)?;
        for settlement in settlements {
            let mut bytes = [0; SETTLEMENT_LEN];
            settlement.encode(of.time_us, &mut bytes);
            self.body.extend_from_slice(&bytes);
        }
        let header = BatchHeader {
            body_len: self.body.len() as u32,
            entries: settlements.len() as u32,
            ..*of
        };
        self.put(storage, header)
    }

    /// Copies a batch of another compacted file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in crate::journal) fn copy(&mut self, storage: &S, batch: &Batch<'_>) -> io::Result<()> {
        self.flush(storage)?;
        self.body.extend_from_slice(batch.body());
        self.put(storage, *batch.header())
    }

    /// Ends the file, makes it last, and gives it its name.
    ///
    /// # Errors
    /// It may not be whole: it must be given up.
    pub(crate) fn finish(mut self, storage: &mut S) -> io::Result<CompactedIndex> {
        self.flush(storage)?;
        let CompactedHeader {
            segments,
            segment_len,
            end_ms,
            ..
        } = &self.index.header;
        let end = BatchHeader::end_mark(segments.end * segment_len, end_ms * 1_000);
        write_whole(storage, &self.file, self.index.len, &end)?;
        self.index.len += end.len() as u64;
        if storage.len(&self.file)? > self.index.len {
            storage.truncate(&self.file, self.index.len)?;
        }
        storage.sync(&self.file)?;
        storage.rename(unfinished(&self.index.header), self.index.header.name())?;
        storage.sync_names()?;
        Ok(self.index)
    }

    fn flush(&mut self, storage: &S) -> io::Result<()> {
        if self.entries == 0 {
            return Ok(());
        }
        let (position, first_sequence) = self.first;
        let header = BatchHeader {
            crc: 0,
            body_len: self.body.len() as u32,
            kind: self.kind,
            entries: std::mem::take(&mut self.entries),
            position,
            first_sequence,
            time_us: self.times_us.end,
        };
        self.put(storage, header)
    }

    fn put(&mut self, storage: &S, header: BatchHeader) -> io::Result<()> {
        let mut head = [0; BATCH_HEADER_LEN];
        header.encode(std::iter::once(&self.body[..]), &mut head);
        let offset = self.index.len;
        write_whole(storage, &self.file, offset, &head)?;
        let behind = offset + BATCH_HEADER_LEN as u64;
        write_whole(storage, &self.file, behind, &self.body)?;
        self.index.add(&header);
        self.body.clear();
        Ok(())
    }
}
