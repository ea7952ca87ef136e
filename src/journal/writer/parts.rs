//! What the engine makes the journal agent of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::arena::View;
use crate::clock::BootTie;
use crate::counters::Counters;
use crate::journal::format::Position;
use crate::journal::protocol::{FromJournal, ToJournal, ToRetention};
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

pub(crate) struct JournalParts<S> {
    /// Runs and settlements come from here.
    pub(crate) from_scheduler: Receiver<ToJournal>,
    /// What is recorded goes there.
    pub(crate) to_scheduler: Sender<FromJournal>,
    /// Segments that were begun, and queries, go there.
    pub(crate) to_retention: Sender<ToRetention>,
    /// Free files, by their former number, come from here.
    pub(crate) free_files: Receiver<u64>,
    /// The free file that is the reserve to begin with; `None`: there was no room for one.
    pub(crate) reserve: Option<u64>,
    /// Whether room for a compaction is set aside: without it no message is written.
    pub(crate) may_compact: Arc<AtomicBool>,
    /// Reads the chunks.
    pub(crate) view: View,
    pub(crate) storage: S,
    pub(crate) segment_len: u64,
    /// A segment boundary behind everything that is there: the first batch begins a segment.
    pub(crate) position: Position,
    /// The sequence of the next message.
    pub(crate) next_sequence: Sequence,
    /// Whether the store's database is on the same disk.
    pub(crate) shares_disk: bool,
    /// Whether a batch is recorded only when the disk has it.
    pub(crate) synced: bool,
    /// Told the end of what is recorded.
    pub(crate) recorded: Arc<AtomicU64>,
    /// What ties the engine's own time to the machine's.
    pub(crate) tie: BootTie,
    pub(crate) counters: Arc<Counters>,
}
