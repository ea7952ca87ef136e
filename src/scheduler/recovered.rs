//! Recovered state: what earlier runs accepted and did not settle.
//!
//! Journal recovery feeds the builder record by record. The scheduler loads the result at start: a
//! dedup window, and the unsettled messages as a cold store.
//!
//! A message goes into its cold lane when its record is read. A settlement only removes its
//! sequence from the set of unsettled ones; the settled messages are swept out of the lanes when
//! they outnumber the others, and at the end. What a group has carried comes behind younger messages, and is
//! put before them at the end.
//!
//! All times are the engine's own, which goes on across runs: an id is remembered, and a message
//! ages, from when it was recorded. A recovered message is queued by the start of the window that
//! timestamps were clamped to then: in the order of the sequences, before all new messages.

use std::collections::BTreeMap;

use super::dedup::DedupWindow;
use super::queue::cold::{ColdMessage, ColdStore, Kind};
use super::unsettled::Unsettled;
use crate::journal::batch::JournalRecord;
use crate::journal::format::Settlement;
use crate::journal::recovery::Sink;
use crate::message::timestamp::clamp_timestamp;
use crate::message::{CompactId, DestinationIndex, Directory, OTHER_TYPES, Sequence, TypeIndex};

/// Settled messages that may be in the lanes, besides as many as are unsettled: 7 MB.
const SETTLED_MAX: usize = 1024 * 1024;

/// What earlier runs left.
#[derive(Debug)]
pub struct RecoveredState {
    /// The ids that were accepted lately.
    pub(crate) dedup: DedupWindow,
    /// What was accepted and not settled: by destination and level, in the order of the sequences.
    pub(crate) waiting: ColdStore,
    /// The sequences of these.
    pub(crate) unsettled: Unsettled,
    last_recorded_ms: u64,
}

impl RecoveredState {
    /// When the last message was recorded, in ms of the engine's own time; zero: none is unsettled.
    pub(crate) fn last_recorded_ms(&self) -> u64 {
        if self.waiting.is_empty() {
            0
        } else {
            self.last_recorded_ms
        }
    }
}

/// Builds the recovered state while the journal is read.
#[derive(Debug)]
pub(crate) struct RecoveredStateBuilder {
    dedup: DedupWindow,
    destinations: Directory,
    /// Destinations that the settings name.
    configured: DestinationIndex,
    message_types: Directory,
    cold_store: ColdStore,
    /// Which of the messages in the cold store are not settled, and how many.
    unsettled: Unsettled,
    unsettled_count: usize,
    /// The first message that came in its own place.
    first: Option<Sequence>,
    /// Those that came before it, are carried and not settled, with their cells.
    carried: BTreeMap<Sequence, (usize, ColdMessage)>,
    last_recorded_ms: u64,
    levels: u8,
}

impl RecoveredStateBuilder {
    /// Nothing yet.
    pub(crate) fn new(
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
            unsettled: Unsettled::default(),
            unsettled_count: 0,
            first: None,
            carried: BTreeMap::new(),
            last_recorded_ms: 0,
            levels,
        }
    }

    /// The journal has been read.
    pub(crate) fn finish(mut self) -> RecoveredState {
        self.sweep();
        self.put_carried_first();
        self.remove_names();
        RecoveredState {
            dedup: self.dedup,
            waiting: self.cold_store,
            unsettled: self.unsettled,
            last_recorded_ms: self.last_recorded_ms,
        }
    }

    /// Removes the names that messages created and for which none waits: what an earlier run
    /// created does not count for this one.
    fn remove_names(&mut self) {
        let levels = usize::from(self.levels);
        let waiting = self.cold_store.len_by_destination(levels);
        let is_needed = |index: DestinationIndex| {
            index < self.configured || waiting.get(index as usize).is_some_and(|&it| it > 0)
        };
        let indices = self.destinations.retain(is_needed);
        self.cold_store.renumber(&indices, levels);
    }

    /// A message as it waits, and the cell that it waits in.
    fn cold(&mut self, record: &JournalRecord<'_>, recorded_ms: u64) -> (usize, ColdMessage) {
        let message_type = self
            .message_types
            .find_or_create(&record.message_type().value());
        let message_type = message_type.unwrap_or(u32::from(OTHER_TYPES));
        let destination = self.destinations.adopt(&record.destination().value());
        let level0 = record.level().clamp(1, self.levels) - 1;
        self.last_recorded_ms = self.last_recorded_ms.max(recorded_ms);
        let message = ColdMessage {
            sequence: record.sequence,
            position: record.position,
            timestamp_ms: clamp_timestamp(0, 0, recorded_ms),
            record_len: record.record_len() as u32,
            message_type: message_type as TypeIndex,
            level0,
            redelivered: true,
        };
        let cell = destination as usize * usize::from(self.levels) + usize::from(level0);
        (cell, message)
    }

    fn put_carried_first(&mut self) {
        let carried = std::mem::take(&mut self.carried);
        if carried.is_empty() {
            return;
        }
        self.unsettled.put_first(carried.keys().copied());
        let mut by_cell: BTreeMap<usize, Vec<ColdMessage>> = BTreeMap::new();
        for (cell, message) in carried.into_values() {
            by_cell.entry(cell).or_default().push(message);
        }
        for (cell, messages) in by_cell {
            self.cold_store.put_first(cell, Kind::Native, &messages);
        }
    }

    fn sweep(&mut self) {
        let unsettled = &self.unsettled;
        self.cold_store
            .retain(|sequence| unsettled.contains(sequence));
    }
}

impl Sink for RecoveredStateBuilder {
    fn message(&mut self, record: &JournalRecord<'_>, recorded_us: u64) {
        let id = record.message_id().value();
        let id = self.dedup.hasher().hash(id.as_bytes());
        let recorded_ms = recorded_us / 1_000;
        self.dedup.claim(id, recorded_ms);
        let (cell, message) = self.cold(record, recorded_ms);
        self.cold_store.push(cell, Kind::Native, message);
        self.first.get_or_insert(record.sequence);
        self.unsettled.insert(record.sequence);
        self.unsettled_count += 1;
    }

    fn id(&mut self, id: &CompactId<'_>, recorded_us: u64) {
        let id = self.dedup.hasher().hash_compact(id);
        self.dedup.claim(id, recorded_us / 1_000);
    }

    fn settled(&mut self, settlement: &Settlement) {
        let was_there = self.unsettled.remove(settlement.sequence);
        self.unsettled_count -= usize::from(was_there);
        if !was_there && !self.carried.is_empty() {
            self.carried.remove(&settlement.sequence);
        }
        if self.cold_store.len() > 2 * self.unsettled_count + SETTLED_MAX {
            self.sweep();
        }
    }

    /// What came in its own place is known, whatever became of it; ids of what is carried are forgotten.
    fn carried(&mut self, record: &JournalRecord<'_>, recorded_us: u64) {
        let sequence = record.sequence;
        let is_known = self.first.is_some_and(|first| first <= sequence);
        if !is_known && !self.carried.contains_key(&sequence) {
            let message = self.cold(record, recorded_us / 1_000);
            self.carried.insert(sequence, message);
        }
    }
}
