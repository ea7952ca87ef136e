//! What `flipped-lb journal stats` shows: the names are those of its JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::escape::Escaped;

/// What a journal holds.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) segments: u64,
    /// Files with what is still needed of segments that are gone.
    pub(super) kept_files: u64,
    /// Files that wait to become segments.
    pub(super) free_files: u64,
    /// Files that a crash has left, and the next start removes.
    pub(super) left_over_files: u64,
    /// In whole batches, with their headers.
    pub(super) bytes: u64,
    pub(super) batches: u64,
    /// In bytes.
    pub(super) mean_batch: u64,
    pub(super) largest_batch: u64,
    pub(super) messages: u64,
    /// Those of the messages that stand in compacted files.
    pub(super) kept_messages: u64,
    /// Ids of settled messages that are gone: the dedup window remembers them.
    pub(super) remembered_ids: u64,
    pub(super) first_sequence: u64,
    pub(super) last_sequence: u64,
    /// The first arrival.
    pub(super) first_time: Option<String>,
    /// The last arrival or settlement.
    pub(super) last_time: Option<String>,
    /// Messages of this journal that are settled.
    pub(super) settled: u64,
    /// Settlements beyond that: of messages that are gone, or settled before.
    pub(super) settlements_without_message: u64,
    pub(super) unsettled: u64,
    /// By destination, then by level.
    pub(super) unsettled_by_destination: BTreeMap<String, BTreeMap<u8, u64>>,
    /// Ids that more than one message has: right where the dedup window had passed between them.
    pub(super) repeated_ids: u64,
    pub(super) repeated_examples: Vec<String>,
    /// At the end.
    pub(super) torn_bytes: u64,
    pub(super) damaged_places: u64,
}

impl Summary {
    /// For people.
    pub(super) fn tables(&self) -> String {
        let mut text = String::new();
        let none = || "-".to_owned();
        let rows = [
            ("segments", self.segments.to_string()),
            ("kept files", self.kept_files.to_string()),
            ("free files", self.free_files.to_string()),
            ("left-over files", self.left_over_files.to_string()),
            ("bytes", self.bytes.to_string()),
            ("batches", self.batches.to_string()),
            ("mean batch, bytes", self.mean_batch.to_string()),
            ("largest batch, bytes", self.largest_batch.to_string()),
            ("messages", self.messages.to_string()),
            ("messages in kept files", self.kept_messages.to_string()),
            ("remembered ids", self.remembered_ids.to_string()),
            ("first sequence", self.first_sequence.to_string()),
            ("last sequence", self.last_sequence.to_string()),
            ("first time", self.first_time.clone().unwrap_or_else(none)),
            ("last time", self.last_time.clone().unwrap_or_else(none)),
            ("settled", self.settled.to_string()),
            (
                "settlements without message",
                self.settlements_without_message.to_string(),
            ),
            ("unsettled", self.unsettled.to_string()),
            ("repeated ids", self.repeated_ids.to_string()),
            ("torn bytes", self.torn_bytes.to_string()),
            ("damaged places", self.damaged_places.to_string()),
        ];
        for (name, value) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<28} {value}");
        }
        if !self.repeated_examples.is_empty() {
            let repeated = self.repeated_examples.join(", ");
            let _ = writeln!(text, "repeated: {}", Escaped(repeated));
        }
        if !self.unsettled_by_destination.is_empty() {
            text.push_str(&self.unsettled_table());
        }
        text
    }

    fn unsettled_table(&self) -> String {
        let by_level = || self.unsettled_by_destination.values();
        let levels = by_level()
            .flat_map(|it| it.keys())
            .max()
            .copied()
            .unwrap_or(1);
        let names = self.unsettled_by_destination.keys();
        let width = names.map(|it| it.chars().count()).max().unwrap_or(0);
        let width = width.max("unsettled".len());
        let mut text = format!("\n{:<width$}", "unsettled");
        for level in 1..=levels {
            let _ = write!(text, " {:>12}", format!("level {level}"));
        }
        text.push('\n');
        for (name, counts) in &self.unsettled_by_destination {
            let _ = write!(text, "{:<width$}", Escaped(name).to_string());
            for level in 1..=levels {
                let _ = write!(text, " {:>12}", counts.get(&level).unwrap_or(&0));
            }
            text.push('\n');
        }
        text
    }
}
