//! `flipped-lb journal`: looks at a journal, and mends it.
//!
//! Fed by the command line; a file a command. All but `repair` only read, and may do so beside a
//! running engine.

mod dump;
pub(super) mod place;
mod progress;
mod repair;
mod repeated;
mod stats;
mod summary;
mod unsettled;
mod verify;

use clap::{Args, Subcommand};

use super::Failure;
use crate::journal::error::Damage;
use crate::journal::reader::scan::{CompactedHole, Hole};
use crate::journal::storage::Name;
use crate::journal::strays::Stray;

use place::Place;

const EXAMPLES: &str = "Examples:
  flipped-lb journal verify                         the journal of the configured data_dir
  flipped-lb journal stats flipped-lb-data --json
  flipped-lb journal dump /var/lib/flipped-lb --destination table1 --unsettled
  flipped-lb journal dump DIR --unsettled --frames | nc -N 127.0.0.1 9001
  flipped-lb journal repair DIR --dry-run

DIR is a data directory, or the journal folder in it. verify, dump and stats never write, and may run
beside an engine.";

/// Look at the journal, or mend it.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JournalArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) command: JournalCommand,
}

/// What to do with the journal.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum JournalCommand {
    /// Read all of it, and say what is whole and what is not; exit code 1 if it is damaged.
    Verify(verify::VerifyArgs),
    /// Print its entries, one JSON line each.
    Dump(dump::DumpArgs),
    /// Count what is in it.
    Stats(stats::StatsArgs),
    /// Keep what can be kept of a damaged one, and put the rest aside; no engine may run on it.
    Repair(repair::RepairArgs),
}

/// Carries out one of the commands.
///
/// # Errors
/// There is no journal, it cannot be read, or it is damaged.
pub(crate) fn run(args: JournalArgs) -> Result<(), Failure> {
    match args.command {
        JournalCommand::Verify(args) => verify::run(&args),
        JournalCommand::Dump(args) => dump::run(&args),
        JournalCommand::Stats(args) => stats::run(&args),
        JournalCommand::Repair(args) => repair::run(&args),
    }
}

/// A file that is no part of the journal, in words.
fn stray_words(stray: &Stray, place: &Place) -> String {
    let file = place.storage.path(stray.name);
    format!(
        "{}: its header is that of segment {}, and nothing is before it",
        file.display(),
        stray.of
    )
}

/// The same of a hole in a compacted file.
fn compacted_words(hole: &CompactedHole, place: &Place) -> String {
    let file = place.storage.path(hole.name);
    let CompactedHole {
        offset,
        len,
        damage,
        ..
    } = hole;
    let damage = match (offset, damage) {
        (0, Damage::NotABatch) => "its header is damaged".to_owned(),
        _ => damage.to_string(),
    };
    format!("{}, offset {offset}, {len} bytes: {damage}", file.display())
}

/// A hole in words: file, offset, bytes, what is wrong.
fn words(hole: &Hole, place: &Place) -> String {
    let (from, to) = (hole.from / place.segment_len, hole.to / place.segment_len);
    let file = place.storage.path(Name::Segment(from));
    let file = file.display();
    let offset = hole.from % place.segment_len;
    match to.saturating_sub(from) {
        more @ 2.. if offset == 0 => format!("{file} and {} behind it: {}", more - 1, hole.damage),
        _ => {
            let len = hole.to - hole.from;
            format!("{file}, offset {offset}, {len} bytes: {}", hole.damage)
        }
    }
}
