//! The end of a journal that nobody writes: clean, torn, or with more behind it.
//!
//! Asked once, when [`Reader::next`] has found nothing more; for recovery, which cuts there, and
//! for the `journal` commands. It decides nothing: whether a whole batch beyond a torn one is
//! reason to refuse is the caller's to say.

use memchr::memmem;

use super::Reader;
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::{BATCH_HEADER_LEN, BATCH_MAGIC, BatchHeader, Position};
use crate::journal::storage::Storage;
use crate::limits::BATCH_LEN_MAX;

/// Where the good part of a journal ends, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Where the next batch belongs; at offset zero of a segment, its header comes first.
    pub position: Position,
    /// Bytes of a write that was begun there and is not whole; zero: the end is clean.
    pub torn_len: u64,
    /// A whole batch of this segment's life that stands further on, and came with a later write: the
    /// place in between was damaged, or was never synced. A batch of the same write is torn with it:
    /// before a power loss, a disk writes what was not synced in any order.
    pub whole_beyond: Option<Position>,
}

/// A whole batch that stands where it says, in the segment's present life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) position: Position,
    end: Position,
    /// Where the write began that it came with.
    write: Position,
}

impl<S: Storage> Reader<S> {
    /// What stands where reading ended; to be asked when [`Reader::next`] has found nothing more
    /// through `Position::MAX`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn tail(&mut self) -> Result<Tail, JournalError> {
        let position = self.position;
        self.forget();
        let tail = match self.examine(Position::MAX)? {
            Ok(_) | Err(Damage::Absent) => Tail {
                position,
                torn_len: 0,
                whole_beyond: None,
            },
            Err(damage) => self.tail_at(position, damage)?,
        };
        self.forget();
        self.position = position;
        Ok(tail)
    }

    /// What stands in the open segment from `position` on, where that is `damage` instead of a batch.
    pub(super) fn tail_at(
        &mut self,
        position: Position,
        damage: Damage,
    ) -> Result<Tail, JournalError> {
        let mut torn_len = self.torn(damage)?;
        let write = position.max(self.first_batch());
        let (mut from, limit) = (position + 1, (self.number() + 1) * self.segment_len);
        // Also behind an end that looks clean: a damaged magic makes a batch look like none.
        while from < limit
            && let Some(found) = self.whole_from(from)?
        {
            if found.write != write {
                return Ok(Tail {
                    position,
                    torn_len,
                    whole_beyond: Some(found.position),
                });
            }
            torn_len = found.end - position;
            from = found.end;
        }
        Ok(Tail {
            position,
            torn_len,
            whole_beyond: None,
        })
    }

    /// Bytes that stand at the position and are neither a batch, nor zeros, nor a former life.
    fn torn(&mut self, damage: Damage) -> Result<u64, JournalError> {
        match damage {
            Damage::Torn => self.torn_len(),
            Damage::Short => Ok(self.short_len()),
            Damage::NotABatch => self.garbage_len(),
            _ => Ok(0),
        }
    }

    /// Bytes of a header that was begun at the file's very end. Others are of a former life.
    fn short_len(&self) -> u64 {
        let bytes = &self.buffer[self.window.clone()];
        let magic = &BATCH_MAGIC[..bytes.len().min(BATCH_MAGIC.len())];
        if bytes.starts_with(magic) {
            bytes.len() as u64
        } else {
            0
        }
    }

    /// Bytes of the batch that was begun at the position, as far as the file has them.
    fn torn_len(&mut self) -> Result<u64, JournalError> {
        let limit = (self.number() + 1) * self.segment_len;
        let body_len = self.header().map_or(0, |it| it.body_len as usize);
        let len = BATCH_HEADER_LEN + body_len.min(BATCH_LEN_MAX);
        self.fill(len, limit)?;
        Ok(len.min(self.window.len()) as u64)
    }

    /// Bytes up to the last one that is not zero; none where the segment's former life shows behind:
    /// one of its batches, its end mark, or that it had filled the segment.
    fn garbage_len(&mut self) -> Result<u64, JournalError> {
        let (position, segment_len) = (self.position, self.segment_len);
        let filled = (self.number() + 1) * segment_len - BATCH_HEADER_LEN as u64;
        let (mut end, mut is_former) = (position, false);
        self.windows(position, |from, bytes| {
            let last = bytes.iter().rposition(|&it| it != 0);
            end = last.map_or(end, |last| from + last as u64 + 1);
            is_former = from + bytes.len() as u64 > filled
                || headers(bytes).any(|(at, header, _)| {
                    let place = from + at as u64;
                    header.position < place && header.position % segment_len == place % segment_len
                });
            !is_former
        })?;
        (self.position, self.window) = (position, 0..0);
        Ok(if is_former { 0 } else { end - position })
    }

    /// Looks through the open segment, from a place in it on, for a whole batch that stands where it
    /// says. Leaves the position anywhere.
    pub(super) fn whole_from(&mut self, mut from: Position) -> Result<Option<Found>, JournalError> {
        let mut places: Vec<(Position, Position)> = Vec::new();
        loop {
            places.clear();
            let mut next = from;
            self.windows(from, |from, bytes| {
                let found = headers(bytes).filter_map(|(at, header, behind)| {
                    let place = from + at as u64;
                    let write = place.checked_sub(behind.into())?;
                    (header.position == place).then_some((place, write))
                });
                places.extend(found);
                next = from + step(bytes);
                places.is_empty()
            })?;
            for &(position, write) in &places {
                (self.position, self.window) = (position, 0..0);
                if let Ok(header) = self.examine_any()? {
                    let end = position + BATCH_HEADER_LEN as u64 + u64::from(header.body_len);
                    return Ok(Some(Found {
                        position,
                        end,
                        write,
                    }));
                }
            }
            if places.is_empty() {
                return Ok(None);
            }
            from = next;
        }
    }

    /// Shows the rest of the segment window by window, each with its position, until `look` has seen
    /// enough. Windows overlap by what a header that begins too near an end needs.
    fn windows(
        &mut self,
        mut from: Position,
        mut look: impl FnMut(Position, &[u8]) -> bool,
    ) -> Result<(), JournalError> {
        let limit = (from / self.segment_len + 1) * self.segment_len;
        while from < limit {
            (self.position, self.window) = (from, 0..0);
            self.fill(self.buffer.len(), limit)?;
            let bytes = &self.buffer[self.window.clone()];
            if !look(from, bytes) || bytes.len() < BATCH_HEADER_LEN {
                break;
            }
            from += step(bytes);
        }
        Ok(())
    }
}

/// How far the next window begins behind this one.
fn step(window: &[u8]) -> u64 {
    (window.len().max(BATCH_HEADER_LEN) - BATCH_HEADER_LEN + 1) as u64
}

/// What looks like the header of a batch, where, and how far behind the beginning of its write.
fn headers(bytes: &[u8]) -> impl Iterator<Item = (usize, BatchHeader, u32)> {
    memmem::find_iter(bytes, &BATCH_MAGIC)
        .filter_map(|at| Some((at, bytes[at..].first_chunk()?)))
        .filter_map(|(at, it)| Some((at, BatchHeader::decode(it)?, BatchHeader::behind(it))))
}
