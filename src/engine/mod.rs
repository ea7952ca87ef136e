//! The engine: the pipeline on its threads, with everything around it that is off the path.
//!
//! ```text
//!  threads   shared:     [ path: ingest, scheduler, delivery..., journal ]
//!              by auto:  ... [ relief: ingest, while the path has no rest ]
//!            dedicated:  [ ingest ] [ scheduler ] [ journal ] [ delivery ] ...
//!            always:     [ store ] [ monitor ] [ admin ]
//! ```
//!
//! `flipped-lb run` and `demo` start one and stop it; tests do too, or turn its cranks by hand
//! ([`crank`]).

mod behind;
pub mod crank;
mod lock;
pub mod pipeline;
mod spawn;
mod start;
pub mod threads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info};

pub use self::lock::{DirectoryLock, LockError};
use self::pipeline::Signals;
pub use self::pipeline::journal_folder;
pub use self::start::{StartError, start};
use crate::admin::{Admin, Health, Monitor, Phase};
use crate::agent::Fatal;
use crate::counters::{Counter, Counters, Snapshot};
use crate::ring::Wake;
use crate::store::thread::StoreThread;

/// How often a stopping engine looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(5);
/// Looks in a row that must find it quiet.
const QUIET_LOOKS: u32 = 4;
/// A drain that makes no progress for this long is over: subscribers that do not read are not
/// waited for, their messages are in the journal.
const DRAIN_STALL: Duration = Duration::from_secs(5);

/// A thread of agents.
struct Thread {
    name: &'static str,
    stop: Arc<AtomicBool>,
    wake: Arc<Wake>,
    handle: JoinHandle<()>,
}

/// Where a running engine can be reached.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Subscribers connect here.
    pub delivery: SocketAddr,
    /// Producers dial in here.
    pub ingest: Option<SocketAddr>,
    /// HTTP.
    pub admin: Option<SocketAddr>,
}

/// How an agent's thread ended before it was told to.
#[derive(Debug)]
pub struct Failed {
    /// Which.
    pub agent: &'static str,
    /// Why.
    pub error: Fatal,
}

/// A running engine.
pub struct Engine {
    addresses: Addresses,
    counters: Arc<Counters>,
    health: Arc<Health>,
    signals: Signals,
    /// In the order in which they are stopped: from the sources on, the journal last.
    threads: Vec<Thread>,
    failures: Receiver<Failed>,
    store: Option<StoreThread>,
    monitor: Monitor,
    admin: Option<Admin>,
    /// Keeps other engines off the directory.
    _lock: DirectoryLock,
}

/// What a stopped engine leaves.
#[derive(Debug)]
pub struct Ended {
    /// The counters at the end.
    pub counters: Snapshot,
    /// Histogram files that were written.
    pub histogram_files: usize,
    /// What went wrong while it stopped, if anything.
    pub trouble: Option<String>,
}

impl Engine {
    /// Where it can be reached.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Why it cannot go on, once it cannot.
    #[must_use]
    pub fn failed(&self) -> Option<Failed> {
        self.failures.try_recv().ok()
    }

    /// Stops it in an orderly way: sources are read no more, what is queued for connected
    /// subscribers is delivered, the journal and the store are completed, statistics and histograms
    /// written. `hurry` cuts all waiting short. `progress` is told what is waited for.
    pub fn stop(self, hurry: &AtomicBool, mut progress: impl FnMut(&str)) -> Ended {
        self.health.set_phase(Phase::Draining);
        self.signals.draining.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(|it| it.wake.notify());
        progress("delivering what is queued for connected subscribers");
        self.drain(hurry);
        for thread in self.threads {
            thread.stop.store(true, Ordering::Relaxed);
            thread.wake.notify();
            if thread.handle.join().is_err() {
                error!(thread = thread.name, "panicked");
            }
        }
        let mut trouble = Vec::new();
        if let Some(store) = self.store {
            progress("completing the store");
            let end = self.signals.recorded.load(Ordering::Acquire);
            let left = store.finish(end, hurry);
            if left > 0 {
                trouble.push(format!(
                    "{left} journal bytes are not in the store yet; they will be after the next \
                     start"
                ));
            }
        }
        self.health.set_phase(Phase::Stopped);
        if let Some(admin) = self.admin {
            admin.stop();
        }
        let finished = self.monitor.finish();
        let histogram_files = finished.files.unwrap_or_else(|error| {
            trouble.push(error.to_string());
            0
        });
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        Ended {
            counters: self.counters.snapshot(),
            histogram_files,
            trouble,
        }
    }

    /// Waits until nothing is left that can be delivered, or nothing moves any more.
    fn drain(&self, hurry: &AtomicBool) {
        let mut quiet_looks = 0;
        let mut moved = (0, Instant::now());
        while quiet_looks < QUIET_LOOKS && !hurry.load(Ordering::Relaxed) {
            std::thread::sleep(DRAIN_POLL);
            let is_quiet = self.signals.quiet.load(Ordering::Acquire);
            quiet_looks = if is_quiet { quiet_looks + 1 } else { 0 };
            let settled = self.counters.get(Counter::Settled);
            if settled != moved.0 {
                moved = (settled, Instant::now());
            } else if moved.1.elapsed() > DRAIN_STALL {
                let left = self.counters.get(Counter::InFlight);
                info!(left, "subscribers do not take or acknowledge what is left");
                return;
            }
        }
    }
}
