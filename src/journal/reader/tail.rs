//! The end of a journal that nobody writes: clean, torn, or with more behind it.
//!
//! Asked once, when [`Reader::next`] has found nothing more; for recovery, which cuts there, and
//! for the `journal` commands. It decides nothing: whether a whole batch beyond a torn one is
//! reason to refuse is the caller's to say.

use memchr::memmem;

use super::Reader;
use crate::journal::error::{Damage, JournalError};
use crate::journal::record::{BATCH_HEADER_LEN, BATCH_MAGIC, BatchHeader, BatchKind, Position};
use crate::journal::storage::Storage;
use crate::limits::BATCH_LEN_MAX;

/// Where the good part of a journal ends, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Where the next batch belongs; at offset zero of a segment, its header comes first.
    pub position: Position,
    /// Bytes of a batch that was begun there and is not whole; zero: the end is clean.
    pub torn_len: u64,
    /// A whole batch of this segment's life that stands further on: either the disk wrote
    /// out of order before a power loss, or the place in between was damaged later.
    pub whole_beyond: Option<Position>,
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
        let (torn_len, whole_beyond) = match self.examine(Position::MAX)? {
            Ok(_) | Err(Damage::Absent) => (0, None),
            // Also behind an end that looks clean: a damaged magic makes a batch look like none.
            Err(damage) => (self.torn(damage)?, self.whole_from(position + 1)?),
        };
        self.forget();
        self.position = position;
        Ok(Tail {
            position,
            torn_len,
            whole_beyond,
        })
    }

    /// The end of the journal's last write, if what is damaged and what is whole in `tail` are its
    /// two halves: messages, and settlements right behind them, with nothing behind those.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_write(&mut self, tail: &Tail) -> Result<Option<Position>, JournalError> {
        let Some(settlements) = tail.whole_beyond else {
            return Ok(None);
        };
        self.stand_at(tail.position);
        self.enter()?;
        self.fill(BATCH_HEADER_LEN, (self.number() + 1) * self.segment_len)?;
        let is_first_half = self.header().is_some_and(|it| {
            let end = it.position + (BATCH_HEADER_LEN as u64) + u64::from(it.body_len);
            it.kind == BatchKind::Messages && end == settlements
        });
        self.position = settlements;
        self.window = 0..0;
        let end = match self.examine_any()? {
            Ok(it) if it.kind == BatchKind::Settlements && is_first_half => {
                settlements + BATCH_HEADER_LEN as u64 + u64::from(it.body_len)
            }
            _ => return Ok(None),
        };
        let is_last = self.whole_from(end)?.is_none();
        self.stand_at(tail.position);
        Ok(is_last.then_some(end))
    }

    /// Bytes that stand at the position and are neither a batch, nor zeros, nor a former life.
    pub(super) fn torn(&mut self, damage: Damage) -> Result<u64, JournalError> {
        match damage {
            Damage::Torn => self.torn_len(),
            Damage::Short => Ok(self.short_len()),
            Damage::NotABatch => self.garbage_len(),
            _ => Ok(0),
        }
    }

    /// Bytes of a header that was begun at the file's very end; zeros are none.
    fn short_len(&self) -> u64 {
        let bytes = &self.buffer[self.window.clone()];
        if bytes.iter().all(|&it| it == 0) {
            0
        } else {
            bytes.len() as u64
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

    /// Bytes up to the last one that is not zero; none where the segment's former life shows behind.
    fn garbage_len(&mut self) -> Result<u64, JournalError> {
        let (position, segment_len) = (self.position, self.segment_len);
        let (mut end, mut is_former) = (position, false);
        self.windows(position, |from, bytes| {
            let last = bytes.iter().rposition(|&it| it != 0);
            end = last.map_or(end, |last| from + last as u64 + 1);
            is_former = headers(bytes).any(|(at, header)| {
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
    pub(super) fn whole_from(
        &mut self,
        mut from: Position,
    ) -> Result<Option<Position>, JournalError> {
        let mut places: Vec<Position> = Vec::new();
        loop {
            places.clear();
            let mut next = from;
            self.windows(from, |from, bytes| {
                let found = headers(bytes).map(|(at, header)| (from + at as u64, header.position));
                places.extend(found.filter_map(|(at, named)| (at == named).then_some(at)));
                next = from + step(bytes);
                places.is_empty()
            })?;
            for &place in &places {
                (self.position, self.window) = (place, 0..0);
                if self.examine_any()?.is_ok() {
                    return Ok(Some(place));
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

/// What looks like the header of a batch, and where.
fn headers(bytes: &[u8]) -> impl Iterator<Item = (usize, BatchHeader)> {
    memmem::find_iter(bytes, &BATCH_MAGIC)
        .filter_map(|at| Some((at, bytes[at..].first_chunk()?)))
        .filter_map(|(at, it)| Some((at, BatchHeader::decode(it)?)))
}
