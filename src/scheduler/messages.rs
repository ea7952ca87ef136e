//! The table of messages: every accepted message that is not settled and has a slot, and the frame
//! memory that they stand in.
//!
//! The one place that changes a message's stage, counts the stages and releases its memory. Intake
//! accepts into it, the gate marks what is recorded, the dispatcher and the subscriptions move
//! messages on, settlements free them. The order of messages is the queues' business, not this
//! table's.
//!
//! Invariant: accepted = unrecorded + queued + in flight + settled, where cold messages are queued.

mod eviction;
mod latency;
#[cfg(test)]
mod tests;

use self::latency::Measurement;
use super::message::{Line, Message, SlotIndex, Stage, Times};
use super::protocol::UnsettledQuery;
use super::unsettled::Unsettled;
use crate::arena::{Committed, Lease, Ledger, Returned, View, Writer};
use crate::clock::Now;
use crate::journal::format::{Position, Settlement};
use crate::latency::Recorder;
use crate::memory::{prefetch, prefetch_all};
use crate::message::layout::RecordHeader;
use crate::message::{DestinationIndex, Level, Record, Sequence, TypeIndex};

/// Messages by stage, and what became of them since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    /// In the gate.
    pub(crate) unrecorded: u64,
    /// Popped, in flight or written.
    pub(crate) in_flight: u64,
    pub(crate) settled: u64,
}

/// The messages of one destination: 32 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DestinationCounts {
    /// Since the start, recovered ones included.
    pub(crate) accepted: u64,
    pub(crate) settled: u64,
    /// Taken back from subscribers that went.
    pub(crate) redelivered: u64,
    /// Popped, in flight or written.
    pub(crate) in_flight: u32,
}

/// A message to be accepted; its record is complete but for sequence and level.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) sequence: Sequence,
    pub(crate) frame: Committed,
    pub(crate) read_ns: u64,
    pub(crate) bucket_ms: u64,
    pub(crate) line: Line,
    pub(crate) destination: DestinationIndex,
    pub(crate) message_type: TypeIndex,
    pub(crate) level: Level,
}

/// A message on its way to delivery.
#[derive(Debug)]
pub(crate) struct Dispatched {
    pub(crate) lease: Lease,
    pub(crate) level: Level,
    /// A subscriber may have seen it.
    pub(crate) redelivered: bool,
}

/// The table.
pub(crate) struct Messages {
    slots: Vec<Message>,
    free: Vec<SlotIndex>,
    /// Slots at most.
    max: usize,
    /// The slot that eviction looked at last.
    hand: usize,
    ledger: Ledger,
    view: View,
    /// The sequences of all accepted messages that are not settled, cold ones too.
    unsettled: Unsettled,
    counts: Counts,
    by_destination: Vec<DestinationCounts>,
    measurement: Measurement,
    recorder: Recorder,
}

impl Messages {
    /// Room for `max` slots, whose memory is taken as it is needed. `unsettled` are the recovered
    /// messages, which are cold.
    pub(crate) fn new(
        max: usize,
        ledger: Ledger,
        unsettled: Unsettled,
        recorder: Recorder,
    ) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            max,
            hand: 0,
            view: ledger.view(),
            ledger,
            unsettled,
            counts: Counts::default(),
            by_destination: Vec::new(),
            measurement: Measurement::default(),
            recorder,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// There are so many destinations now.
    pub(crate) fn grow(&mut self, destinations: usize) {
        if self.by_destination.len() < destinations {
            (self.by_destination).resize(destinations, DestinationCounts::default());
        }
    }

    /// Reserves memory for so many destinations, so that creating one never moves the table.
    pub(crate) fn reserve_destinations(&mut self, destinations: usize) {
        let len = self.by_destination.len();
        (self.by_destination).reserve_exact(destinations.saturating_sub(len));
    }

    /// The name of a destination is gone, which has no message: another one is counted from zero.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        let counts = std::mem::take(&mut self.by_destination[destination as usize]);
        assert_eq!((counts.accepted, counts.in_flight), (counts.settled, 0));
    }

    pub(crate) fn counts_of(&self, destination: DestinationIndex) -> DestinationCounts {
        self.by_destination[destination as usize]
    }

    /// Counts `count` recovered messages of a destination, which are queued and cold.
    pub(crate) fn count_recovered(&mut self, destination: DestinationIndex, count: u64) {
        self.counts.accepted += count;
        self.by_destination[destination as usize].accepted += count;
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether so many more messages find slots.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.used() + count <= self.max
    }

    #[inline]
    pub(crate) fn get(&self, index: SlotIndex) -> &Message {
        &self.slots[index as usize]
    }

    /// Has a message's slot fetched into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, index: SlotIndex) {
        prefetch_all(&self.slots[index as usize]);
    }

    /// Has the first line of an arrival's record fetched into the cache.
    #[inline]
    pub(crate) fn prefetch_record(&self, frame: &Committed) {
        prefetch(self.view.record(frame));
    }

    /// The record of an arrival, header and newline included.
    pub(crate) fn record<'a>(&'a self, frame: &'a Committed) -> &'a [u8] {
        self.view.record(frame)
    }

    /// Accepts a message: completes its record and gives it a slot.
    #[inline]
    pub(crate) fn accept(&mut self, new: New, now: Now) -> SlotIndex {
        let New {
            sequence,
            mut frame,
            level,
            ..
        } = new;
        self.unsettled.insert(sequence);
        RecordHeader::seal(self.view.header_mut(&mut frame), sequence, level);
        self.counts.accepted += 1;
        self.counts.unrecorded += 1;
        self.by_destination[new.destination as usize].accepted += 1;
        let place = self.ledger.place(frame);
        self.insert(Message {
            sequence,
            place,
            position: 0,
            times: Times {
                read_ns: new.read_ns,
                accepted_ns: now.ns,
                recorded_ns: now.ns,
                ..Times::default()
            },
            bucket_ms: new.bucket_ms,
            line: new.line,
            destination: new.destination,
            message_type: new.message_type,
            level,
            stage: Stage::Unrecorded,
            redelivered: false,
            is_fetching: false,
            was_cold: false,
        })
    }

    /// Shows the frame of a message whose record is in memory. The lease is never taken back: the run is
    /// over.
    pub(crate) fn with_frame(&mut self, index: SlotIndex, show: impl FnOnce(&[u8])) {
        let place = self.get(index).place;
        if let Some(lease) = self.ledger.lend(place)
            && let Some(record) = Record::parse(self.view.bytes(&lease))
        {
            show(record.frame());
        }
    }

    /// The record of a duplicate is not needed.
    pub(crate) fn discard(&mut self, frame: Committed) {
        self.ledger.discard(frame);
    }

    /// The journal has recorded the message at this position. `true`: it leaves the gate now.
    /// `false`: it did not wait in the gate, and may be settled, its slot in use for another
    /// message.
    #[inline]
    pub(crate) fn record_at(
        &mut self,
        index: SlotIndex,
        sequence: Sequence,
        position: Position,
        now: Now,
    ) -> bool {
        let message = &mut self.slots[index as usize];
        if message.sequence != sequence {
            return false;
        }
        message.position = position;
        if message.stage != Stage::Unrecorded {
            return false;
        }
        message.times.recorded_ns = now.ns;
        true
    }

    /// The message leaves the gate for the queues.
    #[inline]
    pub(crate) fn queue(&mut self, index: SlotIndex) -> &Message {
        self.counts.unrecorded -= 1;
        let message = &mut self.slots[index as usize];
        debug_assert_eq!(message.stage, Stage::Unrecorded);
        message.stage = Stage::Queued;
        message
    }

    /// The message was popped at this level, which differs from its own if it has aged. Returns the
    /// bytes that go to its subscriber.
    #[inline]
    pub(crate) fn pop(&mut self, index: SlotIndex, level: Level) -> usize {
        self.counts.in_flight += 1;
        let message = &mut self.slots[index as usize];
        debug_assert_eq!(message.stage, Stage::Queued);
        message.stage = Stage::Popped;
        self.by_destination[message.destination as usize].in_flight += 1;
        message.level = level;
        message.place.wire_len()
    }

    /// Leases the record of a popped message, which is in flight from now on; `None`: its record is
    /// not in memory.
    #[inline]
    pub(crate) fn dispatch(&mut self, index: SlotIndex, now: Now) -> Option<Dispatched> {
        let message = &mut self.slots[index as usize];
        let lease = self.ledger.lend(message.place)?;
        debug_assert_eq!(message.stage, Stage::Popped);
        message.stage = Stage::InFlight;
        message.times.dispatched_ns = now.ns;
        Some(Dispatched {
            lease,
            level: message.level,
            redelivered: message.redelivered,
        })
    }

    /// Whether the message's record is in memory.
    pub(crate) fn is_resident(&self, index: SlotIndex) -> bool {
        self.ledger.is_resident(self.get(index).place)
    }

    /// The message's record was asked for.
    pub(crate) fn begin_fetch(&mut self, index: SlotIndex) {
        self.slots[index as usize].is_fetching = true;
    }

    /// The record that was asked for has come; `arrival` gives the engine's own time, in us, of the
    /// arrival that the record names, in us of the wall clock.
    pub(crate) fn end_fetch(
        &mut self,
        index: SlotIndex,
        mut frame: Committed,
        now: Now,
        arrival: impl FnOnce(u64) -> Option<u64>,
    ) -> &Message {
        let arrival_us = RecordHeader::arrival_us_of(self.view.header_mut(&mut frame));
        let place = self.ledger.place(frame);
        let message = &mut self.slots[index as usize];
        message.place = place;
        message.is_fetching = false;
        if message.was_cold {
            message.times = Times::of_arrival(arrival(arrival_us), now);
        }
        message
    }

    /// The message is wholly in its subscriber's socket; returns its level.
    #[inline]
    pub(crate) fn write(&mut self, index: SlotIndex, at_ns: u64) -> Level {
        let message = &mut self.slots[index as usize];
        debug_assert_eq!(message.stage, Stage::InFlight);
        message.stage = Stage::Written;
        message.times.written_ns = at_ns;
        message.level
    }

    /// The message's subscriber has gone: it waits again.
    pub(crate) fn requeue(&mut self, index: SlotIndex) -> &Message {
        self.counts.in_flight -= 1;
        let message = &mut self.slots[index as usize];
        message.redelivered |= message.stage == Stage::Written;
        message.stage = Stage::Queued;
        let counts = &mut self.by_destination[message.destination as usize];
        counts.in_flight -= 1;
        counts.redelivered += 1;
        message
    }

    /// The message is settled: its slot and its memory are free. [`Self::record_latencies`] must
    /// follow the last one of a batch.
    #[inline(always)]
    pub(crate) fn settle(&mut self, index: SlotIndex, now: Now) -> Settlement {
        let message = &mut self.slots[index as usize];
        debug_assert_eq!(message.stage, Stage::Written);
        message.stage = Stage::Free;
        let sequence = message.sequence;
        self.ledger.release(message.place);
        self.unsettled.remove(sequence);
        self.counts.settled += 1;
        self.counts.in_flight -= 1;
        let counts = &mut self.by_destination[message.destination as usize];
        counts.settled += 1;
        counts.in_flight -= 1;
        self.measurement
            .add(message, now, self.recorder.active_mut());
        self.free.push(index);
        Settlement {
            sequence,
            settled_us: now.epoch_us,
        }
    }

    /// Records the latencies of messages that were settled.
    #[inline]
    pub(crate) fn record_latencies(&mut self) {
        self.measurement.record(self.recorder.active_mut());
    }

    /// Gives the latencies to the monitor if it asked for them.
    pub(crate) fn swap_latencies(&mut self) {
        self.recorder.poll_swap();
    }

    /// Answers which sequences are not settled.
    pub(crate) fn answer(&self, query: &mut UnsettledQuery, next_sequence: Sequence) {
        self.unsettled.answer(query);
        query.next_sequence = next_sequence;
        query.first_unsettled = self.unsettled.first().unwrap_or(next_sequence);
    }

    /// A lease of the record of a message that was accepted just now.
    #[inline]
    pub(crate) fn lend_accepted(&mut self, index: SlotIndex) -> Lease {
        let place = self.slots[index as usize].place;
        let lease = self.ledger.lend(place);
        lease.expect("a record is in memory until its message is recorded")
    }

    /// Makes a lease cover a message's record too, if that stands right behind it.
    #[inline]
    pub(crate) fn extend(&self, lease: &mut Lease, index: SlotIndex) -> bool {
        self.ledger.extend(lease, self.get(index).place)
    }

    /// Takes back ended leases.
    pub(crate) fn take_back(&mut self, returned: Returned) {
        self.ledger.take_back(returned);
    }

    /// A writer is done with its chunk.
    pub(crate) fn seal_chunk(&mut self, writer: Writer) {
        self.ledger.seal(writer);
    }

    /// A free chunk.
    pub(crate) fn chunk(&mut self) -> Option<Writer> {
        self.ledger.writer()
    }

    pub(crate) fn free_chunks(&self) -> usize {
        self.ledger.free_count()
    }

    pub(crate) fn used_chunks(&self) -> usize {
        self.ledger.used_count()
    }

    /// Frees the oldest chunk that nobody reads: its messages are read from the journal when it is
    /// their turn. `false`: there is none.
    pub(crate) fn evict_chunk(&mut self) -> bool {
        self.ledger.evict()
    }

    /// The sequence in a leased record.
    #[cfg(test)]
    pub(super) fn sequence_of(&self, lease: &Lease) -> Sequence {
        let header = self.view.bytes(lease).first_chunk();
        let header = RecordHeader::decode(header.expect("a record is longer than its header"));
        Sequence::from(header.sequence_low)
    }

    /// The slot that was freed last is used first: it is in the cache.
    #[inline]
    fn insert(&mut self, message: Message) -> SlotIndex {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = message;
            return index;
        }
        self.slots.push(message);
        (self.slots.len() - 1) as SlotIndex
    }
}
