//! Everything that a person or a scraper sees: statistics, HTTP and histogram files.
//!
//! ```text
//! agents --> Counters ----------------------------+--> /stats /metrics
//! scheduler --intervals--> MONITOR --> Shown -----+--> /histograms/...
//!                             |                   |
//!                             +--> statistics text on stdout, .hgrm files at the end
//! engine ----phase, agents--> Health -----------------> /healthz /readyz
//! ```
//!
//! The agents feed it through atomics and one swap of a box; nothing here is on the path, and
//! nothing here can slow it: the mutex is between the monitor and the HTTP thread alone. It changes
//! nothing in the engine: there is no command to give.

mod alarms;
mod clients;
mod degraded;
mod destinations;
mod guard;
mod health;
mod histograms;
mod metrics;
mod monitor;
mod server;
mod shown;
mod stalls;
mod statistics;
mod stats;

pub(crate) use health::{Health, Phase};
pub(crate) use monitor::{Monitor, MonitorParts};
pub(crate) use server::{Admin, AdminError};
pub(crate) use shown::Shown;
pub(crate) use stalls::Waits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) use crate::latency::Names;

use rustls::ServerConfig;

use crate::access::Users;
use crate::agent::background;
use crate::config::Connections;
use crate::counters::Counters;

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
    /// How many HTTP clients may be connected.
    pub(crate) connections: Connections,
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
    pub(crate) users: Arc<Users>,
    /// What the listener shows; `None`: it speaks plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) facts: Facts,
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
