//! The end of a journal that nobody writes is made ready to be written behind.

use std::io;

use crate::journal::batch::Batch;
use crate::journal::error::JournalError;
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, Position, SEGMENT_HEADER_LEN};
use crate::journal::reader::Tail;
use crate::journal::segment;
use crate::journal::storage::{Name, Storage, write_whole};

/// Where the last two segments with a batch end: number, and offset behind the last batch.
#[derive(Debug, Default)]
pub(super) struct Ends([Option<(u64, u64)>; 2]);

impl Ends {
    pub(super) fn note(&mut self, batch: &Batch<'_>, segment_len: u64) {
        let number = batch.position() / segment_len;
        if self.0[1].is_some_and(|it| it.0 != number) {
            self.0[0] = self.0[1];
        }
        self.0[1] = Some((number, batch.end() - number * segment_len));
    }

    /// Cuts the segment before this one behind its end mark: a life that ended between the mark and the
    /// cut has left the room of a reserve there. Where it cannot, the room comes back with the segment.
    pub(super) fn cut_before<S: Storage>(&self, number: u64, storage: &mut S, segment_len: u64) {
        let Some(closed) = number.checked_sub(1) else {
            return;
        };
        let Ok(file) = storage.resume(Name::Segment(closed)) else {
            return;
        };
        let last = self.0.iter().flatten().find(|it| it.0 == closed);
        let end = last.map_or(SEGMENT_HEADER_LEN as u64, |it| it.1);
        let end = segment::end_with_mark(end, segment_len);
        if storage.len(&file).is_ok_and(|it| it > end) {
            let _ = storage.truncate(&file, end);
        }
    }
}

/// Closes the last segment; returns where the next one begins.
pub(super) fn close<S: Storage>(
    storage: &mut S,
    segment_len: u64,
    tail: Tail,
    now_us: u64,
) -> Result<Position, JournalError> {
    let (number, offset) = (tail.position / segment_len, tail.position % segment_len);
    let at = |source: io::Error| JournalError::Unwritten {
        segment: number,
        offset,
        source,
    };
    if offset == 0 {
        // The crash came while it was being made: it holds nothing.
        let exists = storage
            .segments()
            .map_err(JournalError::List)?
            .contains(&number);
        if exists {
            storage.remove(Name::Segment(number)).map_err(at)?;
        }
        if let Some(last) = number.checked_sub(1) {
            // Its end, too, may never have been synced: an earlier recovery may have died over it.
            match storage.resume(Name::Segment(last)) {
                Ok(segment) => storage.sync(&segment).map_err(at)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(error)),
            }
        }
        return Ok(tail.position);
    }
    if segment_len - offset >= BATCH_HEADER_LEN as u64 {
        let segment = storage.resume(Name::Segment(number)).map_err(at)?;
        // What stands before the mark must not be lost behind it: that would look like damage.
        storage.sync(&segment).map_err(at)?;
        let end = BatchHeader::end_mark(tail.position, now_us);
        write_whole(storage, &segment, offset, &end).map_err(at)?;
        // On a full disk this is the room that settlements had left.
        let end = offset + BATCH_HEADER_LEN as u64;
        storage.truncate(&segment, end).map_err(at)?;
        storage.sync(&segment).map_err(at)?;
    }
    Ok((number + 1) * segment_len)
}
