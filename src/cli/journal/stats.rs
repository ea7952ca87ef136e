//! `flipped-lb journal stats`: counts what is in a journal; a table, or JSON.

use std::collections::BTreeMap;

use clap::Args;

use super::dump::time;
use super::place::{Place, PlaceArgs, failed};
use super::progress::Progress;
use super::repeated::{Repeated, Repeats};
use super::summary::Summary;
use super::unsettled::Unsettled;
use super::{Failure, compacted_words, words};
use crate::cli::output::{print, print_json};
use crate::journal::batch::{Batch, JournalRecord};
use crate::journal::carried::Older;
use crate::journal::format::BatchKind;
use crate::journal::reader::scan::Finding;
use crate::limits::LEVELS_MAX;
use crate::log::say;
use crate::message::Directory;
use crate::plural::several;

/// Count what is in the journal.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatsArgs {
    /// Which journal.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// One JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints what was counted.
///
/// # Errors
/// The journal cannot be read, or not all of it.
pub(crate) fn run(args: &StatsArgs) -> Result<(), Failure> {
    let place = Place::find(&args.place)?;
    let mut count = Count::new();
    count.all(&place)?;
    let repeats = count.ids.find(&place)?;
    let summary = count.summary(repeats);
    match args.json {
        true => {
            let json = serde_json::to_string(&summary).map_err(Failure::because)?;
            print_json(&(json + "\n"))?;
        }
        false => print(&summary.tables())?,
    }
    match summary.damaged_places {
        0 => Ok(()),
        places => Err(Failure::Failed(format!(
            "{} could not be read and not counted: `flipped-lb journal verify {}` shows them",
            several(places, "place"),
            place.data_dir.display()
        ))),
    }
}

/// What is counted while the journal is read.
struct Count {
    summary: Summary,
    /// Destination and level of each, as `destination * LEVELS_MAX + level - 1`.
    unsettled: Unsettled,
    older: Older,
    destinations: Directory,
    ids: Repeated,
    first_us: u64,
    last_us: u64,
}

impl Count {
    fn new() -> Self {
        Self {
            summary: Summary::default(),
            unsettled: Unsettled::default(),
            older: Older::default(),
            destinations: Directory::new([], true, u32::MAX as usize / LEVELS_MAX - 1),
            ids: Repeated::new(),
            first_us: u64::MAX,
            last_us: 0,
        }
    }

    fn all(&mut self, place: &Place) -> Result<(), Failure> {
        let (mut scan, mut progress) = (place.scan(), Progress::of(place));
        while let Some(found) = scan.advance().map_err(failed)? {
            match found {
                Finding::Batch(batch) => {
                    progress.at(batch.end());
                    self.batch(&batch);
                }
                Finding::Segment(_) => self.summary.segments += 1,
                Finding::Compacted { .. } => self.summary.kept_files += 1,
                Finding::Hole(hole) => {
                    self.summary.damaged_places += 1;
                    say(format!("damaged: {}", words(&hole, place)));
                }
                Finding::CompactedHole(hole) => {
                    self.summary.damaged_places += 1;
                    say(format!("damaged: {}", compacted_words(&hole, place)));
                }
                Finding::Tail(tail) => self.summary.torn_bytes = tail.torn_len,
            }
        }
        let rest = place.rest()?;
        self.summary.free_files = rest.free.len() as u64;
        self.summary.left_over_files = rest.left_over.len() as u64;
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) {
        let summary = &mut self.summary;
        summary.bytes += batch.len();
        summary.batches += 1;
        if batch.header().kind == BatchKind::Carried {
            summary.kept_messages += u64::from(batch.header().entries);
        }
        if batch.header().kind == BatchKind::Ids {
            summary.remembered_ids += u64::from(batch.header().entries);
        }
        summary.largest_batch = summary.largest_batch.max(batch.len());
        summary.kept_messages += batch.carried().count() as u64;
        for record in batch.records().chain(self.older.of(batch)) {
            self.message(&record);
        }
        for settlement in batch.settlements() {
            match self.unsettled.remove(settlement.sequence) {
                Some(_) => self.summary.settled += 1,
                None => self.summary.settlements_without_message += 1,
            }
            self.last_us = self.last_us.max(settlement.settled_us);
        }
    }

    fn message(&mut self, record: &JournalRecord<'_>) {
        let destination = self.destinations.adopt(&record.destination().value());
        let level = u32::from(record.level().clamp(1, LEVELS_MAX as u8)) - 1;
        self.unsettled
            .insert(record.sequence, destination * LEVELS_MAX as u32 + level);
        let id = record.message_id().value();
        self.ids.add(id.as_bytes(), record.sequence);
        let summary = &mut self.summary;
        if summary.messages == 0 {
            summary.first_sequence = record.sequence;
        }
        summary.messages += 1;
        summary.first_sequence = summary.first_sequence.min(record.sequence);
        summary.last_sequence = summary.last_sequence.max(record.sequence);
        self.first_us = self.first_us.min(record.arrival_us());
        self.last_us = self.last_us.max(record.arrival_us());
    }

    fn summary(self, repeats: Repeats) -> Summary {
        let mut summary = self.summary;
        let mut counts = vec![[0; LEVELS_MAX]; self.destinations.len()];
        for value in self.unsettled.values() {
            counts[value as usize / LEVELS_MAX][value as usize % LEVELS_MAX] += 1;
            summary.unsettled += 1;
        }
        for (name, counts) in self.destinations.first(usize::MAX).iter().zip(counts) {
            let levels: BTreeMap<u8, u64> = (1..).zip(counts).filter(|it| it.1 > 0).collect();
            if !levels.is_empty() {
                let by_destination = &mut summary.unsettled_by_destination;
                by_destination.insert(name.to_string(), levels);
            }
        }
        if self.last_us > 0 {
            summary.first_time = Some(time(self.first_us.min(self.last_us)));
            summary.last_time = Some(time(self.last_us));
        }
        summary.mean_batch = summary.bytes / summary.batches.max(1);
        (summary.repeated_ids, summary.repeated_examples) = (repeats.ids, repeats.examples);
        summary
    }
}
