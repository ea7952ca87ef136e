//! What an engine has beside the path: counters, health, HTTP, the monitor. Used by [`super::start`].

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use rustls::ServerConfig;

use super::error::{StartError, system};
use super::lock::DirectoryLock;
use super::names::Names;
use super::pipeline::Signals;
use super::spawn::{self, Spawner};
use super::threads::Plan;
use super::{Addresses, Engine, Failed, Thread};
use crate::access::Users;
use crate::admin::{Admin, AdminState, Facts, Health, Monitor, MonitorParts, Phase, Shown};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::counters::Counters;
use crate::destinations;
use crate::latency::{self, IntervalLog, LogLimits, Totals};
use crate::log;
use crate::ring::Wake;
use crate::store::thread::StoreThread;

/// Counters, health, HTTP and monitor of an engine that starts.
pub(super) struct Services<'a> {
    plan: &'a Plan,
    config: &'a Config,
    pub(super) counters: Arc<Counters>,
    pub(super) signals: Signals,
    names: Names,
    shown: Arc<Mutex<Shown>>,
    health: Arc<Health>,
    failing: Sender<Failed>,
    failures: Receiver<Failed>,
}

impl<'a> Services<'a> {
    pub(super) fn new(plan: &'a Plan, config: &'a Config, names: Names) -> Self {
        let (failing, failures) = channel();
        let signals = Signals::default();
        let health = Health::new(spawn::names(plan));
        let health = health.watching(Arc::clone(&signals.journal_limited));
        let totals = Totals::new(config.scheduler.levels, names.destinations_max(config));
        Self {
            plan,
            config,
            counters: Arc::default(),
            signals,
            names,
            shown: Arc::new(Mutex::new(Shown::new(totals, config.sources.len()))),
            health: Arc::new(health),
            failing,
            failures,
        }
    }

    fn latency_names(&self) -> Arc<dyn latency::Names> {
        Arc::new(self.names.clone())
    }

    /// With `tls`, HTTPS.
    pub(super) fn admin(
        &self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Admin, StartError> {
        let state = AdminState {
            counters: Arc::clone(&self.counters),
            shown: Arc::clone(&self.shown),
            health: Arc::clone(&self.health),
            names: self.latency_names(),
            users: Arc::new(Users::new(&self.config.users)),
            tls,
            facts: Facts {
                version: env!("CARGO_PKG_VERSION"),
                durability: self.config.durability.name(),
                threading_mode: self.plan.mode.name(),
                started: Instant::now(),
                connections: self.config.admin.connections,
            },
        };
        Ok(Admin::start(listener, state)?)
    }

    pub(super) fn spawner(&self, clock: SystemClock) -> Spawner<'_> {
        Spawner {
            plan: self.plan,
            pressure: &self.signals.pressure,
            clock,
            health: &self.health,
            failing: &self.failing,
        }
    }

    pub(super) fn monitor(
        &self,
        clock: SystemClock,
        (latencies, reports): (latency::Collector, destinations::Collector),
        scheduler_wake: Arc<Wake>,
        store: Option<&StoreThread>,
    ) -> Result<Monitor, StartError> {
        let out = log::stdout().map_err(system("thread"))?;
        let parts = MonitorParts {
            clock,
            counters: Arc::clone(&self.counters),
            shown: Arc::clone(&self.shown),
            latencies,
            reports,
            names: self.latency_names(),
            progress: store.map(|it| Arc::clone(it.progress())),
            interval: self.config.stats.interval,
            log: self.latency_log(),
            histograms: Some(self.config.data_dir.join("histograms")),
            wake: Box::new(move || scheduler_wake.notify()),
            out: Box::new(log::Writer(out)),
        };
        Monitor::start(parts).map_err(system("thread"))
    }

    pub(super) fn engine(
        self,
        threads: Vec<Thread>,
        store: Option<StoreThread>,
        monitor: Monitor,
        admin: Option<Admin>,
        addresses: Addresses,
        lock: DirectoryLock,
    ) -> Engine {
        self.health.set_phase(Phase::Running);
        Engine {
            addresses,
            counters: self.counters,
            health: self.health,
            signals: self.signals,
            threads,
            failures: self.failures,
            store,
            store_timeout: self.config.store.stop_timeout,
            monitor,
            admin,
            lock,
        }
    }

    fn latency_log(&self) -> Option<IntervalLog> {
        let settings = &self.config.latency;
        let limits = LogLimits {
            interval: settings.log_interval,
            max_bytes: settings.log_max_bytes,
            max_age: settings.log_max_age,
            files: settings.log_files,
        };
        let shape = (
            self.config.scheduler.levels,
            self.names.destinations_max(self.config),
        );
        let folder = self.config.data_dir.join("histograms");
        let wanted = !settings.log_interval.is_zero();
        wanted.then(|| IntervalLog::new(folder, limits, SystemTime::now(), shape))
    }
}
