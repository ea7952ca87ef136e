//! What the commands that run an engine share: how the process is prepared, what it says, how it reloads and stops.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::info;

use super::Failure;
use super::service::Service;
use super::signals::Signals;
use crate::config::{self, Config};
use crate::engine::{Addresses, Engine, directory};
use crate::log::{self, say};
use crate::plural::several;

/// How often the waiting process looks after its signals and its engine.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Makes the process one that runs an engine: private files, signals, and an end where it panics.
pub(super) fn prepare() -> Result<Signals, Failure> {
    log::end_on_panic();
    directory::private_files();
    Signals::watch()
}

/// Kubernetes' variables for a Service of this name are no settings: said once.
pub(super) fn print_passed_over() {
    let names = config::passed_over().join(", ");
    if !names.is_empty() {
        info!("{names}: set by Kubernetes for a Service of this name, no settings: passed over");
    }
}

/// The line that says where a running engine can be reached.
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

/// The last line on stdout; its reader may have stopped reading.
fn print_to_reader(line: String) {
    let (wrote, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = writeln!(std::io::stdout(), "{line}");
        let _ = wrote.send(());
    });
    let _ = is_done.recv_timeout(Duration::from_secs(1));
}
