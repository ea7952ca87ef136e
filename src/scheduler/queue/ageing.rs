//! Ageing and requeueing: messages move up by how long they have waited.
//!
//! The part of [`Queues`] that knows `max_wait`. Each cell that may age has one entry among the
//! deadlines, never later than its true deadline. The cell is checked when its entry is due, so
//! serving and idling cost nothing here.

use super::cold::{Kind, SlotStore};
use super::links::NONE;
use super::{NEVER, Pick, Queues, Requeued, Taken, bits};
use crate::message::DestinationIndex;

impl Queues {
    /// Moves up at most `limit` messages that have waited `max_wait` of their level; returns their
    /// number. A message that is due at the next level too moves on in a later step.
    pub(crate) fn age(&mut self, now_ms: u64, limit: usize, slots: &mut impl SlotStore) -> usize {
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
                    self.move_up(destination, level0, pick, slots);
                    moved += 1;
                }
                _ => looks += 1,
            }
            self.set_deadline(destination, level0);
        }
        moved
    }

    /// Queues popped, undelivered messages again: `(slot, order)` each, where `order` sorts
    /// requeued messages (the sequence); ascending order is cheapest. They go before all messages
    /// that were never dispatched, at the level that their age gives them now.
    ///
    /// All requeued messages of one destination keep the order of their keys.
    pub(crate) fn requeue(
        &mut self,
        destination: DestinationIndex,
        messages: &[(u32, u64)],
        now_ms: u64,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        let levels0 = messages.iter().map(|&(slot, _)| self.aged_level0(slot));
        let Some(top0) = levels0.min() else {
            return;
        };
        self.promote_requeued(destination, top0);
        for &(slot, order) in messages {
            self.links.set_order(slot, order);
            self.insert_requeued(destination, slot);
        }
    }

    /// Moves requeued messages below level `top0` to the level of their age: a message requeued at
    /// `top0` must not overtake earlier ones that ageing has not reached yet.
    fn promote_requeued(&mut self, destination: DestinationIndex, top0: usize) {
        for level0 in top0 + 1..self.levels {
            if self.destinations[destination as usize].requeued >> level0 & 1 == 0 {
                continue;
            }
            let at = self.cell_at(destination, level0);
            let mut lifted = std::mem::replace(&mut self.requeued[at], Requeued::EMPTY);
            self.destinations[destination as usize].requeued &= !(1 << level0);
            for lane in [&mut lifted.native, &mut lifted.aged] {
                while let Some(slot) = lane.pop_front(&self.links) {
                    self.insert_requeued(destination, slot);
                    self.leave(destination, level0);
                }
            }
            self.retime(destination, level0);
        }
    }

    /// Puts a requeued message into the lane of its age.
    fn insert_requeued(&mut self, destination: DestinationIndex, slot: u32) {
        let level0 = self.aged_level0(slot);
        let at = self.cell_at(destination, level0);
        let requeued = &mut self.requeued[at];
        let is_own = self.links.node(slot).level0() == level0;
        let lane = if is_own {
            &mut requeued.native
        } else {
            &mut requeued.aged
        };
        lane.insert(&mut self.links, slot);
        self.destinations[destination as usize].requeued |= 1 << level0;
        self.enter(destination, level0);
        self.retime(destination, level0);
    }

    /// The level that a message's age gives it now.
    fn aged_level0(&self, slot: u32) -> usize {
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

    /// The lane whose first message moves up next, and its timestamp: the older one of native and
    /// aged messages, which have no order between them. Within each, requeued ones go first.
    fn oldest(&self, destination: DestinationIndex, level0: usize) -> Option<(Pick, u64)> {
        let at = self.cell_at(destination, level0);
        let (cell, entry) = (&self.cells[at], &self.destinations[destination as usize]);
        let hot = |slot: u32| (slot != NONE).then(|| self.links.node(slot).timestamp_ms());
        let front = |kind, slot| {
            let cold = self.is_cold(destination, level0);
            let cold = cold.then(|| self.cold_store.first(at, kind)).flatten();
            cold.map(|it| it.timestamp_ms).or_else(|| hot(slot))
        };
        let (mut requeued_native, mut requeued_aged) = (None, None);
        if entry.requeued >> level0 & 1 == 1 {
            requeued_native = hot(self.requeued[at].native.head());
            requeued_aged = hot(self.requeued[at].aged.head());
        }
        let first = |requeued: Option<u64>, pick_requeued, (kind, slot), pick| {
            let requeued = requeued.map(|timestamp_ms| (pick_requeued, timestamp_ms));
            requeued.or_else(|| Some((pick, front(kind, slot)?)))
        };
        let aged = first(
            requeued_aged,
            Pick::RequeuedAged,
            (Kind::Aged, cell.aged.head),
            Pick::Aged,
        );
        let native = first(
            requeued_native,
            Pick::Requeued,
            (Kind::Native, cell.native.head),
            Pick::Native,
        );
        aged.into_iter()
            .chain(native)
            .min_by_key(|&(_, timestamp_ms)| timestamp_ms)
    }

    /// The timestamp of the oldest message that waits for the destination and is the first of its lane,
    /// in ms of the engine's own time.
    pub(crate) fn oldest_ms(&self, destination: DestinationIndex) -> Option<u64> {
        let levels = bits(self.destinations[destination as usize].occupied);
        let oldest = levels.filter_map(|level0| self.oldest(destination, level0));
        oldest.map(|(_, timestamp_ms)| timestamp_ms).min()
    }

    /// Moves the first message of a lane up one level.
    fn move_up(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        pick: Pick,
        slots: &mut impl SlotStore,
    ) {
        let above = self.cell_at(destination, level0 - 1);
        match self.take(destination, level0, pick) {
            Taken::Hot(slot) if matches!(pick, Pick::Requeued | Pick::RequeuedAged) => {
                self.requeued[above].aged.insert(&mut self.links, slot);
                self.destinations[destination as usize].requeued |= 1 << (level0 - 1);
            }
            Taken::Hot(slot) => self.cells[above].aged.push_back(&mut self.links, slot),
            Taken::Cold(message) => self.append_aged(destination, level0 - 1, message, slots),
        }
        self.enter(destination, level0 - 1);
        self.leave(destination, level0);
        self.retime(destination, level0 - 1);
    }

    /// Makes sure that the cell's deadline is not later than its oldest message's.
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
