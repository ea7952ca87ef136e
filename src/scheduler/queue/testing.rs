//! For tests: a slot store whose messages are their sequences, and looks into the queues.

use super::cold::{ColdMessage, Kind, SlotStore};
use super::{Pick, Queues};
use crate::message::{DestinationIndex, Level, Sequence};

/// The sequences, by slot.
#[derive(Debug, Default)]
pub(super) struct TestSlots {
    sequences: Vec<Option<u64>>,
    free: Vec<u32>,
    /// It evicts nothing.
    pub(super) refuses: bool,
}

impl TestSlots {
    pub(super) fn len(&self) -> usize {
        self.sequences.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, sequence: u64) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.sequences.push(None);
            self.sequences.len() as u32 - 1
        });
        self.sequences[slot as usize] = Some(sequence);
        slot
    }

    /// The message in a slot, which must be taken.
    pub(super) fn of(&self, slot: u32) -> u64 {
        self.sequences[slot as usize].expect("a slot in use")
    }

    pub(super) fn remove(&mut self, slot: u32) {
        assert!(self.sequences[slot as usize].take().is_some());
        self.free.push(slot);
    }
}

impl SlotStore for TestSlots {
    fn evict(&mut self, slot: u32) -> Option<ColdMessage> {
        if self.refuses {
            return None;
        }
        let sequence = self.of(slot);
        self.remove(slot);
        Some(ColdMessage {
            sequence,
            position: sequence * 435,
            timestamp_ms: 0,
            record_len: 435,
            message_type: 3,
            level0: 0,
            redelivered: sequence.is_multiple_of(5),
        })
    }

    fn restore(&mut self, _destination: DestinationIndex, message: &ColdMessage) -> u32 {
        assert_eq!(message.position, message.sequence * 435);
        assert_eq!(message.redelivered, message.sequence.is_multiple_of(5));
        self.insert(message.sequence)
    }
}

/// The message that would be popped next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// One with a slot.
    Slot(u32),
    /// One without a slot, by its sequence.
    Cold(Sequence),
}

impl Queues {
    /// The most urgent level at which something waits for the destination.
    fn first_level0(&self, destination: DestinationIndex) -> Option<usize> {
        let occupied = self.destinations[destination as usize].occupied;
        (occupied != 0).then(|| occupied.trailing_zeros() as usize)
    }

    /// The destination's message that would be popped next.
    pub(super) fn peek(&self, destination: DestinationIndex) -> Option<(Next, Level)> {
        let level0 = self.first_level0(destination)?;
        let at = self.cell_at(destination, level0);
        let (cold, slot) = match self.pick(destination, level0) {
            Pick::Requeued => (None, self.requeued[at].native.head()),
            Pick::Native => (Some(Kind::Native), self.cells[at].native.head),
            Pick::RequeuedAged => (None, self.requeued[at].aged.head()),
            Pick::Aged => (Some(Kind::Aged), self.cells[at].aged.head),
        };
        let cold = cold.and_then(|kind| self.cold_store.first(at, kind));
        let next = cold.map_or(Next::Slot(slot), |it| Next::Cold(it.sequence));
        Some((next, level0 as Level + 1))
    }

    /// Takes the destination's next message, open or not, and the level that it came from.
    pub(super) fn pop(
        &mut self,
        destination: DestinationIndex,
        slots: &mut impl SlotStore,
    ) -> Option<(u32, Level)> {
        let level0 = self.first_level0(destination)?;
        let slot = self.serve(destination, level0, slots);
        Some((slot, level0 as Level + 1))
    }

    /// Messages that wait at the level, which ageing may have brought them to.
    pub(super) fn len_at(&self, level: Level) -> usize {
        self.len_at[usize::from(level) - 1]
    }

    /// Whether the destination may be served, if its group may.
    pub(crate) fn is_open(&self, destination: DestinationIndex) -> bool {
        self.destinations[destination as usize].is_open()
    }

    /// When [`Self::age`] is worth calling next, at the earliest.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(time_ms, _)| time_ms)
    }
}
