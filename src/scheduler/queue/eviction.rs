//! Eviction: messages move from their slots into the cold store, and back into a slot.
//!
//! The part of [`Queues`] that knows which messages may be evicted: the front of a lane, in order,
//! as far as no new message can be queued before them. Eviction never changes what goes next.

use super::cold::{ColdMessage, ColdStore, Kind, SlotStore};
use super::links::Node;
use super::{Pick, Queues, bits};
use crate::message::DestinationIndex;
use crate::message::timestamp::window_start;

/// Hot messages that are evicted at once to make way for a cold one that ages into their lane.
const EVICTED_PER_MOVE: usize = 2;

impl Queues {
    /// Evicts at most `limit` messages of a destination: those older than the timestamp window that
    /// the slot store gives up. Returns their number.
    pub(crate) fn evict(
        &mut self,
        destination: DestinationIndex,
        now_ms: u64,
        limit: usize,
        slots: &mut impl SlotStore,
    ) -> usize {
        self.now_ms = self.now_ms.max(now_ms);
        let mut left = limit;
        for level0 in bits(self.destinations[destination as usize].occupied) {
            for kind in [Kind::Native, Kind::Aged] {
                left -= self.evict_lane(destination, level0, kind, left, slots);
            }
        }
        limit - left
    }

    /// Loads the messages that recovery has put into a cold store.
    ///
    /// # Panics
    /// The present cold store is not empty.
    pub(crate) fn load(&mut self, cold_store: ColdStore, now_ms: u64) {
        assert!(
            self.cold_store.is_empty(),
            "the cold store is loaded before anything is queued"
        );
        self.now_ms = self.now_ms.max(now_ms);
        self.cold_store = cold_store;
        self.cold_store.grow(self.cells.len());
        for destination in 0..self.destinations.len() as DestinationIndex {
            for level0 in 0..self.levels {
                self.count_loaded(destination, level0);
            }
        }
    }

    fn count_loaded(&mut self, destination: DestinationIndex, level0: usize) {
        let at = self.cell_at(destination, level0);
        let count =
            self.cold_store.len_of(at, Kind::Native) + self.cold_store.len_of(at, Kind::Aged);
        if count == 0 {
            return;
        }
        self.destinations[destination as usize].cold |= 1 << level0;
        self.cells[at].len += count as u32 - 1;
        self.len_at[level0] += count - 1;
        self.enter(destination, level0);
        self.retime(destination, level0);
    }

    fn evict_lane(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        kind: Kind,
        limit: usize,
        slots: &mut impl SlotStore,
    ) -> usize {
        let at = self.cell_at(destination, level0);
        let floor_ms = window_start(self.now_ms);
        let mut count = 0;
        while count < limit {
            let head = match kind {
                Kind::Native => self.cells[at].native.head,
                Kind::Aged => self.cells[at].aged.head,
            };
            if head == super::NONE {
                break;
            }
            let node = *self.links.node(head);
            if kind == Kind::Native && node.timestamp_ms() >= floor_ms {
                break;
            }
            let Some(message) = slots.evict(head) else {
                break;
            };
            match kind {
                Kind::Native => self.cells[at].native.pop(&self.links, &mut self.tables),
                Kind::Aged => self.cells[at].aged.pop_front(&self.links),
            };
            let message = ColdMessage {
                timestamp_ms: node.timestamp_ms(),
                level0: node.level0() as u8,
                ..message
            };
            self.put_cold(destination, level0, kind, message);
            count += 1;
        }
        count
    }

    /// Appends a cold message to the aged messages of a cell. Hot ones before it are evicted; where
    /// the slot store keeps them, the message gets a slot itself.
    pub(super) fn append_aged(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        message: ColdMessage,
        slots: &mut impl SlotStore,
    ) {
        let at = self.cell_at(destination, level0);
        if !self.cells[at].aged.is_empty() {
            self.evict_lane(destination, level0, Kind::Aged, EVICTED_PER_MOVE, slots);
        }
        if self.cells[at].aged.is_empty() {
            self.put_cold(destination, level0, Kind::Aged, message);
        } else {
            let slot = self.restore(destination, &message, slots);
            self.cells[at].aged.push_back(&mut self.links, slot);
        }
    }

    fn put_cold(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        kind: Kind,
        message: ColdMessage,
    ) {
        let at = self.cell_at(destination, level0);
        self.cold_store.push(at, kind, message);
        self.destinations[destination as usize].cold |= 1 << level0;
    }

    /// Removes the first message of a lane's cold part, and updates no count.
    #[cold]
    pub(super) fn take_cold(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        pick: Pick,
    ) -> Option<ColdMessage> {
        let at = self.cell_at(destination, level0);
        let kind = match pick {
            Pick::Native => Kind::Native,
            Pick::Aged => Kind::Aged,
            Pick::Requeued | Pick::RequeuedAged => return None,
        };
        let message = self.cold_store.pop(at, kind);
        if self.cold_store.is_empty_at(at) {
            self.destinations[destination as usize].cold &= !(1 << level0);
        }
        message
    }

    /// Gives a cold message a slot.
    pub(super) fn restore(
        &mut self,
        destination: DestinationIndex,
        message: &ColdMessage,
        slots: &mut impl SlotStore,
    ) -> u32 {
        let slot = slots.restore(destination, message);
        let level0 = usize::from(message.level0);
        self.links
            .put(slot, Node::new(message.timestamp_ms, level0));
        slot
    }

    /// Whether a cell has a cold message.
    #[inline]
    pub(super) fn is_cold(&self, destination: DestinationIndex, level0: usize) -> bool {
        self.destinations[destination as usize].cold >> level0 & 1 == 1
    }
}
