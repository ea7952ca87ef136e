//! A reload at ingest: other sources, users, bounds and timeouts. Values only; `changing` takes them.

use std::sync::Arc;

use crate::access::Users;
use crate::config;
use crate::message::DestinationIndex;
use crate::message::allowance::MaxQueued;
use crate::message::when_full::WhenFullOf;

/// What is new; after the change, what was before.
#[derive(Debug)]
pub(crate) struct IngestChange {
    pub(crate) sources: Vec<SourceChange>,
    pub(crate) users: Arc<Users>,
    pub(crate) max_queued: MaxQueued,
    pub(crate) when_full: WhenFullOf,
    pub(crate) settings: config::Ingest,
    /// Destinations that are closed: nobody finds them any more.
    pub(crate) closed: Vec<DestinationIndex>,
}

/// What becomes of a source, in the order in which it is to be done. Each has a slot; one that is free is
/// another source's next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceChange {
    Removed {
        slot: usize,
    },
    Added {
        slot: usize,
        address: String,
        ack: bool,
        /// It is in this process, and offers itself.
        is_within: bool,
    },
    /// Whether it is acknowledged.
    Ack {
        slot: usize,
        ack: bool,
    },
}
