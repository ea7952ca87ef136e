//! What an engine has beside the path: counters, health, HTTP, the monitor. Used by [`super::start`].

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use super::error::{StartError, system};
use super::lock::DirectoryLock;
use super::names::Names;
use super::pipeline::{Remotes, Signals};
use super::reload::Live;
use super::reload::asking::Reloads;
use super::spawn::{self, Spawner};
use super::term::TermStart;
use super::threads::Plan;
use super::tls::TlsSwitches;
use super::{Addresses, Engine, Failed, Thread};
use crate::access::{CurrentUsers, Users};
use crate::admin::{Admin, AdminState, Facts, Health, Monitor, MonitorParts, Phase, Shown};
use crate::clock::SystemClock;
use crate::cluster::status::Handle;
use crate::config::{Config, StoreUrl};
use crate::counters::Counters;
use crate::destinations;
use crate::disk::Forecast;
use crate::http::{Http, HttpSettings};
use crate::latency::{self, IntervalLog, LogLimits, Totals};
use crate::log;
use crate::message::when_full::WhenFullOf;
use crate::nats::{Nats, Own};
use crate::net::admission::Admission;
use crate::ring::Wake;
use crate::sources;
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
    reloads: Reloads,
    /// The member of a group whose pipeline this is.
    pub(super) member: Option<Handle>,
    /// Set when the agents may go.
    pub(super) stopping: Arc<AtomicBool>,
    viewers: Arc<CurrentUsers>,
    admin_admission: Arc<Admission>,
    http: Arc<HttpSettings>,
    stats_interval_ns: Arc<AtomicU64>,
}

impl<'a> Services<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        config: &'a Config,
        names: Names,
        reloads: Reloads,
        term: Option<&TermStart>,
    ) -> Self {
        let users = Arc::new(Users::new(&config.users));
        let interval = u64::try_from(config.stats.interval.as_nanos()).unwrap_or(u64::MAX);
        let (failing, failures) = channel();
        let counters = term.map(|it| Arc::clone(&it.counters));
        let recorded = term.map(|it| Arc::clone(&it.recorded));
        let signals = Signals {
            recorded: recorded.unwrap_or_default(),
            group: term.map(|it| it.path.clone()),
            ..Signals::default()
        };
        let health = Health::new(spawn::names(plan));
        // Nothing is added before they have their size.
        let totals = Totals::new(config.scheduler.levels, 1);
        let mut shown = Shown::new(totals, config.sources.len());
        (shown.alarms).configure(config.sources.len(), WhenFullOf::new(config));
        Self {
            plan,
            config,
            counters: counters.unwrap_or_default(),
            signals,
            names,
            shown: Arc::new(Mutex::new(shown)),
            health: Arc::new(health),
            failing,
            failures,
            reloads,
            member: term.map(|it| it.handle.clone()),
            stopping: Arc::default(),
            viewers: Arc::new(CurrentUsers::new(users)),
            admin_admission: Arc::new(Admission::new("admin", config.admin.connections)),
            http: Arc::new(HttpSettings::new(&config.http)),
            stats_interval_ns: Arc::new(AtomicU64::new(interval)),
        }
    }

    /// What a reload reaches.
    pub(super) fn live(
        &self,
        remotes: Remotes,
        (tls, own, nats): (TlsSwitches, Option<Own>, Arc<Nats>),
    ) -> Live {
        Live {
            counters: Arc::clone(&self.counters),
            names: self.names.clone(),
            remotes,
            own,
            nats,
            tls,
            viewers: Arc::clone(&self.viewers),
            admin_admission: Arc::clone(&self.admin_admission),
            http: Arc::clone(&self.http),
            shown: Arc::clone(&self.shown),
            stats_interval_ns: Arc::clone(&self.stats_interval_ns),
        }
    }

    /// What HTTP for customers asks at each request.
    pub(super) fn http(&self) -> (Arc<HttpSettings>, Arc<CurrentUsers>) {
        (Arc::clone(&self.http), Arc::clone(&self.viewers))
    }

    /// Gives what is shown room for so many destinations, those that recovery found among them.
    pub(super) fn size(&self, destinations_max: usize) {
        let totals = Totals::new(self.config.scheduler.levels, destinations_max);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.set_totals(totals);
    }

    fn latency_names(&self) -> Arc<dyn latency::Names> {
        Arc::new(self.names.clone())
    }

    /// HTTPS where the switch has a certificate.
    pub(super) fn admin(
        &self,
        listener: TcpListener,
        tls: &TlsSwitches,
    ) -> Result<Admin, StartError> {
        let state = AdminState {
            counters: Arc::clone(&self.counters),
            shown: Arc::clone(&self.shown),
            health: Arc::clone(&self.health),
            names: self.latency_names(),
            users: Arc::clone(&self.viewers),
            tls: Arc::clone(&tls.admin),
            certificates: tls.certificates.clone(),
            admission: Arc::clone(&self.admin_admission),
            refused: Arc::clone(&self.http.refused),
            reloads: self.reloads.clone(),
            member: self.member.clone(),
            facts: Facts {
                version: env!("CARGO_PKG_VERSION"),
                durability: self.config.durability.name(),
                threading_mode: self.plan.mode.name(),
                started: Instant::now(),
                journal_max_bytes: self.config.journal.max_bytes,
                started_at: SystemTime::now(),
                has_store: self.config.store.url != StoreUrl::None,
                hosts: self.config.admin.hosts.clone(),
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
        (latencies, reports, source_reports): (
            latency::Collector,
            destinations::Collector,
            sources::Collector,
        ),
        destinations_max: usize,
        scheduler_wake: Arc<Wake>,
        store: Option<&StoreThread>,
    ) -> Result<Monitor, StartError> {
        let out = log::stdout().map_err(system("thread"))?;
        let parts = MonitorParts {
            clock,
            counters: Arc::clone(&self.counters),
            refused: Arc::clone(&self.http.refused),
            shown: Arc::clone(&self.shown),
            latencies,
            reports,
            source_reports,
            names: self.latency_names(),
            progress: store.map(|it| Arc::clone(it.progress())),
            interval_ns: Arc::clone(&self.stats_interval_ns),
            forecast: Forecast::new(self.config),
            log: self.latency_log(destinations_max),
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
        (admin, http, nats): (Option<Admin>, Option<Http>, Arc<Nats>),
        addresses: Addresses,
        lock: Arc<DirectoryLock>,
    ) -> Engine {
        self.health.set_phase(Phase::Running);
        Engine {
            addresses,
            counters: self.counters,
            health: self.health,
            signals: self.signals,
            reloads: self.reloads,
            stopping: self.stopping,
            threads,
            failures: self.failures,
            store,
            store_timeout: self.config.store.stop_timeout,
            monitor,
            admin,
            nats,
            http,
            lock,
        }
    }

    fn latency_log(&self, destinations_max: usize) -> Option<IntervalLog> {
        let settings = &self.config.latency;
        let limits = LogLimits {
            interval: settings.log_interval,
            max_bytes: settings.log_max_bytes,
            max_age: settings.log_max_age,
            files: settings.log_files,
        };
        let shape = (self.config.scheduler.levels, destinations_max);
        let folder = self.config.data_dir.join("histograms");
        let wanted = !settings.log_interval.is_zero();
        wanted.then(|| IntervalLog::new(folder, limits, SystemTime::now(), shape))
    }
}
