//! Starts an engine: takes the directory, binds, reads the journal, wires, spawns.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tracing::{info, warn};

use super::behind::behind_store;
use super::directory;
use super::listeners::{ListenError, Listeners};
use super::lock::{DirectoryLock, LockError};
use super::pipeline::{self, Common, Names, Signals, Wakes, World};
use super::spawn::{self, Spawner};
use super::threads::{self, Plan, syncs};
use super::{Addresses, Engine, Failed, Thread};
use crate::admin::{
    Admin, AdminError, AdminState, Facts, Health, Monitor, MonitorParts, Phase, Shown,
};
use crate::agent::Agent;
use crate::agent::affinity::PinError;
use crate::clock::{Boot, Clock, SystemClock, wall_us, zone};
use crate::config::{Config, Durability, ThreadingMode};
use crate::counters::{Counter, Counters};
use crate::descriptors::{self, Budget};
use crate::journal::error::JournalError;
use crate::journal::reader::Reader;
use crate::journal::recovery::Recovered;
use crate::journal::storage::{Directory as Segments, Name};
use crate::latency::{self, Collector, IntervalLog, LogLimits, Totals};
use crate::limits::{HOP_RING, REJECTS_RING};
use crate::log;
use crate::net::{SocketOptions, Tcp};
use crate::rejects::protocol::RejectSender;
use crate::ring::Wake;
use crate::rolling;
use crate::scheduler::rules::Rules;
use crate::store::follower::Follower;
use crate::store::thread::StoreThread;
use crate::store::{self, OpenError, Store};

/// An engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A core.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The HTTP thread.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Files of the data directory.
    #[error("{what} in the data directory cannot be used: {source}")]
    Files {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no threads or descriptors to give.
    #[error("the system gave no {what}: {source}; raise the process's limits")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn files(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Files { what, source }
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System {
        what,
        source: source.into(),
    }
}

/// Starts an engine with these settings: directory and addresses first, so that what is taken is told
/// before anything else begins; then HTTP, which tells that it starts; then what may take long.
/// `begins` is called behind that, before the first agent runs.
///
/// # Errors
/// What it needs cannot be had; the message says which setting to change.
pub fn start(config: &Config, begins: impl FnOnce()) -> Result<Engine, StartError> {
    let config = &within_descriptors(config)?;
    let lock = take_directory(config)?;
    let plan = threads::plan(config)?;
    let listeners = Listeners::bind(config)?;
    let addresses = listeners.addresses()?;
    let rules = Rules::new(&config.rules, &config.destinations, config.scheduler.levels);
    let starter = Starter::new(&plan, config, Names::new(config, &rules));
    let Listeners {
        delivery,
        ingest,
        admin,
    } = listeners;
    let admin = admin.map(|it| starter.admin(it)).transpose()?;
    let mut segments = Segments::at(&journal_folder(config)?).map_err(files("journal/"))?;
    let (names, counters) = (starter.names.clone(), Arc::clone(&starter.counters));
    let (mut recovered, recovered_state) =
        pipeline::recover(config, &mut segments, &names, random_keys()?, wall_us())?;
    let boot = Boot::read();
    let clock = SystemClock::starting_at(recovered.past.goes_on_at(boot, wall_us()), boot);
    let store = store::open(config, &counters)?;
    // One of its own: if it does not answer, it is left behind.
    if let Some(asked) = store::open(config, &counters)? {
        let (len, now) = (config.journal.segment, clock.now());
        recovered = behind_store(&mut segments, len, asked, recovered, &counters, now)?;
    }
    let signals = starter.signals.clone();
    signals
        .recorded
        .store(recovered.origin.position, Ordering::Release);
    let (recorder, collector) =
        latency::exchange(config.scheduler.levels, destinations_max(config, &names));
    let store = store
        .map(|store| follow(config, clock.clone(), &segments, &signals, &counters, store))
        .transpose()?;
    let world = world(config, clock.clone(), segments, ingest, delivery)?;
    let wakes = spawn::wakes(&plan)?;
    let rejects = rejects(config, &wakes, &counters)?;
    let common = Common {
        counters,
        signals,
        names,
        rules,
        recovered_state,
        recorder,
        rejects,
    };
    starter.announce(&recovered);
    let pipeline = pipeline::assemble(config, world, &wakes, recovered, common);
    let scheduler_wake = Arc::clone(&wakes.scheduler);
    begins();
    let threads = starter.spawner(clock.clone()).spawn(pipeline, &wakes)?;
    let monitor = starter.monitor(clock, collector, scheduler_wake, store.as_ref())?;
    Ok(starter.engine(threads, store, monitor, admin, addresses, lock))
}

/// Makes the data directory if it is not there, and locks it.
fn take_directory(config: &Config) -> Result<DirectoryLock, StartError> {
    let path = &config.data_dir;
    directory::make(path, syncs(config)).map_err(|source| LockError::Unusable {
        directory: path.display().to_string(),
        source,
    })?;
    let lock = DirectoryLock::take(path)?;
    directory::warn_if_open(path);
    Ok(lock)
}

fn journal_folder(config: &Config) -> Result<PathBuf, StartError> {
    let folder = pipeline::journal_folder(&config.data_dir);
    directory::make(&folder, syncs(config)).map_err(files("journal/"))?;
    Ok(folder)
}

/// Raises the limit of open files; where it is below what the settings ask for, says so and lets the
/// listeners take what fits.
fn within_descriptors(config: &Config) -> Result<Config, StartError> {
    let allowed = descriptors::raise().map_err(system("descriptors"))?;
    let budget = Budget::new(config, allowed);
    if budget.is_short() {
        warn!("{}", budget.words());
    }
    Ok(budget.fit(config))
}

/// Keys for the dedup window out of the system's randomness: who could guess them could make ids that
/// are taken for each other.
fn random_keys() -> Result<[u64; 8], StartError> {
    let mut keys = [0; 8];
    for key in &mut keys {
        let random = getrandom::u64().map_err(|it| io::Error::other(it.to_string()));
        *key = random.map_err(system("randomness"))?;
    }
    Ok(keys)
}

fn rejects(
    config: &Config,
    wakes: &Wakes,
    counters: &Arc<Counters>,
) -> Result<(RejectSender, Box<dyn Agent>), StartError> {
    let storage = rolling::storage::Directory::at(&config.data_dir, "rejected");
    storage
        .and_then(|it| pipeline::rejects(config, it, REJECTS_RING, wakes, counters))
        .map_err(files("rejected.ndjson"))
}

/// Starts the store's thread.
fn follow(
    config: &Config,
    clock: SystemClock,
    segments: &Segments,
    signals: &Signals,
    counters: &Arc<Counters>,
    store: Box<dyn Store>,
) -> Result<StoreThread, StartError> {
    let reader = Reader::new(segments.clone(), config.journal.segment, 0);
    let recorded = Arc::clone(&signals.recorded);
    let follower = Follower::new(reader, store, Arc::clone(counters), &config.store)
        .starting_at(recorded.load(Ordering::Acquire));
    StoreThread::spawn(follower, clock, config.store.batch_time / 4, recorded)
        .map_err(system("thread"))
}

fn world(
    config: &Config,
    clock: SystemClock,
    storage: Segments,
    ingest: Option<TcpListener>,
    delivery: TcpListener,
) -> Result<World<Tcp, Segments, SystemClock>, StartError> {
    let make = |listener, options| Tcp::new(listener, options).map_err(system("poller"));
    let options = SocketOptions::of_subscribers(&config.delivery);
    let mut delivery_nets = Vec::new();
    for _ in 0..config.delivery.agents {
        let listener = delivery.try_clone().map_err(system("descriptor"))?;
        delivery_nets.push(make(Some(listener), options)?);
    }
    Ok(World {
        ingest_net: make(ingest, SocketOptions::of_sources())?,
        delivery_nets,
        storage,
        clock,
        seed: fastrand::u64(..),
        hop_ring: HOP_RING,
    })
}

/// What is needed while the threads are started.
struct Starter<'a> {
    plan: &'a Plan,
    config: &'a Config,
    counters: Arc<Counters>,
    signals: Signals,
    names: Names,
    shown: Arc<Mutex<Shown>>,
    health: Arc<Health>,
    failing: Sender<Failed>,
    failures: Receiver<Failed>,
}

impl<'a> Starter<'a> {
    fn new(plan: &'a Plan, config: &'a Config, names: Names) -> Self {
        let (failing, failures) = channel();
        let signals = Signals::default();
        let health = Health::new(spawn::names(plan));
        let health = health.watching(Arc::clone(&signals.journal_limited));
        let totals = Totals::new(config.scheduler.levels, destinations_max(config, &names));
        Self {
            plan,
            config,
            counters: Arc::default(),
            signals,
            names,
            shown: Arc::new(Mutex::new(Shown { totals })),
            health: Arc::new(health),
            failing,
            failures,
        }
    }

    fn latency_names(&self) -> Arc<dyn latency::Names> {
        Arc::new(self.names.clone())
    }

    /// Starts HTTP.
    fn admin(&self, listener: TcpListener) -> Result<Admin, StartError> {
        let state = AdminState {
            counters: Arc::clone(&self.counters),
            shown: Arc::clone(&self.shown),
            health: Arc::clone(&self.health),
            names: self.latency_names(),
            facts: Facts {
                version: env!("CARGO_PKG_VERSION"),
                durability: durability_word(self.config.durability),
                threading_mode: mode_word(self.plan.mode),
                started: Instant::now(),
                connections: self.config.admin.connections,
            },
        };
        Ok(Admin::start(listener, state)?)
    }

    fn announce(&self, recovered: &Recovered) {
        if recovered.torn_len > 0 {
            let segment_len = self.config.journal.segment;
            let file = Name::Segment(recovered.torn_at / segment_len);
            self.counters
                .add(Counter::JournalTornBytes, recovered.torn_len);
            warn!(
                %file,
                offset = recovered.torn_at % segment_len,
                bytes = recovered.torn_len,
                "the journal's torn tail was cut"
            );
        }
        if let Some(words) = self.plan.shortage(self.config) {
            warn!("{words}");
        }
        if let Err(unknown) = zone() {
            warn!("{unknown}");
        }
        info!(
            mode = mode_word(self.plan.mode),
            threads = %self.plan,
            durability = durability_word(self.config.durability),
            next_sequence = recovered.origin.next_sequence,
            "starting"
        );
    }

    fn spawner(&self, clock: SystemClock) -> Spawner<'_> {
        Spawner {
            plan: self.plan,
            idle: self.config.threads.idle,
            pressure: &self.signals.pressure,
            clock,
            health: &self.health,
            failing: &self.failing,
        }
    }

    fn monitor(
        &self,
        clock: SystemClock,
        collector: Collector,
        scheduler_wake: Arc<Wake>,
        store: Option<&StoreThread>,
    ) -> Result<Monitor, StartError> {
        let out = log::stdout().map_err(system("thread"))?;
        let parts = MonitorParts {
            clock,
            counters: Arc::clone(&self.counters),
            shown: Arc::clone(&self.shown),
            collector,
            names: self.latency_names(),
            followed: store.map(|it| Arc::clone(it.followed())),
            interval: self.config.stats.interval,
            log: self.latency_log(),
            histograms: Some(self.config.data_dir.join("histograms")),
            wake: Box::new(move || scheduler_wake.notify()),
            out: Box::new(log::Writer(out)),
        };
        Monitor::start(parts).map_err(system("thread"))
    }

    fn engine(
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
            store_patience: self.config.store.stop_timeout,
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
            destinations_max(self.config, &self.names),
        );
        let folder = self.config.data_dir.join("histograms");
        let wanted = !settings.log_interval.is_zero();
        wanted.then(|| IntervalLog::new(folder, limits, SystemTime::now(), shape))
    }
}

impl latency::Names for Names {
    fn destination(&self, index: u32) -> String {
        self.destinations
            .name(index)
            .map_or_else(|| format!("#{index}"), |it| it.to_string())
    }

    fn message_type(&self, index: u16) -> String {
        let name = self.message_types.name(u32::from(index));
        name.map_or_else(|| "(others)".to_owned(), |it| it.to_string())
    }
}

/// How many customers there can be.
fn destinations_max(config: &Config, names: &Names) -> usize {
    let configured = names.destinations.len();
    if config.scheduler.create_destinations {
        configured.max(config.scheduler.max_destinations)
    } else {
        configured
    }
}

fn durability_word(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Written => "written",
        Durability::Synced => "synced",
    }
}

fn mode_word(mode: ThreadingMode) -> &'static str {
    match mode {
        ThreadingMode::Auto => "auto",
        ThreadingMode::Dedicated => "dedicated",
        ThreadingMode::Shared => "shared",
    }
}
