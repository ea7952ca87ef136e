//! What retention is made of: its rings, and what its core begins with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::low::Low;
use super::window::Window;
use crate::counters::Counters;
use crate::journal::carried::CarriedRecords;
use crate::journal::protocol::{CompactedFiles, FromRetention, Moved, Switched, ToRetention};
use crate::journal::segment::SegmentStarted;
use crate::ring::{Receiver, Sender};

/// What the retention agent is made of.
pub(crate) struct RetentionParts<S> {
    /// Segments that were begun, and queries, come from here.
    pub(crate) from_journal: Receiver<ToRetention>,
    /// Queries and grants go there.
    pub(crate) to_scheduler: Sender<FromRetention>,
    /// Free files, by their former number, go there.
    pub(crate) free_files: Sender<u64>,
    /// What moves goes there: compacted files, and what a group carries.
    pub(crate) to_replay: Sender<Moved>,
    /// Told when replay reads no file any more that it has left.
    pub(crate) from_replay: Receiver<Switched>,
    /// What its core begins with.
    pub(crate) core: CoreParts<S>,
    /// Set when the engine is about to stop.
    pub(crate) draining: Arc<AtomicBool>,
    /// Told whether room for a compaction is set aside.
    pub(crate) may_compact: Arc<AtomicBool>,
    /// Whether there is a store that must have followed.
    pub(crate) has_store: bool,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

/// What an earlier life has left, and the bounds.
pub(crate) struct CoreParts<S> {
    /// Where the files live.
    pub(crate) storage: S,
    /// Bytes of one segment.
    pub(crate) segment_len: u64,
    /// The segments that recovery found, in their order.
    pub(crate) segments: Vec<SegmentStarted>,
    /// The compacted files that recovery found, in their order.
    pub(crate) compacted: CompactedFiles,
    /// The free file that the journal agent has from the start.
    pub(crate) reserve: Option<u64>,
    /// The number of the next segment.
    pub(crate) next_segment: u64,
    /// For how long ids must stay.
    pub(crate) window: Window,
    /// Bytes that all files may take on disk.
    pub(crate) max_bytes: u64,
    /// In a group: what it has agreed on.
    pub(crate) group: Option<Arc<Low>>,
    /// In a group: the carried records that are there.
    pub(crate) carried: CarriedRecords,
}
