//! The gate: what the journal has recorded may be delivered, and its source may forget it.
//!
//! The journal agent feeds it; it fills the queues and tells ingest what to acknowledge. With
//! `durability = "memory"` messages do not wait here, but their places in the journal still come by.

use super::messages::{Line, Message, SlotIndex};
use super::{Pending, SchedulerAgent};
use crate::clock::Now;
use crate::config::Durability;
use crate::counters::Counter;
use crate::journal::protocol::FromJournal;
use crate::journal::record::Position;
use crate::limits::JOURNAL_EVENTS_PER_CYCLE;
use crate::message::Sequence;

/// How many messages ahead slots are fetched.
const AHEAD: usize = 8;

impl SchedulerAgent {
    pub(super) fn poll_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < JOURNAL_EVENTS_PER_CYCLE
            && let Some(event) = self.parts.from_journal.poll()
        {
            work_count += 1;
            match event {
                FromJournal::Returned(returned) => self.parts.ledger.take_back(returned),
                FromJournal::Recorded {
                    first_sequence,
                    entries,
                    position,
                } => {
                    self.open_gate(first_sequence, entries, position, now);
                }
            }
        }
        work_count
    }

    /// Lets the batch's messages through the gate, in their order.
    fn open_gate(&mut self, first: Sequence, entries: u32, mut position: Position, now: Now) {
        let mut sequence = first;
        let end = first + u64::from(entries);
        while sequence < end
            && let Some(front) = self.pending.pop_front()
        {
            match front {
                Pending::Duplicate(line) => self.take_responsibility(line),
                Pending::Message { index, len } => {
                    if let Some(Pending::Message { index, .. }) = self.pending.get(AHEAD) {
                        self.messages.touch(*index);
                    }
                    self.note_recorded(index, sequence, position, now);
                    position += Position::from(len);
                    self.unwritten_len -= u64::from(len);
                    sequence += 1;
                }
            }
        }
        while let Some(&Pending::Duplicate(line)) = self.pending.front() {
            self.take_responsibility(line);
            self.pending.pop_front();
        }
        self.journal_end = position;
    }

    fn note_recorded(
        &mut self,
        index: SlotIndex,
        sequence: Sequence,
        position: Position,
        now: Now,
    ) {
        let slot = self.messages.get_mut(index);
        if self.parts.durability == Durability::Memory {
            // It did not wait for this, and may be settled, its slot another's.
            if slot.sequence == sequence {
                slot.position = position;
            }
            return;
        }
        debug_assert_eq!(slot.sequence, sequence, "batches are recorded in order");
        slot.position = position;
        slot.times.recorded_ns = now.ns;
        self.unrecorded -= 1;
        self.enqueue(index, now);
    }

    /// The message may be delivered, and its source may forget it.
    pub(super) fn enqueue(&mut self, index: SlotIndex, now: Now) {
        let Message {
            destination,
            level,
            bucket_ms,
            line,
            ..
        } = *self.messages.get(index);
        self.take_responsibility(line);
        self.parts
            .queues
            .push(destination, level, index, bucket_ms, now.steady_ms());
        let active = self.subscriptions.active(destination);
        let subscriber = active.and_then(|id| self.subscriptions.get_mut(id));
        if subscriber.is_some_and(|it| it.is_ahead_of(level)) {
            self.parts.counters.add(Counter::Inversions, 1);
        }
    }

    pub(super) fn take_responsibility(&mut self, line: Line) {
        if line.number > 0 {
            self.source_acks.take(line);
        }
    }
}
