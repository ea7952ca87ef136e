//! `flipped-lb run`: the engine, in the foreground.
//!
//! Fed by the command line; hands the settings to the engine and waits for signals.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use tracing::info;

use super::Failure;
use super::service::Service;
use super::signals::Signals;
use crate::config::{self, Config};
use crate::engine::{self, Addresses, Engine, directory};
use crate::log::{self, say};

const EXAMPLES: &str = "Examples:
  flipped-lb run
  flipped-lb run --config /etc/flipped-lb.toml
  flipped-lb run --data-dir /var/lib/flipped-lb
  FLIPPED_LB_DURABILITY=synced flipped-lb run

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

/// How often the waiting process looks after its signals and its engine.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the engine until it is told to stop.
///
/// # Errors
/// The settings are wrong, or the engine failed.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    let signals = prepare()?;
    let mut config = config::load(args.config.as_deref())?;
    if let Some(data_dir) = args.data_dir {
        config.data_dir = data_dir;
    }
    super::log::apply(config.log)?;
    print_passed_over();
    let engine = engine::start(&config, || signals.has_started()).map_err(Failure::because)?;
    say(listening(&engine, &config));
    let mut service = Service::new();
    service.tell_ready();
    let failed = loop {
        if signals.stop.load(Ordering::Relaxed) {
            break None;
        }
        if let Some(failed) = engine.failed() {
            break Some(failed);
        }
        let unwell = || engine.health().unwell();
        service.tell_health(Instant::now(), engine.counters(), unwell);
        std::thread::sleep(LOOK);
    };
    service.tell_stopping();
    let ended = engine.stop(&signals.hurry, |what| {
        let progress = format!("stopping: {what}");
        service.tell(&progress);
        say(progress);
    });
    if !ended.unrecorded.is_empty() {
        print_to_reader(ended.unrecorded.to_string());
    }
    let problem = failed
        .map(|it| format!("{} failed: {}", it.agent, it.error))
        .or(ended.problems);
    problem.map_or(Ok(()), |problem| Err(Failure::because(problem)))
}

/// The last line on stdout; its reader may have stopped reading.
fn print_to_reader(line: String) {
    let (wrote, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = writeln!(std::io::stdout(), "{line}");
        let _ = wrote.send(());
    });
    let _ = is_done.recv_timeout(Duration::from_secs(1));
}

/// Kubernetes' variables for a Service of this name are no settings: said once.
pub(super) fn print_passed_over() {
    let names = config::passed_over().join(", ");
    if !names.is_empty() {
        info!("{names}: set by Kubernetes for a Service of this name, no settings: passed over");
    }
}

/// Makes the process one that runs an engine: private files, signals, and an end where it panics.
pub(super) fn prepare() -> Result<Signals, Failure> {
    log::end_on_panic();
    directory::private_files();
    Signals::watch()
}

fn listening(engine: &Engine, config: &Config) -> String {
    let Addresses {
        delivery,
        ingest,
        admin,
    } = engine.addresses();
    let mut line = format!(
        "running: {} sources, subscribers on {delivery}, data in {}",
        config.sources.len(),
        config.data_dir.display()
    );
    if let Some(ingest) = ingest {
        line.push_str(&format!(", producers on {ingest}"));
    }
    if let Some(admin) = admin {
        let scheme = match config.tls.of(&config.admin.tls) {
            Some(_) => "https",
            None => "http",
        };
        line.push_str(&format!(", {scheme}://{admin}/stats"));
    }
    line
}
