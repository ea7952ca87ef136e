//! A report: the state of every destination, as the scheduler saw it within some duty cycles.

use std::net::SocketAddr;

use crate::clock::Now;
use crate::limits::LEVELS_MAX;
use crate::message::DestinationIndex;

/// One destination at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DestinationState {
    /// Messages accepted for it since the start, recovered ones included.
    pub(crate) accepted: u64,
    /// Messages settled since the start.
    pub(crate) settled: u64,
    /// Messages taken back from subscribers that went.
    pub(crate) redelivered: u64,
    /// Messages that wait and may be handed out, by level; level 1 comes first.
    pub(crate) queued: [u32; LEVELS_MAX],
    /// How many may wait.
    pub(crate) queued_max: u64,
    /// Messages handed out and not settled.
    pub(crate) in_flight: u32,
    /// How long the oldest of the queued ones has waited, in ms; `None`: nothing is queued.
    pub(crate) oldest_wait_ms: Option<u64>,
    /// Who gets its messages.
    pub(crate) subscriber: Option<SubscriberState>,
    /// Subscribers that take over when that one goes.
    pub(crate) standbys: u32,
    /// The index has no name now.
    pub(crate) is_vacant: bool,
}

impl DestinationState {
    /// Messages that wait and may be handed out.
    pub(crate) fn queued(&self) -> u64 {
        self.queued.iter().map(|&count| u64::from(count)).sum()
    }

    /// Whether no more may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.queued_max > 0 && self.queued() >= self.queued_max
    }
}

/// The active subscriber of a destination. Its figures are those of its connection, which may serve
/// other destinations too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SubscriberState {
    /// Tells one connection from the next: the delivery agent and its key.
    pub(crate) id: (u16, u32),
    /// Where it connects from.
    pub(crate) peer: Option<SocketAddr>,
    /// It acknowledges.
    pub(crate) ack: bool,
    /// Frames wholly written to its socket since it connected.
    pub(crate) written: u64,
    /// Frames on their way to its socket.
    pub(crate) unwritten: u32,
    /// Frames written that it has not acknowledged.
    pub(crate) unacknowledged: u32,
    /// Messages that are read from the journal for it.
    pub(crate) fetching: u32,
}

/// The states of all destinations, by index.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) states: Vec<DestinationState>,
    /// Destinations whose names have gone since the last report; some may be among `states` as they
    /// were before.
    pub(crate) retired: Vec<DestinationIndex>,
    /// On the way to the scheduler: destinations that are shown no more.
    pub(crate) released: Vec<DestinationIndex>,
    /// When it had all destinations; `None`: it has not.
    pub(crate) completed_at: Option<Now>,
}

impl Report {
    /// Memory for so many destinations, which is taken when it is used.
    pub(super) fn with_room_for(destinations: usize) -> Self {
        Self {
            states: Vec::with_capacity(destinations),
            retired: Vec::with_capacity(destinations),
            released: Vec::with_capacity(destinations),
            completed_at: None,
        }
    }
}
