//! Rolling files: lines that are kept for people, in files whose size and total are bounded.
//!
//! Rejected lines and refused rows are kept in them. The current file takes the lines; before it
//! would grow past its limit it gets a number, and a new one is begun. At the limit of all files
//! together, or where the disk would be left less than its headroom, nothing more is taken until
//! somebody takes files away, or the oldest file goes, counted.
//!
//! ```text
//!  NAME.7.ndjson   NAME.8.ndjson   NAME.ndjson
//!  | oldest      | |             | | whole lines | torn, cut off before the next write |
//!    goes first                    0            len
//! ```
//!
//! Lines are appended whole or not at all, and every failure is one that may pass: the caller tries
//! the same lines again. It owns no thread and no clock, and does not know what a line says.

mod headroom;
mod read;
mod room;
pub mod storage;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;

use serde::de::IgnoredAny;

pub use self::headroom::Headroom;
use self::read::{BLOCK_LEN, read_lines, read_whole};
use self::storage::{Name, Storage};
use crate::agent::background;
use crate::limits::KEPT_PIECE_LEN;

/// What happens to a line that finds as many bytes kept as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits until somebody takes files away.
    Hold,
    /// The oldest file goes, and its lines are counted.
    DropOldest,
}

/// The bounds of a log.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A file is rotated before it grows past this, in bytes; lines appended together are not split.
    pub file_len_max: u64,
    /// Bytes of all files together.
    pub total_len_max: u64,
    /// What happens there.
    pub when_full: WhenFull,
    /// Whether a file is synced before its successor takes over.
    pub syncs: bool,
    /// What is left free on the disk.
    pub headroom: Headroom,
}

impl Limits {
    /// Files of `file_len_max` bytes, or of a quarter of the total where that is less: dropping the
    /// oldest then costs a quarter of what is kept at most.
    #[must_use]
    pub fn new(file_len_max: u64, total_len_max: u64, when_full: WhenFull) -> Self {
        Self {
            file_len_max: file_len_max.min(total_len_max / 4),
            total_len_max,
            when_full,
            syncs: false,
            headroom: Headroom::NONE,
        }
    }

    /// The same, for a log that is synced: a sync then covers all that was appended before it.
    #[must_use]
    pub fn synced(self, syncs: bool) -> Self {
        Self { syncs, ..self }
    }

    /// The same, for a log that leaves so much of its disk free.
    #[must_use]
    pub fn leaving(self, headroom: Headroom) -> Self {
        Self { headroom, ..self }
    }
}

/// Nothing was appended; the same may be tried again later.
#[derive(Debug, thiserror::Error)]
pub enum RollingError {
    /// The limit of all files is reached.
    #[error("{0} bytes are kept and no more may be: move files away, or raise the limit")]
    Full(u64),
    /// The disk would be left less than its headroom.
    #[error(
        "its disk has {free} bytes free, and {headroom} stay free for the journal and the store: make \
         room on it"
    )]
    NoRoom {
        /// Bytes.
        free: u64,
        /// Bytes.
        headroom: u64,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<RollingError> for io::Error {
    fn from(error: RollingError) -> Self {
        match error {
            RollingError::Full(_) | RollingError::NoRoom { .. } => {
                Self::new(io::ErrorKind::StorageFull, error.to_string())
            }
            RollingError::Io(error) => error,
        }
    }
}

/// What went so that younger lines could be kept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A full file.
#[derive(Debug)]
struct Older {
    number: u64,
    len: u64,
    /// `None`: an earlier life wrote some, and nobody has counted.
    lines: Option<u64>,
}

/// Keeps lines in rolling files.
///
/// Invariant: `older` is in the order of its numbers, all below `next_number`, and `older_len` is the
/// sum of its lengths.
#[derive(Debug)]
pub struct RollingLog<S: Storage> {
    storage: S,
    limits: Limits,
    file: S::File,
    /// Bytes of whole lines in the current file.
    len: u64,
    lines: Option<u64>,
    /// The current file has a number already, and its successor could not be opened.
    numbered: Option<u64>,
    /// A failed write may have left something behind `len`.
    is_torn: bool,
    /// The last line of an earlier life lacks its newline.
    lacks_newline: bool,
    /// The file holds what no sync has covered.
    is_unsynced: bool,
    /// A sync failed: whether the file has what was written, nobody knows, and a later sync of it
    /// would not tell.
    is_suspect: bool,
    has_new_name: bool,
    older: VecDeque<Older>,
    older_len: u64,
    next_number: u64,
    dropped: Dropped,
    torn_len: u64,
    /// So many bytes may be appended before the disk is asked again.
    granted_len: u64,
    /// The disk had less than its headroom when it was asked last.
    is_short: bool,
}

impl<S: Storage> RollingLog<S> {
    /// Opens the log, and heals what a crash left: a torn last line is cut off, a whole one gets its
    /// newline.
    ///
    /// # Errors
    /// The files cannot be listed, opened, read or cut.
    pub fn open(mut storage: S, limits: Limits) -> io::Result<Self> {
        let file = storage.open(Name::Current)?;
        let mut log = Self {
            len: storage.len(&file)?,
            storage,
            limits,
            file,
            lines: None,
            numbered: None,
            is_torn: false,
            lacks_newline: false,
            // Nobody knows how far the last life got with its syncs.
            is_unsynced: true,
            is_suspect: false,
            has_new_name: true,
            older: VecDeque::new(),
            older_len: 0,
            next_number: 1,
            dropped: Dropped::default(),
            torn_len: 0,
            granted_len: 0,
            is_short: false,
        };
        log.count_older()?;
        log.heal()?;
        Ok(log)
    }

    /// Appends whole lines, all of them or none.
    ///
    /// # Errors
    /// None of them is kept.
    pub fn append(&mut self, bytes: &[u8], lines: u64) -> Result<(), RollingError> {
        self.cut_torn()?;
        self.follow_name()?;
        let needed = bytes.len() as u64 + u64::from(self.lacks_newline);
        self.make_room(needed)?;
        self.leave_headroom(needed)?;
        let is_full = self.len > 0 && self.len + bytes.len() as u64 > self.limits.file_len_max;
        if is_full {
            // Without a descriptor for the next file this one goes on growing, within the total.
            let _ = self.rotate();
        }
        if self.is_suspect {
            self.rotate()?;
        }
        if self.lacks_newline {
            self.write(b"\n")?;
            self.lacks_newline = false;
        }
        self.write(bytes)?;
        self.lines = self.lines.map(|it| it + lines);
        Ok(())
    }

    /// Returns when all that was appended will survive a power loss.
    ///
    /// # Errors
    /// It may not: what was appended since the last sync is to be appended again, and goes to another
    /// file.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.is_unsynced {
            if let Err(error) = self.storage.sync(&self.file) {
                self.is_suspect = true;
                return Err(error);
            }
            self.is_unsynced = false;
        }
        if self.has_new_name {
            self.storage.sync_names()?;
            self.has_new_name = false;
        }
        Ok(())
    }

    /// Bytes of all files.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.older_len + self.len
    }

    /// What went since this was asked last.
    pub fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// Bytes of a torn last line that [`RollingLog::open`] cut off.
    #[must_use]
    pub fn torn_len(&self) -> u64 {
        self.torn_len
    }

    /// Reads the whole lines of the youngest files, oldest first: the current one and so many before
    /// it.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read_youngest(&mut self, older: usize, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let first = self.older.len().saturating_sub(older);
        for index in first..self.older.len() {
            let file = self.storage.open(Name::Older(self.older[index].number))?;
            read_lines(&self.storage, &file, self.older[index].len, &mut take)?;
        }
        let rest = read_lines(&self.storage, &self.file, self.len, &mut take)?;
        if self.lacks_newline {
            take(&rest);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_torn = true;
        self.is_unsynced = true;
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(KEPT_PIECE_LEN)];
            match self.storage.append(&mut self.file, piece) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    rest = &rest[taken..];
                    background::give_way();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.is_torn = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn cut_torn(&mut self) -> io::Result<()> {
        if self.is_torn {
            // Less is there where somebody has emptied the file.
            self.len = self.len.min(self.storage.len(&self.file)?);
            self.storage.truncate(&self.file, self.len)?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Where somebody has removed or renamed the current file, a new one is begun.
    fn follow_name(&mut self) -> io::Result<()> {
        if self.numbered.is_some() || self.storage.is_current(&self.file)? {
            return Ok(());
        }
        if self.limits.syncs && self.is_unsynced && !self.is_suspect {
            self.sync()?;
        }
        self.begin()
    }

    /// Gives the current file a number, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        if self.limits.syncs && self.is_unsynced && !self.is_suspect {
            self.sync()?;
        }
        let number = match self.numbered {
            Some(number) => number,
            None => self.number()?,
        };
        self.numbered = Some(number);
        let full = Older {
            number,
            len: self.len,
            lines: self.lines,
        };
        self.begin()?;
        self.numbered = None;
        self.older_len += full.len;
        self.older.push_back(full);
        Ok(())
    }

    /// Goes on in the file that has the current name, or a new one.
    fn begin(&mut self) -> io::Result<()> {
        let file = self.storage.open(Name::Current)?;
        self.len = self.storage.len(&file)?;
        self.file = file;
        self.lines = (self.len == 0).then_some(0);
        (self.is_torn, self.is_suspect, self.lacks_newline) = (false, false, false);
        self.is_unsynced = self.len > 0;
        self.has_new_name = true;
        Ok(())
    }

    fn number(&mut self) -> io::Result<u64> {
        loop {
            let number = self.next_number;
            self.next_number += 1;
            match self.storage.number(number) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Somebody has taken the file away: its number is one of those that are gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(number),
                other => return other.map(|()| number),
            }
        }
    }

    /// Sees which files somebody has left.
    fn look_again(&mut self) -> io::Result<()> {
        let has_current = self.count_older()?;
        match has_current || self.numbered.is_some() {
            true => Ok(()),
            false => self.begin(),
        }
    }

    /// Lists the full files; says whether there is a current one.
    fn count_older(&mut self) -> io::Result<bool> {
        let mut files = self.storage.list()?;
        files.sort_unstable();
        let known = std::mem::take(&mut self.older);
        self.older_len = 0;
        let mut has_current = false;
        for (name, len) in files {
            match name {
                Name::Current => has_current = true,
                Name::Older(number) if self.numbered == Some(number) => {}
                Name::Older(number) => {
                    let known = known.iter().find(|it| it.number == number);
                    let lines = known.and_then(|it| it.lines);
                    self.older.push_back(Older { number, len, lines });
                    self.older_len += len;
                    self.next_number = self.next_number.max(number + 1);
                }
            }
        }
        Ok(has_current)
    }

    fn heal(&mut self) -> io::Result<()> {
        let tail = self.unfinished_line()?;
        if tail.is_empty() {
            self.lines = (self.len == 0).then_some(0);
        } else if serde_json::from_slice::<IgnoredAny>(&tail).is_ok() {
            self.lacks_newline = true;
        } else {
            self.torn_len = tail.len() as u64;
            self.len -= self.torn_len;
            self.storage.truncate(&self.file, self.len)?;
        }
        Ok(())
    }

    /// What stands behind the current file's last newline.
    fn unfinished_line(&self) -> io::Result<Vec<u8>> {
        let mut start = self.len;
        let mut tail = Vec::new();
        while start > 0 {
            let len = start.min(BLOCK_LEN as u64);
            start -= len;
            let mut block = vec![0; len as usize];
            read_whole(&self.storage, &self.file, start, &mut block)?;
            let newline = memchr::memrchr(b'\n', &block);
            block.drain(..newline.map_or(0, |at| at + 1));
            block.append(&mut tail);
            tail = block;
            if newline.is_some() {
                break;
            }
        }
        Ok(tail)
    }
}
