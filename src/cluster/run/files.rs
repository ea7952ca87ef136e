//! A member's journal as a sequence of records: written in the stream's order, and read back by sequence.
//!
//! The member's thread feeds it records, as standby and as active, and is the only writer of segments: so all members have the same
//! bytes. Nothing in a segment depends on the machine. It decides nothing: a
//! record names its position.
//!
//! ```text
//! segment  | header | record | record | ... | end mark, once the next segment is begun |
//! record   | place | batches of one write |        see `crate::cluster::record`
//! ```

mod reading;

use std::io;
use std::sync::Arc;

use self::reading::{first_sequence, read_record, scan, torn};
use crate::clock::BootTie;
use crate::cluster::record::Place;
use crate::journal::error::JournalError;
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, Position, SEGMENT_HEADER_LEN, SegmentHeader,
};
use crate::journal::reserve;
use crate::journal::storage::{Name, Storage, write_whole};
use crate::ring::Receiver;

/// The member's segments, as who writes them sees them.
pub(crate) struct RecordFiles<S: Storage> {
    storage: S,
    segment_len: u64,
    /// The segment that is being filled.
    open: Option<(u64, S::Segment)>,
    /// Where the last whole record ends.
    end: Position,
    /// Former numbers of free files, once a term has begun.
    free: Option<Receiver<u64>>,
    /// The free file that could not be renamed.
    candidate: Option<u64>,
    /// Free files that are gone since a segment was begun.
    taken: usize,
    /// The segment that the last record began, and free files taken for it.
    begun: Option<Begun>,
}

/// A segment was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) taken: usize,
}

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The last whole record.
    pub(crate) last: Option<Arc<[u8]>>,
    /// Bytes behind it that were cut.
    pub(crate) torn_len: u64,
}

/// The files cannot be a member's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordFilesError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the journal of this data_dir was written by an engine that was in no group (segment {0}): give this \
         member a data_dir of its own, or take [cluster] and durability = \"replicated\" out of the settings"
    )]
    OfNoGroup(u64),
    #[error(
        "records between {behind} and {next} of this journal are damaged or gone: restore the stream from another \
         member's journal"
    )]
    Hole {
        /// The last whole one, as the stream has it.
        behind: u64,
        /// The next one that is there.
        next: u64,
    },
}

impl<S: Storage> RecordFiles<S> {
    /// Takes the files as they are: what is not whole behind the last whole record is cut.
    ///
    /// # Errors
    /// They cannot be read or cut, or are no member's.
    pub(crate) fn open(
        mut storage: S,
        segment_len: u64,
    ) -> Result<(Self, Found), RecordFilesError> {
        let (mut open, mut end, mut torn_len, mut last) = (None, 0, 0, None);
        let numbers = storage.segments().map_err(JournalError::List)?;
        for number in numbers.into_iter().rev() {
            let name = Name::Segment(number);
            let failed = |source| JournalError::File { name, source };
            let file = storage.resume(name).map_err(failed)?;
            let scan = scan(&storage, &file, number, segment_len, u64::MAX)?;
            if scan.is_plain {
                return Err(RecordFilesError::OfNoGroup(number));
            }
            let len = storage.len(&file).map_err(failed)?;
            torn_len += torn(&storage, &file, scan.end, len).map_err(failed)?;
            if scan.last.is_none() {
                storage.remove(name).map_err(failed)?;
                continue;
            }
            storage.truncate(&file, scan.end).map_err(failed)?;
            storage.sync(&file).map_err(failed)?;
            end = number * segment_len + scan.end;
            (open, last) = (Some((number, file)), scan.last);
            break;
        }
        storage.sync_names().map_err(JournalError::List)?;
        let files = Self {
            storage,
            segment_len,
            open,
            end,
            free: None,
            candidate: None,
            taken: 0,
            begun: None,
        };
        Ok((files, Found { last, torn_len }))
    }

    /// Where the last whole record ends.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// Free files come from here, from now on.
    pub(crate) fn set_free(&mut self, free: Receiver<u64>) {
        self.free = Some(free);
    }

    /// Writes a record at its position, and syncs. What failed may be tried again, with the same record.
    ///
    /// # Errors
    /// It does not stand there.
    pub(crate) fn write(&mut self, place: &Place, bytes: &[u8]) -> Result<(), WriteFailed> {
        let (number, offset) = (
            place.position / self.segment_len,
            place.position % self.segment_len,
        );
        if self.open.as_ref().is_none_or(|it| it.0 != number) {
            self.begin(number, place.time_us)?;
        }
        let (_, file) = self.open.as_ref().expect("it was begun");
        write_whole(&self.storage, file, offset, bytes).map_err(WriteFailed::Write)?;
        self.storage.sync(file).map_err(WriteFailed::Sync)?;
        self.end = place.position + bytes.len() as u64;
        Ok(())
    }

    /// Gives up a file that was set aside, so that the next write finds its room; `false`: there is none.
    pub(crate) fn give_up_reserve(&mut self) -> bool {
        let Ok(names) = self.storage.list() else {
            return false;
        };
        let free = names.into_iter().find(|it| {
            // What a compaction has set aside frees segments later.
            matches!(it, Name::Free(_)) && *it != reserve::COMPACTED
        });
        free.is_some_and(|it| self.storage.remove(it).is_ok())
    }

    /// Whether the disk has room for messages again: for as much as is set aside for settlements, twice.
    pub(crate) fn has_room(&self) -> bool {
        let wanted = 2 * reserve::len(self.segment_len);
        self.storage.available().is_ok_and(|it| it >= wanted)
    }

    /// The segment that was begun since it was asked last.
    pub(crate) fn take_begun(&mut self) -> Option<Begun> {
        self.begun.take()
    }

    /// Closes the present segment and begins this one; the times in both are those of the record that
    /// comes first in it.
    fn begin(&mut self, number: u64, time_us: u64) -> Result<(), WriteFailed> {
        if let Some((open, file)) = &self.open {
            let offset = self.end - open * self.segment_len;
            if self.segment_len - offset >= BATCH_HEADER_LEN as u64 {
                let mark = BatchHeader::end_mark(self.end, time_us);
                write_whole(&self.storage, file, offset, &mark).map_err(WriteFailed::Write)?;
                self.storage.sync(file).map_err(WriteFailed::Sync)?;
            }
        }
        let file = self.obtain(number).map_err(WriteFailed::Write)?;
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: time_us / 1_000,
            tie: BootTie::default(),
        };
        let written = write_whole(&self.storage, &file, 0, &header.encode());
        if let Err(error) = written.and_then(|()| self.storage.sync_names()) {
            // Without its header it is no segment: the next try makes it anew.
            let _ = self.storage.remove(Name::Segment(number));
            return Err(WriteFailed::Write(error));
        }
        self.open = Some((number, file));
        self.begun = Some(Begun {
            number,
            taken: std::mem::take(&mut self.taken),
        });
        Ok(())
    }

    /// A free file, which is written over in place, or a new one.
    fn obtain(&mut self, number: u64) -> io::Result<S::Segment> {
        let name = Name::Segment(number);
        while let Some(former) = self.next_free() {
            match self.storage.rename(Name::Free(former), name) {
                Ok(()) => {
                    self.taken += 1;
                    return self.storage.resume(name);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.taken += 1,
                Err(error) => {
                    self.candidate = Some(former);
                    return Err(error);
                }
            }
        }
        match self.storage.create(name) {
            // A try before this one failed behind the rename.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.storage.remove(name)?;
                self.storage.create(name)
            }
            created => created,
        }
    }

    fn next_free(&mut self) -> Option<u64> {
        let candidate = self.candidate.take();
        candidate.or_else(|| self.free.as_mut()?.poll())
    }

    /// What the stream gave the first record; `None`: there is none.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) fn first_record(&self) -> Result<Option<u64>, JournalError> {
        let numbers = self.storage.segments().map_err(JournalError::List)?;
        let first = numbers.first().map(|it| self.first_sequence_of(*it));
        first.unwrap_or(Ok(None))
    }

    /// Gives each record to `take`, in their order.
    ///
    /// # Errors
    /// The files cannot be read, one of the records is not in them, or `take` fails.
    pub(crate) fn each<E: From<RecordFilesError>>(
        &self,
        mut take: impl FnMut(&Place, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let numbers = self.storage.segments().map_err(JournalError::List);
        let numbers = numbers.map_err(RecordFilesError::from)?;
        let (mut bytes, mut last) = (Vec::new(), None);
        for number in numbers {
            let name = Name::Segment(number);
            let failed = |source| RecordFilesError::from(JournalError::File { name, source });
            let file = self.storage.open(name).map_err(failed)?;
            let mut offset = SEGMENT_HEADER_LEN as u64;
            loop {
                let position = number * self.segment_len + offset;
                let read = read_record(&self.storage, &file, position, offset, &mut bytes);
                let Some(place) = read.map_err(failed)? else {
                    break;
                };
                if let Some(before) = last.replace(place.as_before())
                    && before != place.before
                {
                    let (behind, next) = (before.sequence, place.sequence);
                    return Err(RecordFilesError::Hole { behind, next }.into());
                }
                take(&place, &bytes)?;
                offset += bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// What the stream gave the first record of a segment; `None`: there is no such segment.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) fn first_sequence_of(&self, number: u64) -> Result<Option<u64>, JournalError> {
        let name = Name::Segment(number);
        let found = match self.storage.open(name) {
            Ok(file) => first_sequence(&self.storage, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        found.map_err(|source| JournalError::File { name, source })
    }

    /// Removes the segments below this one; the one that is filled stays.
    ///
    /// # Errors
    /// They cannot be listed or removed.
    pub(crate) fn drop_below(&mut self, low: u64) -> Result<(), JournalError> {
        let filled = self.open.as_ref().map_or(u64::MAX, |it| it.0);
        let numbers = self.storage.segments().map_err(JournalError::List)?;
        for number in numbers.into_iter().filter(|it| *it < low.min(filled)) {
            let name = Name::Segment(number);
            let removed = self.storage.remove(name);
            removed.map_err(|source| JournalError::File { name, source })?;
        }
        Ok(())
    }

    /// The record of this sequence, or the last one before it.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) fn fetch(&self, sequence: u64) -> Result<Option<Arc<[u8]>>, JournalError> {
        let numbers = self.storage.segments().map_err(JournalError::List)?;
        for number in numbers.into_iter().rev() {
            let name = Name::Segment(number);
            let failed = |source| JournalError::File { name, source };
            let file = self.storage.open(name).map_err(failed)?;
            if first_sequence(&self.storage, &file)
                .map_err(failed)?
                .is_some_and(|first| first <= sequence)
            {
                let found = scan(&self.storage, &file, number, self.segment_len, sequence)?;
                return Ok(found.last);
            }
        }
        Ok(None)
    }
}

/// A record is not in the files.
#[derive(Debug)]
pub(crate) enum WriteFailed {
    /// There is no room, or no descriptor: it may be tried again.
    Write(io::Error),
    /// What was written before may be lost.
    Sync(io::Error),
}

#[cfg(test)]
mod tests;
