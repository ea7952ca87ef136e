//! The files that retention lets go, offers to the journal agent, or sets aside.
//!
//! Retention decides what goes; this is how. A file that goes becomes a free one, first of all where
//! settlements have no reserve, or it is removed.

use std::io;

use tracing::warn;

use super::{RetentionAgent, TELL_LIMIT_NS};
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::reserve;
use crate::journal::storage::{Name, Storage};
use crate::limits::FREE_FILES_MAX;

/// Where there was no room to set aside, it is looked for again after so long, in ns.
const SET_ASIDE_NS: u64 = 1_000_000_000;

impl<S: Storage + Clone> RetentionAgent<S> {
    /// Finds the free files that an earlier life left.
    pub(super) fn find_free_files(&mut self) -> io::Result<()> {
        let wanted = reserve::len(self.parts.segment_len);
        for name in self.parts.storage.list()? {
            let Name::Free(former) = name else {
                continue;
            };
            if Some(former) == self.parts.reserve {
                self.free += 1;
            } else if name == reserve::KEPT {
                self.has_kept_reserve = self.len_of(name) >= wanted;
            } else if self.len_of(name) >= wanted {
                self.offer_free(former);
            } else {
                self.surplus.push_back(former);
            }
        }
        Ok(())
    }

    /// A file is not needed any more.
    pub(super) fn free_file(&mut self, name: Name) -> io::Result<()> {
        if let Name::Segment(number) = name
            && self.is_wanted(name)
        {
            self.parts.storage.rename(name, Name::Free(number))?;
            self.renamed.push(number);
            return Ok(());
        }
        self.remove(name)
    }

    /// Offers what was renamed once the names will survive a power loss. Until then the disk may have
    /// such a file as the segment that it was, and the journal agent would write over that.
    pub(super) fn offer_renamed(&mut self) -> io::Result<usize> {
        if self.renamed.is_empty() {
            return Ok(0);
        }
        self.parts.storage.sync_names()?;
        let renamed = std::mem::take(&mut self.renamed);
        renamed.iter().for_each(|&it| self.offer_free(it));
        Ok(renamed.len())
    }

    /// Whether a segment shall become a free file: it is long enough to be a reserve, and one is
    /// missing or there is room for more.
    fn is_wanted(&self, name: Name) -> bool {
        let has_room = self.disk_len() + 2 * self.parts.segment_len <= self.room.max_bytes;
        let free = self.free_count();
        let may_be_offered = free == 0
            || free < FREE_FILES_MAX && has_room && (self.has_kept_reserve || !self.is_full());
        may_be_offered && self.len_of(name) >= reserve::len(self.parts.segment_len)
    }

    /// Removes a file. On a full disk its room comes back now, not when the last reader has closed it;
    /// but not before its name is gone for good, or a power loss would leave an empty segment.
    fn remove(&mut self, name: Name) -> io::Result<()> {
        let storage = &mut self.parts.storage;
        if self.parts.counters.get(Counter::JournalWaiting) == 0 {
            return storage.remove(name);
        }
        let open = storage.resume(name);
        storage.remove(name)?;
        if let Ok(file) = open
            && storage.sync_names().is_ok()
        {
            // Without it, the room comes back later.
            let _ = storage.truncate(&file, 0);
        }
        Ok(())
    }

    /// Hands a free file to the journal agent, if there are not enough there.
    pub(super) fn offer_free(&mut self, former: u64) {
        if self.free < FREE_FILES_MAX {
            self.free += 1;
            let permit = self.parts.free_files.claim(1);
            let mut permit = permit.expect("the ring has room for `FREE_FILES_MAX`");
            permit.send(former);
            self.parts.free_files.flush();
        } else {
            self.surplus.push_back(former);
        }
    }

    pub(super) fn remove_surplus(&mut self) -> io::Result<usize> {
        let Some(&former) = self.surplus.front() else {
            return Ok(0);
        };
        self.remove(Name::Free(former))?;
        self.surplus.pop_front();
        Ok(1)
    }

    /// Sets room aside, where that for settlements or for a kept file is missing.
    pub(super) fn set_aside(&mut self, now: Now) -> usize {
        let is_complete = self.free_count() > 0 && self.has_kept_reserve;
        if is_complete || now.ns < self.set_aside_at_ns {
            return 0;
        }
        self.set_aside_at_ns = now.ns + SET_ASIDE_NS;
        let len = reserve::len(self.parts.segment_len);
        let has_free = self.free_count() > 0;
        let storage = &mut self.parts.storage;
        if !has_free {
            let name = Name::Free(reserve::SETTLEMENTS);
            if reserve::make(storage, name, len).is_err() {
                // The journal agent says that there is no room.
                self.parts.counters.add(Counter::JournalFull, 1);
                return 0;
            }
            self.offer_free(reserve::SETTLEMENTS);
            return 1;
        }
        self.has_kept_reserve = reserve::make(storage, reserve::KEPT, len).is_ok();
        usize::from(self.has_kept_reserve)
    }

    /// Free files that the journal agent has not taken.
    fn free_count(&self) -> usize {
        self.free + self.renamed.len()
    }

    /// Bytes on disk: closed files, the segment that is being filled, free files.
    pub(super) fn disk_len(&self) -> u64 {
        let whole = u64::from(self.open.is_some()) + self.free_count() as u64;
        let kept = u64::from(self.has_kept_reserve) * reserve::len(self.parts.segment_len);
        self.stretches.len() + whole * self.parts.segment_len + kept
    }

    /// Whether messages wait for room on the disk.
    pub(super) fn is_full(&self) -> bool {
        self.parts.counters.get(Counter::JournalWaiting) != 0
    }

    /// Says now and then what holds the oldest segment of a full disk.
    pub(super) fn tell_full(&mut self, now: Now) {
        if !self.is_full() || self.stretches.is_empty() || now.ns < self.tell_full_at_ns {
            return;
        }
        self.tell_full_at_ns = now.ns + TELL_LIMIT_NS;
        let why = self.why_held();
        warn!("no room for the journal. What holds the oldest segment: {why}; or make room");
    }
}
