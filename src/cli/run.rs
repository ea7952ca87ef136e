//! `flipped-lb run`: the engine, in the foreground.
//!
//! Fed by the command line; hands the settings to the engine and waits for signals.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::Failure;
use crate::config::{self, Config};
use crate::engine::{self, Addresses, Engine};

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

/// How often the waiting process looks after its signals and its engine.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the engine until it is told to stop.
///
/// # Errors
/// The settings are wrong, or the engine failed.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let config = config::load(args.config.as_deref())?;
    let signals = Signals::watch()?;
    let engine = engine::start(&config).map_err(|error| Failure::Failed(error.to_string()))?;
    say(&listening(&engine, &config));
    let failed = loop {
        if signals.stop.load(Ordering::Relaxed) {
            break None;
        }
        if let Some(failed) = engine.failed() {
            break Some(failed);
        }
        std::thread::sleep(LOOK);
    };
    let ended = engine.stop(&signals.hurry, |what| say(&format!("stopping: {what}")));
    let trouble = failed
        .map(|it| format!("{} failed: {}", it.agent, it.error))
        .or(ended.trouble);
    trouble.map_or(Ok(()), |trouble| Err(Failure::Failed(trouble)))
}

/// What signals ask for: the first one to stop in good order, the second one to stop now.
pub(super) struct Signals {
    /// Stop in good order.
    pub(super) stop: Arc<AtomicBool>,
    /// Wait for nothing any more.
    pub(super) hurry: Arc<AtomicBool>,
}

impl Signals {
    /// Watches for SIGTERM and SIGINT; the second one ends the process.
    pub(super) fn watch() -> Result<Self, Failure> {
        let (stop, hurry) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        for signal in [SIGTERM, SIGINT] {
            // The order counts: at the first signal `stop` is not set yet, so nothing else happens.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .map_err(|error| Failure::Failed(format!("signals cannot be watched: {error}")))?;
        }
        // A limit on file sizes ends a process that does not listen for it; the journal would rather
        // have the error, which it takes for a full disk.
        flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
            .map_err(|error| Failure::Failed(format!("signals cannot be watched: {error}")))?;
        Ok(Self { stop, hurry })
    }
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
        line.push_str(&format!(", http://{admin}/stats"));
    }
    line
}

/// To the operator, who may have gone.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "flipped-lb: {line}");
}
