//! Eviction: a queued message gives up its slot and its frame, and gets a slot when it is popped.
//!
//! The queues decide which messages go; this is the table as their slot store.

use super::latency::LatencyGroup;
use super::{Line, Message, Messages, SlotIndex, Stage, Times};
use crate::arena::Place;
use crate::message::{DestinationIndex, Level};
use crate::scheduler::queue::cold::{ColdMessage, SlotStore};

impl SlotStore for Messages {
    /// A message that is not recorded is only in memory, and keeps its slot. The stages that the
    /// message has passed are measured here: its times are not kept.
    fn evict(&mut self, index: SlotIndex) -> Option<ColdMessage> {
        let message = &mut self.slots[index as usize];
        if message.position == 0 {
            return None;
        }
        debug_assert_eq!(message.stage, Stage::Queued);
        message.stage = Stage::Free;
        let message = *message;
        self.free.push(index);
        self.ledger.release(message.place);
        LatencyGroup::of(&message).record_arrival(1, self.recorder.active_mut());
        Some(ColdMessage {
            sequence: message.sequence,
            position: message.position,
            timestamp_ms: message.bucket_ms,
            record_len: message.place.record_len() as u32,
            message_type: message.message_type,
            level0: message.level - 1,
            redelivered: message.redelivered,
        })
    }

    fn restore(&mut self, destination: DestinationIndex, message: &ColdMessage) -> SlotIndex {
        self.insert(Message {
            sequence: message.sequence,
            place: Place::nowhere(message.record_len),
            position: message.position,
            times: Times::default(),
            bucket_ms: message.timestamp_ms,
            line: Line::NONE,
            destination,
            message_type: message.message_type,
            level: message.level0 as Level + 1,
            stage: Stage::Queued,
            redelivered: message.redelivered,
            is_fetching: false,
            was_cold: true,
        })
    }
}

impl Messages {
    /// Looks at one slot after another, for ever; returns the destination of its message, or of the
    /// one that had it last.
    ///
    /// # Panics
    /// No message was ever accepted.
    pub(crate) fn next_destination(&mut self) -> DestinationIndex {
        self.hand = (self.hand + 1) % self.slots.len();
        self.slots[self.hand].destination
    }
}
