//! Starts an engine: takes the directory, binds, reads the journal, wires, spawns.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Engine;
use super::behind::behind_store;
use super::cores::{self, CoreAssessment, CoreFinding, Cores};
use super::directory;
use super::error::{StartError, files, system};
use super::listeners::{Listeners, at_addresses};
use super::lock::{DirectoryLock, LockError};
use super::names::Names;
use super::pipeline::{self, Common, Signals, World};
use super::services::Services;
use super::threads::syncs;
use super::tls::TlsOfEngine;
use super::wakes::Wakes;
use crate::access::with_tokens;
use crate::agent::Agent;
use crate::clock::{Boot, Clock, SystemClock, wall_us, zone};
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::descriptors::{self, Budget};
use crate::journal::reader::Reader;
use crate::journal::recovery::Recovered;
use crate::journal::storage::{Directory as Segments, Name};
use crate::limits::{REJECTS_RING, SCHEDULER_RING};
use crate::net::tls::TlsParts;
use crate::net::{SocketOptions, Tcp};
use crate::rejects::protocol::RejectSender;
use crate::rolling;
use crate::scheduler::recovered::RecoveredState;
use crate::scheduler::rules::Rules;
use crate::store::follower::Follower;
use crate::store::thread::StoreThread;
use crate::store::{self, Store};
use crate::{destinations, latency};

/// Starts an engine with these settings: directory and addresses first, so that a conflict is
/// reported before anything else begins; then HTTP, which reports the start; then what may take long.
/// `begins` is called behind that, before the first agent runs.
///
/// # Errors
/// What it needs cannot be had; the message says which setting to change.
pub(crate) fn start(config: &Config, begins: impl FnOnce()) -> Result<Engine, StartError> {
    let config = &with_tokens(&within_descriptors(config)?)?;
    let lock = take_directory(config)?;
    let cores = cores::assess(config, &Cores::here());
    if let Some(refusal) = cores.refusal() {
        return Err(StartError::Cores(refusal));
    }
    let plan = &cores.plan;
    let tls = TlsOfEngine::load(config)?;
    let listeners = Listeners::bind(config)?;
    let addresses = listeners.addresses().map_err(system("local address"))?;
    let config = &at_addresses(config, &addresses);
    let rules = Rules::new(&config.rules, &config.destinations, config.scheduler.levels);
    let names = Names::new(config, &rules);
    let services = Services::new(plan, config, names.clone());
    let Listeners {
        delivery,
        ingest,
        admin,
    } = listeners;
    let admin = admin
        .map(|it| services.admin(it, tls.admin.clone()))
        .transpose()?;
    let mut segments = Segments::at(&journal_folder(config)?).map_err(files("journal/"))?;
    let counters = Arc::clone(&services.counters);
    let begun = Instant::now();
    let (mut recovered, recovered_state) =
        pipeline::recover(config, &mut segments, &names, random_keys()?, wall_us())?;
    announce_recovered(config, &recovered, &recovered_state, begun.elapsed());
    let boot = Boot::read();
    let clock = SystemClock::starting_at(recovered.past.goes_on_at(boot, wall_us()), boot);
    let store = store::open(config, &counters)?;
    // One of its own: if it does not answer, it is left behind.
    if let Some(asked) = store::open(config, &counters)? {
        let (len, now) = (config.journal.segment, clock.now());
        recovered = behind_store(&mut segments, len, asked, recovered, &counters, now)?;
    }
    let signals = services.signals.clone();
    signals
        .recorded
        .store(recovered.origin.position, Ordering::Release);
    let destinations_max = names.destinations_max(config);
    let (recorder, latencies) = latency::exchange(config.scheduler.levels, destinations_max);
    let (reporter, reports) = destinations::exchange(destinations_max);
    let store = store
        .map(|store| follow(config, clock.clone(), &segments, &signals, &counters, store))
        .transpose()?;
    let sockets = (ingest, delivery);
    let world = world(config, clock.clone(), segments, sockets, (&tls, &counters))?;
    let wakes = Wakes::for_plan(plan).map_err(system("event descriptor"))?;
    let rejects = rejects(config, &wakes, &counters)?;
    let common = Common {
        counters,
        signals,
        names,
        rules,
        recovered_state,
        recorder,
        reporter,
    };
    announce(config, &cores, &recovered, &common.counters);
    let pipeline = pipeline::assemble(config, world, &wakes, recovered, common, rejects);
    let scheduler_wake = Arc::clone(&wakes.scheduler);
    begins();
    let threads = services.spawner(clock.clone()).spawn(pipeline, &wakes)?;
    let monitor = services.monitor(clock, (latencies, reports), scheduler_wake, store.as_ref())?;
    Ok(services.engine(threads, store, monitor, admin, addresses, lock))
}

/// Says what an earlier run has left.
fn announce_recovered(
    config: &Config,
    recovered: &Recovered,
    state: &RecoveredState,
    took: Duration,
) {
    let segments = recovered.segments.len() + recovered.compacted.len();
    if segments == 0 {
        return;
    }
    let levels = usize::from(config.scheduler.levels);
    let waiting = state.waiting.len_by_destination(levels);
    info!(
        messages = state.waiting.len(),
        destinations = waiting.iter().filter(|len| **len > 0).count(),
        segments,
        ms = took.as_millis() as u64,
        "recovered what was not settled"
    );
}

/// Says what was found and how the engine runs.
fn announce(config: &Config, cores: &CoreAssessment, recovered: &Recovered, counters: &Counters) {
    if recovered.torn_len > 0 {
        let segment_len = config.journal.segment;
        let file = Name::Segment(recovered.torn_at / segment_len);
        counters.add(Counter::JournalTornBytes, recovered.torn_len);
        warn!(
            %file,
            offset = recovered.torn_at % segment_len,
            bytes = recovered.torn_len,
            "the journal's torn tail was cut"
        );
    }
    for CoreFinding { found, advice, .. } in cores.fair() {
        warn!("{found}; {advice}");
    }
    if let Err(unknown) = zone() {
        warn!("{unknown}");
    }
    info!(
        mode = cores.plan.mode.name(),
        threads = %cores.plan,
        durability = config.durability.name(),
        next_sequence = recovered.origin.next_sequence,
        "starting"
    );
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

/// Random keys for the dedup window: with known keys, ids could be made that are taken for each other.
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
    (ingest, delivery): (Option<TcpListener>, TcpListener),
    (tls, counters): (&TlsOfEngine, &Arc<Counters>),
) -> Result<World<Tcp, Segments, SystemClock>, StartError> {
    let make = |listener, options, tls: Option<TlsParts>| {
        let net = Tcp::new(listener, options).map_err(system("poller"))?;
        Ok::<_, StartError>(match tls {
            Some(parts) => net.with_tls(parts),
            None => net,
        })
    };
    let options = SocketOptions::of_subscribers(&config.delivery);
    let mut delivery_nets = Vec::new();
    for _ in 0..config.delivery.agents {
        let listener = delivery.try_clone().map_err(system("descriptor"))?;
        delivery_nets.push(make(Some(listener), options, tls.of_delivery(counters))?);
    }
    Ok(World {
        ingest_net: make(ingest, SocketOptions::of_sources(), tls.of_ingest(counters))?,
        delivery_nets,
        storage,
        clock,
        seed: fastrand::u64(..),
        scheduler_ring: SCHEDULER_RING,
    })
}
