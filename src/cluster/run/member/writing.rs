//! The member's files: confirmed records are written and synced, read back, and opened; a full disk.

use std::io;
use std::sync::atomic::Ordering;

use super::{CANNOT_WRITE, End, Turns};
use crate::cluster::core::Event;
use crate::cluster::run::files::WriteFailed;
use crate::cluster::run::lease::boot_us;
use crate::cluster::run::link::Opened;
use crate::counters::Counter;
use crate::journal::format::Position;
use crate::journal::storage::is_shortage;
use crate::limits::MEMBER_WRITE_RETRY_US;

impl Turns {
    /// Reads behind all that is confirmed: what is not written yet counts too.
    pub(super) fn fetch(&mut self, asked: u64) -> Result<(), Option<End>> {
        while !self.writes.is_empty() {
            if self.write_one()? == 0 {
                // Without room nothing is compared: the core asks again.
                return Ok(());
            }
        }
        let record = self.files.fetch(asked);
        let record = record.map_err(|it| Some(End::Failed(it.to_string())))?;
        self.on_event(Event::Fetched { asked, record });
        Ok(())
    }

    /// Writes the oldest record that is confirmed; returns whether there was one and it stands.
    pub(super) fn write_one(&mut self) -> Result<usize, Option<End>> {
        let Some((place, bytes)) = self.writes.front() else {
            return Ok(0);
        };
        if self.stuck.has_begun() && boot_us() < self.write_at_us {
            return Ok(0);
        }
        let (place, len) = (*place, bytes.len());
        match self.files.write(&place, bytes) {
            Ok(()) => {}
            Err(WriteFailed::Sync(error)) => {
                let words = format!(
                    "the journal could not be synced: {error}; what was written last may be lost, and is \
                     fetched again at the next start"
                );
                return Err(Some(End::Failed(words)));
            }
            Err(WriteFailed::Write(error)) => {
                self.on_no_room(&error);
                return Ok(0);
            }
        }
        self.counters.add(Counter::JournalSyncs, 1);
        if self.stuck.has_begun() {
            self.counters.set(Counter::JournalStuck, 0);
        }
        let is_write = self.offered.contains(&place.position);
        self.written.push_back(Opened {
            position: place.position,
            is_write,
            begun: self.files.take_begun(),
        });
        self.writes.pop_front();
        self.on_event(Event::Written {
            sequence: place.sequence,
        });
        self.note_low(place.low);
        // As a standby nothing is opened.
        if self.driver.member.own_term().is_none() {
            self.written.clear();
            self.tell_recorded(place.position + len as u64);
            let dropped = self.leaving.drop_segments(&mut self.files);
            self.reporter.note_dropped(dropped);
        }
        Ok(1)
    }

    /// A record that stands here says that nobody needs what is below.
    pub(super) fn note_low(&mut self, low: u64) {
        if let Err(error) = self.leaving.agree(low, &self.files) {
            self.reporter.note_dropped(Err(error));
        }
    }

    /// A record found no room: what was set aside is given up for it. Sources wait, and what is settled
    /// frees segments.
    fn on_no_room(&mut self, error: &io::Error) {
        let gave_up = is_shortage(error) && self.files.give_up_reserve();
        let retry_us = if gave_up { 0 } else { MEMBER_WRITE_RETRY_US };
        self.write_at_us = boot_us() + retry_us;
        self.stuck.note_no_room(boot_us());
        self.counters.add(Counter::JournalFull, 1);
        self.counters.set(Counter::JournalWaiting, 1);
        self.counters
            .set(Counter::JournalStuck, u64::from(!gave_up));
        self.reporter.note_no_room(Some(error));
        self.tell_can_write();
    }

    /// Whether messages find room: in the journal, and in a server's record, once one was reached.
    pub(super) fn tell_can_write(&mut self) {
        let can_write = self.reporter.fits() && !self.stuck.has_begun();
        self.on_event(Event::CanWrite(can_write));
    }

    /// Looks whether there is room again.
    pub(super) fn check_room(&mut self) {
        let now_us = boot_us();
        if !self.stuck.has_begun() || !self.writes.is_empty() || now_us < self.write_at_us {
            return;
        }
        self.write_at_us = now_us + MEMBER_WRITE_RETRY_US;
        if self.files.has_room() {
            self.stuck.note_room();
            self.counters.set(Counter::JournalWaiting, 0);
            self.reporter.note_no_room(None);
            self.tell_can_write();
        }
    }

    /// Leaves the term to a member that is ready where messages find no room for a lease. It ends as a killed
    /// one does: without a goodbye, for frames may be on their way.
    pub(super) fn check_stuck(&mut self) -> Result<(), Option<End>> {
        let is_stuck = self.stuck.is_beyond(self.lease_us, boot_us());
        if is_stuck && self.driver.member.own_term().is_some() && self.reporter.has_successor() {
            return Err(Some(CANNOT_WRITE));
        }
        Ok(())
    }

    /// All up to here is confirmed and written.
    pub(super) fn open(&mut self, position: Position) {
        self.tell_recorded(position);
        if let Some(opened) = self.written.pop_front() {
            if opened.is_write {
                self.offered.pop_front();
            }
            if opened.position >= self.activated_at {
                self.opened.push_back(opened);
            }
        }
    }

    fn tell_recorded(&self, end: Position) {
        // Pairs with the acquire load of the store: who sees the position finds the bytes.
        self.recorded.store(end, Ordering::Release);
    }
}
