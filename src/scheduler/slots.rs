//! The messages that the scheduler holds, each in a slot of a slab.

use crate::arena::Place;
use crate::journal::record::Position;
use crate::message::{DestinationIndex, Level, Sequence, SourceIndex, TypeIndex};

/// Index of a slot.
pub type SlotIndex = u32;

/// A line that its source waits to have acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Which source.
    pub source: SourceIndex,
    /// Which connection of it.
    pub connection: u32,
    /// Which line of the connection; zero: nobody waits.
    pub number: u64,
}

/// When a message passed the stages, in ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// The read that completed it returned.
    pub read_ns: u64,
    /// The scheduler accepted it.
    pub accepted_ns: u64,
    /// Its record was in the journal.
    pub recorded_ns: u64,
    /// It was handed to delivery.
    pub dispatched_ns: u64,
    /// Its frame was wholly in the subscriber's socket.
    pub written_ns: u64,
}

/// A message that was accepted and is not settled.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// Its record in memory.
    pub place: Place,
    /// Its record in the journal, once it is there.
    pub position: Position,
    /// When it passed the stages.
    pub times: Times,
    /// Its bucket, in ms since the epoch.
    pub bucket_ms: u64,
    /// The line it came as.
    pub line: Line,
    /// Whom it is for.
    pub destination: DestinationIndex,
    /// Its type.
    pub message_type: TypeIndex,
    /// Its level when it was accepted.
    pub level: Level,
    /// It may have been seen by a subscriber before.
    pub again: bool,
    /// It was asked for at the replay agent, and has not come yet.
    pub fetching: bool,
}

/// The slots. Invariant: `used` is the number of slots that are neither free nor beyond the end.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    free: Vec<SlotIndex>,
    max: usize,
}

impl Slots {
    /// Room for `max` messages; memory is taken as it is needed.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            max,
        }
    }

    /// Messages held.
    #[must_use]
    pub fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether so many more messages find room.
    #[must_use]
    pub fn has_room(&self, count: usize) -> bool {
        self.used() + count <= self.max
    }

    /// Takes a message in; the slot freed last is used first, for it is warm.
    pub fn insert(&mut self, slot: Slot) -> SlotIndex {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            return index;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as SlotIndex
    }

    /// Gives a slot free.
    pub fn remove(&mut self, index: SlotIndex) -> Slot {
        self.free.push(index);
        self.slots[index as usize]
    }

    /// A message.
    #[must_use]
    pub fn get(&self, index: SlotIndex) -> &Slot {
        &self.slots[index as usize]
    }

    /// A message, to be changed.
    pub fn get_mut(&mut self, index: SlotIndex) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}
