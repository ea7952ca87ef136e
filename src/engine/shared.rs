//! What the agents share besides the rings, and what outlives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::names::Names;
use crate::agent::pressure::InputPressure;
use crate::counters::Counters;
use crate::destinations::Reporter;
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
    /// Says that sources wait because the journal may not grow.
    pub journal_limited: Arc<AtomicBool>,
}

/// What the agents share that outlives them.
pub struct Common {
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Flags and positions.
    pub signals: Signals,
    /// The names.
    pub names: Names,
    /// What sets a level.
    pub rules: Rules,
    /// What recovery found.
    pub recovered_state: RecoveredState,
    /// What the scheduler measures.
    pub recorder: Recorder,
    /// What it tells of each destination.
    pub reporter: Reporter,
}
