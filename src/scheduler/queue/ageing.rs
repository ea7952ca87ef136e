//! Ageing and redelivery: how messages change their level, up only, by how long they have waited.
//!
//! The part of [`Queues`] that knows `max_wait`. Each cell that may age has one entry among the
//! deadlines, never later than its true one; it is looked at when that has come, so that neither
//! serving nor idling costs anything here.

use super::cold::{Holder, Kind};
use super::links::NONE;
use super::{NEVER, Pick, Queues, Returned, Taken};
use crate::message::DestinationIndex;

impl Queues {
    /// Moves up what has waited too long for its level, at most `limit` messages, and gives their
    /// number. A message that has waited too long for the next level as well moves on in turn.
    pub fn age(&mut self, now_ms: u64, limit: usize, holder: &mut impl Holder) -> usize {
        self.now_ms = self.now_ms.max(now_ms);
        let (mut moved, mut looks) = (0, 0);
        while moved < limit && looks <= limit {
            let Some((time_ms, queue)) = self.deadlines.first() else {
                break;
            };
            if time_ms > self.now_ms {
                break;
            }
            let destination = queue / self.levels as u32;
            let level0 = queue as usize % self.levels;
            match self.oldest(destination, level0) {
                Some((pick, oldest_ms)) if self.due_ms(level0, oldest_ms) <= time_ms => {
                    self.move_up(destination, level0, pick, holder);
                    moved += 1;
                }
                _ => looks += 1,
            }
            self.set_deadline(destination, level0);
        }
        moved
    }

    /// When [`Self::age`] is worth calling next, at the earliest.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(time_ms, _)| time_ms)
    }

    /// Queues messages again that were popped and not delivered: `(slot, order)` each, where
    /// `order` is the caller's sort key among returned messages, best its sequence; cheapest in
    /// ascending order. They go before all that waits and was not dispatched, at the level that
    /// their wait since they came has earned them by now.
    ///
    /// Everything of one destination that was returned keeps the order of the keys.
    pub fn push_again(
        &mut self,
        destination: DestinationIndex,
        messages: &[(u32, u64)],
        now_ms: u64,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        let levels0 = messages.iter().map(|&(slot, _)| self.earned_level0(slot));
        let Some(top0) = levels0.min() else {
            return;
        };
        self.lift_returned(destination, top0);
        for &(slot, order) in messages {
            self.links.set_order(slot, order);
            self.land(destination, slot);
        }
        self.destinations[destination as usize].len += messages.len() as u32;
    }

    /// Brings returned messages below level `top0` where their wait has brought them by now: what
    /// lands at `top0` must not overtake earlier ones that ageing has not come to yet.
    fn lift_returned(&mut self, destination: DestinationIndex, top0: usize) {
        for level0 in top0 + 1..self.levels {
            if self.destinations[destination as usize].returned >> level0 & 1 == 0 {
                continue;
            }
            let at = self.cell_at(destination, level0);
            let mut lifted = std::mem::replace(&mut self.returned[at], Returned::EMPTY);
            self.destinations[destination as usize].returned &= !(1 << level0);
            for lane in [&mut lifted.again, &mut lifted.aged] {
                while let Some(slot) = lane.pop_front(&self.links) {
                    self.land(destination, slot);
                    self.leave(destination, level0);
                }
            }
            self.retime(destination, level0);
        }
    }

    /// Puts a returned message where its wait has brought it.
    fn land(&mut self, destination: DestinationIndex, slot: u32) {
        let level0 = self.earned_level0(slot);
        let at = self.cell_at(destination, level0);
        let returned = &mut self.returned[at];
        let is_own = self.links.node(slot).level0() == level0;
        let lane = if is_own {
            &mut returned.again
        } else {
            &mut returned.aged
        };
        lane.insert(&mut self.links, slot);
        self.destinations[destination as usize].returned |= 1 << level0;
        self.enter(destination, level0);
        self.retime(destination, level0);
    }

    /// The level that a message would have by now if ageing had missed nothing.
    fn earned_level0(&self, slot: u32) -> usize {
        let node = self.links.node(slot);
        let mut level0 = node.level0();
        while self.due_ms(level0, node.timestamp_ms()) <= self.now_ms {
            level0 -= 1;
        }
        level0
    }

    /// When a message of this timestamp leaves the level for the next.
    fn due_ms(&self, level0: usize, timestamp_ms: u64) -> u64 {
        match self.wait_ms[level0] {
            0 => NEVER,
            wait_ms => timestamp_ms.saturating_add(wait_ms),
        }
    }

    /// The lane whose first message moves up next, and that one's timestamp: the older of those
    /// pushed at this level and those that aged into it, which have no order to keep between them.
    /// Among each of them, returned ones go first.
    fn oldest(&self, destination: DestinationIndex, level0: usize) -> Option<(Pick, u64)> {
        let at = self.cell_at(destination, level0);
        let (cell, entry) = (&self.cells[at], &self.destinations[destination as usize]);
        let hot = |slot: u32| (slot != NONE).then(|| self.links.node(slot).timestamp_ms());
        let front = |kind, slot| {
            let cold = self.is_cold(destination, level0);
            let cold = cold.then(|| self.cellar.first(at, kind)).flatten();
            cold.map(|it| it.timestamp_ms).or_else(|| hot(slot))
        };
        let (mut again, mut aged_again) = (None, None);
        if entry.returned >> level0 & 1 == 1 {
            again = hot(self.returned[at].again.head());
            aged_again = hot(self.returned[at].aged.head());
        }
        let first = |returned: Option<u64>, pick_returned, (kind, slot), pick| {
            let returned = returned.map(|timestamp_ms| (pick_returned, timestamp_ms));
            returned.or_else(|| Some((pick, front(kind, slot)?)))
        };
        let aged = first(
            aged_again,
            Pick::AgedAgain,
            (Kind::Aged, cell.aged.head),
            Pick::Aged,
        );
        let native = first(
            again,
            Pick::Again,
            (Kind::Native, cell.native.head),
            Pick::Native,
        );
        aged.into_iter()
            .chain(native)
            .min_by_key(|&(_, timestamp_ms)| timestamp_ms)
    }

    /// Moves the first message of a lane up one level.
    fn move_up(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        pick: Pick,
        holder: &mut impl Holder,
    ) {
        let above = self.cell_at(destination, level0 - 1);
        match self.take(destination, level0, pick) {
            Taken::Hot(slot) if matches!(pick, Pick::Again | Pick::AgedAgain) => {
                self.returned[above].aged.insert(&mut self.links, slot);
                self.destinations[destination as usize].returned |= 1 << (level0 - 1);
            }
            Taken::Hot(slot) => self.cells[above].aged.push_back(&mut self.links, slot),
            Taken::Cold(message) => self.append_aged(destination, level0 - 1, message, holder),
        }
        self.enter(destination, level0 - 1);
        self.leave(destination, level0);
        self.retime(destination, level0 - 1);
    }

    /// Sees to it that the cell's deadline is not later than its oldest message's.
    #[inline]
    pub(super) fn retime(&mut self, destination: DestinationIndex, level0: usize) {
        if self.wait_ms[level0] != 0 {
            self.retime_ageing(destination, level0);
        }
    }

    fn retime_ageing(&mut self, destination: DestinationIndex, level0: usize) {
        let timed_ms = self.cells[self.cell_at(destination, level0)].timed_ms;
        let oldest = self.oldest(destination, level0);
        if oldest.is_some_and(|(_, oldest_ms)| oldest_ms < timed_ms) {
            self.set_deadline(destination, level0);
        }
    }

    /// Makes the cell's deadline that of its oldest message.
    fn set_deadline(&mut self, destination: DestinationIndex, level0: usize) {
        let at = self.cell_at(destination, level0);
        match self.oldest(destination, level0) {
            Some((_, oldest_ms)) => {
                self.cells[at].timed_ms = oldest_ms;
                self.deadlines
                    .set(at as u32, self.due_ms(level0, oldest_ms));
            }
            None => {
                self.cells[at].timed_ms = NEVER;
                self.deadlines.remove(at as u32);
            }
        }
    }
}
