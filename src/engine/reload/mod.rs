//! Reloading: the settings are read anew while the engine runs. All of them take effect, or none.
//!
//! ```text
//! SIGHUP, POST /reload --> [ thread: read, check, compare, place ] --refused--> log, answer
//!                                       | nothing can fail from here on
//!                                       v
//!   scheduler: rules, bounds --> names opened, closed --> ingest, delivery --> listeners, HTTP, log
//! ```
//! A thread of its own does one reload after the other; agents take their part between two duty cycles,
//! by `agent::control`. The scheduler is first, so that what ingest sends for a new destination finds its
//! rules.

pub(crate) mod asking;
mod error;
mod files;
mod live;
mod place;
mod slots;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use tracing::{error, info};

use self::asking::{Asking, Outcome};
pub(crate) use self::error::ReloadError;
use self::files::Files;
pub(super) use self::live::Live;
use self::slots::Slots;
use super::error::{StartError, system};
use super::resources::within_descriptors;
use super::tls::TlsOfEngine;
use crate::access::with_tokens;
use crate::clock::wall_us;
use crate::config::changes::Changes;
use crate::config::{Config, Log};
use crate::counters::Counter;
use crate::nats;

/// Where settings come from, and who carries out those of the log: the command that runs the engine.
pub(crate) trait SettingsSource: Send {
    /// Reads and checks the settings, as at the start.
    ///
    /// # Errors
    /// What is wrong with them.
    fn load(&mut self) -> Result<Config, String>;

    /// From now on the log is so.
    fn apply_log(&mut self, log: Log);
}

/// The thread's state.
pub(super) struct Reloader {
    source: Option<Box<dyn SettingsSource>>,
    /// The settings in force, tokens read from their files.
    in_force: Config,
    /// What the files were that they name.
    files: Files,
    slots: Slots,
    live: Live,
    /// The engine stops: its agents may be gone.
    stopping: Arc<AtomicBool>,
}

impl Reloader {
    /// Of an engine that runs with these settings. Without a source each reload is refused.
    pub(super) fn new(
        source: Option<Box<dyn SettingsSource>>,
        in_force: Config,
        live: Live,
        stopping: Arc<AtomicBool>,
    ) -> Self {
        Self {
            source,
            files: Files::of(&in_force),
            slots: Slots::new(&in_force.sources),
            in_force,
            live,
            stopping,
        }
    }

    /// Starts the thread. It ends when nobody can ask any more.
    pub(super) fn start(mut self, asking: Asking) -> Result<(), StartError> {
        let run = move || {
            for asked in asking.0 {
                (asked.answer)(self.reload(asked.by));
            }
        };
        let thread = Builder::new().name("reload".to_owned()).spawn(run);
        thread.map(drop).map_err(system("thread"))
    }

    fn reload(&mut self, by: &'static str) -> Outcome {
        let outcome = self.try_reload();
        let counters = &self.live.counters;
        match &outcome {
            Ok(changes) => {
                counters.add(Counter::Reloads, 1);
                counters.set(Counter::LastReload, wall_us() / 1_000);
                info!(by, "settings reloaded: {changes}");
            }
            Err(why) => {
                counters.add(Counter::ReloadFailures, 1);
                error!(by, "settings not reloaded, nothing was changed: {why}");
            }
        }
        outcome
    }

    fn try_reload(&mut self) -> Outcome {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ReloadError::Stopping);
        }
        let source = self.source.as_mut().ok_or(ReloadError::NoFile)?;
        let config = source.load().map_err(ReloadError::Settings)?;
        let config = with_tokens(&config)?;
        let mut changes = Changes::between(&self.in_force, &config)?;
        let files = Files::of(&config);
        let tls = TlsOfEngine::load(&config)?;
        let fitted =
            within_descriptors(&config).map_err(|it| ReloadError::System(it.to_string()))?;
        let placed = self.live.place(&config, &self.in_force)?;
        let (own, before) = (nats::own(&config, self.live.own.as_ref()), &self.in_force);
        let own = own.and_then(|own| self.live.nats.prepare(&config).map(|()| own));
        let own = own.map_err(|it| {
            self.live.undo(before);
            ReloadError::System(format!("no thread for NATS: {it}"))
        })?;
        // From here on nothing fails.
        self.live.own = own;
        tls.warn_of_certificates();
        changes.changed.extend(self.files.changed(&files));
        let sources = self.slots.change(&self.in_force.sources, &config.sources);
        let (slots, stopping) = (self.slots.of(&config.sources), Arc::clone(&self.stopping));
        let is_over = || stopping.load(Ordering::Relaxed);
        self.live
            .take(&fitted, placed, &sources, (&tls, &slots), &is_over);
        if config.log != self.in_force.log {
            source.apply_log(config.log);
        }
        (self.in_force, self.files) = (config, files);
        Ok(changes)
    }
}
