//! Reads the journal forward, a whole batch at a time.
//!
//! Fed by a [`Storage`]; feeds recovery, the store and the `journal` commands. It follows a live
//! writer up to the position that the writer has published, or reads to the end of a journal that
//! nobody writes. It does not write, cut or repair: it says where the good part ends.
//!
//! ```text
//! buffer     | done | window: bytes of the journal from `position` on | free |
//!            0 <= window.start <= window.end <= buffer.len()
//! ```
//!
//! What a batch that is not whole means depends on what stands behind it:
//!
//! | read through | behind the place | so it is |
//! | --- | --- | --- |
//! | a published position | must be a batch: the writer said so | corrupt |
//! | `Position::MAX` | a later segment: this one was never closed | corrupt |
//! | `Position::MAX` | nothing | the tail: see [`Reader::tail`] |

mod compacted;
mod header;
pub mod scan;
mod segment;
mod tail;

use std::io;
use std::ops::Range;

pub(crate) use self::header::header_of;
pub use self::tail::Tail;

use super::batch::{Batch, are_carried, check};
use super::compacted::CompactedReader;
use super::error::{Damage, JournalError};
use super::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeaderError,
};
use super::storage::Storage;
use crate::cluster::record::{Record, carried_len};
use crate::limits::{BATCH_LEN_MAX, JOURNAL_READ_LEN, RECORD_MESSAGE_LEN_MAX};

/// A reader of the journal.
#[derive(Debug)]
pub struct Reader<S: Storage> {
    storage: S,
    segment_len: u64,
    /// Where the next batch begins; at offset zero of a segment, its header comes first.
    position: Position,
    /// Nothing was read yet from where the reader was told to begin.
    is_new: bool,
    skipped_segments: u64,
    has_landed: bool,
    open: Option<Open<S::Segment>>,
    /// The compacted file that stands for the segment of the position.
    compacted: Option<CompactedReader<S>>,
    buffer: Vec<u8>,
    window: Range<usize>,
}

#[derive(Debug)]
struct Open<Segment> {
    number: u64,
    file: Segment,
    /// What is wrong with the segment's header.
    damage: Option<Damage>,
}

impl<S: Storage> Reader<S> {
    /// Reads from `from` on: a batch's end, or the beginning of a segment. When that segment is
    /// gone, from the first one behind it that is there.
    pub fn new(storage: S, segment_len: u64, from: Position) -> Self {
        assert!(segment_len > (SEGMENT_HEADER_LEN + BATCH_HEADER_LEN) as u64);
        Self {
            storage,
            segment_len,
            position: from,
            is_new: true,
            skipped_segments: 0,
            has_landed: false,
            open: None,
            compacted: None,
            buffer: vec![0; JOURNAL_READ_LEN],
            window: 0..0,
        }
    }

    /// Goes on reading from somewhere else.
    pub fn seek(&mut self, to: Position) {
        self.forget();
        self.compacted = None;
        self.position = to;
        self.is_new = true;
        self.skipped_segments = 0;
        self.has_landed = false;
    }

    /// Where the next batch begins. At the end of a segment that was closed, the beginning of the
    /// next one, even if that is not there yet.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Bytes of a segment: a position is a segment's number times this, plus an offset.
    #[must_use]
    pub fn segment_len(&self) -> u64 {
        self.segment_len
    }

    /// How many segments were gone between where the reader was told to begin and where it could.
    #[must_use]
    pub fn skipped_segments(&self) -> u64 {
        self.skipped_segments
    }

    /// Whether the place where the reader was told to begin had been cut away, or lost in a repair, so
    /// that it began behind it.
    #[must_use]
    pub fn has_landed(&self) -> bool {
        self.has_landed
    }

    /// The next whole batch that begins before `through`, the end that the writer has published;
    /// `Position::MAX` when nobody writes. `None`: there is none yet.
    ///
    /// # Errors
    /// The journal cannot be read, or is damaged before its end. The position stays, so the same
    /// call may be made again.
    pub fn next(&mut self, through: Position) -> Result<Option<Batch<'_>>, JournalError> {
        while self.position < through {
            if self.enter_compacted()? {
                match self.look_into_compacted()? {
                    Some(header) => return Ok(Some(self.take_compacted(header))),
                    None => continue,
                }
            }
            match self.look(through)? {
                Some(header) if header.kind == BatchKind::End => self.close_segment(),
                Some(header) => return Ok(Some(self.take(header))),
                None => break,
            }
        }
        Ok(None)
    }

    /// The whole batch that stands at the position; `None` at the tail.
    fn look(&mut self, through: Position) -> Result<Option<BatchHeader>, JournalError> {
        let found = self.examine(through)?;
        if let Ok(header) = found {
            return Ok(Some(header));
        }
        // Looked for before the second reading: a writer closes a segment before it makes the next.
        let goes_on = through != Position::MAX || self.has_later_segment()?;
        self.forget();
        let damage = match self.examine(through)? {
            Ok(header) => return Ok(Some(header)),
            Err(damage) => damage,
        };
        if self.is_new && self.position > self.first_batch() && self.land()? {
            return self.look(through);
        }
        let is_corrupt = goes_on || self.has_batch_behind(damage)?;
        self.forget();
        match damage {
            _ if self.position >= through || !is_corrupt => Ok(None),
            Damage::Absent => Err(JournalError::Missing(self.number())),
            _ => Err(self.corrupt(damage)),
        }
    }

    /// Where the place to begin at was lost, goes to the end of what stands there instead: a void that
    /// a repair has left, or the rest of a segment that was cut before it.
    fn land(&mut self) -> Result<bool, JournalError> {
        let wanted = self.position;
        self.stand_at(wanted - wanted % self.segment_len);
        let number = self.number();
        let mut landed = None;
        while self.enter()?.is_none() && self.position < wanted && self.number() == number {
            match self.examine_any()? {
                Ok(header) if header.kind == BatchKind::End => {
                    landed = Some((number + 1) * self.segment_len);
                    break;
                }
                Ok(header) => {
                    let end = self.take(header).end();
                    landed = (end > wanted && header.kind == BatchKind::Void).then_some(end);
                }
                Err(_) => break,
            }
        }
        self.stand_at(landed.unwrap_or(wanted));
        self.is_new = landed.is_none();
        self.has_landed = landed.is_some();
        Ok(landed.is_some())
    }

    /// Whether a damaged segment header is no unfinished one: batches were written behind it.
    fn has_batch_behind(&mut self, damage: Damage) -> Result<bool, JournalError> {
        if !damage.is_of_segment() {
            return Ok(false);
        }
        let position = self.position;
        self.position = position.max(self.first_batch());
        let found = self.position == position || self.examine_batch(Position::MAX)?.is_ok();
        self.position = position;
        Ok(found)
    }

    /// What stands at the position: a whole batch, or what else.
    fn examine(&mut self, through: Position) -> Result<Result<BatchHeader, Damage>, JournalError> {
        match self.enter()? {
            Some(Damage::SegmentHeader(source @ SegmentHeaderError::Version(_))) => {
                let segment = self.number();
                return Err(JournalError::Version { segment, source });
            }
            Some(damage) => return Ok(Err(damage)),
            None => {}
        }
        if self.position >= through {
            return Ok(Err(Damage::Absent));
        }
        self.examine_batch(through)
    }

    fn examine_batch(
        &mut self,
        through: Position,
    ) -> Result<Result<BatchHeader, Damage>, JournalError> {
        let limit = through.min((self.number() + 1) * self.segment_len);
        if !self.fill(BATCH_HEADER_LEN, limit)? {
            return Ok(Err(Damage::Short));
        }
        let Some(header) = self.header() else {
            return Ok(Err(Damage::NotABatch));
        };
        let len = BATCH_HEADER_LEN as u64 + u64::from(header.body_len);
        if header.body_len as usize > BATCH_LEN_MAX || self.position + len > limit {
            return Ok(Err(Damage::Torn));
        }
        if !self.fill(len as usize, limit)? {
            return Ok(Err(Damage::Torn));
        }
        let (head, body) = self.buffer[self.window.start..][..len as usize]
            .split_first_chunk()
            .expect("the window was filled with more than a header");
        if !header.matches(head, body, self.position) {
            return Ok(Err(Damage::Torn));
        }
        if let Err(damage) = check(&header, body) {
            return Err(self.corrupt(damage));
        }
        match carried_len(&header, body) {
            Some(carried) => self.examine_carried(header, len as usize + carried, limit),
            None => Ok(Ok(header)),
        }
    }

    /// A carried record is read as a whole: what stands behind its place names other positions.
    fn examine_carried(
        &mut self,
        header: BatchHeader,
        len: usize,
        limit: Position,
    ) -> Result<Result<BatchHeader, Damage>, JournalError> {
        let is_long = len > RECORD_MESSAGE_LEN_MAX || self.position + len as u64 > limit;
        if is_long || !self.fill(len, limit)? {
            return Ok(Err(Damage::Torn));
        }
        let bytes = &self.buffer[self.window.start..][..len];
        match Record::decode(bytes) {
            Ok(record) if are_carried(record.batches) => Ok(Ok(header)),
            Ok(_) => Err(self.corrupt(Damage::Malformed)),
            Err(_) => Ok(Err(Damage::Torn)),
        }
    }

    /// The same, where a batch that was written wrong is no more than another one that is damaged.
    fn examine_any(&mut self) -> Result<Result<BatchHeader, Damage>, JournalError> {
        match self.examine_batch(Position::MAX) {
            Err(JournalError::Corrupt { damage, .. }) => Ok(Err(damage)),
            answer => answer,
        }
    }

    /// The batch header at the front of the window, if there is one that names this place.
    fn header(&self) -> Option<BatchHeader> {
        let bytes = self.buffer[self.window.clone()].first_chunk()?;
        BatchHeader::decode(bytes).filter(|it| it.position == self.position)
    }

    fn has_later_segment(&self) -> Result<bool, JournalError> {
        let segments = self.storage.segments().map_err(JournalError::List)?;
        Ok(segments.last().is_some_and(|&last| last > self.number()))
    }

    /// Hands out the batch that [`Reader::look`] has found, and moves behind it.
    fn take(&mut self, header: BatchHeader) -> Batch<'_> {
        let start = self.window.start;
        let behind = start + BATCH_HEADER_LEN + header.body_len as usize;
        let carried = carried_len(&header, &self.buffer[start + BATCH_HEADER_LEN..behind]);
        let end = behind + carried.unwrap_or(0);
        let len = end - start;
        self.window.start += len;
        self.position += len as u64;
        self.is_new = false;
        let left = self.segment_len - (self.position - 1) % self.segment_len - 1;
        if left < BATCH_HEADER_LEN as u64 {
            self.position += left;
            self.window = 0..0;
        }
        Batch::in_segment(header, &self.buffer[start..end], self.position)
    }

    fn close_segment(&mut self) {
        self.is_new = false;
        self.position = (self.number() + 1) * self.segment_len;
        self.forget();
    }

    /// Goes to a place of which it is known that there is one.
    fn stand_at(&mut self, to: Position) {
        self.forget();
        self.position = to;
        self.is_new = false;
    }

    /// Drops what was read ahead: it may have been written since.
    fn forget(&mut self) {
        self.open = None;
        self.window = 0..0;
    }

    fn number(&self) -> u64 {
        self.position / self.segment_len
    }

    /// Where the first batch of the present segment belongs.
    fn first_batch(&self) -> Position {
        self.number() * self.segment_len + SEGMENT_HEADER_LEN as u64
    }

    fn corrupt(&self, damage: Damage) -> JournalError {
        JournalError::Corrupt {
            segment: self.number(),
            offset: if damage.is_of_segment() {
                0
            } else {
                self.position % self.segment_len
            },
            damage,
        }
    }

    fn unreadable(&self, offset: u64, source: io::Error) -> JournalError {
        JournalError::Read {
            segment: self.number(),
            offset,
            source,
        }
    }
}

#[cfg(test)]
mod tests;
