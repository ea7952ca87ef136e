//! What the journal's agents take and give: all that their neighbours need know of them.
//!
//! ```text
//! SCHEDULER == ToJournal ====> writer    == FromJournal ==> SCHEDULER
//! SCHEDULER == Fetch ========> replay    == FromReplay ===> SCHEDULER
//! writer ===== ToRetention ==> retention == FromRetention > SCHEDULER
//! retention == Moved ========> replay   == Switched =====> retention
//! ```

use std::sync::Arc;

use super::carried::CarriedIndex;
use super::compacted::CompactedIndex;
use super::format::{Position, Settlement};
use super::retention::query::UnsettledQuery;
use super::segment::SegmentStarted;
use crate::arena::{Committed, Lease, Returned, Writer};
use crate::message::Sequence;

#[derive(Debug)]
pub(crate) enum ToJournal {
    /// Accepted messages, with consecutive sequences, whose records stand one behind the other.
    Run {
        lease: Lease,
        first_sequence: Sequence,
        entries: u32,
    },
    /// A message needs no more work.
    Settled(Settlement),
    /// To be passed on to retention once all before it is recorded.
    Query(Box<UnsettledQuery>),
}

#[derive(Debug)]
pub(crate) enum FromJournal {
    /// All messages up to this one may be delivered.
    Recorded {
        first_sequence: Sequence,
        /// With consecutive sequences.
        entries: u32,
        /// Where the first one's record stands; the others stand right behind it.
        position: Position,
    },
    /// Leases that have ended.
    Returned(Returned),
}

/// A record that the scheduler asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch {
    /// The scheduler's name for it.
    pub slot: u32,
    pub sequence: Sequence,
    pub position: Position,
    /// Bytes of the record.
    pub len: u32,
}

#[derive(Debug)]
pub(crate) enum FromReplay {
    Fetched {
        slot: u32,
        frame: Committed,
    },
    /// A chunk is full.
    Sealed(Writer),
}

#[derive(Debug)]
pub(crate) enum ToRetention {
    /// A segment was begun, and its first batch is recorded.
    Started(SegmentStarted),
    /// So many free files are gone, and no segment was begun in them.
    Lost(usize),
    /// The answer to a query; the settlements that it speaks of are recorded.
    Query(Box<UnsettledQuery>),
}

#[derive(Debug)]
pub(crate) enum FromRetention {
    /// To be answered by way of the journal.
    Query(Box<UnsettledQuery>),
    /// Messages may go into the journal up to here; zero: none may.
    Granted(Position),
}

/// All compacted files that there are, in their order.
pub(crate) type CompactedFiles = Vec<Arc<CompactedIndex>>;

/// Where replay finds what stood in files that are about to go.
#[derive(Debug)]
pub(crate) enum Moved {
    Compacted(CompactedFiles),
    /// In a group, in carried records.
    Carried(Arc<CarriedIndex>),
}

/// Replay reads from what it was told of last, and from no file that this replaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switched;
