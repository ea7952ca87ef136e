//! Long waits: which messages give up their slots, and how they get one again.
//!
//! While the slots in use are few, all messages keep theirs. Above that, slots are looked at in
//! turn, and the destination of each gives the front of its lanes to the cold store: what was recorded
//! and cannot be overtaken any more. Its chunk is released with its slot. When it is popped it has a
//! slot again and no frame, so dispatching has it read from the journal.

use super::SchedulerAgent;
use super::messages::{Line, Message, Messages, SlotIndex, Times};
use super::queue::cold::{ColdMessage, SlotStore};
use crate::arena::{Ledger, Place};
use crate::clock::Now;
use crate::latency::Recorder;
use crate::limits::{COLD_LEN_MIN, EVICTED_PER_CYCLE, SLOTS_LOOKED_AT_PER_CYCLE};
use crate::message::{DestinationIndex, Level};

/// The scheduler's slots, as the queues see them.
pub(super) struct MessageSlots<'a> {
    pub(super) slots: &'a mut Messages,
    pub(super) ledger: &'a mut Ledger,
    pub(super) recorder: &'a mut Recorder,
}

impl SlotStore for MessageSlots<'_> {
    /// What is not recorded yet is nowhere but in memory, and keeps its slot. The stages that the
    /// message has passed are measured now, for nobody will remember their times.
    fn evict(&mut self, index: SlotIndex) -> Option<ColdMessage> {
        if self.slots.get(index).position == 0 {
            return None;
        }
        let slot = *self.slots.get(index);
        self.slots.remove(index);
        self.ledger.release(slot.place);
        slot.measure_arrival(self.recorder.active_mut());
        Some(ColdMessage {
            sequence: slot.sequence,
            position: slot.position,
            timestamp_ms: slot.bucket_ms,
            record_len: slot.place.record_len() as u32,
            message_type: slot.message_type,
            level0: slot.level - 1,
            redelivered: slot.redelivered,
        })
    }

    fn restore(&mut self, destination: DestinationIndex, message: &ColdMessage) -> SlotIndex {
        self.slots.insert(Message {
            sequence: message.sequence,
            place: Place::nowhere(message.record_len),
            position: message.position,
            times: Times::default(),
            bucket_ms: message.timestamp_ms,
            line: Line::NONE,
            destination,
            message_type: message.message_type,
            level: message.level0 as Level + 1,
            redelivered: message.redelivered,
            fetching: false,
            was_cold: true,
        })
    }
}

impl SchedulerAgent {
    /// Has messages that wait give up their slots, where more are in use than shall be.
    pub(super) fn evict(&mut self, now: Now) -> usize {
        let over = self.messages.used().saturating_sub(self.parts.hot_max);
        let mut left = over.min(EVICTED_PER_CYCLE);
        let (limit, mut looks) = (left, 0);
        while left > 0 && looks < SLOTS_LOOKED_AT_PER_CYCLE {
            looks += 1;
            let destination = self.messages.look_at_next();
            if self.parts.queues.len_of(destination) < COLD_LEN_MIN {
                continue;
            }
            let mut slots = MessageSlots {
                slots: &mut self.messages,
                ledger: &mut self.parts.ledger,
                recorder: &mut self.parts.recorder,
            };
            let queues = &mut self.parts.queues;
            left -= queues.evict(destination, now.steady_ms(), left, &mut slots);
        }
        limit - left
    }
}
