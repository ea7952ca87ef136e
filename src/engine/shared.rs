//! What the agents share besides the rings, and what outlives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::names::Names;
use crate::agent::pressure::InputPressure;
use crate::cluster::run::lease::{Lease, PathLease};
use crate::cluster::run::link::MemberHandle;
use crate::counters::Counters;
use crate::destinations::Reporter;
use crate::journal::retention::low::Low;
use crate::latency::Recorder;
use crate::scheduler::recovered::RecoveredState;
use crate::scheduler::rules::Rules;

/// Flags and positions that threads share besides the rings.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// What ingest's reads find.
    pub pressure: Arc<InputPressure>,
    /// Set when nothing more shall be read from sources.
    pub draining: Arc<AtomicBool>,
    /// Says that all that can be delivered was delivered.
    pub drained: Arc<AtomicBool>,
    /// The end of what the journal recorded.
    pub recorded: Arc<AtomicU64>,
    /// The member whose term it is, in a group.
    pub(crate) group: Option<GroupPath>,
}

/// The member's side that the path of its term needs.
#[derive(Debug, Clone)]
pub(crate) struct GroupPath {
    /// What the path may do.
    pub(crate) lease: Arc<Lease>,
    /// Where the journal's batches go.
    pub(crate) handle: MemberHandle,
    /// What the group has agreed that nobody needs.
    pub(crate) low: Arc<Low>,
}

impl Signals {
    /// What the path asks in each cycle.
    pub(super) fn lease(&self) -> PathLease {
        let group = self.group.as_ref();
        group.map_or_else(PathLease::default, |it| PathLease::of(&it.lease))
    }
}

/// What the agents share that outlives them.
pub struct Common {
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Flags and positions.
    pub signals: Signals,
    /// The names.
    pub names: Names,
    /// How many indices customers can have, with the names that recovery found.
    pub destinations_max: usize,
    /// What sets a level.
    pub rules: Rules,
    /// What recovery found.
    pub recovered_state: RecoveredState,
    /// What the scheduler measures.
    pub recorder: Recorder,
    /// What it tells of each destination.
    pub reporter: Reporter,
}
