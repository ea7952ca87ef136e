//! Serving: which lane of a cell goes next, and what is noted when a message comes or goes.
//!
//! The part of [`Queues`] on the path of every message. It sees a lane's cold part only as what
//! stands before its hot part.

use super::cold::{Kind, SlotStore};
use super::{Pick, Queues, Taken};
use crate::limits::NATIVE_PER_AGED;
use crate::message::{DestinationIndex, Level};

impl Queues {
    /// The lane that a cell in use serves next.
    #[inline]
    pub(super) fn pick(&self, destination: DestinationIndex, level0: usize) -> Pick {
        let at = self.cell_at(destination, level0);
        let cell = &self.cells[at];
        let mut aged = (!cell.aged.is_empty()).then_some(Pick::Aged);
        let (mut own, mut has_own) = (Pick::Native, !cell.native.is_empty());
        if self.is_cold(destination, level0) {
            has_own |= self.cold_store.first(at, Kind::Native).is_some();
            if self.cold_store.first(at, Kind::Aged).is_some() {
                aged = Some(Pick::Aged);
            }
        }
        if self.destinations[destination as usize].requeued >> level0 & 1 == 1 {
            let requeued = &self.requeued[at];
            if !requeued.native.is_empty() {
                (own, has_own) = (Pick::Requeued, true);
            }
            if !requeued.aged.is_empty() {
                aged = Some(Pick::RequeuedAged);
            }
        }
        match aged {
            Some(aged) if !has_own || self.streak(destination, level0) >= NATIVE_PER_AGED => aged,
            _ => own,
        }
    }

    /// Takes the next message of a cell in use.
    #[inline]
    pub(super) fn serve(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        slots: &mut impl SlotStore,
    ) -> u32 {
        match self.serve_native(destination, level0) {
            Some(slot) => slot,
            None => self.serve_any(destination, level0, slots),
        }
    }

    /// The fast path: the cell has a native lane only, all of it hot. `None`: it has more.
    #[inline]
    fn serve_native(&mut self, destination: DestinationIndex, level0: usize) -> Option<u32> {
        let at = self.cell_at(destination, level0);
        let (cell, entry) = (
            &mut self.cells[at],
            &mut self.destinations[destination as usize],
        );
        if !cell.aged.is_empty() || (entry.requeued | entry.cold) >> level0 & 1 == 1 {
            return None;
        }
        let slot = cell.native.pop(&self.links, &mut self.tables)?;
        cell.len -= 1;
        entry.streaks[level0] = 0;
        self.len_at[level0] -= 1;
        if cell.native.is_empty() {
            entry.occupied &= !(1 << level0);
            if entry.is_open() {
                (self.ready).clear(destination as usize, level0, entry.group);
            }
        }
        Some(slot)
    }

    #[inline(never)]
    fn serve_any(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        slots: &mut impl SlotStore,
    ) -> u32 {
        let pick = self.pick(destination, level0);
        let slot = match self.take(destination, level0, pick) {
            Taken::Hot(slot) => slot,
            Taken::Cold(message) => self.restore(destination, &message, slots),
        };
        let has_aged = self.has_aged(destination, level0);
        let streak = &mut self.destinations[destination as usize].streaks[level0];
        *streak = match pick {
            Pick::Requeued | Pick::Native if has_aged => streak.saturating_add(1),
            _ => 0,
        };
        self.leave(destination, level0);
        if pick != Pick::Native {
            // The other lanes are not in time order: their new first message may be older.
            self.retime(destination, level0);
        }
        slot
    }

    /// Undoes the effect that popping a message had on the turns of its cell. Call it for every
    /// message before [`Self::requeue`], the one popped last first. Undelivered messages return
    /// their turn, so reconnects do not bias fairness between own and aged messages.
    pub(crate) fn return_turn(&mut self, destination: DestinationIndex, slot: u32, level: Level) {
        let level0 = usize::from(level) - 1;
        let is_own = self.links.node(slot).level0() == level0;
        let streak = &mut self.destinations[destination as usize].streaks[level0];
        *streak = if is_own {
            streak.saturating_sub(1)
        } else {
            NATIVE_PER_AGED
        };
    }

    #[inline]
    fn streak(&self, destination: DestinationIndex, level0: usize) -> u8 {
        self.destinations[destination as usize].streaks[level0]
    }

    /// Whether messages that moved up wait in a cell.
    #[inline]
    fn has_aged(&self, destination: DestinationIndex, level0: usize) -> bool {
        let at = self.cell_at(destination, level0);
        let has_requeued = self.destinations[destination as usize].requeued >> level0 & 1 == 1;
        !self.cells[at].aged.is_empty()
            || has_requeued && !self.requeued[at].aged.is_empty()
            || self.is_cold(destination, level0) && self.cold_store.first(at, Kind::Aged).is_some()
    }

    /// Removes the first message of a lane that is not empty, and updates no count.
    #[inline]
    pub(super) fn take(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        pick: Pick,
    ) -> Taken {
        let at = self.cell_at(destination, level0);
        if self.is_cold(destination, level0)
            && let Some(message) = self.take_cold(destination, level0, pick)
        {
            return Taken::Cold(message);
        }
        let slot = match pick {
            Pick::Native => self.cells[at].native.pop(&self.links, &mut self.tables),
            Pick::Aged => self.cells[at].aged.pop_front(&self.links),
            Pick::Requeued => self.requeued[at].native.pop_front(&self.links),
            Pick::RequeuedAged => self.requeued[at].aged.pop_front(&self.links),
        };
        if matches!(pick, Pick::Requeued | Pick::RequeuedAged) && self.requeued[at].is_empty() {
            self.destinations[destination as usize].requeued &= !(1 << level0);
        }
        Taken::Hot(slot.expect("a lane was picked because it is not empty"))
    }

    /// Counts a message into a cell.
    #[inline]
    pub(super) fn enter(&mut self, destination: DestinationIndex, level0: usize) {
        self.len_at[level0] += 1;
        let at = self.cell_at(destination, level0);
        self.cells[at].len += 1;
        let entry = &mut self.destinations[destination as usize];
        if entry.occupied >> level0 & 1 == 0 {
            entry.occupied |= 1 << level0;
            if entry.is_open() {
                (self.ready).set(destination as usize, level0, entry.group);
            }
        }
    }

    /// Counts a message out of a cell.
    #[inline]
    pub(super) fn leave(&mut self, destination: DestinationIndex, level0: usize) {
        self.len_at[level0] -= 1;
        let at = self.cell_at(destination, level0);
        let cell = &mut self.cells[at];
        cell.len -= 1;
        let entry = &mut self.destinations[destination as usize];
        let has_more = (entry.requeued | entry.cold) >> level0 & 1 == 1;
        if cell.native.is_empty() && cell.aged.is_empty() && !has_more {
            entry.occupied &= !(1 << level0);
            if entry.is_open() {
                (self.ready).clear(destination as usize, level0, entry.group);
            }
        }
    }
}
