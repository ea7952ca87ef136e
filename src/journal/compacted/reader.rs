//! Reads a compacted file, a batch at a time, and passes what is damaged.

use std::ops::Range;

use memchr::memmem;

use super::header::{CompactedHeader, HEADER_LEN};
use crate::journal::batch::check;
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::{
    BATCH_HEADER_LEN, BATCH_MAGIC, BatchHeader, BatchKind, Position, SegmentHeaderError,
};
use crate::journal::storage::{Name, Storage, read_full};
use crate::limits::{BATCH_LEN_MAX, JOURNAL_READ_LEN};

/// Reads a compacted file, a batch at a time.
#[derive(Debug)]
pub(crate) struct CompactedReader<S: Storage> {
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
    pub(crate) fn open(storage: &S, segments: Range<u64>) -> Result<Self, JournalError> {
        let name = Name::Compacted(segments.start, segments.end);
        let unusable = |source| JournalError::File { name, source };
        let file = storage.open(name).map_err(unusable)?;
        let mut bytes = [0; HEADER_LEN];
        read_full(storage, &file, 0, &mut bytes).map_err(unusable)?;
        let header = match CompactedHeader::decode(&bytes) {
            Ok(header) if header.segments == segments => header,
            Err(source @ SegmentHeaderError::Version(_)) => {
                return Err(JournalError::CompactedVersion { name, source });
            }
            _ => {
                return Err(JournalError::Compacted {
                    name,
                    offset: 0,
                    damage: Damage::NotABatch,
                });
            }
        };
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
    pub(in crate::journal) fn open_damaged(
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
    pub(crate) fn header(&self) -> &CompactedHeader {
        &self.header
    }

    /// Where the next batch begins in the file.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to the first whole batch behind a damaged place, or to the file's end, whose mark is gone
    /// then. Returns whether there is a batch.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(in crate::journal) fn pass_damage(&mut self, storage: &S) -> Result<bool, JournalError> {
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
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.position_min = 0;
    }

    /// Reads the next batch; its body is [`CompactedReader::body`] then. `None`: there is no other.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub(crate) fn advance(&mut self, storage: &S) -> Result<Option<BatchHeader>, JournalError> {
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
    pub(crate) fn body(&self) -> &[u8] {
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
