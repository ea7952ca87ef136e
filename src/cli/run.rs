//! `flipped-lb run`: the engine, in the foreground.
//!
//! Fed by the command line; hands the settings to the engine and waits for signals.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config;

const EXAMPLES: &str = "Examples:
  flipped-lb run
  flipped-lb run --config /etc/flipped-lb.toml
  FLIPPED_LB_DURABILITY=synced flipped-lb run

SIGTERM or SIGINT drains, prints the statistics and exits 0; a second one exits at once.";

/// Run the engine in the foreground.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs the engine until it is told to stop.
///
/// # Errors
/// The settings are wrong, or the engine failed.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let _config = config::load(args.config.as_deref())?;
    Err(Failure::Failed(
        "run: the engine is not wired to this command yet; build a later version".to_owned(),
    ))
}
