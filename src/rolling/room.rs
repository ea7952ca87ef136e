//! Makes room for lines: within the log's own limit, and on a disk that others need too.

use std::io;

use super::read::read_lines;
use super::storage::{Name, Storage};
use super::{Headroom, Older, RollingError, RollingLog, WhenFull};
use crate::limits::KEPT_GRANT_LEN;

impl<S: Storage> RollingLog<S> {
    /// Makes room within the limit of all files.
    pub(super) fn make_room(&mut self, needed: u64) -> Result<(), RollingError> {
        let is_full = |log: &Self| log.total_len() + needed > log.limits.total_len_max;
        while is_full(self) {
            match self.limits.when_full {
                WhenFull::DropOldest => {
                    self.drop_oldest()?;
                }
                WhenFull::Hold => {
                    self.look_again()?;
                    if is_full(self) {
                        return Err(RollingError::Full(self.total_len()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Leaves the disk its headroom. It is asked once for [`KEPT_GRANT_LEN`] bytes, for others write
    /// to it meanwhile.
    pub(super) fn leave_headroom(&mut self, needed: u64) -> Result<(), RollingError> {
        if self.limits.headroom == Headroom::NONE {
            return Ok(());
        }
        if let Some(left) = self.granted_len.checked_sub(needed) {
            self.granted_len = left;
            return Ok(());
        }
        self.granted_len = 0;
        let mut lack = self.lack_of_room(needed);
        if lack.is_some() {
            // A file that somebody has taken away holds its room while it is open.
            self.look_again()?;
            lack = self.lack_of_room(needed);
        }
        match lack {
            None => Ok(()),
            Some(lack) if self.drops_for(&lack) && self.drop_len(lack.len)? => Ok(()),
            Some(lack) => {
                self.is_short = true;
                Err(lack.into())
            }
        }
    }

    /// What the disk lacks; with nothing lacking, some bytes more are granted.
    fn lack_of_room(&mut self, needed: u64) -> Option<Lack> {
        // Where the system does not say, the write will.
        let space = self.storage.space().filter(|it| it.total > 0)?;
        let headroom = self.limits.headroom.of(space.total);
        // Lines that waited go on only where they can for a while.
        let again = if self.is_short { KEPT_GRANT_LEN } else { 0 };
        let wanted = headroom + needed + again.min(headroom / 8);
        if space.free < wanted {
            return Some(Lack {
                free: space.free,
                headroom,
                len: wanted - space.free,
            });
        }
        self.is_short = false;
        self.granted_len = (space.free - headroom - needed).min(KEPT_GRANT_LEN);
        None
    }

    /// Nothing goes where all of it would be too little.
    fn drops_for(&self, lack: &Lack) -> bool {
        self.limits.when_full == WhenFull::DropOldest && self.total_len() >= lack.len
    }

    /// Removes the oldest files, of so many bytes in all; `false`: those that were still there had
    /// less.
    fn drop_len(&mut self, len: u64) -> Result<bool, RollingError> {
        let mut dropped = 0;
        while dropped < len && self.total_len() > 0 {
            dropped += self.drop_oldest()?;
        }
        Ok(dropped >= len)
    }

    /// Says how many bytes went: none where somebody has taken the file away.
    fn drop_oldest(&mut self) -> Result<u64, RollingError> {
        if self.older.is_empty() {
            if self.len == 0 {
                return Err(RollingError::Full(0));
            }
            self.rotate()?;
        }
        let Some(&Older { number, len, lines }) = self.older.front() else {
            return Ok(0);
        };
        let lines = match lines {
            Some(lines) => lines,
            None => self.count_lines(number, len)?,
        };
        let is_there = match self.storage.remove(Name::Older(number)) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        self.older.pop_front();
        self.older_len -= len;
        if !is_there {
            return Ok(0);
        }
        self.dropped.lines += lines;
        self.dropped.bytes += len;
        Ok(len)
    }

    fn count_lines(&mut self, number: u64, len: u64) -> io::Result<u64> {
        let file = match self.storage.open(Name::Older(number)) {
            Ok(file) => file,
            // Somebody has taken it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let len = self.storage.len(&file)?.min(len);
        let mut lines = 0;
        read_lines(&self.storage, &file, len, &mut |_| lines += 1)?;
        Ok(lines)
    }
}

/// The disk has less than it is left.
struct Lack {
    free: u64,
    headroom: u64,
    /// So many bytes less.
    len: u64,
}

impl From<Lack> for RollingError {
    fn from(lack: Lack) -> Self {
        Self::NoRoom {
            free: lack.free,
            headroom: lack.headroom,
        }
    }
}
