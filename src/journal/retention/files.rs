//! The files that retention lets go, offers to the journal agent, or sets aside.
//!
//! Retention decides what goes; this is how. A file that goes becomes a free one, first of all where
//! settlements have no reserve, or it is removed.

use std::io;

use tracing::warn;

use super::core::{LOG_LIMIT_NS, Retention, Task};
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::reserve;
use crate::journal::storage::{Name, Storage, is_shortage};
use crate::limits::FREE_FILES_MAX;

/// Where there was no room to set aside, it is looked for again after so long, in ns.
const SET_ASIDE_NS: u64 = 1_000_000_000;

/// A segment that is shorter than one part in so many of what is wanted is no reserve.
const RESERVE_SHARE_MIN: u64 = 8;

impl<S: Storage + Clone> Retention<S> {
    /// Finds the free files that an earlier life left.
    ///
    /// # Errors
    /// How long they are cannot be told for a shortage: none is offered yet, for one that is too short is no
    /// reserve. One that cannot be read for another reason goes.
    pub(super) fn find_free_files(&mut self) -> io::Result<()> {
        let wanted = reserve::len(self.segment_len);
        let (mut held, mut offered, mut surplus) = (0, Vec::new(), Vec::new());
        for name in self.storage.list()? {
            match name {
                // The journal agent has it.
                Name::Free(former) if Some(former) == self.reserve => held = 1,
                // It is found when room is set aside.
                reserve::COMPACTED => {}
                Name::Free(former) => match reserve::len_of(&self.storage, name) {
                    Ok(len) if len >= wanted => offered.push(former),
                    Err(error) if is_shortage(&error) => return Err(error),
                    _ => surplus.push(former),
                },
                _ => {}
            }
        }
        self.free += held;
        self.surplus.extend(surplus);
        offered.into_iter().for_each(|it| self.offer_free(it));
        Ok(())
    }

    /// A file is not needed any more.
    pub(super) fn free_file(&mut self, name: Name) -> io::Result<()> {
        if let Name::Segment(number) = name {
            let to = if self.shall_be_reserve(name) {
                // Until its name is safe, nobody may write over it.
                self.compaction_reserve_len = 0;
                Some(reserve::COMPACTED_NUMBER)
            } else {
                self.is_wanted(name).then_some(number)
            };
            if let Some(to) = to {
                self.storage.rename(name, Name::Free(to))?;
                self.renamed.push(to);
                return Ok(());
            }
        }
        self.remove(name)
    }

    /// Whether the next compaction gets the room of this segment, which goes: it has none of its own, or
    /// less, and the disk is full.
    fn shall_be_reserve(&self, name: Name) -> bool {
        let wanted = reserve::compacted_len(self.segment_len);
        let len = self.len_of(name).min(wanted);
        let is_better = self.compaction_reserve_len < len && len >= wanted / RESERVE_SHARE_MIN;
        let is_missed = self.compaction_reserve_len == 0 || self.is_full;
        let is_used = matches!(self.task, Task::Compact(_));
        let may_be = self.group.is_none() && !is_used && !self.compaction_reserve_is_coming();
        is_better && is_missed && may_be
    }

    fn compaction_reserve_is_coming(&self) -> bool {
        self.renamed.contains(&reserve::COMPACTED_NUMBER)
    }

    /// Offers what was renamed once the names will survive a power loss. Until then the disk may have
    /// such a file as the segment that it was, and the journal agent would write over that, or a
    /// compaction. Where it is a reserve on a full disk, the rest of it is given back.
    pub(super) fn offer_renamed(&mut self) -> io::Result<usize> {
        if self.renamed.is_empty() {
            return Ok(0);
        }
        self.storage.sync_names()?;
        let renamed = std::mem::take(&mut self.renamed);
        let (is_full, segment_len) = (self.is_full, self.segment_len);
        for &number in &renamed {
            let name = Name::Free(number);
            if number == reserve::COMPACTED_NUMBER {
                let len = reserve::compacted_len(segment_len);
                self.compaction_reserve_len = reserve::cut(&mut self.storage, name, len);
                // At once: messages wait until there is a reserve for their settlements.
                self.set_aside_at_ns = 0;
                continue;
            }
            if is_full {
                reserve::cut(&mut self.storage, name, reserve::len(segment_len));
            }
            self.offer_free(number);
        }
        Ok(renamed.len())
    }

    /// Whether a segment shall become a free file: it is long enough to be a reserve, and one is
    /// missing or there is room for more.
    fn is_wanted(&self, name: Name) -> bool {
        let has_room = self.disk_len() + 2 * self.segment_len <= self.room.max_bytes;
        let free = self.free_count();
        let may_be_offered = free == 0 || free < FREE_FILES_MAX && has_room && !self.is_full;
        let wanted = reserve::len(self.segment_len);
        may_be_offered && reserve::len_of(&self.storage, name).is_ok_and(|it| it >= wanted)
    }

    /// Removes a file. On a full disk its room comes back now, not when the last reader has closed it;
    /// but not before its name is gone for good, or a power loss would leave an empty segment.
    fn remove(&mut self, name: Name) -> io::Result<()> {
        let storage = &mut self.storage;
        if !self.is_full {
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
            self.free_files.push(former);
        } else {
            self.surplus.push_back(former);
        }
    }

    /// Free files that the journal agent had are gone.
    pub(super) fn note_lost(&mut self, count: usize) {
        self.free = self.free.saturating_sub(count);
    }

    pub(super) fn remove_surplus(&mut self) -> io::Result<usize> {
        let Some(&former) = self.surplus.front() else {
            return Ok(0);
        };
        self.remove(Name::Free(former))?;
        self.surplus.pop_front();
        Ok(1)
    }

    /// Sets room aside, where that for settlements or for a compacted file is missing. Where there is none,
    /// it is tried again after a while.
    pub(super) fn set_aside(&mut self, now: Now) -> usize {
        if now.ns < self.set_aside_at_ns {
            return 0;
        }
        match self.try_to_set_aside() {
            Some(work_count) => work_count,
            None => {
                self.set_aside_at_ns = now.ns + SET_ASIDE_NS;
                0
            }
        }
    }

    /// `None`: there is not enough room. A compaction gets little first, settlements what they need, and
    /// then it gets the rest.
    fn try_to_set_aside(&mut self) -> Option<usize> {
        let little = self.set_aside_for_compaction(reserve::for_compaction_at_least);
        let settlements = self.set_aside_for_settlements()?;
        let whole = self.set_aside_for_compaction(reserve::for_compaction);
        (!self.lacks_compaction_reserve()).then_some(little + settlements + whole)
    }

    fn set_aside_for_settlements(&mut self) -> Option<usize> {
        if self.free_count() > 0 {
            return Some(0);
        }
        let len = reserve::len(self.segment_len);
        let name = Name::Free(reserve::SETTLEMENTS);
        if reserve::make(&mut self.storage, name, len).is_err() {
            // The journal agent says that there is no room.
            self.counters.add(Counter::JournalFull, 1);
            return None;
        }
        // It may have been too short until now.
        self.surplus.retain(|it| *it != reserve::SETTLEMENTS);
        self.offer_free(reserve::SETTLEMENTS);
        Some(1)
    }

    /// `make` makes the reserve, completes it, or finds it as it is. Returns whether there is more of it.
    fn set_aside_for_compaction(&mut self, make: fn(&mut S, u64) -> u64) -> usize {
        if !self.lacks_compaction_reserve() {
            return 0;
        }
        let len = make(&mut self.storage, self.segment_len);
        let before = std::mem::replace(&mut self.compaction_reserve_len, len);
        usize::from(len > before)
    }

    fn lacks_compaction_reserve(&self) -> bool {
        let wanted = reserve::compacted_len(self.segment_len);
        let is_there = self.is_compaction_reserve_in_use() || self.compaction_reserve_len >= wanted;
        self.group.is_none() && !is_there
    }

    fn is_compaction_reserve_in_use(&self) -> bool {
        matches!(self.task, Task::Compact(_)) || self.compaction_reserve_is_coming()
    }

    /// Free files that the journal agent has not taken.
    fn free_count(&self) -> usize {
        self.free + self.renamed.len() - usize::from(self.compaction_reserve_is_coming())
    }

    /// Bytes on disk: closed files, the segment that is being filled, free files.
    pub(super) fn disk_len(&self) -> u64 {
        let whole = u64::from(self.open.is_some()) + self.free_count() as u64;
        self.ranges.len() + whole * self.segment_len + self.compaction_reserve_len
    }

    /// Says now and then what holds the oldest segment of a full disk.
    pub(super) fn log_full(&mut self, now: Now) {
        if !self.is_full || self.ranges.is_empty() || now.ns < self.log_full_at_ns {
            return;
        }
        self.log_full_at_ns = now.ns + LOG_LIMIT_NS;
        let why = self.why_held();
        warn!("no room for the journal. What holds the oldest segment: {why}; or make room");
    }
}
