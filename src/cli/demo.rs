//! `flipped-lb demo`: the whole system on one machine.
//!
//! Fed by the command line; starts simulated servers, the engine and customers.

use std::path::PathBuf;

use clap::Args;

use super::Failure;

const EXAMPLES: &str = "Examples:
  flipped-lb demo
  flipped-lb demo --rate 10000 --seconds 30
  flipped-lb demo --data-dir /tmp/demo --keep     look at the journal and the rows afterwards";

/// Run the whole system on this machine: simulated servers, engine, customers.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Messages a second, of all servers together.
    #[arg(long, value_name = "R", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: u64,
    /// How long it runs.
    #[arg(long, value_name = "S", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Where the demo keeps its files; without it a directory for temporary files.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keep the files when it is over.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the demonstration.
///
/// # Errors
/// A part of it failed.
pub fn run(_args: DemoArgs) -> Result<(), Failure> {
    Err(Failure::Failed(
        "demo: the engine is not wired to this command yet; build a later version".to_owned(),
    ))
}
