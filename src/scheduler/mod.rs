//! The scheduler agent: the one place that decides what goes next, and the one owner of all state
//! that the decision needs.
//!
//! Ingest feeds it accepted frames; it drops duplicates, gives each message its sequence and level,
//! has it journaled, and - once it is recorded - queues it by priority. Delivery tells it who
//! subscribes, what was written and what was acknowledged; it hands out the most urgent message of a
//! destination whose subscriber has credit, as late as possible. It does no IO.
//!
//! ```text
//!            +--------- Arrived ---> dedup -> sequence, level --- run ---> JOURNAL
//!  INGEST ---+                                    |                          |
//!     ^      +--------- Rejected                  v                          | Recorded
//!     +-- chunks, acknowledgements <-- [ pending: the gate ] <---------------+
//!                                                 |                          ^ Settled
//!                                                 v                          |
//!                            [ queues: level, bucket, round robin ] --+      |
//!                                                                     v      |
//!  DELIVERY <-- Frame -------- credit ------------------------ [ in flight ]-+
//!  DELIVERY --- Subscribe, Written, Acknowledged, Gone -------------> ^
//! ```

pub(crate) mod bitmap;
pub mod dedup;
mod dispatcher;
mod eviction;
mod gate;
mod intake;
mod measure;
mod messages;
pub mod queue;
pub mod recovered;
pub mod rules;
mod settle;
mod source_acks;
mod subscriptions;
pub(crate) mod unsettled;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::dedup::DedupWindow;
use self::eviction::MessageSlots;
use self::measure::Measurement;
use self::messages::{Line, Messages, SlotIndex};
use self::queue::Queues;
use self::queue::cold::ColdStore;
use self::rules::Rules;
use self::source_acks::SourceAcks;
use self::subscriptions::{SubscriberId, Subscriptions};
use self::unsettled::Unsettled;
use crate::agent::feedback::Feedback;
use crate::agent::{Agent, Fatal};
use crate::arena::{Ledger, View, Writer};
use crate::clock::{LocalMinute, Now, Walls};
use crate::config::Durability;
use crate::counters::{Counter, Counters};
use crate::delivery::protocol::{FromDelivery, ToDelivery};
use crate::ingest::protocol::{FromIngest, ToIngest};
use crate::journal::protocol::{Fetch, FromJournal, FromReplay, FromRetention, ToJournal};
use crate::journal::record::Position;
use crate::journal::retention::query::UnsettledQuery;
use crate::latency::Recorder;
use crate::limits::{
    AGED_PER_CYCLE, CHUNKS_AT_INGEST, CHUNKS_AT_REPLAY, CHUNKS_FOR_REPLAY, CHUNKS_FREE_MIN,
    LEVELS_MAX, RETENTION_RING, SLOTS_MAX, UNRECORDED_MAX,
};
use crate::log_limit::LogLimit;
use crate::message::allowance::{Grants, MaxQueued};
use crate::message::{DestinationIndex, Directory, Reason, Sequence};
use crate::ring::{Receiver, Sender};

/// One delivery agent, as the scheduler sees it.
pub struct DeliveryLink {
    /// Frames go there.
    pub to: Sender<ToDelivery>,
    /// News come from here.
    pub from: Receiver<FromDelivery>,
}

/// The replay agent, as the scheduler sees it.
pub struct ReplayLink {
    /// Requests go there.
    pub to: Sender<Fetch>,
    /// Chunks go there.
    pub to_chunks: Sender<Writer>,
    /// Records come from here.
    pub from: Receiver<FromReplay>,
    /// Chunks that it holds.
    pub chunks: usize,
}

/// What the scheduler agent is made of.
pub struct SchedulerParts {
    /// Arrivals come from here.
    pub from_ingest: Receiver<FromIngest>,
    /// Chunks and acknowledgements go there.
    pub to_ingest: Sender<ToIngest>,
    /// What is recorded comes from here.
    pub from_journal: Receiver<FromJournal>,
    /// Runs and settlements go there.
    pub to_journal: Sender<ToJournal>,
    /// Reads back from the journal.
    pub replay: ReplayLink,
    /// Questions about what is settled come from here.
    pub from_retention: Receiver<FromRetention>,
    /// The delivery agents.
    pub deliveries: Vec<DeliveryLink>,
    /// Frame memory.
    pub ledger: Ledger,
    /// The ids that were accepted lately.
    pub dedup: DedupWindow,
    /// What waits.
    pub queues: Queues,
    /// What sets a level.
    pub rules: Rules,
    /// The customers; rules ask for the names of those that are created.
    pub destinations: Directory,
    /// How many customers the settings name.
    pub configured_destinations: DestinationIndex,
    /// What must have happened before delivery.
    pub durability: Durability,
    /// Bytes on their way to one subscriber.
    pub credit: usize,
    /// Messages held at most, hot and cold.
    pub messages_max: usize,
    /// Messages that keep their slots while they wait.
    pub hot_max: usize,
    /// Messages that may wait for each destination.
    pub max_queued: MaxQueued,
    /// The first message's sequence.
    pub next_sequence: Sequence,
    /// What an earlier life of the engine accepted and did not settle.
    pub backlog: ColdStore,
    /// Which sequences that is, and whatever is accepted and not settled from now on.
    pub(crate) unsettled: Unsettled,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What is measured.
    pub recorder: Recorder,
    /// Told whether everything that can be delivered has been.
    pub quiet: Arc<AtomicBool>,
}

/// What stands in the gate, in the order it came.
#[derive(Debug, Clone, Copy)]
enum Pending {
    /// A message that is not recorded yet.
    Message {
        /// Which.
        index: SlotIndex,
        /// Bytes of its record.
        len: u32,
    },
    /// A duplicate whose source waits for an acknowledgement: not before what came before it.
    Duplicate(Line),
}

/// Sums that go into the counters once a cycle.
#[derive(Debug, Default)]
struct Sums {
    received: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    settled: u64,
    in_flight: u64,
}

/// The agent.
pub struct SchedulerAgent {
    parts: SchedulerParts,
    view: View,
    messages: Messages,
    /// Where the last record stands that the journal has, and bytes of those that it has not.
    journal_end: Position,
    unwritten_len: u64,
    /// Messages may go into the journal up to here.
    granted: Position,
    subscriptions: Subscriptions,
    allowances: Grants,
    pending: VecDeque<Pending>,
    /// Messages among `pending`.
    unrecorded: u64,
    /// Accepted records of this cycle that stand one behind the other.
    run: Option<ToJournal>,
    /// Lines that sources need not send again, until ingest knows.
    source_acks: SourceAcks,
    /// Messages that were delivered, until the journal's ring takes their settlements. They have
    /// their slots, so these bound them.
    settling: VecDeque<SlotIndex>,
    /// Subscribers whose next message could not be asked for or handed over, for want of room in a
    /// ring: each once.
    waiting_for_room: VecDeque<SubscriberId>,
    chunks_at_ingest: usize,
    /// Destinations that queues, rules and subscriptions have room for; those configured were there first.
    known_destinations: DestinationIndex,
    minute: LocalMinute,
    walls: Walls,
    /// All sources wait, for no more messages can be held.
    is_full: bool,
    log_full: LogLimit,
    measurement: Measurement,
    sums: Sums,
    rejections: [u64; Reason::ALL.len()],
}

impl SchedulerAgent {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: SchedulerParts) -> Self {
        let configured = parts.configured_destinations;
        let mut allowances = Grants::new(parts.max_queued.clone());
        allowances.grow(configured as usize);
        Self {
            allowances,
            view: parts.ledger.view(),
            journal_end: 0,
            unwritten_len: 0,
            granted: 0,
            messages: Messages::new(parts.messages_max.min(SLOTS_MAX)),
            subscriptions: Subscriptions::new(parts.deliveries.len()),
            pending: VecDeque::with_capacity(UNRECORDED_MAX),
            unrecorded: 0,
            run: None,
            source_acks: SourceAcks::default(),
            settling: VecDeque::new(),
            waiting_for_room: VecDeque::new(),
            chunks_at_ingest: 0,
            known_destinations: configured,
            minute: LocalMinute::default(),
            walls: Walls::default(),
            is_full: false,
            log_full: LogLimit::default(),
            measurement: Measurement::default(),
            sums: Sums::default(),
            rejections: [0; Reason::ALL.len()],
            parts,
        }
    }

    /// Queues what an earlier life left: it is in the journal, and may have been seen.
    fn load_recovered(&mut self, now: Now) {
        let count = self.parts.backlog.len();
        if count == 0 {
            return;
        }
        // All names were read before the agents were made.
        self.ensure_destination(self.parts.destinations.len() as DestinationIndex - 1);
        let cold_store = std::mem::take(&mut self.parts.backlog);
        self.parts.queues.load(cold_store, now.steady_ms());
        for destination in 0..self.known_destinations {
            let waiting = self.parts.queues.len_of(destination);
            self.allowances.load_recovered(destination, waiting);
        }
        self.sums.received += count as u64;
        self.sums.accepted += count as u64;
        self.parts.counters.add(Counter::Recovered, count as u64);
    }

    /// Keeps ingest and the replay agent in chunks. Where too few are free, those that were filled
    /// first are taken from the messages that still wait in them: these are in the journal. The replay
    /// agent goes first: what waits on disk is delivered however much is accepted and not recorded.
    fn supply_chunks(&mut self) {
        while self.parts.ledger.free_count() < CHUNKS_FREE_MIN && self.parts.ledger.evict() {
            self.parts.counters.add(Counter::ChunksEvicted, 1);
        }
        while self.parts.replay.chunks < CHUNKS_AT_REPLAY
            && let Some(mut permit) = self.parts.replay.to_chunks.claim(1)
            && let Some(writer) = self.parts.ledger.writer()
        {
            self.parts.replay.chunks += 1;
            permit.send(writer);
        }
        while self.chunks_at_ingest < CHUNKS_AT_INGEST
            && self.parts.ledger.free_count() > CHUNKS_FOR_REPLAY
            && let Some(mut permit) = self.parts.to_ingest.claim(1)
            && let Some(writer) = self.parts.ledger.writer()
        {
            self.chunks_at_ingest += 1;
            permit.send(ToIngest::Chunk(writer));
        }
    }

    fn age(&mut self, now: Now) -> usize {
        let mut slots = MessageSlots {
            slots: &mut self.messages,
            ledger: &mut self.parts.ledger,
            recorder: &mut self.parts.recorder,
        };
        let queues = &mut self.parts.queues;
        let aged = queues.age(now.steady_ms(), AGED_PER_CYCLE, &mut slots);
        self.parts.counters.add(Counter::Aged, aged as u64);
        aged
    }

    fn publish(&mut self) {
        let counters = &self.parts.counters;
        let queued = self.unrecorded + self.parts.queues.len() as u64;
        counters.begin();
        counters.set(Counter::Received, self.sums.received);
        counters.set(Counter::Accepted, self.sums.accepted);
        counters.set(Counter::Duplicates, self.sums.duplicates);
        counters.set(Counter::Rejected, self.sums.rejected);
        counters.set(Counter::Settled, self.sums.settled);
        counters.set(Counter::InFlight, self.sums.in_flight);
        counters.set(Counter::Queued, queued);
        for reason in Reason::ALL {
            counters.set_rejected(reason, self.rejections[reason as usize]);
        }
        counters.end();
        let cold = self.parts.queues.len_cold() as u64;
        counters.set(Counter::QueuedCold, cold);
        counters.set(Counter::LastSequence, self.parts.next_sequence - 1);
    }

    /// Answers what retention asks; the answer follows the settlements that it speaks of.
    fn poll_retention(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < RETENTION_RING
            && self.parts.to_journal.has_room(1)
            && let Some(event) = self.parts.from_retention.poll()
        {
            work_count += 1;
            match event {
                FromRetention::Granted(position) => self.granted = position,
                FromRetention::Query(query) => self.answer(query),
            }
        }
        work_count
    }

    fn answer(&mut self, mut query: Box<UnsettledQuery>) {
        self.parts.unsettled.answer(&mut query);
        query.next_sequence = self.parts.next_sequence;
        query.is_at_limit = !self.journal_may_grow();
        let first = self.parts.unsettled.first();
        query.first_unsettled = first.unwrap_or(query.next_sequence);
        let permit = self.parts.to_journal.claim(1);
        let mut permit = permit.expect("room was seen before the question was taken");
        permit.send(ToJournal::Query(query));
    }

    /// Tells ingest what sources need not send again, and where they may go on, as far as its ring
    /// takes it.
    fn send_to_ingest(&mut self) {
        while !self.source_acks.is_empty()
            && let Some(mut permit) = self.parts.to_ingest.claim(1)
            && let Some(line) = self.source_acks.next()
        {
            permit.send(ToIngest::Responsible {
                source: line.source,
                connection: line.connection,
                line: line.number,
            });
        }
        while self.allowances.has_updates()
            && let Some(mut permit) = self.parts.to_ingest.claim(1)
            && let Some((destination, until)) = self.allowances.next_update()
        {
            permit.send(ToIngest::Allowance { destination, until });
        }
    }

    fn end_cycle(&mut self, work_count: usize) {
        self.supply_chunks();
        self.send_to_ingest();
        if work_count > 0 {
            self.publish();
        }
        // With `memory`, what is delivered may not be recorded yet.
        let is_recorded = self.pending.is_empty()
            && self.parts.counters.get(Counter::JournalSettled) >= self.sums.settled;
        let is_quiet = is_recorded
            && self.sums.in_flight == 0
            && !self.parts.queues.has_ready()
            && self.parts.from_ingest.is_empty();
        self.parts.quiet.store(is_quiet, Ordering::Release);
        self.parts.recorder.poll_swap();
        self.parts.to_ingest.flush();
        self.parts.to_journal.flush();
        self.parts.replay.to.flush();
        self.parts.replay.to_chunks.flush();
        self.parts
            .deliveries
            .iter_mut()
            .for_each(|it| it.to.flush());
    }
}

impl Agent for SchedulerAgent {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn on_start(&mut self, now: Now) -> Result<(), Fatal> {
        self.walls.note(now);
        self.load_recovered(now);
        self.publish();
        Ok(())
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        self.walls.note(now);
        let mut work_count = self.poll_journal(now);
        work_count += self.poll_replay(now) + self.settle_waiting(now);
        for agent in 0..self.parts.deliveries.len() {
            work_count += self.poll_delivery(agent as u16, now);
        }
        work_count += self.poll_retention() + self.poll_ingest(now);
        work_count += self.age(now) + self.evict(now) + self.dispatch(now);
        self.end_cycle(work_count);
        Ok(work_count)
    }
}

impl Feedback for SchedulerAgent {
    /// Dispatches what the journal has recorded. What ingest has is left for the next cycle: accepted
    /// more often than they are written to subscribers, messages would pile up here instead of there.
    fn poll_feedback(&mut self, now: Now) -> usize {
        let work_count = self.poll_journal(now) + self.dispatch(now);
        self.end_cycle(work_count);
        work_count
    }
}

const _: () = assert!(LEVELS_MAX < 16, "levels are counted in small arrays");
