//! The agents and the rings between them: the only place that wires them.
//!
//! ```text
//!                    FromIngest              ToDelivery
//!   [ ingest ] ===================> [      ] ==============> [ delivery 0 ]
//!              <=================== [      ] <==============
//!                    ToIngest       [ sche ]  FromDelivery
//!                                   [ du-  ] ==============> [ delivery N ]
//!                    ToJournal      [ ler  ] <==============
//!   [ journal ] <================== [      ]
//!               ==================> [      ]
//!                    FromJournal
//!   [ replay ] : Fetch, chunks <-> FromReplay
//!
//!   [ ingest ] == Rejected ==> [ rejects ]
//!
//!   [ retention ] -- FromRetention --> [ scheduler ] -- UnsettledQuery --> [ journal ]
//!   [ retention ] <-- ToRetention ---- [ journal ] <-- free files -- [ retention ]
//! ```

use std::io;
use std::sync::Arc;

use tracing::warn;

use super::journal_wiring::{JournalLinks, JournalWiring};
use super::names::Names;
use super::wakes::Wakes;
use crate::access::Users;
use crate::agent::Agent;
use crate::agent::control::{Control, Remote, control};
use crate::agent::feedback::Feedback;
use crate::arena::Ledger;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::delivery::reload::DeliveryChange;
use crate::delivery::{DeliveryAgent, DeliveryParts, Timeouts};
use crate::ingest::protocol::{FromIngest, ToIngest};
use crate::ingest::reload::IngestChange;
use crate::ingest::{IngestAgent, IngestParts};
use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::journal::recovery::{self, Recovered};
use crate::journal::reserve;
use crate::journal::storage::Storage;
use crate::limits::{ARRIVALS_RING, CHUNK_COUNT, CHUNK_LEN, HOT_MAX, MESSAGES_MAX};
use crate::message::allowance::{MaxQueued, Windows};
use crate::message::{DestinationIndex, Sequence};
use crate::net::Network;
use crate::net::admission::Admission;
use crate::net::misdirected::Ports;
use crate::rejects::protocol::{self, RejectSender};
use crate::rejects::{RejectsAgent, RejectsParts};
use crate::ring::{Receiver, Sender, ring};
use crate::rolling;
use crate::scheduler::dedup::DedupWindow;
use crate::scheduler::queue::Queues;
use crate::scheduler::recovered::{RecoveredState, RecoveredStateBuilder};
use crate::scheduler::reload::SchedulerChange;
use crate::scheduler::{DeliveryLink, SchedulerAgent, SchedulerParts};
use crate::sources;

pub(crate) use super::shared::GroupPath;
pub use super::shared::{Common, Signals};

/// The world that the agents live in; a simulation has one of its own.
pub struct World<N, S, C> {
    /// Ingest's sockets.
    pub ingest_net: N,
    /// A delivery agent's sockets, each.
    pub delivery_nets: Vec<N>,
    /// The journal's files.
    pub storage: S,
    /// What time it is.
    pub clock: C,
    /// Of all randomness.
    pub seed: u64,
    /// Entries of the rings to and from journal, replay and delivery:
    /// [`SCHEDULER_RING`](crate::limits::SCHEDULER_RING), or fewer, so that they fill.
    pub scheduler_ring: usize,
}

/// The agents, wired, and not yet on any thread.
pub struct Pipeline {
    /// Reads sources.
    pub ingest: Box<dyn Agent>,
    /// Decides what goes next.
    pub scheduler: Box<dyn Feedback>,
    /// Writes the journal.
    pub journal: Box<dyn Agent>,
    /// Reads the journal back.
    pub replay: Box<dyn Agent>,
    /// Lets go of what the journal need not hold.
    pub retention: Box<dyn Agent>,
    /// Keeps rejected lines.
    pub rejects: Box<dyn Agent>,
    /// Write to subscribers.
    pub deliveries: Vec<Box<dyn Agent>>,
    /// By which a reload reaches them.
    pub(crate) remotes: Remotes,
    /// What ingest tells of each source, for the monitor.
    pub(crate) source_reports: sources::Collector,
}

/// By which a reload reaches the agents of a pipeline.
#[derive(Debug)]
pub(crate) struct Remotes {
    pub(crate) ingest: Remote<IngestChange>,
    pub(crate) scheduler: Remote<SchedulerChange>,
    pub(crate) deliveries: Vec<Remote<DeliveryChange>>,
    /// Of producers, and of subscribers.
    pub(crate) admissions: [Arc<Admission>; 2],
}

impl Pipeline {
    /// All agents, in the order the data flows.
    #[must_use]
    pub fn into_agents(self) -> Vec<Box<dyn Agent>> {
        let mut agents = vec![self.ingest, self.scheduler as Box<dyn Agent>];
        agents.extend([self.journal, self.replay]);
        agents.push(self.retention);
        agents.push(self.rejects);
        agents.extend(self.deliveries);
        agents
    }
}

/// Makes the rejects agent and the ring of so many bytes to it; `storage` is where its files live.
///
/// # Errors
/// The files cannot be opened, read or healed.
pub fn rejects<S: rolling::storage::Storage + 'static>(
    config: &Config,
    storage: S,
    ring_len: usize,
    wakes: &Wakes,
    counters: &Arc<Counters>,
) -> io::Result<(RejectSender, Box<dyn Agent>)> {
    let settings = &config.ingest;
    let ends = (&wakes.ingest, &wakes.rejects);
    let (sender, from_ingest) = protocol::ring(ring_len, settings.max_line, ends);
    let limits = rolling::Limits::new(
        settings.rejected_max_bytes,
        settings.rejected_max_total,
        settings.rejected_when_full,
    );
    let agent = RejectsAgent::open(RejectsParts {
        from_ingest,
        storage,
        limits: limits
            .synced(config.durability.syncs())
            .leaving(rolling::Headroom::of_rejected(config.journal.segment)),
        counters: Arc::clone(counters),
    })?;
    Ok((sender, Box::new(agent)))
}

/// Makes the agents and wires them; of `rejects` the two ends that [`rejects`] made.
pub fn assemble<N, S, C>(
    config: &Config,
    world: World<N, S, C>,
    wakes: &Wakes,
    recovered: Recovered,
    common: Common,
    rejects: (RejectSender, Box<dyn Agent>),
) -> Pipeline
where
    N: Network + 'static,
    S: Storage + Clone + 'static,
    C: Clock + 'static,
{
    let ledger = Ledger::new(CHUNK_LEN, CHUNK_COUNT as u16);
    let next_sequence = recovered.origin.next_sequence;
    let (files, journal) = JournalWiring {
        config,
        wakes,
        ledger: &ledger,
        common: &common,
        storage: world.storage,
        scheduler_ring: world.scheduler_ring,
        boot_tie: world.clock.boot_tie(),
        recovered,
    }
    .wire();
    let configured = config.destinations.len() as DestinationIndex;
    // Where messages create no names, those that only wait are closed until the settings name them.
    let closed = common.names.destinations.configure(|it| it < configured);
    tell_closed(&common.names, &closed);
    let users = Arc::new(Users::new(&config.users));
    let nets = (world.delivery_nets, world.clock, world.scheduler_ring);
    let subscribers = Arc::new(Admission::new("delivery", config.delivery.connections));
    let producers = Arc::new(Admission::new("ingest", config.ingest.connections));
    let shared = (&users, &subscribers);
    let (deliveries, delivery, to_deliveries) =
        deliveries(config, nets, wakes, &ledger, &common, shared);
    let (to_ingest_control, ingest_control) = control(&wakes.ingest);
    let (to_scheduler_control, scheduler_control) = control(&wakes.scheduler);
    let (to_scheduler, from_ingest) = ring(ARRIVALS_RING, &wakes.scheduler);
    let (to_ingest, from_scheduler) = ring(world.scheduler_ring, &wakes.ingest);
    let ends = (to_scheduler, from_scheduler, rejects.0);
    let (source_reporter, source_reports) = sources::exchange();
    let who = (users, Arc::clone(&producers));
    let nets = (world.ingest_net, world.seed, ingest_control);
    let ingest = ingest(config, nets, ends, &common, (who, source_reporter));
    let links = SchedulerLinks {
        from_ingest,
        to_ingest,
        journal,
        delivery,
        control: scheduler_control,
    };
    Pipeline {
        ingest: Box::new(ingest),
        scheduler: Box::new(scheduler(config, links, ledger, next_sequence, common)),
        journal: files.journal,
        replay: files.replay,
        retention: files.retention,
        rejects: rejects.1,
        deliveries,
        source_reports,
        remotes: Remotes {
            ingest: to_ingest_control,
            scheduler: to_scheduler_control,
            deliveries: to_deliveries,
            admissions: [producers, subscribers],
        },
    }
}

/// Destinations that a warning names.
const NAMES_SHOWN: usize = 10;

/// Messages of an earlier life wait for destinations that the settings do not name any more.
fn tell_closed(names: &Names, closed: &[DestinationIndex]) {
    if closed.is_empty() {
        return;
    }
    let named = closed.iter().take(NAMES_SHOWN);
    let named: Vec<_> = named
        .filter_map(|it| names.destinations.name(*it))
        .map(|it| format!("{it:?}"))
        .collect();
    let more = if closed.len() > named.len() {
        ", ..."
    } else {
        ""
    };
    let (count, named) = (closed.len(), named.join(", "));
    warn!(
        count,
        "messages wait for destinations that the settings do not name ({named}{more}): until a [[destination]] does"
    );
}

/// The scheduler's ends of all rings.
struct SchedulerLinks {
    from_ingest: Receiver<FromIngest>,
    to_ingest: Sender<ToIngest>,
    journal: JournalLinks,
    delivery: Vec<DeliveryLink>,
    control: Control<SchedulerChange>,
}

fn ingest<N: Network>(
    config: &Config,
    (net, seed, control): (N, u64, Control<IngestChange>),
    (to_scheduler, from_scheduler, rejects): (Sender<FromIngest>, Receiver<ToIngest>, RejectSender),
    common: &Common,
    ((users, admission), reporter): ((Arc<Users>, Arc<Admission>), sources::Reporter),
) -> IngestAgent<N> {
    let levels = usize::from(config.scheduler.levels);
    let recovered = &common.recovered_state;
    let waiting = recovered.waiting.len_by_destination(levels);
    let parts = IngestParts {
        net,
        to_scheduler,
        from_scheduler,
        control,
        lease: common.signals.lease(),
        admission,
        destinations: common.names.destinations.clone(),
        message_types: common.names.message_types.clone(),
        hasher: recovered.dedup.hasher(),
        rejects,
        users,
        counters: Arc::clone(&common.counters),
        pressure: Arc::clone(&common.signals.pressure),
        draining: Arc::clone(&common.signals.draining),
        seed,
        floor_ms: recovered.last_recorded_ms(),
        allowances: Windows::new(MaxQueued::new(config), &waiting),
        reporter,
    };
    IngestAgent::new(config, parts)
}

fn scheduler(
    config: &Config,
    links: SchedulerLinks,
    ledger: Ledger,
    next_sequence: Sequence,
    common: Common,
) -> SchedulerAgent {
    SchedulerAgent::new(SchedulerParts {
        from_ingest: links.from_ingest,
        to_ingest: links.to_ingest,
        from_journal: links.journal.from_journal,
        to_journal: links.journal.to_journal,
        replay: links.journal.replay,
        from_retention: links.journal.from_retention,
        deliveries: links.delivery,
        ledger,
        dedup: common.recovered_state.dedup,
        recovered: common.recovered_state.waiting,
        unsettled: common.recovered_state.unsettled,
        queues: queues(config, common.destinations_max),
        rules: common.rules,
        destinations: common.names.destinations,
        destinations_max: common.destinations_max,
        configured_destinations: config.destinations.len() as u32,
        control: links.control,
        durability: config.durability,
        lease: common.signals.lease(),
        credit: config.delivery.credit_waiting(),
        messages_max: MESSAGES_MAX,
        hot_max: HOT_MAX,
        max_queued: MaxQueued::new(config),
        next_sequence,
        counters: common.counters,
        recorder: common.recorder,
        drained: common.signals.drained,
        reporter: common.reporter,
    })
}

/// Agents, the scheduler's ends of their rings, and a reload's.
type Deliveries = (
    Vec<Box<dyn Agent>>,
    Vec<DeliveryLink>,
    Vec<Remote<DeliveryChange>>,
);

/// The delivery agents, one for each of the sockets' owners.
fn deliveries<N: Network + 'static, C: Clock + 'static>(
    config: &Config,
    (nets, clock, scheduler_ring): (Vec<N>, C, usize),
    wakes: &Wakes,
    ledger: &Ledger,
    common: &Common,
    (users, admission): (&Arc<Users>, &Arc<Admission>),
) -> Deliveries {
    let timeouts = Timeouts::new(&config.delivery);
    let (mut agents, mut links) = (Vec::<Box<dyn Agent>>::new(), Vec::new());
    let mut remotes = Vec::new();
    for (net, wake) in nets.into_iter().zip(&wakes.deliveries) {
        let (to, from_scheduler) = ring(scheduler_ring, wake);
        let (to_scheduler, from) = ring(scheduler_ring, &wakes.scheduler);
        links.push(DeliveryLink { to, from });
        let (remote, control) = control(wake);
        remotes.push(remote);
        agents.push(Box::new(DeliveryAgent::new(DeliveryParts {
            users: Arc::clone(users),
            admission: Arc::clone(admission),
            net,
            clock: clock.clone(),
            from_scheduler,
            to_scheduler,
            view: ledger.view(),
            destinations: common.names.destinations.clone(),
            timeouts,
            control,
            ports: Ports::of(config),
            lease: common.signals.lease(),
            counters: Arc::clone(&common.counters),
        })));
    }
    (agents, links, remotes)
}

fn queues(config: &Config, destinations_max: usize) -> Queues {
    let levels = usize::from(config.scheduler.levels);
    Queues::new(
        levels,
        config.destinations.len(),
        &config.scheduler.max_wait,
    )
    .served_by(config.delivery.agents)
    .with_room_for(destinations_max)
}

/// Reads the journal, closes its last segment, gathers what an earlier life left, and sets room for
/// settlements aside. The dedup window's `keys` must be random and stay secret.
///
/// # Errors
/// The journal cannot be read or written, or is damaged before its end.
pub fn recover<S: Storage + Clone>(
    config: &Config,
    storage: &mut S,
    names: &Names,
    keys: [u64; 8],
    wall_us: u64,
) -> Result<(Recovered, RecoveredState), JournalError> {
    let mut builder = state_builder(config, names, keys);
    let segment_len = config.journal.segment;
    let mut recovered = recovery::recover(storage, segment_len, wall_us, &mut builder)?;
    reserve::for_compaction_at_least(storage, segment_len);
    recovered.reserve =
        reserve::for_settlements(storage, segment_len).map_err(JournalError::List)?;
    recovered.may_compact = reserve::for_compaction(storage, segment_len) > 0;
    Ok((recovered, builder.finish()))
}

/// Reads the journal of a member, from a segment on to the end of the record that began its term, and gathers what is not settled; the
/// member's thread goes on writing behind that.
///
/// # Errors
/// The journal cannot be read, or is damaged.
pub(crate) fn recover_term<S: Storage + Clone>(
    config: &Config,
    storage: &mut S,
    names: &Names,
    keys: [u64; 8],
    part: (u64, Position),
) -> Result<(Recovered, RecoveredState), JournalError> {
    let mut builder = state_builder(config, names, keys);
    let recovered = recovery::read_through(storage, config.journal.segment, part, &mut builder)?;
    Ok((recovered, builder.finish()))
}

fn state_builder(config: &Config, names: &Names, keys: [u64; 8]) -> RecoveredStateBuilder {
    let dedup = DedupWindow::new(config.dedup.window_messages, config.dedup.window, keys);
    let (destinations, types) = (names.destinations.clone(), names.message_types.clone());
    RecoveredStateBuilder::new(dedup, destinations, types, config.scheduler.levels)
}
