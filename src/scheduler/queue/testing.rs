//! A slot store for tests: a message is its sequence.

use super::cold::{ColdMessage, SlotStore};
use crate::message::DestinationIndex;

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
