//! The segment that is being filled, and the way to the next one.
//!
//! The journal agent writes through it; retention feeds it with free files, which are written over
//! in place: that costs a ninth of new pages. It knows files, not batches.
//!
//! ```text
//! file      | header | written | next batch: offset | a former life, or nothing |
//! position = number * segment length + offset
//! ```

use std::io::{self, IoSlice};

use super::record::{BATCH_HEADER_LEN, BatchHeader, Position, SEGMENT_HEADER_LEN, SegmentHeader};
use super::storage::{Name, Storage, write_whole};
use crate::clock::{BootTie, Now};
use crate::message::Sequence;
use crate::ring::Receiver;

/// A segment was begun: all before it are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Its number.
    pub number: u64,
    /// The sequence of the first message that it, or a later one, holds.
    pub first_sequence: Sequence,
    /// When: ms of the engine's own time. What stands before it is not younger.
    pub time_ms: u64,
    /// Free files that were taken since the last segment was begun.
    pub taken: usize,
}

/// What went wrong on the way to the next segment.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A write, or a name.
    Write(io::Error),
    /// A sync: what was written before may be lost.
    Sync(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Where the journal's end is.
pub(super) struct Segments<S: Storage> {
    storage: S,
    /// The segment that is being filled; none before the first batch.
    file: Option<S::Segment>,
    /// Its number; before there is one, the number that it will have.
    number: u64,
    /// Where the next batch goes in it; up to `segment_len`, where nothing more goes.
    offset: u64,
    segment_len: u64,
    /// Whether names and ends must survive a power loss.
    synced: bool,
    /// Former numbers of free files.
    free: Receiver<u64>,
    taken: usize,
    /// What ties the engine's own time to the machine's.
    tie: BootTie,
}

impl<S: Storage> Segments<S> {
    /// Begins a new segment at `position` with the first batch.
    pub(super) fn new(
        storage: S,
        segment_len: u64,
        position: Position,
        synced: bool,
        free: Receiver<u64>,
        tie: BootTie,
    ) -> Self {
        assert!(position.is_multiple_of(segment_len), "it begins a segment");
        Self {
            storage,
            file: None,
            number: position / segment_len,
            offset: 0,
            segment_len,
            synced,
            free,
            taken: 0,
            tie,
        }
    }

    /// Where the next batch goes.
    pub(super) fn position(&self) -> Position {
        self.number * self.segment_len + self.offset
    }

    /// The segment's number, and the offset in it.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.number, self.offset)
    }

    /// Makes sure that the segment has room for a batch of `len` bytes, where need be by closing it
    /// and beginning the next one, which is told; `next` is the sequence of the next message.
    ///
    /// # Errors
    /// The old segment's end or the new one cannot be written: the old one stays the present one,
    /// and its end is marked once more by the next try.
    pub(super) fn make_room(
        &mut self,
        len: u64,
        next: Sequence,
        now: Now,
    ) -> Result<Option<Begun>, Trouble> {
        let number = match &self.file {
            Some(_) if len <= self.segment_len - self.offset => return Ok(None),
            Some(file) => {
                self.close(file, now)?;
                self.number + 1
            }
            None => self.number,
        };
        self.file = Some(self.begin(number, now)?);
        self.number = number;
        self.offset = SEGMENT_HEADER_LEN as u64;
        Ok(Some(Begun {
            number,
            first_sequence: next,
            time_ms: now.steady_ms(),
            taken: std::mem::take(&mut self.taken),
        }))
    }

    /// Marks the segment's end. The mark must not be lost once there is a later segment, or it
    /// would look like damage.
    fn close(&self, file: &S::Segment, now: Now) -> Result<(), Trouble> {
        if self.segment_len - self.offset >= BATCH_HEADER_LEN as u64 {
            let end = BatchHeader::end_mark(self.position(), now.epoch_us);
            write_whole(&self.storage, file, self.offset, &end)?;
        }
        if self.synced {
            self.storage.sync(file).map_err(Trouble::Sync)?;
        }
        Ok(())
    }

    fn begin(&mut self, number: u64, now: Now) -> Result<S::Segment, Trouble> {
        let file = self.obtain(number)?;
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: now.epoch_ms(),
            tie: self.tie,
        };
        if let Err(error) = write_whole(&self.storage, &file, 0, &header.encode()) {
            // Without its header it is no segment: the next try makes it anew.
            self.storage.remove(Name::Segment(number))?;
            return Err(error.into());
        }
        if self.synced {
            // Or what is synced in the file would not be found under its name.
            self.storage.sync_names().map_err(Trouble::Sync)?;
        }
        Ok(file)
    }

    /// A file for the segment: a free one, else a new one.
    fn obtain(&mut self, number: u64) -> io::Result<S::Segment> {
        while let Some(former) = self.free.poll() {
            self.taken += 1;
            match self
                .storage
                .rename(Name::Free(former), Name::Segment(number))
            {
                Ok(()) => return self.open_renamed(number),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.storage.create(Name::Segment(number))
    }

    fn open_renamed(&mut self, number: u64) -> io::Result<S::Segment> {
        let name = Name::Segment(number);
        match self.storage.resume(name) {
            Ok(file) => Ok(file),
            Err(error) => {
                self.storage.remove(name)?;
                Err(error)
            }
        }
    }

    /// Writes pieces `ahead` bytes behind the position; returns how many bytes were taken.
    ///
    /// # Errors
    /// Nothing more could be written.
    pub(super) fn write(&self, ahead: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let file = self.file.as_ref().expect("`make_room` has made one");
        match self.storage.write_at(file, self.offset + ahead, pieces)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            taken => Ok(taken),
        }
    }

    /// The next batch goes `len` bytes further on.
    pub(super) fn advance(&mut self, len: u64) {
        self.offset += len;
    }

    /// Returns when what was written will survive a power loss; `false`: that was not asked for.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn sync(&self) -> io::Result<bool> {
        match &self.file {
            Some(file) if self.synced => self.storage.sync(file).map(|()| true),
            _ => Ok(false),
        }
    }
}

/// Whether an operation failed for want of something that comes back: room on the disk, descriptors.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    is_descriptors(error)
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::WriteZero
        )
}

/// Whether the process, or the system, has no descriptor left.
pub(crate) fn is_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}
