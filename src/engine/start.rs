//! Starts an engine: takes the directory, binds, reads the journal, wires, spawns.

use std::net::TcpListener;
use std::sync::Arc;

use tracing::{info, warn};

use super::cores::{self, CoreAssessment, CoreFinding, Cores};
use super::error::{StartError, files, system};
use super::http;
use super::inside::Inside;
use super::listeners::{Listeners, at_addresses};
use super::lock::DirectoryLock;
use super::names::Names;
use super::past::Past;
use super::pipeline::{self, Common, Remotes, World};
use super::reload::asking::Reloads;
use super::reload::{Reloader, SettingsSource};
use super::resources::{take_directory, within_descriptors};
use super::services::Services;
use super::term::TermStart;
use super::tls::{TlsOfEngine, TlsSwitches};
use super::wakes::Wakes;
use super::{Engine, Thread};
use crate::access::with_tokens;
use crate::admin::Monitor;
use crate::agent::Agent;
use crate::clock::{SystemClock, zone};
use crate::cluster::owner;
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::http::Http;
use crate::journal::recovery::Recovered;
use crate::journal::storage::{Directory as Segments, Name};
use crate::limits::{REJECTS_RING, SCHEDULER_RING};
use crate::nats::{Nats, Own};
use crate::net::tls::{TlsParts, TlsSwitch};
use crate::net::{SocketOptions, Tcp};
use crate::rejects::protocol::RejectSender;
use crate::rolling;
use crate::scheduler::rules::Rules;
use crate::store::thread::StoreThread;
use crate::{destinations, latency};

/// Starts an engine with these settings: directory and addresses first, so that a conflict is
/// reported before anything else begins; then HTTP, which reports the start; then what may take long.
/// `begins` is called behind that, before the first agent runs. With a `source` the settings can be reloaded.
///
/// # Errors
/// What it needs cannot be had; the message says which setting to change.
pub(crate) fn start(
    config: &Config,
    source: Option<Box<dyn SettingsSource>>,
    begins: impl FnOnce(),
) -> Result<Engine, StartError> {
    let given = with_tokens(config)?;
    let lock = Arc::new(take_directory(&given)?);
    owner::take_alone(&given.data_dir)?;
    launch(given, source, begins, lock, None)
}

/// Starts the engine of a term: of the files that the member has written so far, while it goes on writing
/// what the stream confirms.
///
/// # Errors
/// As above.
pub(crate) fn start_term(
    config: &Config,
    source: Option<Box<dyn SettingsSource>>,
    term: TermStart,
) -> Result<Engine, StartError> {
    let given = with_tokens(config)?;
    launch(given, source, || (), Arc::clone(&term.lock), Some(term))
}

fn launch(
    given: Config,
    source: Option<Box<dyn SettingsSource>>,
    begins: impl FnOnce(),
    lock: Arc<DirectoryLock>,
    mut term: Option<TermStart>,
) -> Result<Engine, StartError> {
    let config = &within_descriptors(&given)?;
    let cores = cores::assess(config, &Cores::here());
    if let Some(refusal) = cores.refusal() {
        return Err(StartError::Cores(refusal));
    }
    let tls = TlsOfEngine::load(config)?;
    tls.warn_of_certificates();
    let tls = tls.switches();
    let mut listeners = Listeners::bind(config)?;
    let addresses = listeners.addresses().map_err(system("local address"))?;
    let config = &at_addresses(config, &addresses);
    let rules = Rules::new(&config.rules, &config.destinations, config.scheduler.levels);
    let names = Names::new(config, &rules);
    let (reloads, asking) = Reloads::new();
    let services = Services::new(&cores.plan, config, names.clone(), reloads, term.as_ref());
    let admin = listeners.admin.take();
    let admin = admin.map(|it| services.admin(it, &tls)).transpose()?;
    let past = Past::read(config, &names, &services, term.as_mut())?;
    let foundation = Foundation {
        config,
        cores: &cores,
        services: &services,
        listeners,
        tls: &tls,
    };
    let built = foundation.build(past, (rules, names), begins)?;
    let Built {
        path: (threads, remotes, store),
        monitor,
        inside: (nats, http, own),
    } = built;
    let live = services.live(remotes, (tls, own, Arc::clone(&nats)));
    let stopping = Arc::clone(&services.stopping);
    Reloader::new(source, given, live, stopping).start(asking)?;
    let servers = (admin, http, nats);
    Ok(services.engine(threads, store, monitor, servers, addresses, lock))
}

/// What stands before the journal is read.
struct Foundation<'a> {
    config: &'a Config,
    cores: &'a CoreAssessment,
    services: &'a Services<'a>,
    listeners: Listeners,
    tls: &'a TlsSwitches,
}

/// The path on its threads, and what runs beside it.
struct Built {
    path: (Vec<Thread>, Remotes, Option<StoreThread>),
    monitor: Monitor,
    inside: (Arc<Nats>, Option<Http>, Option<Own>),
}

impl Foundation<'_> {
    /// Wires the agents and puts them on their threads.
    fn build(
        self,
        past: Past,
        (rules, names): (Rules, Names),
        begins: impl FnOnce(),
    ) -> Result<Built, StartError> {
        let (config, services, counters) = (self.config, self.services, &self.services.counters);
        let signals = services.signals.clone();
        let (recovered, clock, store) = (past.recovered, past.clock, past.store);
        // Recovery knows names that the settings do not: all that is sized by them is sized here, once.
        let destinations_max = names.destinations_max();
        services.size(destinations_max);
        let (recorder, latencies) = latency::exchange(config.scheduler.levels, destinations_max);
        let (reporter, reports) = destinations::exchange(destinations_max);
        let Listeners {
            delivery,
            ingest,
            http,
            ..
        } = self.listeners;
        let mut inside = Inside::new(config, counters, clock.clone())?;
        let sockets = ((ingest, delivery), &mut inside);
        let world = world(
            config,
            clock.clone(),
            past.segments,
            sockets,
            (self.tls, counters),
        )?;
        let wakes = Wakes::for_plan(&self.cores.plan).map_err(system("event descriptor"))?;
        let rejects = rejects(config, &wakes, counters)?;
        let common = Common {
            counters: Arc::clone(counters),
            signals,
            names,
            destinations_max,
            rules,
            recovered_state: past.state,
            recorder,
            reporter,
        };
        announce(config, self.cores, &recovered, &common.counters);
        let with_own = &Own::among(inside.own.as_ref(), config);
        let pipeline = pipeline::assemble(with_own, world, &wakes, recovered, common, rejects);
        begins();
        let spawner = services.spawner(clock.clone());
        let (threads, remotes, source_reports) = spawner.spawn(pipeline, &wakes)?;
        let collectors = (latencies, reports, source_reports);
        let wake = Arc::clone(&wakes.scheduler);
        let monitor = services.monitor(
            clock.clone(),
            collectors,
            destinations_max,
            wake,
            store.as_ref(),
        )?;
        let http = let_in(config, &inside, http, (services, self.tls))?;
        Ok(Built {
            path: (threads, remotes, store),
            monitor,
            inside: (inside.nats, http, inside.own),
        })
    }
}

/// Starts what comes in from within, when the agents run.
fn let_in(
    config: &Config,
    inside: &Inside,
    http: Option<TcpListener>,
    (services, tls): (&Services<'_>, &TlsSwitches),
) -> Result<Option<Http>, StartError> {
    let nats = &inside.nats;
    nats.prepare(config).map_err(system("thread"))?;
    nats.join(config, inside.own.as_ref().map(|it| &it.token));
    let told = (Arc::clone(&services.counters), services.signals.lease());
    let switch = Arc::clone(&tls.http);
    let connectors = inside.connectors.clone();
    http::start((http, connectors), config, services.http(), switch, told)
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

fn world(
    config: &Config,
    clock: SystemClock,
    storage: Segments,
    ((ingest, delivery), inside): ((Option<TcpListener>, TcpListener), &mut Inside),
    (tls, counters): (&TlsSwitches, &Arc<Counters>),
) -> Result<World<Tcp, Segments, SystemClock>, StartError> {
    let mut make = |listener, options, switch: &Arc<TlsSwitch>| {
        let net = Tcp::new(listener, options).map_err(system("poller"))?;
        let net = inside.inward.join(net)?;
        Ok::<_, StartError>(net.with_tls(TlsParts {
            switch: Arc::clone(switch),
            counters: Arc::clone(counters),
        }))
    };
    let ingest_net = make(ingest, SocketOptions::of_sources(), &tls.ingest)?;
    let options = SocketOptions::of_subscribers(&config.delivery);
    let mut delivery_nets = Vec::new();
    for _ in 0..config.delivery.agents {
        let listener = delivery.try_clone().map_err(system("descriptor"))?;
        delivery_nets.push(make(Some(listener), options, &tls.delivery)?);
    }
    Ok(World {
        ingest_net: ingest_net.with_offers(inside.offers.clone()),
        delivery_nets,
        storage,
        clock,
        seed: fastrand::u64(..),
        scheduler_ring: SCHEDULER_RING,
    })
}
