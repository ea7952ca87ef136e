//! The engine: the pipeline on its threads, with everything around it that is off the path.
//!
//! ```text
//!  threads   shared:     [ path: ingest, scheduler, delivery..., journal ]
//!              by auto:  ... [ relief: ingest, while input piles up ]
//!            dedicated:  [ ingest ] [ scheduler ] [ journal ] [ delivery ] ...
//!            always:     [ replay ] [ retention ] [ rejects ] [ store ] [ monitor ] [ admin ]
//!            as asked:   [ reload ]
//!            by process: [ log ] [ statistics ] [ signals ]
//! ```
//!
//! `flipped-lb run` and `demo` start one and stop it; tests do too, or turn its cranks by hand
//! ([`crank`]).

pub(crate) mod cores;
pub(crate) mod directory;
mod http;
mod inside;
mod listeners;
mod lock;

mod names;
pub(crate) mod threads;
pub(crate) mod tls;
mod wakes;

pub mod crank;
mod journal_wiring;
pub mod pipeline;
pub(crate) mod reload;
mod shared;

mod behind;
mod error;
mod group_store;
pub(crate) mod member;
mod past;
mod resources;
mod services;
mod spawn;
pub(crate) mod standby;
mod start;
mod stop;
mod term;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) use self::lock::{DirectoryLock, LockError};
pub use self::names::Names;
pub(crate) use self::pipeline::GroupPath;
use self::pipeline::Signals;
use self::reload::asking::Reloads;
pub(crate) use self::start::{start, start_term};
pub(crate) use self::stop::Unrecorded;
pub use self::wakes::Wakes;
use crate::admin::{Admin, Health, Monitor};
use crate::agent::Fatal;
use crate::counters::{Counters, Snapshot};
use crate::http::Http;
use crate::nats::Nats;
use crate::ring::Wake;
use crate::store::thread::StoreThread;

/// A thread of agents.
struct Thread {
    name: &'static str,
    stop: Arc<AtomicBool>,
    wake: Arc<Wake>,
    handle: JoinHandle<()>,
}

/// Where a running engine can be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) delivery: SocketAddr,
    /// Producers dial in here.
    pub(crate) ingest: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    /// HTTP for customers and producers.
    pub(crate) http: Option<SocketAddr>,
}

/// How an agent's thread ended before it was stopped.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) agent: &'static str,
    pub(crate) error: Fatal,
}

pub(crate) struct Engine {
    addresses: Addresses,
    counters: Arc<Counters>,
    health: Arc<Health>,
    signals: Signals,
    reloads: Reloads,
    /// Reloads are refused: the agents may be gone.
    stopping: Arc<AtomicBool>,
    /// In the order in which they are stopped: from the sources on, the journal last.
    threads: Vec<Thread>,
    failures: Receiver<Failed>,
    store: Option<StoreThread>,
    /// How long the store goes on at stop.
    store_timeout: Duration,
    monitor: Monitor,
    admin: Option<Admin>,
    nats: Arc<Nats>,
    http: Option<Http>,
    /// Keeps other engines off the directory.
    lock: Arc<DirectoryLock>,
}

/// What a stopped engine leaves.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The counters at the end.
    pub(crate) counters: Snapshot,
    /// What could not be recorded.
    pub(crate) unrecorded: Unrecorded,
    /// What went wrong while it stopped, if anything.
    pub(crate) problems: Option<String>,
}

impl Engine {
    /// Where it can be reached.
    #[must_use]
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    #[must_use]
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    #[must_use]
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// By which its settings are reloaded.
    #[must_use]
    pub(crate) fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Why it cannot go on, once it cannot.
    #[must_use]
    pub(crate) fn failed(&self) -> Option<Failed> {
        self.failures.try_recv().ok()
    }
}
