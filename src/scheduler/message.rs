//! One message: the state of an accepted message that is not settled and has a slot.
//!
//! [`super::messages::Messages`] holds and changes it; the other cores read it.

use crate::arena::Place;
use crate::clock::Now;
use crate::journal::format::Position;
use crate::message::{DestinationIndex, Level, Sequence, SourceIndex, TypeIndex};

/// Index of a slot.
pub(crate) type SlotIndex = u32;

/// A line that its source waits to have acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) source: SourceIndex,
    /// Which connection of the source.
    pub(crate) connection: u32,
    /// Which line of the connection; zero: the source does not ask for acknowledgements.
    pub(crate) number: u64,
}

impl Line {
    /// No source waits for it.
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
    pub(crate) read_ns: u64,
    /// The scheduler accepted it.
    pub(crate) accepted_ns: u64,
    /// Its record was in the journal.
    pub(crate) recorded_ns: u64,
    /// It was handed to delivery.
    pub(crate) dispatched_ns: u64,
    /// Its frame was wholly in the subscriber's socket.
    pub(crate) written_ns: u64,
}

impl Times {
    /// Those of a message that was cold. Only its arrival is known, by the engine's own time; a
    /// message of an earlier run counts from this one's start.
    pub(crate) fn of_arrival(steady_us: Option<u64>, now: Now) -> Self {
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

/// Where a message is.
///
/// ```text
/// Unrecorded --> Queued --> Popped --> InFlight --> Written --> (settled: the slot is free)
///                 ^  |        |            |           |
///    restore/evict|  v        |            |           |
///                (cold)  <----+------------+-----------+  its subscriber has gone
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the gate: the journal has not recorded it.
    Unrecorded,
    /// In the queues.
    Queued,
    /// Out of the queues, waiting for its record to be read from the journal.
    Popped,
    /// Handed to delivery.
    InFlight,
    /// Wholly in its subscriber's socket.
    Written,
    /// The slot is free.
    Free,
}

/// An accepted message. 128 bytes: two cache lines.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Message {
    pub(crate) sequence: Sequence,
    /// Its record in memory.
    pub(crate) place: Place,
    /// Its record in the journal; zero: not recorded yet.
    pub(crate) position: Position,
    pub(crate) times: Times,
    /// Its bucket, in ms of the engine's own time.
    pub(crate) bucket_ms: u64,
    /// The line it came as.
    pub(crate) line: Line,
    pub(crate) destination: DestinationIndex,
    pub(crate) message_type: TypeIndex,
    /// Its level when it was accepted, or the one that it was popped at.
    pub(crate) level: Level,
    pub(crate) stage: Stage,
    /// A subscriber may have seen it.
    pub(crate) redelivered: bool,
    /// Its record was asked for and has not come yet.
    pub(crate) is_fetching: bool,
    /// It was cold: of its times, only the arrival is known, once its record was fetched.
    pub(crate) was_cold: bool,
}

const _: () = assert!(size_of::<Message>() == 128);
