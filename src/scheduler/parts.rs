//! What the scheduler agent is made of: its rings, its cores' state at start, and its settings.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::chunks::ChunkSupply;
use super::cores::Cores;
use super::dedup::DedupWindow;
use super::dispatcher::Dispatcher;
use super::duplicates::Duplicates;
use super::first_accepted::FirstAccepted;
use super::gate::Gate;
use super::intake::Intake;
use super::messages::Messages;
use super::protocol::{
    Fetch, FromDelivery, FromIngest, FromJournal, FromReplay, FromRetention, ToDelivery, ToIngest,
    ToJournal,
};
use super::queue::Queues;
use super::queue::cold::ColdStore;
use super::reload::{Configured, SchedulerChange};
use super::repeats::Repeats;
use super::retirement::Retirement;
use super::rings::{Inputs, Outputs};
use super::rules::Rules;
use super::settlements::Settlements;
use super::source_acks::SourceAcks;
use super::subscriptions::Subscriptions;
use super::unsettled::Unsettled;
use crate::agent::control::Control;
use crate::arena::{Ledger, Writer};
use crate::clock::Walls;
use crate::cluster::run::lease::PathLease;
use crate::config::Durability;
use crate::counters::Counters;
use crate::destinations::Reporter;
use crate::latency::Recorder;
use crate::limits::SLOTS_MAX;
use crate::log_limit::LogLimit;
use crate::message::allowance::{Grants, MaxQueued};
use crate::message::{DestinationIndex, Directory, Sequence};
use crate::ring::{Receiver, Sender};

/// The rings to and from one delivery agent.
pub(crate) struct DeliveryLink {
    pub(crate) to: Sender<ToDelivery>,
    pub(crate) from: Receiver<FromDelivery>,
}

/// The rings to and from the replay agent.
pub(crate) struct ReplayLink {
    pub(crate) to: Sender<Fetch>,
    pub(crate) to_chunks: Sender<Writer>,
    pub(crate) from: Receiver<FromReplay>,
}

/// What the scheduler agent is made of.
pub(crate) struct SchedulerParts {
    pub(crate) from_ingest: Receiver<FromIngest>,
    pub(crate) to_ingest: Sender<ToIngest>,
    pub(crate) from_journal: Receiver<FromJournal>,
    pub(crate) to_journal: Sender<ToJournal>,
    pub(crate) replay: ReplayLink,
    pub(crate) from_retention: Receiver<FromRetention>,
    /// By delivery agent.
    pub(crate) deliveries: Vec<DeliveryLink>,
    /// Frame memory.
    pub(crate) ledger: Ledger,
    /// The ids that were accepted lately.
    pub(crate) dedup: DedupWindow,
    /// Empty queues.
    pub(crate) queues: Queues,
    pub(crate) rules: Rules,
    /// The customers; rules look at the names of created ones.
    pub(crate) destinations: Directory,
    /// How many customers there can be.
    pub(crate) destinations_max: usize,
    /// How many customers the settings name; these have the first indices.
    pub(crate) configured_destinations: DestinationIndex,
    /// What reloads change.
    pub(crate) control: Control<SchedulerChange>,
    pub(crate) durability: Durability,
    /// Whether frames may be handed out, in a group.
    pub(crate) lease: PathLease,
    /// Bytes on their way to one subscriber.
    pub(crate) credit: usize,
    /// Messages held at most, hot and cold.
    pub(crate) messages_max: usize,
    /// Slots in use above which messages are evicted.
    pub(crate) hot_max: usize,
    /// Messages that may wait for each destination.
    pub(crate) max_queued: MaxQueued,
    /// The first message's sequence.
    pub(crate) next_sequence: Sequence,
    /// What earlier runs accepted and did not settle.
    pub(crate) recovered: ColdStore,
    /// The sequences of these.
    pub(crate) unsettled: Unsettled,
    pub(crate) counters: Arc<Counters>,
    /// Latencies go there.
    pub(crate) recorder: Recorder,
    /// Set while everything that can be delivered was delivered and is recorded.
    pub(crate) drained: Arc<AtomicBool>,
    /// Reports what waits for whom.
    pub(crate) reporter: Reporter,
}

impl SchedulerParts {
    /// The rings that are polled, those that are filled, and the cores between them.
    pub(super) fn assemble(self) -> (Inputs, Outputs, Cores) {
        let agents = self.deliveries.len();
        let links = self.deliveries.into_iter();
        let (to_deliveries, from_deliveries) = links.map(|it| (it.to, it.from)).unzip();
        let mut allowances = Grants::new(self.max_queued);
        allowances.grow(self.configured_destinations as usize);
        let slots_max = self.messages_max.min(SLOTS_MAX);
        let mut messages = Messages::new(slots_max, self.ledger, self.unsettled, self.recorder);
        messages.reserve_destinations(self.destinations_max);
        messages.grow(self.configured_destinations as usize);
        // A reload may take any name out of the settings.
        let mut retirement = Retirement::new(0, agents);
        retirement.reserve(self.destinations_max);
        let has_others = self.destinations.len() > self.configured_destinations as usize;
        let may_retire = self.destinations.may_create() || has_others;
        let cores = Cores {
            messages,
            intake: Intake::new(self.dedup, self.rules, self.next_sequence),
            gate: Gate::new(self.durability == Durability::Memory),
            lease: self.lease,
            source_acks: SourceAcks::default(),
            duplicates: Duplicates::default(),
            first_accepted: FirstAccepted::default(),
            repeats: Repeats::default(),
            dispatcher: Dispatcher::new(self.queues, allowances),
            subscriptions: Subscriptions::new(agents),
            leaving: VecDeque::new(),
            settlements: Settlements::default(),
            retirement,
            chunks: ChunkSupply::default(),
            names: self.destinations,
            known_destinations: self.configured_destinations,
            configured: Configured::of(0..self.configured_destinations),
            may_retire,
            walls: Walls::default(),
            counters: self.counters,
            credit: self.credit as i64,
            messages_max: self.messages_max,
            hot_max: self.hot_max,
            is_full: false,
            log_full: LogLimit::default(),
            recovered: self.recovered,
            drained: self.drained,
            reporter: self.reporter,
        };
        let inputs = Inputs {
            ingest: self.from_ingest,
            journal: self.from_journal,
            replay: self.replay.from,
            retention: self.from_retention,
            deliveries: from_deliveries,
            control: self.control,
        };
        let out = Outputs {
            ingest: self.to_ingest,
            journal: self.to_journal,
            replay: self.replay.to,
            replay_chunks: self.replay.to_chunks,
            deliveries: to_deliveries,
        };
        (inputs, out, cores)
    }
}
