//! `flipped-lb run`: the engine, in the foreground.
//!
//! Fed by the command line; hands the settings to the engine and waits for signals.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use tracing::info;

use super::Failure;
use super::run_group;
use super::running::{LOOK, Reloading, listening, prepare, print_passed_over, stop};
use super::service::Service;
use super::settings::RunSettings;
use crate::build_info;
use crate::config::{self, Durability};
use crate::engine;
use crate::formats;
use crate::log::say;

const EXAMPLES: &str = "Examples:
  flipped-lb run
  flipped-lb run --config /etc/flipped-lb.toml
  flipped-lb run --data-dir /var/lib/flipped-lb
  FLIPPED_LB_DURABILITY=synced flipped-lb run

SIGHUP has the settings read anew, as `flipped-lb reload` does.
SIGTERM or SIGINT drains, prints the statistics and exits 0. A second one ends the process within a
second, with exit code 1; what is not settled is delivered after the next start.";

/// Run the engine in the foreground.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the files go; without it the data_dir of the settings.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Runs the engine until it is told to stop.
///
/// # Errors
/// The settings are wrong, or the engine failed.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    let signals = prepare()?;
    let settings = RunSettings {
        // A file that is there now and is gone at a reload is no empty one.
        file: config::used_file(args.config.as_deref()),
        data_dir: args.data_dir,
    };
    let config = settings.read()?;
    super::log::apply(config.log)?;
    let (commit, formats) = (build_info::built_from(), formats::words());
    info!(
        version = env!("CARGO_PKG_VERSION"),
        commit, formats, "starting"
    );
    print_passed_over();
    if config.durability == Durability::Replicated {
        return run_group::run(config, &settings, &signals);
    }
    let engine = engine::start(&config, Some(Box::new(settings)), || signals.has_started())
        .map_err(Failure::because)?;
    say(listening(&engine, &config));
    let mut service = Service::new();
    service.tell_ready();
    let mut reloading = Reloading::default();
    let failed = loop {
        if signals.stop.load(Ordering::Relaxed) {
            break None;
        }
        if let Some(failed) = engine.failed() {
            break Some(failed);
        }
        reloading.look(&signals, &engine, &service);
        let unwell = || engine.health().unwell();
        service.tell_health(Instant::now(), engine.counters(), unwell);
        std::thread::sleep(LOOK);
    };
    service.tell_stopping();
    let problems = stop(engine, &signals, &service);
    let problem = failed
        .map(|it| format!("{} failed: {}", it.agent, it.error))
        .or(problems);
    problem.map_or(Ok(()), |problem| Err(Failure::because(problem)))
}
