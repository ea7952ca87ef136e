//! The messages that the scheduler holds at hand, each in a slot of a slab; who waits long has none.

use crate::arena::Place;
use crate::clock::Now;
use crate::journal::record::Position;
use crate::memory::prefetch_all;
use crate::message::{DestinationIndex, Level, Sequence, SourceIndex, TypeIndex};

/// Index of a slot.
pub(crate) type SlotIndex = u32;

/// A line that its source waits to have acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which source.
    pub source: SourceIndex,
    /// Which connection of it.
    pub connection: u32,
    /// Which line of the connection; zero: nobody waits.
    pub number: u64,
}

impl Line {
    /// Nobody waits for it.
    pub(crate) const NONE: Self = Self {
        source: 0,
        connection: 0,
        number: 0,
    };
}

/// When a message passed the stages, in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
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

impl Times {
    /// Those of a message of which nothing is known but when it was read, by the engine's own time;
    /// what came in an earlier life of the engine counts from this one's start.
    pub(super) fn of_arrival(steady_us: Option<u64>, now: Now) -> Self {
        let age_us = now.steady_us.saturating_sub(steady_us.unwrap_or(0));
        let read_ns = now.ns.saturating_sub(age_us.saturating_mul(1_000));
        Self {
            read_ns,
            accepted_ns: read_ns,
            recorded_ns: read_ns,
            ..Self::default()
        }
    }
}

/// A message that was accepted and is not settled.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Message {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// Its record in memory.
    pub place: Place,
    /// Its record in the journal, once it is there.
    pub position: Position,
    /// When it passed the stages.
    pub times: Times,
    /// Its bucket, in ms of the engine's own time.
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
    pub redelivered: bool,
    /// It was asked for at the replay agent, and has not come yet.
    pub fetching: bool,
    /// It was in the cold store: of its times before, only its arrival is known, once it was fetched.
    pub was_cold: bool,
}

/// The slots. Invariant: `used` is the number of slots that are neither free nor beyond the end.
#[derive(Debug)]
pub(crate) struct Messages {
    slots: Vec<Message>,
    free: Vec<SlotIndex>,
    max: usize,
    /// Which one [`Messages::look_at_next`] looks at.
    hand: usize,
}

impl Messages {
    /// Room for `max` messages; memory is taken as it is needed.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            max,
            hand: 0,
        }
    }

    /// Messages held.
    #[must_use]
    pub(crate) fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether so many more messages find room.
    #[must_use]
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.used() + count <= self.max
    }

    /// Takes a message in; the slot freed last is used first, for it is warm.
    #[inline]
    pub(crate) fn insert(&mut self, slot: Message) -> SlotIndex {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            return index;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as SlotIndex
    }

    /// Gives a slot free.
    #[inline]
    pub(crate) fn remove(&mut self, index: SlotIndex) {
        self.free.push(index);
    }

    /// Has a message's slot fetched.
    pub(crate) fn touch(&self, index: SlotIndex) {
        prefetch_all(&self.slots[index as usize]);
    }

    /// A message.
    #[must_use]
    pub(crate) fn get(&self, index: SlotIndex) -> &Message {
        &self.slots[index as usize]
    }

    /// Looks at one slot after another, for ever: whom its message is for, or was.
    ///
    /// # Panics
    /// There never was a message.
    pub(crate) fn look_at_next(&mut self) -> DestinationIndex {
        self.hand = (self.hand + 1) % self.slots.len();
        self.slots[self.hand].destination
    }

    /// A message, to be changed.
    pub(crate) fn get_mut(&mut self, index: SlotIndex) -> &mut Message {
        &mut self.slots[index as usize]
    }
}
