//! `flipped-lb journal dump`: the journal's entries, one JSON line each, or the frames alone.
//!
//! What cannot be read is reported on standard error, and the rest is printed.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::place::{Place, PlaceArgs, failed};
use super::unsettled::Unsettled;
use super::{Failure, compacted_words, words};
use crate::cli::output::Frames;
use crate::journal::batch::{Batch, JournalRecord};
use crate::journal::carried::Older;
use crate::journal::format::{Position, Settlement};
use crate::journal::reader::scan::Finding;
use crate::log::say;
use crate::message::{CompactId, Sequence, Text};
use crate::plural::several;

/// Print the journal's entries, one JSON line each.
#[derive(Debug, Clone, Args)]
pub(crate) struct DumpArgs {
    /// Which journal.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Leave out what is before this sequence.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub(crate) from: u64,
    /// Leave out what is behind this sequence.
    #[arg(long, value_name = "SEQUENCE", default_value_t = u64::MAX)]
    pub(crate) to: u64,
    /// Only the messages for this destination, and their settlements.
    #[arg(long, value_name = "DEST")]
    pub(crate) destination: Option<String>,
    /// Only the messages that are not settled.
    #[arg(long)]
    pub(crate) unsettled: bool,
    /// Only the frames, as they came: a source's lines, which an engine takes again.
    #[arg(long)]
    pub(crate) frames: bool,
}

/// Prints entries in the order of the journal.
///
/// # Errors
/// The journal cannot be read, or not all of it.
pub(crate) fn run(args: &DumpArgs) -> Result<(), Failure> {
    let place = Place::find(&args.place)?;
    let out = Frames::to_stdout(256 * 1024);
    // Whoever looks at entries may do so behind `less`; frames are for programs.
    let out = if args.frames { out } else { out.spelled() };
    let selection = Selection::new(args, &place)?;
    let mut dump = Dump {
        args,
        selection,
        older: Older::default(),
        out,
    };
    let holes = dump.all(&place)?;
    dump.out.flush().map_err(Failure::output)?;
    match holes {
        0 => Ok(()),
        holes => Err(Failure::Failed(format!(
            "{} could not be read: `flipped-lb journal verify {}` shows them",
            several(holes, "place"),
            place.data_dir.display()
        ))),
    }
}

/// Which entries are wanted.
struct Selection {
    /// What is not settled, and where the journal ended when that was found out.
    unsettled: Option<(Unsettled, Position)>,
    /// Messages for the wanted destination that are not settled, as far as was read.
    wanted: Unsettled,
}

impl Selection {
    fn new(args: &DumpArgs, place: &Place) -> Result<Self, Failure> {
        let unsettled = match args.unsettled {
            true => Some(unsettled(place)?),
            false => None,
        };
        Ok(Self {
            unsettled,
            wanted: Unsettled::default(),
        })
    }

    fn end(&self) -> Position {
        self.unsettled.as_ref().map_or(Position::MAX, |it| it.1)
    }

    fn has_message(&mut self, args: &DumpArgs, record: &JournalRecord<'_>) -> bool {
        let is_open = |it: &(Unsettled, Position)| it.0.contains(record.sequence);
        let in_range = (args.from..=args.to).contains(&record.sequence);
        if !in_range || !self.unsettled.as_ref().is_none_or(is_open) {
            return false;
        }
        let destination = record.destination();
        let is_wanted = args
            .destination
            .as_ref()
            .is_none_or(|it| destination == **it);
        if is_wanted && args.destination.is_some() {
            self.wanted.insert(record.sequence, 0);
        }
        is_wanted
    }

    fn has_id(&self, args: &DumpArgs, sequence: Sequence) -> bool {
        let is_whole = !args.frames && !args.unsettled && args.destination.is_none();
        is_whole && (args.from..=args.to).contains(&sequence)
    }

    fn has_settlement(&mut self, args: &DumpArgs, settlement: &Settlement) -> bool {
        let sequence = settlement.sequence;
        !args.frames
            && !args.unsettled
            && (args.from..=args.to).contains(&sequence)
            && (args.destination.is_none() || self.wanted.remove(sequence).is_some())
    }
}

/// Reads the journal once, for what is not settled.
fn unsettled(place: &Place) -> Result<(Unsettled, Position), Failure> {
    let (mut unsettled, mut end) = (Unsettled::default(), 0);
    let mut older = Older::default();
    let mut scan = place.scan();
    while let Some(found) = scan.advance().map_err(failed)? {
        if let Finding::Batch(batch) = found {
            batch
                .records()
                .chain(older.of(&batch))
                .for_each(|it| unsettled.insert(it.sequence, 0));
            for settlement in batch.settlements() {
                unsettled.remove(settlement.sequence);
            }
            end = batch.end();
        }
    }
    Ok((unsettled, end))
}

struct Dump<'a, W: Write> {
    args: &'a DumpArgs,
    selection: Selection,
    older: Older,
    out: W,
}

impl<W: Write> Dump<'_, W> {
    /// Prints what is wanted; returns how many places could not be read.
    fn all(&mut self, place: &Place) -> Result<u64, Failure> {
        let (mut scan, mut holes) = (place.scan(), 0);
        while let Some(found) = scan.advance().map_err(failed)? {
            match found {
                Finding::Batch(batch) if batch.position() >= self.selection.end() => break,
                Finding::Batch(batch) => self.batch(&batch).map_err(Failure::output)?,
                Finding::Hole(hole) => {
                    holes += 1;
                    say(format!("damaged: {}", words(&hole, place)));
                }
                Finding::CompactedHole(hole) => {
                    holes += 1;
                    say(format!("damaged: {}", compacted_words(&hole, place)));
                }
                Finding::Segment(_) | Finding::Compacted { .. } | Finding::Tail(_) => {}
            }
        }
        Ok(holes)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> std::io::Result<()> {
        for record in batch.records().chain(self.older.of(batch)) {
            if self.selection.has_message(self.args, &record) {
                self.message(&record)?;
            }
        }
        for (sequence, id) in batch.ids() {
            if self.selection.has_id(self.args, sequence) {
                let line = IdLine::of(sequence, &id, batch.position());
                serde_json::to_writer(&mut self.out, &line)?;
                self.out.write_all(b"\n")?;
            }
        }
        for settlement in batch.settlements() {
            if self.selection.has_settlement(self.args, &settlement) {
                let line = SettlementLine {
                    kind: "settlement",
                    sequence: settlement.sequence,
                    position: batch.position(),
                    settled: time(settlement.settled_us),
                };
                serde_json::to_writer(&mut self.out, &line)?;
                self.out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn message(&mut self, record: &JournalRecord<'_>) -> std::io::Result<()> {
        if !self.args.frames {
            let mut line = serde_json::to_vec(&MessageLine::of(record))?;
            // The frame is JSON: it goes into the object as it is.
            line.pop();
            self.out.write_all(&line)?;
            self.out.write_all(b",\"frame\":")?;
        }
        self.out.write_all(record.frame())?;
        let end: &[u8] = if self.args.frames { b"\n" } else { b"}\n" };
        self.out.write_all(end)
    }
}

/// A message's line; its frame comes behind it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageLine {
    kind: &'static str,
    sequence: u64,
    /// Of its record.
    position: Position,
    level: u8,
    /// When it was read.
    arrival: String,
    message_id: String,
    source_server_id: String,
    destination_id: String,
    message_type: String,
    priority: u8,
    timestamp: i64,
}

impl MessageLine {
    fn of(record: &JournalRecord<'_>) -> Self {
        let owned = |text: Text<'_>| text.value().into_owned();
        Self {
            kind: "message",
            sequence: record.sequence,
            position: record.position,
            level: record.level(),
            arrival: time(record.arrival_us()),
            message_id: owned(record.message_id()),
            source_server_id: owned(record.source_id()),
            destination_id: owned(record.destination()),
            message_type: owned(record.message_type()),
            priority: record.priority(),
            timestamp: record.timestamp_ms(),
        }
    }
}

/// The line of an id whose message is settled and gone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IdLine {
    kind: &'static str,
    sequence: u64,
    /// Of its batch.
    position: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    /// Of a long one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl IdLine {
    fn of(sequence: u64, id: &CompactId<'_>, position: Position) -> Self {
        let (message_id, sha256) = match id {
            CompactId::Whole(id) => (Some(String::from_utf8_lossy(id).into_owned()), None),
            CompactId::Digest(digest) => {
                let hex: String = digest.iter().map(|it| format!("{it:02x}")).collect();
                (None, Some(hex))
            }
        };
        Self {
            kind: "id",
            sequence,
            position,
            message_id,
            sha256,
        }
    }
}

/// A settlement's line.
#[derive(Debug, Serialize)]
struct SettlementLine {
    kind: &'static str,
    sequence: u64,
    /// Of its batch.
    position: Position,
    settled: String,
}

/// UTC, or the bare number where it is beyond all calendars.
pub(super) fn time(us: u64) -> String {
    let time = i64::try_from(us).ok().map(Timestamp::from_microsecond);
    match time {
        Some(Ok(time)) => time.to_string(),
        _ => us.to_string(),
    }
}
