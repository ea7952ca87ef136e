//! The backlog: what an earlier life of the engine accepted and did not settle.
//!
//! Recovery feeds it with the journal, record by record; the scheduler takes over what is left, as
//! a cold store that its queues adopt as it is. It restores the dedup window on the way.
//!
//! A message goes into its cold lane when its record is read, and stays there when its settlement
//! comes by: only its mark in the set of those that wait is taken away. The lanes are swept when
//! more lies in them dead than alive, and once more in the end.
//!
//! All is by the engine's own time, which goes on across lives: an id is remembered, and a message
//! ages, from when it was recorded. A message is queued by the beginning of the window that
//! timestamps were clamped to then: in the order of the sequences, before all that is new.

use super::dedup::DedupWindow;
use super::queue::cold::{ColdMessage, ColdStore, Kind};
use super::unsettled::Unsettled;
use crate::journal::batch::JournalRecord;
use crate::journal::record::Settlement;
use crate::journal::recovery::Sink;
use crate::message::timestamp::clamp_timestamp;
use crate::message::{CompactId, DestinationIndex, Directory, TypeIndex};

/// Dead messages that may lie in the lanes, besides as many as are alive: 7 MB.
const DEAD_MAX: usize = 1024 * 1024;

/// What an engine takes over from its earlier life.
#[derive(Debug)]
pub struct RecoveredState {
    /// The ids that were accepted lately.
    pub dedup: DedupWindow,
    /// What was accepted and not settled: by destination and level, in the order of the sequences.
    pub waiting: ColdStore,
    /// The sequences of these.
    pub(crate) unsettled: Unsettled,
    last_recorded_ms: u64,
}

impl RecoveredState {
    /// No message that waits was recorded later, in ms of the engine's own time; zero: none waits.
    #[must_use]
    pub fn last_recorded_ms(&self) -> u64 {
        match self.waiting.is_empty() {
            true => 0,
            false => self.last_recorded_ms,
        }
    }
}

/// Gathers the backlog while the journal is read.
#[derive(Debug)]
pub struct RecoveredStateBuilder {
    dedup: DedupWindow,
    destinations: Directory,
    /// Destinations that the settings name.
    configured: DestinationIndex,
    message_types: Directory,
    cold_store: ColdStore,
    /// Which of the messages in the cold store are not settled.
    alive: Unsettled,
    alive_count: usize,
    last_recorded_ms: u64,
    levels: u8,
}

impl RecoveredStateBuilder {
    /// Nothing yet.
    #[must_use]
    pub fn new(
        dedup: DedupWindow,
        destinations: Directory,
        message_types: Directory,
        levels: u8,
    ) -> Self {
        Self {
            dedup,
            configured: destinations.len() as DestinationIndex,
            destinations,
            message_types,
            cold_store: ColdStore::default(),
            alive: Unsettled::default(),
            alive_count: 0,
            last_recorded_ms: 0,
            levels,
        }
    }

    /// What is left when the journal has been read.
    #[must_use]
    pub fn finish(mut self) -> RecoveredState {
        self.sweep();
        self.forget_names();
        RecoveredState {
            dedup: self.dedup,
            waiting: self.cold_store,
            unsettled: self.alive,
            last_recorded_ms: self.last_recorded_ms,
        }
    }

    /// Names that messages created, and for which none waits, go: what an earlier life of the engine
    /// created does not count for this one.
    fn forget_names(&mut self) {
        let levels = usize::from(self.levels);
        let waiting = self.cold_store.len_by_destination(levels);
        let is_needed = |index: DestinationIndex| {
            index < self.configured || waiting.get(index as usize).is_some_and(|&it| it > 0)
        };
        let indices = self.destinations.retain(is_needed);
        self.cold_store.renumber(&indices, levels);
    }

    fn cell(&self, destination: DestinationIndex, level0: u8) -> usize {
        destination as usize * usize::from(self.levels) + usize::from(level0)
    }

    fn sweep(&mut self) {
        let alive = &self.alive;
        self.cold_store.retain(|sequence| alive.contains(sequence));
    }
}

impl Sink for RecoveredStateBuilder {
    fn message(&mut self, record: &JournalRecord<'_>, recorded_us: u64) {
        let id = record.message_id().value();
        let id = self.dedup.hasher().hash(id.as_bytes());
        let recorded_ms = recorded_us / 1_000;
        self.dedup.claim(id, recorded_ms);
        let message_type = self
            .message_types
            .find_or_create(&record.message_type().value());
        let message_type = message_type.unwrap_or(self.message_types.len() as u32);
        let destination = self.destinations.adopt(&record.destination().value());
        let level0 = record.level().clamp(1, self.levels) - 1;
        let message = ColdMessage {
            sequence: record.sequence,
            position: record.position,
            timestamp_ms: clamp_timestamp(0, 0, recorded_ms),
            record_len: record.record_len() as u32,
            message_type: message_type as TypeIndex,
            level0,
            redelivered: true,
        };
        self.cold_store
            .push(self.cell(destination, level0), Kind::Native, message);
        self.alive.insert(record.sequence);
        self.alive_count += 1;
        self.last_recorded_ms = self.last_recorded_ms.max(recorded_ms);
    }

    fn id(&mut self, id: &CompactId<'_>, recorded_us: u64) {
        let id = self.dedup.hasher().hash_compact(id);
        self.dedup.claim(id, recorded_us / 1_000);
    }

    fn settled(&mut self, settlement: &Settlement) {
        self.alive_count -= usize::from(self.alive.remove(settlement.sequence));
        if self.cold_store.len() > 2 * self.alive_count + DEAD_MAX {
            self.sweep();
        }
    }
}
