//! Everything that a person or a scraper sees: statistics, HTTP and histogram files.
//!
//! ```text
//! agents --> Counters ----------------------------+--> /stats /metrics
//! scheduler --intervals--> MONITOR --> Shown -----+--> /histograms/... the page, /events
//!                             |                   |
//!                             +--> statistics text on stdout, .hgrm files at the end
//! engine ----phase, agents--> Health -----------------> /healthz /readyz
//! ```
//!
//! The agents feed it through atomics and one swap of a box; nothing here is on the path, and
//! nothing here can slow it: the mutex is between the monitor and the HTTP thread alone. The one command
//! to give is `POST /reload`, which the engine's own thread carries out.

mod alarms;
mod clients;
mod cluster;
mod degraded;
mod destinations;
mod flow;
mod guard;
mod health;
mod histograms;
mod history;
pub(crate) mod hosts;
mod latency_figures;
mod metrics;
mod monitor;
mod page;
mod readiness;
mod reload;
mod server;
mod shown;
mod sources;
mod stalls;
mod statistics;
mod stats;

pub(crate) use health::{Health, Phase};
pub(crate) use monitor::{Monitor, MonitorParts};
pub(crate) use server::{Admin, AdminError};
pub(crate) use shown::Shown;
pub(crate) use stalls::Waits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

pub(crate) use crate::latency::Names;

use crate::access::{CurrentUsers, RefusedClients};
use crate::agent::background;
use crate::cluster::figures;
use crate::cluster::status::{Handle, Snapshot};
use crate::counters::Counters;
use crate::engine::reload::asking::Reloads;
use crate::engine::tls::Certificates;
use crate::net::admission::Admission;
use crate::net::tls::TlsSwitch;

/// What does not change while an engine runs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) version: &'static str,
    /// The setting's word: `memory`, `written` or `synced`.
    pub(crate) durability: &'static str,
    /// The mode in force: `dedicated` or `shared`.
    pub(crate) threading_mode: &'static str,
    /// When the engine started.
    pub(crate) started: Instant,
    /// The setting `journal.max_bytes`.
    pub(crate) journal_max_bytes: u64,
    /// The same as a time of day: it tells one engine from the next at an address.
    pub(crate) started_at: SystemTime,
    /// Whether anything follows the journal.
    pub(crate) has_store: bool,
    /// Names by which it may be asked, besides those that it knows itself.
    pub(crate) hosts: Vec<String>,
}

/// All that the HTTP thread reads.
#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) counters: Arc<Counters>,
    /// What the monitor collected.
    pub(crate) shown: Arc<Mutex<Shown>>,
    /// Whether the engine is well.
    pub(crate) health: Arc<Health>,
    /// What destinations and types are called.
    pub(crate) names: Arc<dyn Names>,
    /// Who may ask.
    pub(crate) users: Arc<CurrentUsers>,
    /// What the listener shows; where that is nothing it speaks plain HTTP.
    pub(crate) tls: Arc<TlsSwitch>,
    /// Those that the engine shows.
    pub(crate) certificates: Certificates,
    /// How many HTTP clients may be connected.
    pub(crate) admission: Arc<Admission>,
    /// Where refused clients are logged.
    pub(crate) refused: Arc<RefusedClients>,
    /// By which the settings are reloaded.
    pub(crate) reloads: Reloads,
    /// The member of a group that this is; `None`: it is alone.
    pub(crate) member: Option<Handle>,
    pub(crate) facts: Facts,
}

impl AdminState {
    /// The member of a group that this is, with its figures among the counters; `None`: it is alone.
    fn member(&self) -> Option<Snapshot> {
        let snapshot = self.member.as_ref()?.status.snapshot();
        figures::show(&snapshot, &self.counters);
        Some(snapshot)
    }
}

/// A thread that died while it held the lock left whole numbers behind: read on.
fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the path's threads wait for this thread's core, it goes on for a moment only.
fn take_turns(thread: &str) {
    if let Err(error) = background::shorten_slice() {
        tracing::debug!("the {thread} thread keeps its usual slice: {error}");
    }
}

#[cfg(test)]
mod testing;
