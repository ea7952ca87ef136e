//! Compacted files: what is still needed of segments that shall go.
//!
//! Retention writes them; recovery, replay and whoever reads the journal read them. Records keep
//! their sequences and positions, so nobody who holds a position need know that it moved. A kept
//! file is written under another name, synced and renamed: it is whole, or it is not there.

use std::ops::Range;

use memchr::memmem;

use super::batch::{Batch, check};
use super::error::{Damage, JournalError};
use super::format::{
    BATCH_HEADER_LEN, BATCH_MAGIC, BatchHeader, BatchKind, FORMAT_VERSION, Position,
    SETTLEMENT_LEN, Settlement,
};
use super::storage::{Name, Storage, read_full, write_whole};
use crate::journal::batch::JournalRecord;
use crate::limits::{BATCH_LEN_MAX, CARRIED_BATCH_LEN, JOURNAL_READ_LEN};
use crate::message::layout::{u32_at, u64_at};
use crate::message::{CompactId, Sequence};

/// Bytes of a compacted file's header.
pub(super) const HEADER_LEN: usize = 64;
const MAGIC: [u8; 8] = *b"FLBKEPT1";

/// What a compacted file stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedHeader {
    /// The numbers of the segments.
    pub segments: Range<u64>,
    /// Bytes of a segment.
    pub segment_len: u64,
    /// The sequences that were accepted in their course.
    pub sequences: Range<Sequence>,
    /// Nothing in it is younger: ms of the engine's own time.
    pub end_ms: u64,
}

impl CompactedHeader {
    /// The file's name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::Compacted(self.segments.start, self.segments.end)
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let fields = [
            self.segments.start,
            self.segments.end,
            self.segment_len,
            self.sequences.start,
            self.sequences.end,
            self.end_ms,
        ];
        for (index, field) in fields.iter().enumerate() {
            out[16 + 8 * index..24 + 8 * index].copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(from: &[u8; HEADER_LEN]) -> Option<Self> {
        let is_one = from[0..8] == MAGIC
            && u32_at(from, 8) == FORMAT_VERSION
            && u32_at(from, 12) == crc32fast::hash(&from[16..]);
        let header = Self {
            segments: u64_at(from, 16)..u64_at(from, 24),
            segment_len: u64_at(from, 32),
            sequences: u64_at(from, 40)..u64_at(from, 48),
            end_ms: u64_at(from, 56),
        };
        let end = header.segments.end.checked_mul(header.segment_len);
        let fits = header.segments.start < header.segments.end
            && end.is_some_and(|it| it < u64::MAX)
            && header.end_ms <= u64::MAX / 1_000;
        (is_one && fits).then_some(header)
    }
}

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
        let (mut batches, mut entries, mut ids_len) = (Vec::new(), 0, 0);
        let mut offset = reader.offset;
        while let Some(batch) = reader.advance(storage)? {
            match batch.kind {
                BatchKind::Carried => {
                    batches.push((batch.position, offset));
                    entries += u64::from(batch.entries);
                }
                BatchKind::Ids => ids_len += reader.offset - offset,
                _ => {}
            }
            offset = reader.offset;
        }
        Ok(Self {
            header: reader.header,
            entries,
            len: reader.offset,
            ids_len,
            batches,
        })
    }

    /// The offset of the batch that holds the record of this position, if any does.
    #[must_use]
    pub fn batch_of(&self, position: Position) -> Option<u64> {
        let behind = self.batches.partition_point(|it| it.0 <= position);
        Some(self.batches[behind.checked_sub(1)?].1)
    }
}

/// Reads a compacted file, a batch at a time.
#[derive(Debug)]
pub struct CompactedReader<S: Storage> {
    header: CompactedHeader,
    file: S::Segment,
    /// Where the next batch begins.
    offset: u64,
    position_min: Position,
    body: Vec<u8>,
}

impl<S: Storage> CompactedReader<S> {
    /// Opens the compacted file of these segments.
    ///
    /// # Errors
    /// It cannot be read, or its header is wrong.
    pub fn open(storage: &S, segments: Range<u64>) -> Result<Self, JournalError> {
        let name = Name::Compacted(segments.start, segments.end);
        let unusable = |source| JournalError::File { name, source };
        let file = storage.open(name).map_err(unusable)?;
        let mut bytes = [0; HEADER_LEN];
        read_full(storage, &file, 0, &mut bytes).map_err(unusable)?;
        let header = CompactedHeader::decode(&bytes).filter(|it| it.segments == segments);
        let header = header.ok_or(JournalError::Compacted {
            name,
            offset: 0,
            damage: Damage::NotABatch,
        })?;
        Ok(Self {
            position_min: segments.start * header.segment_len,
            header,
            file,
            offset: HEADER_LEN as u64,
            body: Vec::new(),
        })
    }

    /// Opens a compacted file whose header is damaged, for what stands behind that.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open_damaged(
        storage: &S,
        segments: Range<u64>,
        segment_len: u64,
    ) -> Result<Self, JournalError> {
        let name = Name::Compacted(segments.start, segments.end);
        let unusable = |source| JournalError::File { name, source };
        Ok(Self {
            position_min: segments.start * segment_len,
            file: storage.open(name).map_err(unusable)?,
            header: CompactedHeader {
                segments,
                segment_len,
                sequences: 0..0,
                end_ms: 0,
            },
            offset: HEADER_LEN as u64,
            body: Vec::new(),
        })
    }

    /// What the file stands for.
    #[must_use]
    pub fn header(&self) -> &CompactedHeader {
        &self.header
    }

    /// Where the next batch begins in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to the first whole batch behind a damaged place, or to the file's end, whose mark is gone
    /// then. Returns whether there is a batch.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn pass_damage(&mut self, storage: &S) -> Result<bool, JournalError> {
        let (damaged, position_min) = (self.offset, self.position_min);
        let mut window = vec![0; JOURNAL_READ_LEN];
        let mut from = damaged + 1;
        loop {
            let name = self.header.name();
            let len = read_full(storage, &self.file, from, &mut window)
                .map_err(|source| JournalError::File { name, source })?;
            for at in memmem::find_iter(&window[..len], &BATCH_MAGIC) {
                self.offset = from + at as u64;
                let place = self.offset;
                match self.advance(storage) {
                    Ok(_) => {
                        (self.offset, self.position_min) = (place, position_min);
                        return Ok(true);
                    }
                    Err(JournalError::Compacted { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if len < window.len() {
                self.offset = if len == 0 { damaged } else { from + len as u64 };
                return Ok(false);
            }
            from += (len + 1 - BATCH_MAGIC.len()) as u64;
        }
    }

    /// Goes on at another batch.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.position_min = 0;
    }

    /// Reads the next batch; its body is [`CompactedReader::body`] then. `None`: there is no other.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn advance(&mut self, storage: &S) -> Result<Option<BatchHeader>, JournalError> {
        let mut head = [0; BATCH_HEADER_LEN];
        self.read(storage, self.offset, &mut head)?;
        let header = BatchHeader::decode(&head).ok_or_else(|| self.damaged(Damage::NotABatch))?;
        if header.body_len as usize > BATCH_LEN_MAX {
            return Err(self.damaged(Damage::Torn));
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(header.body_len as usize, 0);
        self.read(storage, self.offset + BATCH_HEADER_LEN as u64, &mut body)?;
        let end = self.header.segments.end * self.header.segment_len;
        let places = self.position_min..=end;
        if !header.matches(&head, &body, header.position) || !places.contains(&header.position) {
            return Err(self.damaged(Damage::Torn));
        }
        check(&header, &body).map_err(|damage| self.damaged(damage))?;
        self.offset += (BATCH_HEADER_LEN + body.len()) as u64;
        self.position_min = header.position + 1;
        self.body = body;
        Ok((header.kind != BatchKind::End).then_some(header))
    }

    /// The body of the batch read last.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn read(&self, storage: &S, offset: u64, into: &mut [u8]) -> Result<(), JournalError> {
        let name = self.header.name();
        let len = read_full(storage, &self.file, offset, into)
            .map_err(|source| JournalError::File { name, source })?;
        if len < into.len() {
            return Err(self.damaged(Damage::Short));
        }
        Ok(())
    }

    fn damaged(&self, damage: Damage) -> JournalError {
        JournalError::Compacted {
            name: self.header.name(),
            offset: self.offset,
            damage,
        }
    }
}

/// Writes a compacted file.
#[derive(Debug)]
pub struct CompactedWriter<S: Storage> {
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
    pub fn create(storage: &mut S, header: CompactedHeader, exists: bool) -> std::io::Result<Self> {
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
    ) -> std::io::Result<()> {
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
    pub(crate) fn id(
        &mut self,
        storage: &S,
        id: &CompactId<'_>,
        entry: &Entry,
    ) -> std::io::Result<()> {
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
    ) -> std::io::Result<()> {
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
    pub fn settlements(
        &mut self,
        storage: &S,
        of: &BatchHeader,
        settlements: &[Settlement],
    ) -> std::io::Result<()> {
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
    pub(super) fn copy(&mut self, storage: &S, batch: &Batch<'_>) -> std::io::Result<()> {
        self.flush(storage)?;
        self.body.extend_from_slice(batch.body());
        self.put(storage, *batch.header())
    }

    /// Ends the file, makes it last, and gives it its name.
    ///
    /// # Errors
    /// It may not be whole: it must be given up.
    pub fn finish(mut self, storage: &mut S) -> std::io::Result<CompactedIndex> {
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

    fn flush(&mut self, storage: &S) -> std::io::Result<()> {
        if self.entries == 0 {
            return Ok(());
        }
        let (position, first_sequence) = self.first;
        if self.kind == BatchKind::Carried {
            self.index.batches.push((position, self.index.len));
            self.index.entries += u64::from(self.entries);
        } else {
            self.index.ids_len += (BATCH_HEADER_LEN + self.body.len()) as u64;
        }
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

    fn put(&mut self, storage: &S, header: BatchHeader) -> std::io::Result<()> {
        let mut head = [0; BATCH_HEADER_LEN];
        header.encode(std::iter::once(&self.body[..]), &mut head);
        write_whole(storage, &self.file, self.index.len, &head)?;
        self.index.len += BATCH_HEADER_LEN as u64;
        write_whole(storage, &self.file, self.index.len, &self.body)?;
        self.index.len += self.body.len() as u64;
        self.body.clear();
        Ok(())
    }
}

/// The name of a compacted file that is being written.
pub(super) fn unfinished(header: &CompactedHeader) -> Name {
    Name::Unfinished(header.segments.start, header.segments.end)
}

/// The segments of the compacted file that stands for segment `number`, if one of these names does.
pub(super) fn covering(names: &[Name], number: u64) -> Option<Range<u64>> {
    let compacted = names.iter().filter_map(|name| match *name {
        Name::Compacted(from, to) if (from..to).contains(&number) => Some(from..to),
        _ => None,
    });
    // One that was merged into a longer one may be there still.
    compacted.max_by_key(|it| it.end - it.start)
}
