//! `flipped-lb run`: the engine, in the foreground.
//!
//! Fed by the command line; hands the settings to the engine and waits for signals.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use tracing::info;

use super::Failure;
use super::run_group;
use super::service::Service;
use super::settings::RunSettings;
use super::signals::Signals;
use crate::build_info;
use crate::config::{self, Config, Durability};
use crate::engine::{self, Addresses, Engine, directory};
use crate::formats;
use crate::log::{self, say};
use crate::plural::several;

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

/// How often the waiting process looks after its signals and its engine.
pub(super) const LOOK: Duration = Duration::from_millis(50);

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

/// Stops an engine in good order, and says how that goes; returns what went wrong.
pub(super) fn stop(engine: Engine, signals: &Signals, service: &Service) -> Option<String> {
    let ended = engine.stop(&signals.hurry, |what| {
        let progress = format!("stopping: {what}");
        service.tell(&progress);
        say(progress);
    });
    if !ended.unrecorded.is_empty() {
        print_to_reader(ended.unrecorded.to_string());
    }
    ended.problems
}

/// Reloads that SIGHUP asks for: one that comes while one is under way is made behind it.
#[derive(Debug, Default)]
pub(super) struct Reloading {
    is_under_way: bool,
    is_done: Arc<AtomicBool>,
}

impl Reloading {
    pub(super) fn look(&mut self, signals: &Signals, engine: &Engine, service: &Service) {
        if self.is_under_way && self.is_done.swap(false, Ordering::Relaxed) {
            self.is_under_way = false;
            service.tell_reloading(false);
        }
        if !self.is_under_way && signals.reload.swap(false, Ordering::Relaxed) {
            self.is_under_way = true;
            service.tell_reloading(true);
            let is_done = Arc::clone(&self.is_done);
            let answer = move |_| is_done.store(true, Ordering::Relaxed);
            engine.reloads().ask("SIGHUP", answer);
        }
    }
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

pub(super) fn listening(engine: &Engine, config: &Config) -> String {
    let Addresses {
        delivery,
        ingest,
        admin,
        http,
    } = engine.addresses();
    let mut line = format!(
        "running: {}, subscribers on {delivery}, data in {}",
        several(config.sources.len() as u64, "source"),
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
    if let Some(http) = http {
        line.push_str(&format!(", HTTP customers on {http}"));
    }
    line
}
