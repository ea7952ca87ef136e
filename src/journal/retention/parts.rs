//! What retention is made of: its rings, and what its core begins with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::window::Window;
use crate::counters::Counters;
use crate::journal::protocol::{CompactedFiles, FromRetention, Switched, ToRetention};
use crate::journal::segment::SegmentStarted;
use crate::ring::{Receiver, Sender};

/// What the retention agent is made of.
pub struct RetentionParts<S> {
    /// Segments that were begun, and queries, come from here.
    pub from_journal: Receiver<ToRetention>,
    /// Queries and grants go there.
    pub to_scheduler: Sender<FromRetention>,
    /// Free files, by their former number, go there.
    pub free_files: Sender<u64>,
    /// The compacted files, whenever there are others, go there.
    pub to_replay: Sender<CompactedFiles>,
    /// Told when replay reads no file any more that those replace.
    pub from_replay: Receiver<Switched>,
    /// What its core begins with.
    pub core: CoreParts<S>,
    /// Set when the engine is about to stop.
    pub draining: Arc<AtomicBool>,
    /// Told whether the journal may not grow.
    pub limited: Arc<AtomicBool>,
    /// Told whether room for a compaction is set aside.
    pub may_compact: Arc<AtomicBool>,
    /// Whether there is a store that must have followed.
    pub has_store: bool,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// What an earlier life has left, and the bounds.
pub struct CoreParts<S> {
    /// Where the files live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// The segments that recovery found, in their order.
    pub segments: Vec<SegmentStarted>,
    /// The compacted files that recovery found, in their order.
    pub compacted: CompactedFiles,
    /// The free file that the journal agent has from the start.
    pub reserve: Option<u64>,
    /// The number of the next segment.
    pub next_segment: u64,
    /// For how long ids must stay.
    pub window: Window,
    /// Bytes that all files may take on disk.
    pub max_bytes: u64,
}
