//! The segment that is being filled, and the way to the next one.
//!
//! The journal agent writes through it; retention feeds it with free files, which are written over
//! in place: that costs a ninth of new pages. One of them is the reserve: where the disk is full,
//! settlements go on in it, and what they free lets messages go on. It knows files, not batches.
//!
//! ```text
//! file      | header | written | next batch: offset | a former life, or nothing |
//! position = number * segment length + offset
//! ```

use std::io::{self, IoSlice};

use super::format::{BATCH_HEADER_LEN, BatchHeader, Position, SEGMENT_HEADER_LEN, SegmentHeader};
use super::storage::{Name, Storage, is_shortage, write_whole};
use crate::clock::{BootTie, Now};
use crate::message::Sequence;
use crate::ring::Receiver;

/// A segment was begun: all before it are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStarted {
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
pub(super) enum RollError {
    /// A write, or a name.
    Write(io::Error),
    /// A sync: what was written before may be lost.
    Sync(io::Error),
}

impl From<io::Error> for RollError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// No file system gives room in smaller pieces.
const BLOCK_LEN_MIN: u64 = 512;

/// Where the journal's end is.
///
/// Invariant: behind what was written there is room on the disk for the end mark, so that a segment can
/// always be closed.
pub(super) struct Segments<S: Storage> {
    storage: S,
    /// The segment that is being filled; none before the first batch.
    file: Option<S::Segment>,
    /// Its number; before there is one, the number that it will have.
    number: u64,
    /// Where the next batch goes in it; up to `segment_len`, where nothing more goes.
    offset: u64,
    /// Bytes of the file that have room on the disk.
    allocated: u64,
    /// A write beyond that found none.
    is_cramped: bool,
    segment_len: u64,
    /// Whether names and ends must survive a power loss.
    synced: bool,
    /// Former numbers of free files.
    free: Receiver<u64>,
    /// The free file that only settlements may take, open: a shortage of descriptors does not
    /// matter then.
    reserve: Option<(u64, S::Segment)>,
    /// The free file that is to be the reserve, and could not be opened yet.
    candidate: Option<u64>,
    /// Free files that are gone since a segment was begun, and that nobody was told of.
    taken: usize,
    /// What ties the engine's own time to the machine's.
    tie: BootTie,
}

/// What a batch may take where there is no room for a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing: it holds messages.
    Spare,
    /// The reserve: it holds settlements alone.
    Reserve,
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
            allocated: 0,
            is_cramped: false,
            segment_len,
            synced,
            free,
            reserve: None,
            candidate: None,
            taken: 0,
            tie,
        }
    }

    /// Where the next batch goes.
    pub(super) fn position(&self) -> Position {
        self.number * self.segment_len + self.offset
    }

    /// Where the segment begins.
    pub(super) fn start(&self) -> Position {
        self.number * self.segment_len
    }

    /// The segment's number, and the offset in it.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.number, self.offset)
    }

    /// Makes this free file the reserve.
    pub(super) fn set_reserve(&mut self, former: u64) {
        self.candidate = Some(former);
        self.find_reserve();
    }

    /// Whether settlements have their reserve. The next free file becomes it where there is none.
    #[inline]
    pub(super) fn has_reserve(&mut self) -> bool {
        self.reserve.is_some() || self.find_reserve()
    }

    #[cold]
    fn find_reserve(&mut self) -> bool {
        while let Some(former) = self.next_free() {
            match self.storage.resume(Name::Free(former)) {
                Ok(file) => {
                    self.reserve = Some((former, file));
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.taken += 1,
                Err(_) => {
                    self.candidate = Some(former);
                    return false;
                }
            }
        }
        false
    }

    fn next_free(&mut self) -> Option<u64> {
        self.candidate.take().or_else(|| self.free.poll())
    }

    /// Whether there are free files besides the reserve.
    pub(super) fn has_spare(&self) -> bool {
        self.reserve.is_some() && (self.candidate.is_some() || !self.free.is_empty())
    }

    /// Free files that are gone, and for which no segment was begun: whoever sets files aside would count
    /// on them for as long as none is.
    #[inline]
    pub(super) fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.taken)
    }

    /// A write found no room: the segment takes no more than it has. Says whether that was not known.
    pub(super) fn note_shortage(&mut self) -> bool {
        !std::mem::replace(&mut self.is_cramped, true)
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
        claim: Claim,
        next: Sequence,
        now: Now,
    ) -> Result<Option<SegmentStarted>, RollError> {
        if self.file.is_some() && (self.has_room(len) || self.shall_stay(claim)) {
            self.secure_end(len)?;
            return Ok(None);
        }
        let started = self.go_on(claim, next, now)?;
        self.secure_end(len)?;
        Ok(Some(started))
    }

    /// Bytes of room that the disk has left; all there are where the system does not say.
    pub(super) fn available(&self) -> u64 {
        self.storage.available().unwrap_or(u64::MAX)
    }

    /// Whether a segment that is closed now frees more than its ids take.
    pub(super) fn is_worth_leaving(&self) -> bool {
        self.offset >= self.segment_len / 16
    }

    /// Where messages find no room, begins the next segment in the reserve, for settlements: the one
    /// that is left may go then, if all in it is settled. `None`: there is no reserve, or nothing to
    /// leave.
    ///
    /// # Errors
    /// As above.
    pub(super) fn leave(
        &mut self,
        next: Sequence,
        now: Now,
    ) -> Result<Option<SegmentStarted>, RollError> {
        let is_new = self.file.is_none() || self.offset == SEGMENT_HEADER_LEN as u64;
        if is_new || !self.has_reserve() {
            return Ok(None);
        }
        self.go_on(Claim::Reserve, next, now).map(Some)
    }

    /// Closes the segment, if there is one, and begins the next one.
    fn go_on(
        &mut self,
        claim: Claim,
        next: Sequence,
        now: Now,
    ) -> Result<SegmentStarted, RollError> {
        let number = match &self.file {
            Some(file) => {
                self.close(file, now)?;
                self.number + 1
            }
            None => self.number,
        };
        let (file, allocated) = self.begin(number, claim, now)?;
        if let Some(closed) = self.file.replace(file) {
            self.cut(&closed);
        }
        (self.allocated, self.is_cramped) = (allocated, false);
        self.number = number;
        self.offset = SEGMENT_HEADER_LEN as u64;
        Ok(SegmentStarted {
            number,
            first_sequence: next,
            time_ms: now.steady_ms(),
            taken: std::mem::take(&mut self.taken),
        })
    }

    /// Whether a batch of `len` bytes fits, and the end mark behind it.
    fn has_room(&self, len: u64) -> bool {
        let end = self.offset + len;
        let is_there = !self.is_cramped || end_with_mark(end, self.segment_len) <= self.allocated;
        end <= self.segment_len && is_there
    }

    /// Whether a segment without room is no worse than the next one: nothing stands in it yet.
    fn shall_stay(&self, claim: Claim) -> bool {
        let is_new = self.is_cramped && self.offset == SEGMENT_HEADER_LEN as u64;
        is_new && !self.has_spare() && (claim == Claim::Spare || self.reserve.is_none())
    }

    /// Makes sure that the disk has room for the end mark behind a batch of `len` bytes: what comes
    /// with the batch's last block need not be asked for.
    pub(super) fn secure_end(&mut self, len: u64) -> io::Result<()> {
        let end = self.offset + len;
        let marked = end_with_mark(end, self.segment_len);
        let is_in_last_block = (end - 1) / BLOCK_LEN_MIN == (marked - 1) / BLOCK_LEN_MIN;
        if marked <= self.allocated || is_in_last_block {
            return Ok(());
        }
        let file = self.file.as_ref().expect("`make_room` has made one");
        let zeros = [0; BATCH_HEADER_LEN];
        write_whole(&self.storage, file, end, &zeros[..(marked - end) as usize])
    }

    /// Marks the segment's end. The mark must not be lost once there is a later segment, or it
    /// would look like damage.
    fn close(&self, file: &S::Segment, now: Now) -> Result<(), RollError> {
        if self.segment_len - self.offset >= BATCH_HEADER_LEN as u64 {
            let end = BatchHeader::end_mark(self.position(), now.epoch_us);
            write_whole(&self.storage, file, self.offset, &end)?;
        }
        if self.synced {
            self.storage.sync(file).map_err(RollError::Sync)?;
        }
        Ok(())
    }

    /// Gives back what a segment that was closed for want of room has behind its end.
    fn cut(&self, closed: &S::Segment) {
        let end = end_with_mark(self.offset, self.segment_len);
        if self.is_cramped {
            // Where it cannot, the room comes back with the rest of the segment.
            let _ = self.storage.truncate(closed, end);
        }
    }

    /// The file of a new segment, and how many of its bytes have room on the disk.
    fn begin(
        &mut self,
        number: u64,
        claim: Claim,
        now: Now,
    ) -> Result<(S::Segment, u64), RollError> {
        let (file, allocated) = self.obtain(number, claim)?;
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
            self.storage.sync_names().map_err(RollError::Sync)?;
        }
        Ok((file, allocated.max(SEGMENT_HEADER_LEN as u64)))
    }

    /// A file for the segment: a free one, else a new one; for settlements in a shortage the reserve.
    fn obtain(&mut self, number: u64, claim: Claim) -> io::Result<(S::Segment, u64)> {
        let may_take_reserve = self.has_reserve() && claim == Claim::Reserve;
        let obtained = match self.obtain_free(number) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) if may_take_reserve && self.is_cramped => None,
            Ok(None) => Some(self.storage.create(Name::Segment(number))),
            Err(error) => Some(Err(error)),
        };
        match obtained {
            Some(Ok(file)) => Ok((file, 0)),
            Some(Err(error)) if !may_take_reserve || !is_shortage(&error) => Err(error),
            _ => self.obtain_reserve(number),
        }
    }

    fn obtain_free(&mut self, number: u64) -> io::Result<Option<(S::Segment, u64)>> {
        while let Some(former) = self.next_free() {
            match self.take_free(former, number) {
                Ok(file) => {
                    self.taken += 1;
                    return Ok(Some(file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.taken += 1,
                Err(error) => {
                    self.candidate = Some(former);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Where it cannot be opened, it stays a free file.
    fn take_free(&mut self, former: u64, number: u64) -> io::Result<(S::Segment, u64)> {
        let (free, name) = (Name::Free(former), Name::Segment(number));
        self.storage.rename(free, name)?;
        let opened = self.storage.resume(name).and_then(|file| {
            let len = self.storage.len(&file)?;
            Ok((file, len))
        });
        if opened.is_err() {
            self.storage.rename(name, free)?;
        }
        opened
    }

    fn obtain_reserve(&mut self, number: u64) -> io::Result<(S::Segment, u64)> {
        let (former, file) = self.reserve.as_ref().expect("there is one");
        let len = self.storage.len(file)?;
        self.storage
            .rename(Name::Free(*former), Name::Segment(number))?;
        let (_, file) = self.reserve.take().expect("there is one");
        self.taken += 1;
        Ok((file, len))
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
        self.allocated = self.allocated.max(self.offset);
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

/// Where the end mark of a segment that is filled up to `end` ends.
pub(super) fn end_with_mark(end: u64, segment_len: u64) -> u64 {
    match end + BATCH_HEADER_LEN as u64 {
        marked if marked <= segment_len => marked,
        _ => end,
    }
}
