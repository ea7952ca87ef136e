//! What ingest and the scheduler send each other: accepted frames one way, chunks to fill and
//! acknowledgements the other. Plain values; each goes through a ring.

use crate::arena::{Committed, Writer};
use crate::message::{DestinationIndex, IdHash, Reason, SourceIndex, TypeIndex};

/// An accepted frame.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Its record, complete but for sequence and level.
    pub frame: Committed,
    /// Its messageId, hashed while it was at hand.
    pub id: IdHash,
    /// Whom it is for.
    pub destination: DestinationIndex,
    /// Where it came from.
    pub source: SourceIndex,
    /// Which connection of the source.
    pub connection: u32,
    /// Which line of the connection, if it wants acknowledgements; else 0.
    pub line: u64,
    /// Whether ingest is to be told that it is a duplicate.
    pub wants_outcome: bool,
    pub message_type: TypeIndex,
    pub priority: u8,
    /// Its place in time, in ms of the engine's own time: its timestamp, clamped.
    pub bucket_ms: u64,
    /// When it was read, in ns.
    pub read_ns: u64,
}

/// What ingest sends to the scheduler.
#[derive(Debug)]
pub(crate) enum FromIngest {
    /// A frame was accepted.
    Arrived(Arrival),
    /// Lines were rejected.
    Rejected { reason: Reason, count: u32 },
    /// A chunk is full.
    Sealed(Writer),
    /// The answer to `Retire`: no more arrivals come with this index, unless the name stays.
    Forgotten { destination: DestinationIndex },
}

/// What the scheduler sends to ingest.
#[derive(Debug)]
pub(crate) enum ToIngest {
    /// A chunk to fill.
    Chunk(Writer),
    /// All lines of a connection up to this one are recorded as `durability` asks, or duplicates:
    /// they may be acknowledged.
    Ack {
        source: SourceIndex,
        /// Which connection of it.
        connection: u32,
        line: u64,
    },
    /// So many lines of a connection from `first` on are duplicates; sent before an `Ack` of them.
    Duplicates {
        source: SourceIndex,
        connection: u32,
        first: u64,
        count: u32,
    },
    /// A line of a connection was accepted, for the first time: it is no duplicate.
    Accepted { source: SourceIndex },
    /// So many lines of a connection were duplicates since the last such event.
    Repeated {
        source: SourceIndex,
        connection: u32,
        count: u32,
    },
    /// So many messages may be handed over for a destination, in all since the start.
    Allowance {
        destination: DestinationIndex,
        until: u64,
    },
    /// The name of a destination may be about to go: it is to be forgotten.
    Retire { destination: DestinationIndex },
}
