//! `flipped-lb cluster restore`: makes the group's stream anew from this member's journal.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::cluster::restore;
use crate::config::{self, Durability};
use crate::log::say;
use crate::plural::several;

/// Between two words of progress, in records.
const PROGRESS: u64 = 10_000;

/// Make the group's stream anew from this member's journal.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "After the stream was deleted, or another one stands in its place: stop all members, \
take the one with the longest journal, and start them again behind it. Each compares its files with the \
stream then; what went on otherwise is set aside, and told."
)]
pub(super) struct RestoreArgs {
    /// The settings' file, for [cluster] and data_dir.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Remove a stream that has messages first: what only it has is lost.
    #[arg(long)]
    replace: bool,
}

/// Makes the stream.
///
/// # Errors
/// This member runs, has no records, or the servers refuse.
pub(super) fn run(args: RestoreArgs) -> Result<(), Failure> {
    let config = config::load(args.config.as_deref())?;
    if config.durability != Durability::Replicated {
        let words = "by these settings the engine is in no group: name those of the member by --config, where \
                     durability = \"replicated\" and [cluster] say which stream is meant";
        return Err(Failure::Usage(words.to_owned()));
    }
    let restored = restore::restore(&config, args.replace, |records| {
        if records.is_multiple_of(PROGRESS) {
            say(format!("{records} records are published"));
        }
    });
    let restored = restored.map_err(Failure::because)?;
    say(format!(
        "the stream of group {} has {} of this member, {} to {}: start its members",
        config.cluster.group,
        several(restored.records, "record"),
        restored.first,
        restored.last
    ));
    Ok(())
}
