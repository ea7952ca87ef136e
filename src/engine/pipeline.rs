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
//!   [ retention ] -- FromRetention --> [ scheduler ] -- Survey --> [ journal ]
//!   [ retention ] <-- ToRetention ---- [ journal ] <-- free files -- [ retention ]
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::names::Names;
use super::wakes::Wakes;
use crate::agent::Agent;
use crate::agent::feedback::Feedback;
use crate::agent::pressure::InputPressure;
use crate::arena::Ledger;
use crate::clock::{BootTie, Clock};
use crate::config::{Config, Durability, StoreUrl};
use crate::counters::Counters;
use crate::delivery::{DeliveryAgent, DeliveryParts};
use crate::ingest::{IngestAgent, IngestParts};
use crate::journal::error::JournalError;
use crate::journal::recovery::{self, Recovered};
use crate::journal::replay::{KeptFiles, ReplayAgent, ReplayParts, Switched};
use crate::journal::reserve;
use crate::journal::retention::stretch::Window;
use crate::journal::retention::{FromRetention, RetentionAgent, RetentionParts};
use crate::journal::storage::Storage;
use crate::journal::writer::{FromJournal, JournalAgent, JournalParts, ToJournal};
use crate::latency::Recorder;
use crate::limits::{
    ARRIVALS_RING, CHUNK_COUNT, CHUNK_LEN, CHUNKS_AT_REPLAY, FREE_FILES_MAX, HOT_MAX, MESSAGES_MAX,
    RETENTION_RING,
};
use crate::message::allowance::{MaxQueued, Windows};
use crate::net::Network;
use crate::net::admission::Admission;
use crate::rejects::protocol::{self, RejectSender};
use crate::rejects::{RejectsAgent, RejectsParts};
use crate::ring::{Receiver, Sender, ring};
use crate::rolling;
use crate::scheduler::dedup::DedupWindow;
use crate::scheduler::queue::Queues;
use crate::scheduler::recovered::{RecoveredState, RecoveredStateBuilder};
use crate::scheduler::rules::Rules;
use crate::scheduler::{DeliveryLink, ReplayLink, SchedulerAgent, SchedulerParts};

/// What is told, read and asked across threads besides the rings.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// What ingest's reads find.
    pub pressure: Arc<InputPressure>,
    /// Set when nothing more shall be read from sources.
    pub draining: Arc<AtomicBool>,
    /// Says that all that can be delivered has been.
    pub quiet: Arc<AtomicBool>,
    /// The end of what the journal recorded.
    pub recorded: Arc<AtomicU64>,
    /// Says that sources wait because the journal may not grow.
    pub journal_limited: Arc<AtomicBool>,
}

/// The world that the agents live in; a simulation has one of its own.
pub struct World<N, S, C> {
    /// Ingest's sockets.
    pub ingest_net: N,
    /// A delivery agent's sockets, each.
    pub delivery_nets: Vec<N>,
    /// Where the journal lives.
    pub storage: S,
    /// What time it is.
    pub clock: C,
    /// Of all randomness.
    pub seed: u64,
    /// Entries of the rings to and from journal, replay and delivery: [`crate::limits::HOP_RING`], or fewer, so that
    /// they fill.
    pub hop_ring: usize,
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

/// What the agents share that outlives them.
pub struct Common {
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What is told across threads.
    pub signals: Signals,
    /// The names.
    pub names: Names,
    /// What sets a level.
    pub rules: Rules,
    /// What an earlier life left.
    pub recovered_state: RecoveredState,
    /// What the scheduler measures.
    pub recorder: Recorder,
    /// Takes rejected lines, and keeps them.
    pub rejects: (RejectSender, Box<dyn Agent>),
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
        limits: limits.synced(config.durability == Durability::Synced),
        counters: Arc::clone(counters),
    })?;
    Ok((sender, Box::new(agent)))
}

/// Makes the agents and wires them.
pub fn assemble<N, S, C>(
    config: &Config,
    world: World<N, S, C>,
    wakes: &Wakes,
    recovered: Recovered,
    common: Common,
) -> Pipeline
where
    N: Network + 'static,
    S: Storage + Clone + 'static,
    C: Clock + 'static,
{
    let ledger = Ledger::new(CHUNK_LEN, CHUNK_COUNT as u16);
    let (to_scheduler, from_ingest) = ring(ARRIVALS_RING, &wakes.scheduler);
    let (to_ingest, from_scheduler) = ring(world.hop_ring, &wakes.ingest);
    let (boot_tie, next_sequence) = (world.clock.boot_tie(), recovered.origin.next_sequence);
    let files = Files {
        storage: world.storage,
        hop_ring: world.hop_ring,
        boot_tie,
        recovered,
    };
    let (files, links) = file_agents(config, files, wakes, &ledger, &common);
    let nets = (world.delivery_nets, world.clock, world.hop_ring);
    let (deliveries, delivery_links) = deliveries(config, nets, wakes, &ledger, &common);
    let max_queued = MaxQueued::new(config);
    let levels = usize::from(config.scheduler.levels);
    let waiting = common.recovered_state.waiting.len_by_destination(levels);
    let ingest = IngestParts {
        net: world.ingest_net,
        to_scheduler,
        from_scheduler,
        destinations: common.names.destinations.clone(),
        message_types: common.names.message_types.clone(),
        hasher: common.recovered_state.dedup.hasher(),
        rejects: common.rejects.0,
        counters: Arc::clone(&common.counters),
        pressure: Arc::clone(&common.signals.pressure),
        draining: Arc::clone(&common.signals.draining),
        seed: world.seed,
        floor_ms: common.recovered_state.last_recorded_ms(),
        allowances: Windows::new(max_queued.clone(), &waiting),
    };
    let scheduler = SchedulerParts {
        from_ingest,
        to_ingest,
        from_journal: links.from_journal,
        to_journal: links.to_journal,
        replay: links.replay,
        from_retention: links.from_retention,
        deliveries: delivery_links,
        ledger,
        dedup: common.recovered_state.dedup,
        backlog: common.recovered_state.waiting,
        unsettled: common.recovered_state.unsettled,
        queues: queues(config),
        rules: common.rules,
        destinations: common.names.destinations,
        configured_destinations: config.destinations.len() as u32,
        durability: config.durability,
        credit: config.delivery.credit_waiting(),
        messages_max: MESSAGES_MAX,
        hot_max: HOT_MAX,
        max_queued,
        next_sequence,
        counters: common.counters,
        recorder: common.recorder,
        quiet: common.signals.quiet,
    };
    Pipeline {
        ingest: Box::new(IngestAgent::new(config, ingest)),
        scheduler: Box::new(SchedulerAgent::new(scheduler)),
        journal: files.journal,
        replay: files.replay,
        retention: files.retention,
        rejects: common.rejects.1,
        deliveries,
    }
}

/// What the agents of the journal's files begin with.
struct Files<S> {
    storage: S,
    hop_ring: usize,
    boot_tie: BootTie,
    recovered: Recovered,
}

/// The agents of the journal's files.
struct FileAgents {
    journal: Box<dyn Agent>,
    replay: Box<dyn Agent>,
    retention: Box<dyn Agent>,
}

/// The scheduler's ends of the rings to them.
struct FileLinks {
    to_journal: Sender<ToJournal>,
    from_journal: Receiver<FromJournal>,
    replay: ReplayLink,
    from_retention: Receiver<FromRetention>,
}

/// Journal, replay and retention, with the rings among them and to the scheduler.
fn file_agents<S: Storage + Clone + 'static>(
    config: &Config,
    files: Files<S>,
    wakes: &Wakes,
    ledger: &Ledger,
    common: &Common,
) -> (FileAgents, FileLinks) {
    let Files {
        storage,
        hop_ring,
        boot_tie,
        recovered,
    } = files;
    let (origin, segment_len) = (recovered.origin, config.journal.segment);
    let (to_replay, kept_files) = ring(RETENTION_RING, &wakes.replay);
    let (switched, from_replay) = ring(RETENTION_RING, &wakes.retention);
    let (replay, replay_link) = replay(
        config,
        (storage.clone(), hop_ring),
        wakes,
        Arc::clone(&common.counters),
        (kept_files, switched, recovered.kept.clone()),
    );
    let (to_retention, from_journal) = ring(RETENTION_RING, &wakes.retention);
    let (free_files, freed) = ring(FREE_FILES_MAX, &wakes.journal);
    let (ask, from_retention) = ring(RETENTION_RING, &wakes.scheduler);
    let retention = RetentionAgent::new(RetentionParts {
        from_journal,
        to_scheduler: ask,
        free_files,
        to_replay,
        from_replay,
        kept: recovered.kept,
        storage: storage.clone(),
        segment_len,
        segments: recovered.segments,
        reserve: recovered.reserve,
        next_segment: origin.position / segment_len,
        window: Window::new(config.dedup.window_messages, config.dedup.window),
        max_bytes: config.journal.max_bytes,
        draining: Arc::clone(&common.signals.draining),
        limited: Arc::clone(&common.signals.journal_limited),
        has_store: config.store.url != StoreUrl::None,
        counters: Arc::clone(&common.counters),
    });
    let (to_journal, from_scheduler) = ring(hop_ring, &wakes.journal);
    let (to_scheduler, from_journal) = ring(hop_ring, &wakes.scheduler);
    let journal = JournalAgent::new(JournalParts {
        from_scheduler,
        to_scheduler,
        to_retention,
        free_files: freed,
        reserve: recovered.reserve,
        view: ledger.view(),
        storage,
        segment_len,
        position: origin.position,
        next_sequence: origin.next_sequence,
        synced: config.durability == Durability::Synced,
        recorded: Arc::clone(&common.signals.recorded),
        tie: boot_tie,
        counters: Arc::clone(&common.counters),
    });
    let agents = FileAgents {
        journal: Box::new(journal),
        replay: Box::new(replay),
        retention: Box::new(retention),
    };
    let links = FileLinks {
        to_journal,
        from_journal,
        replay: replay_link,
        from_retention,
    };
    (agents, links)
}

/// The delivery agents, one for each of the sockets' owners.
fn deliveries<N: Network + 'static, C: Clock + 'static>(
    config: &Config,
    (nets, clock, hop_ring): (Vec<N>, C, usize),
    wakes: &Wakes,
    ledger: &Ledger,
    common: &Common,
) -> (Vec<Box<dyn Agent>>, Vec<DeliveryLink>) {
    let settings = &config.delivery;
    let admission = Arc::new(Admission::new("delivery", settings.connections));
    let unread_timeout_ns = Some(nanoseconds(settings.unread_timeout)).filter(|ns| *ns > 0);
    let (mut agents, mut links) = (Vec::<Box<dyn Agent>>::new(), Vec::new());
    for (net, wake) in nets.into_iter().zip(&wakes.deliveries) {
        let (to, from_scheduler) = ring(hop_ring, wake);
        let (to_scheduler, from) = ring(hop_ring, &wakes.scheduler);
        links.push(DeliveryLink { to, from });
        agents.push(Box::new(DeliveryAgent::new(DeliveryParts {
            admission: Arc::clone(&admission),
            net,
            clock: clock.clone(),
            from_scheduler,
            to_scheduler,
            view: ledger.view(),
            destinations: common.names.destinations.clone(),
            greeting_timeout_ns: nanoseconds(settings.greeting_timeout),
            ack_timeout_ns: nanoseconds(settings.ack_timeout),
            unread_timeout_ns,
            counters: Arc::clone(&common.counters),
        })));
    }
    (agents, links)
}

fn queues(config: &Config) -> Queues {
    let levels = usize::from(config.scheduler.levels);
    Queues::new(
        levels,
        config.destinations.len(),
        &config.scheduler.max_wait,
    )
    .served_by(config.delivery.agents)
    .with_room_for(config.scheduler.created_max())
}

fn replay<S: Storage>(
    config: &Config,
    (storage, hop_ring): (S, usize),
    wakes: &Wakes,
    counters: Arc<Counters>,
    (from_retention, to_retention, kept): (Receiver<KeptFiles>, Sender<Switched>, KeptFiles),
) -> (ReplayAgent<S>, ReplayLink) {
    let (to, from_scheduler) = ring(hop_ring, &wakes.replay);
    let (to_chunks, chunks) = ring(CHUNKS_AT_REPLAY, &wakes.replay);
    let (to_scheduler, from) = ring(hop_ring, &wakes.scheduler);
    let segment_len = config.journal.segment;
    let parts = ReplayParts {
        from_scheduler,
        chunks,
        to_scheduler,
        from_retention,
        to_retention,
        kept,
        storage,
        segment_len,
        counters,
    };
    (
        ReplayAgent::new(parts),
        ReplayLink {
            to,
            to_chunks,
            from,
            chunks: 0,
        },
    )
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
    let dedup = DedupWindow::new(config.dedup.window_messages, config.dedup.window, keys);
    let (destinations, types) = (names.destinations.clone(), names.message_types.clone());
    let mut builder =
        RecoveredStateBuilder::new(dedup, destinations, types, config.scheduler.levels);
    let segment_len = config.journal.segment;
    let mut recovered = recovery::recover(storage, segment_len, wall_us, &mut builder)?;
    recovered.reserve =
        reserve::for_settlements(storage, segment_len).map_err(JournalError::List)?;
    Ok((recovered, builder.finish()))
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where under the data directory things live.
#[must_use]
pub fn journal_folder(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("journal")
}
