//! The end of a journal that nobody writes: clean, torn, or with more behind it.
//!
//! Asked once, when [`Reader::next`] has found nothing more; for recovery, which cuts there, and
//! for the `journal` commands. It decides nothing: whether a whole batch beyond a torn one is
//! reason to refuse is the caller's to say.

use memchr::memmem;

use super::Reader;
use crate::journal::error::{Damage, JournalError};
use crate::journal::record::{BATCH_HEADER_LEN, BATCH_MAGIC, BatchHeader, Position};
use crate::journal::storage::Storage;
use crate::limits::BATCH_LEN_MAX;

/// Where the good part of a journal ends, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Where the next batch belongs; at offset zero of a segment, its header comes first.
    pub position: Position,
    /// Bytes of a batch that was begun there and is not whole; zero: the end is clean.
    pub torn_len: u64,
    /// A whole batch of this segment's life that stands further on, and came with a later write: the
    /// place in between was damaged, or was never synced. A batch of the same write is torn with it:
    /// before a power loss, a disk writes what was not synced in any order.
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
        let torn_len = match self.examine(Position::MAX)? {
            Err(Damage::Torn) => self.torn_len()?,
            Err(Damage::Short) => self.short_len(),
            _ => 0,
        };
        // Also behind an end that looks clean: a damaged magic makes a batch look like none.
        let whole_beyond = match self.open {
            Some(_) => self.whole_beyond(position)?,
            None => None,
        };
        self.forget();
        self.position = position;
        Ok(Tail {
            position,
            torn_len,
            whole_beyond,
        })
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

    /// Looks through the rest of the segment for a whole batch that stands where it says, and was
    /// not written together with what is torn.
    fn whole_beyond(&mut self, torn: Position) -> Result<Option<Position>, JournalError> {
        let limit = (torn / self.segment_len + 1) * self.segment_len;
        let write = torn.max(self.first_batch());
        let mut from = torn + 1;
        while from < limit {
            (self.position, self.window) = (from, 0..0);
            self.fill(self.buffer.len(), limit)?;
            let bytes = &self.buffer[self.window.clone()];
            if bytes.len() < BATCH_HEADER_LEN {
                break;
            }
            // What begins too near the window's end is looked at again from the next window.
            let places: Vec<u64> = memmem::find_iter(bytes, &BATCH_MAGIC)
                .filter_map(|at| bytes[at..].first_chunk().map(|it| (at, it)))
                .filter_map(|(at, it)| {
                    let began = (from + at as u64).checked_sub(BatchHeader::behind(it).into())?;
                    Some((from + at as u64, BatchHeader::decode(it)?.position, began))
                })
                .filter(|&(place, named, began)| place == named && began != write)
                .map(|(place, ..)| place)
                .collect();
            from += (bytes.len() - BATCH_HEADER_LEN + 1) as u64;
            for place in places {
                (self.position, self.window) = (place, 0..0);
                if self.examine_batch(Position::MAX)?.is_ok() {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }
}
