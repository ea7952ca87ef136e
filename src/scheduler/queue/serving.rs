//! Serving: which lane of a cell goes next, and what is noted when a message comes or goes.
//!
//! The part of [`Queues`] on the path of every message. It knows cold parts only as what stands in
//! front of a lane.

use super::cold::{Holder, Kind};
use super::{Pick, Queues, Taken};
use crate::limits::NATIVE_PER_AGED;
use crate::message::{DestinationIndex, Level};

impl Queues {
    /// The most urgent level at which something waits for the destination.
    #[inline]
    pub(super) fn first_level0(&self, destination: DestinationIndex) -> Option<usize> {
        let occupied = self.destinations[destination as usize].occupied;
        (occupied != 0).then(|| occupied.trailing_zeros() as usize)
    }

    /// The lane that a cell in use serves next.
    #[inline]
    pub(super) fn pick(&self, destination: DestinationIndex, level0: usize) -> Pick {
        let at = self.cell_at(destination, level0);
        let cell = &self.cells[at];
        let mut old = (!cell.aged.is_empty()).then_some(Pick::Aged);
        let (mut own, mut has_own) = (Pick::Native, !cell.native.is_empty());
        if self.is_cold(destination, level0) {
            has_own |= self.cellar.first(at, Kind::Native).is_some();
            if self.cellar.first(at, Kind::Aged).is_some() {
                old = Some(Pick::Aged);
            }
        }
        if self.destinations[destination as usize].returned >> level0 & 1 == 1 {
            let returned = &self.returned[at];
            if !returned.again.is_empty() {
                (own, has_own) = (Pick::Again, true);
            }
            if !returned.aged.is_empty() {
                old = Some(Pick::AgedAgain);
            }
        }
        match old {
            Some(old) if !has_own || cell.streak >= NATIVE_PER_AGED => old,
            _ => own,
        }
    }

    /// Takes the next message of a cell in use.
    #[inline]
    pub(super) fn serve(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        holder: &mut impl Holder,
    ) -> u32 {
        match self.serve_native(destination, level0) {
            Some(slot) => slot,
            None => self.serve_any(destination, level0, holder),
        }
    }

    /// The same where nothing waits but the native lane, all of it with slots; `None`: something does.
    #[inline]
    fn serve_native(&mut self, destination: DestinationIndex, level0: usize) -> Option<u32> {
        let at = self.cell_at(destination, level0);
        let (cell, entry) = (
            &mut self.cells[at],
            &mut self.destinations[destination as usize],
        );
        if !cell.aged.is_empty() || (entry.returned | entry.cold) >> level0 & 1 == 1 {
            return None;
        }
        let slot = cell.native.pop(&self.links, &mut self.tables)?;
        cell.streak = 0;
        entry.len -= 1;
        self.len_at[level0] -= 1;
        if cell.native.is_empty() {
            entry.occupied &= !(1 << level0);
            if entry.is_open() {
                self.clear_ready(destination, level0);
            }
        }
        Some(slot)
    }

    #[inline(never)]
    fn serve_any(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        holder: &mut impl Holder,
    ) -> u32 {
        let at = self.cell_at(destination, level0);
        let pick = self.pick(destination, level0);
        let slot = match self.take(destination, level0, pick) {
            Taken::Hot(slot) => slot,
            Taken::Cold(message) => self.warm(destination, &message, holder),
        };
        let has_old = self.has_aged(destination, level0);
        let cell = &mut self.cells[at];
        match pick {
            Pick::Again | Pick::Native => cell.streak = if has_old { cell.streak + 1 } else { 0 },
            Pick::AgedAgain | Pick::Aged => cell.streak = 0,
        }
        self.destinations[destination as usize].len -= 1;
        self.leave(destination, level0);
        if pick != Pick::Native {
            // Other lanes are not in the order of time: what comes to their front may be older.
            self.retime(destination, level0);
        }
        slot
    }

    /// Gives back the turn that a message had at this level, for it was not delivered. To be called
    /// for all of those that are pushed again, the one that was served last first: then the turns go
    /// on where the first of them was served, and subscribers that come and go do not give them all
    /// to the same lane.
    pub fn unserve(&mut self, destination: DestinationIndex, slot: u32, level: Level) {
        let level0 = usize::from(level) - 1;
        let at = self.cell_at(destination, level0);
        let is_own = self.links.node(slot).level0() == level0;
        let streak = &mut self.cells[at].streak;
        *streak = match is_own {
            true => streak.saturating_sub(1),
            false => NATIVE_PER_AGED,
        };
    }

    /// Whether messages that moved up wait in a cell.
    #[inline]
    fn has_aged(&self, destination: DestinationIndex, level0: usize) -> bool {
        let at = self.cell_at(destination, level0);
        let was_returned = self.destinations[destination as usize].returned >> level0 & 1 == 1;
        !self.cells[at].aged.is_empty()
            || was_returned && !self.returned[at].aged.is_empty()
            || self.is_cold(destination, level0) && self.cellar.first(at, Kind::Aged).is_some()
    }

    /// Takes the first of a lane that is not empty, and no note of it.
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
            Pick::Again => self.returned[at].again.pop_front(&self.links),
            Pick::AgedAgain => self.returned[at].aged.pop_front(&self.links),
        };
        if matches!(pick, Pick::Again | Pick::AgedAgain) && self.returned[at].is_empty() {
            self.destinations[destination as usize].returned &= !(1 << level0);
        }
        Taken::Hot(slot.expect("a lane was picked because it is not empty"))
    }

    /// Notes that a message came to a cell.
    #[inline]
    pub(super) fn enter(&mut self, destination: DestinationIndex, level0: usize) {
        self.len_at[level0] += 1;
        let entry = &mut self.destinations[destination as usize];
        if entry.occupied >> level0 & 1 == 0 {
            entry.occupied |= 1 << level0;
            if entry.is_open() {
                self.set_ready(destination, level0);
            }
        }
    }

    /// Notes that a message left a cell.
    #[inline]
    pub(super) fn leave(&mut self, destination: DestinationIndex, level0: usize) {
        self.len_at[level0] -= 1;
        let cell = &self.cells[self.cell_at(destination, level0)];
        let entry = &mut self.destinations[destination as usize];
        let has_more = (entry.returned | entry.cold) >> level0 & 1 == 1;
        if cell.native.is_empty() && cell.aged.is_empty() && !has_more {
            entry.occupied &= !(1 << level0);
            if entry.is_open() {
                self.clear_ready(destination, level0);
            }
        }
    }

    #[inline]
    pub(super) fn set_ready(&mut self, destination: DestinationIndex, level0: usize) {
        let agent = self.destinations[destination as usize].agent;
        let ready = &mut self.ready[level0];
        ready.destinations.set(destination as usize);
        if let Some(of_agent) = ready.by_agent.get_mut(usize::from(agent)) {
            of_agent.set(destination as usize);
        }
        self.ready_levels |= 1 << level0;
    }

    #[inline]
    pub(super) fn clear_ready(&mut self, destination: DestinationIndex, level0: usize) {
        let agent = self.destinations[destination as usize].agent;
        let ready = &mut self.ready[level0];
        ready.destinations.clear(destination as usize);
        if let Some(of_agent) = ready.by_agent.get_mut(usize::from(agent)) {
            of_agent.clear(destination as usize);
        }
        if ready.destinations.is_empty() {
            self.ready_levels &= !(1 << level0);
        }
    }
}
