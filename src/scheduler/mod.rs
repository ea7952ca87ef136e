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
//!  DELIVERY --- Subscribe, Wrote, Acknowledged, Gone ---------------> ^
//! ```

pub mod bitmap;
pub mod dedup;
pub mod queue;
pub mod rules;
mod seats;
mod slots;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::dedup::DedupWindow;
use self::queue::Queues;
use self::rules::Rules;
use self::seats::{Seats, Subscriber, SubscriberId};
use self::slots::{Line, Slot, SlotIndex, Slots, Times};
use crate::agent::{Agent, Fatal};
use crate::arena::{Ledger, View};
use crate::clock::{LocalMinute, Now};
use crate::config::Durability;
use crate::counters::{Counter, Counters};
use crate::delivery::{FromDelivery, ToDelivery};
use crate::ingest::{Arrival, FromIngest, ToIngest};
use crate::journal::record::{RecordHeader, Settlement};
use crate::journal::writer::{FromJournal, ToJournal};
use crate::latency::{Delivered, Recorder, Stage};
use crate::limits::{
    AGED_PER_CYCLE, ARRIVALS_PER_CYCLE, CHUNKS_AT_INGEST, DISPATCHES_PER_CYCLE, LEVELS_MAX,
    UNRECORDED_MAX,
};
use crate::message::{DestinationIndex, Directory, Level, Reason, Sequence};
use crate::ring::{Receiver, Sender};

/// One delivery agent, as the scheduler sees it.
pub struct DeliveryLink {
    /// Frames go there.
    pub to: Sender<ToDelivery>,
    /// News come from here.
    pub from: Receiver<FromDelivery>,
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
    /// Messages held at most.
    pub messages_max: usize,
    /// The first message's sequence.
    pub next_sequence: Sequence,
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
    Message(SlotIndex),
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
    slots: Slots,
    seats: Seats,
    pending: VecDeque<Pending>,
    /// Messages among `pending`.
    unrecorded: u64,
    /// Accepted records of this cycle that stand one behind the other.
    run: Option<ToJournal>,
    /// What was acknowledged last, until another source's line comes.
    responsible: Option<Line>,
    chunks_at_ingest: usize,
    /// Destinations that queues, rules and seats have room for; those configured were there first.
    known_destinations: DestinationIndex,
    minute: LocalMinute,
    sums: Sums,
    rejections: [u64; Reason::ALL.len()],
}

impl SchedulerAgent {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: SchedulerParts) -> Self {
        let configured = parts.configured_destinations;
        Self {
            view: parts.ledger.view(),
            slots: Slots::new(parts.messages_max),
            seats: Seats::new(parts.deliveries.len()),
            pending: VecDeque::with_capacity(UNRECORDED_MAX),
            unrecorded: 0,
            run: None,
            responsible: None,
            chunks_at_ingest: 0,
            known_destinations: configured,
            minute: LocalMinute::default(),
            sums: Sums::default(),
            rejections: [0; Reason::ALL.len()],
            parts,
        }
    }

    // ---- from the journal: the gate ----

    fn hear_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(news) = self.parts.from_journal.poll() {
            work_count += 1;
            match news {
                FromJournal::Returned(returned) => self.parts.ledger.take_back(returned),
                FromJournal::Recorded {
                    first_sequence,
                    entries,
                    position,
                } => {
                    self.open_gate(first_sequence, entries, position, now);
                }
            }
        }
        work_count
    }

    /// Lets the batch's messages through the gate, in their order.
    fn open_gate(&mut self, first: Sequence, entries: u32, mut position: u64, now: Now) {
        let last = first + u64::from(entries) - 1;
        if self.parts.durability == Durability::Memory {
            return;
        }
        while let Some(&front) = self.pending.front() {
            match front {
                Pending::Duplicate(line) => self.take_responsibility(line),
                Pending::Message(index) => {
                    let slot = self.slots.get_mut(index);
                    if slot.sequence > last {
                        break;
                    }
                    slot.position = position;
                    slot.times.recorded_ns = now.ns;
                    position += slot.place.record_len() as u64;
                    self.unrecorded -= 1;
                    self.enqueue(index, now);
                }
            }
            self.pending.pop_front();
        }
    }

    /// The message may be delivered, and its source may forget it.
    fn enqueue(&mut self, index: SlotIndex, now: Now) {
        let Slot {
            destination,
            level,
            bucket_ms,
            line,
            ..
        } = *self.slots.get(index);
        self.take_responsibility(line);
        self.parts
            .queues
            .push(destination, level, index, bucket_ms, now.epoch_ms());
        let active = self.seats.active(destination);
        let subscriber = active.and_then(|id| self.seats.get_mut(id));
        if subscriber.is_some_and(|it| it.is_ahead_of(level)) {
            self.parts.counters.add(Counter::Inversions, 1);
        }
    }

    fn take_responsibility(&mut self, line: Line) {
        if line.number == 0 {
            return;
        }
        let same = |it: Line| (it.source, it.connection) == (line.source, line.connection);
        if let Some(other) = self.responsible.replace(line).filter(|it| !same(*it)) {
            self.tell_responsible(other);
        }
    }

    fn tell_responsible(
        &mut self,
        Line {
            source,
            connection,
            number,
        }: Line,
    ) {
        let told = ToIngest::Responsible {
            source,
            connection,
            line: number,
        };
        self.parts.to_ingest.send(told);
    }

    // ---- from ingest: dedup, sequence, level ----

    fn hear_ingest(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ARRIVALS_PER_CYCLE && self.may_accept() {
            let Some(news) = self.parts.from_ingest.poll() else {
                break;
            };
            work_count += 1;
            match news {
                FromIngest::Arrived(arrival) => self.judge(arrival, now),
                FromIngest::Sealed(writer) => {
                    self.chunks_at_ingest -= 1;
                    self.parts.ledger.seal(writer);
                }
                FromIngest::Rejected { reason, count } => {
                    self.sums.received += u64::from(count);
                    self.sums.rejected += u64::from(count);
                    self.rejections[reason as usize] += u64::from(count);
                }
            }
        }
        self.end_run();
        work_count
    }

    /// Whether another message finds room in the gate, in its slot and in the journal's ring.
    fn may_accept(&mut self) -> bool {
        let has_room = self.pending.len() < UNRECORDED_MAX && self.slots.has_room();
        let journal_has_room = self.parts.to_journal.room() > 1;
        if !journal_has_room {
            self.parts.counters.add(Counter::JournalBackPressure, 1);
        }
        has_room && journal_has_room
    }

    fn judge(&mut self, arrival: Arrival, now: Now) {
        self.sums.received += 1;
        let Arrival {
            source,
            connection,
            line,
            ..
        } = arrival;
        let line = Line {
            source,
            connection,
            number: line,
        };
        if self.parts.dedup.claim(arrival.id, now.epoch_ms()) {
            self.sums.accepted += 1;
            self.accept(arrival, line, now);
            return;
        }
        self.sums.duplicates += 1;
        self.parts.ledger.discard(arrival.frame);
        if self.pending.is_empty() {
            self.take_responsibility(line);
        } else if line.number > 0 {
            self.pending.push_back(Pending::Duplicate(line));
        }
    }

    fn accept(&mut self, arrival: Arrival, line: Line, now: Now) {
        let sequence = self.parts.next_sequence;
        self.parts.next_sequence += 1;
        let destination = arrival.destination;
        self.meet(destination);
        let level = self.level(&arrival, now);
        let mut frame = arrival.frame;
        RecordHeader::seal(self.view.header_mut(&mut frame), sequence, level);
        let place = self.parts.ledger.place(frame);
        self.add_to_run(place, sequence);
        let read_ns = arrival.read_ns;
        let times = Times {
            read_ns,
            accepted_ns: now.ns,
            recorded_ns: now.ns,
            ..Times::default()
        };
        let index = self.slots.insert(Slot {
            sequence,
            place,
            position: 0,
            times,
            bucket_ms: arrival.bucket_ms,
            line,
            destination,
            message_type: arrival.message_type,
            level,
            again: false,
        });
        if self.parts.durability == Durability::Memory {
            self.enqueue(index, now);
        } else {
            self.pending.push_back(Pending::Message(index));
            self.unrecorded += 1;
        }
    }

    fn level(&mut self, arrival: &Arrival, now: Now) -> Level {
        let minute = self.minute.of_day(now);
        let (view, frame) = (&self.view, &arrival.frame);
        self.parts.rules.level(
            arrival.destination,
            arrival.message_type,
            arrival.priority,
            minute,
            || source_of(view.record(frame)),
        )
    }

    /// A destination may be new.
    fn meet(&mut self, destination: DestinationIndex) {
        while self.known_destinations <= destination {
            let name = self.parts.destinations.name(self.known_destinations);
            self.parts
                .rules
                .add_destination(name.as_deref().unwrap_or_default());
            self.known_destinations += 1;
            self.parts.queues.grow(self.known_destinations as usize);
            self.seats.grow(self.known_destinations as usize);
        }
    }

    /// Adds a record to the run that goes to the journal, beginning a new one where it must.
    fn add_to_run(&mut self, place: crate::arena::Place, sequence: Sequence) {
        if let Some(ToJournal::Run { lease, entries, .. }) = &mut self.run
            && self.parts.ledger.extend(lease, place)
        {
            *entries += 1;
            return;
        }
        self.end_run();
        let lease = self
            .parts
            .ledger
            .lend(place)
            .expect("it was placed a moment ago");
        self.run = Some(ToJournal::Run {
            lease,
            first_sequence: sequence,
            entries: 1,
        });
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            // `may_accept` saw room for it.
            self.parts.to_journal.send(run);
        }
    }

    // ---- to delivery: late binding ----

    fn dispatch(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE {
            if self.parts.deliveries.iter().any(|it| it.to.room() == 0) {
                self.parts.counters.add(Counter::DeliveryBackPressure, 1);
                break;
            }
            let Some((destination, index, level)) = self.parts.queues.pop_ready() else {
                break;
            };
            self.dispatch_one(destination, index, level, now);
            work_count += 1;
        }
        work_count
    }

    fn dispatch_one(
        &mut self,
        destination: DestinationIndex,
        index: SlotIndex,
        level: Level,
        now: Now,
    ) {
        let id = self
            .seats
            .active(destination)
            .expect("an open destination has a subscriber");
        let subscriber = self.seats.get_mut(id).expect("who is seated is there");
        let slot = self.slots.get_mut(index);
        slot.times.dispatched_ns = now.ns;
        let lease = self
            .parts
            .ledger
            .lend(slot.place)
            .expect("chunks of queued messages stay");
        subscriber.credit -= slot.place.wire_len() as i64;
        subscriber.in_flight.push_back(index);
        subscriber.unwritten[usize::from(level)] += 1;
        // It may have aged while it waited.
        slot.level = level;
        let frame = ToDelivery::Frame {
            subscriber: id.key,
            lease,
            again: slot.again,
        };
        let is_open = subscriber.is_open();
        self.sums.in_flight += 1;
        // `dispatch` saw room.
        self.parts.deliveries[usize::from(id.agent)].to.send(frame);
        if !is_open {
            self.set_open(id, false);
        }
    }

    /// Opens or closes the destinations for which a subscriber is active.
    fn set_open(&mut self, id: SubscriberId, open: bool) {
        let Some(subscriber) = self.seats.get_mut(id) else {
            return;
        };
        let destinations = std::mem::take(&mut subscriber.destinations);
        for &destination in &destinations {
            if self.seats.active(destination) != Some(id) {
                continue;
            }
            if open {
                self.parts.queues.open(destination);
            } else {
                self.parts.queues.close(destination);
            }
        }
        if let Some(subscriber) = self.seats.get_mut(id) {
            subscriber.destinations = destinations;
        }
    }

    // ---- from delivery: credit, settlement ----

    fn hear_delivery(&mut self, agent: u16, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(news) = self.parts.deliveries[usize::from(agent)].from.poll() {
            work_count += 1;
            match news {
                FromDelivery::Returned(returned) => self.parts.ledger.take_back(returned),
                FromDelivery::Subscribe {
                    subscriber,
                    destinations,
                    ack,
                } => {
                    let id = SubscriberId {
                        agent,
                        key: subscriber,
                    };
                    self.subscribe(id, destinations, ack);
                }
                FromDelivery::Wrote {
                    subscriber,
                    frames,
                    bytes,
                    at_ns,
                } => {
                    let id = SubscriberId {
                        agent,
                        key: subscriber,
                    };
                    self.note_written(id, frames, bytes, at_ns, now);
                }
                FromDelivery::Acknowledged { subscriber, frames } => {
                    self.note_settled(
                        SubscriberId {
                            agent,
                            key: subscriber,
                        },
                        frames,
                        now,
                    );
                }
                FromDelivery::Gone { subscriber } => {
                    self.take_leave(
                        SubscriberId {
                            agent,
                            key: subscriber,
                        },
                        now,
                    );
                }
            }
        }
        work_count
    }

    fn subscribe(&mut self, id: SubscriberId, destinations: Vec<DestinationIndex>, ack: bool) {
        for &destination in &destinations {
            self.meet(destination);
        }
        let seated = self
            .seats
            .seat(id, destinations, ack, self.parts.credit as i64);
        for &destination in &seated.active {
            self.parts.queues.open(destination);
        }
        let answer = ToDelivery::Seated {
            subscriber: id.key,
            active: seated.active,
            standby: seated.standby,
        };
        self.parts.deliveries[usize::from(id.agent)].to.send(answer);
    }

    fn note_written(&mut self, id: SubscriberId, frames: u32, bytes: u32, at_ns: u64, now: Now) {
        let Some(subscriber) = self.seats.get_mut(id) else {
            return;
        };
        let was_open = subscriber.is_open();
        let first = subscriber.written;
        subscriber.written += frames as usize;
        subscriber.credit += i64::from(bytes);
        for index in first..subscriber.written {
            let slot = self.slots.get_mut(subscriber.in_flight[index]);
            slot.times.written_ns = at_ns;
            subscriber.unwritten[usize::from(slot.level)] -= 1;
        }
        let (ack, is_open) = (subscriber.ack, subscriber.is_open());
        self.parts
            .counters
            .add(Counter::Delivered, u64::from(frames));
        if is_open && !was_open {
            self.set_open(id, true);
        }
        if !ack {
            self.note_settled(id, frames, now);
        }
    }

    fn note_settled(&mut self, id: SubscriberId, frames: u32, now: Now) {
        let was_open = self.seats_open(id);
        for _ in 0..frames {
            let Some(subscriber) = self.seats.get_mut(id) else {
                return;
            };
            assert!(subscriber.written > 0, "only what was written is settled");
            subscriber.written -= 1;
            let index = subscriber
                .in_flight
                .pop_front()
                .expect("what was written is in flight");
            self.settle(index, now);
        }
        if !was_open && self.seats_open(id) {
            self.set_open(id, true);
        }
    }

    fn seats_open(&mut self, id: SubscriberId) -> bool {
        self.seats.get_mut(id).is_some_and(|it| it.is_open())
    }

    fn settle(&mut self, index: SlotIndex, now: Now) {
        let slot = self.slots.remove(index);
        self.parts.ledger.release(slot.place);
        self.sums.settled += 1;
        self.sums.in_flight -= 1;
        let settlement = Settlement {
            sequence: slot.sequence,
            settled_us: now.epoch_us,
        };
        self.parts.to_journal.send(ToJournal::Settled(settlement));
        self.measure(&slot, now);
    }

    fn measure(&mut self, slot: &Slot, now: Now) {
        let Times {
            read_ns,
            accepted_ns,
            recorded_ns,
            dispatched_ns,
            written_ns,
        } = slot.times;
        let active = self.parts.recorder.active_mut();
        let stages = [
            (Stage::Ingest, read_ns, accepted_ns),
            (Stage::Journal, accepted_ns, recorded_ns),
            (Stage::Queue, recorded_ns, dispatched_ns),
            (Stage::Delivery, dispatched_ns, written_ns),
            (Stage::Total, read_ns, written_ns),
        ];
        for (stage, from_ns, to_ns) in stages {
            let ns = to_ns.saturating_sub(from_ns);
            active.record(stage, slot.level, slot.destination, ns, 1);
        }
        active.delivered(Delivered {
            destination: slot.destination,
            level: slot.level,
            message_type: slot.message_type,
            sequence: slot.sequence,
            latency_ns: written_ns.saturating_sub(read_ns),
            epoch_us: now.epoch_us,
        });
    }

    /// A subscriber has gone: what it did not settle goes to the next one, before what is later.
    fn take_leave(&mut self, id: SubscriberId, now: Now) {
        if let Some(subscriber) = self.seats.leave(id) {
            self.requeue(&subscriber, now);
            for &destination in &subscriber.destinations {
                let next = self.seats.active(destination);
                let open = next.is_some_and(|next| self.seats_open(next));
                if open {
                    self.parts.queues.open(destination);
                } else {
                    self.parts.queues.close(destination);
                }
            }
        }
        let forget = ToDelivery::Forget { subscriber: id.key };
        self.parts.deliveries[usize::from(id.agent)].to.send(forget);
    }

    fn requeue(&mut self, subscriber: &Subscriber, now: Now) {
        let mut messages: Vec<(DestinationIndex, SlotIndex, Sequence)> = Vec::new();
        for (place, &index) in subscriber.in_flight.iter().enumerate() {
            let slot = self.slots.get_mut(index);
            slot.again |= place < subscriber.written;
            messages.push((slot.destination, index, slot.sequence));
        }
        messages.sort_unstable_by_key(|&(destination, _, sequence)| (destination, sequence));
        for of_one in messages.chunk_by(|one, next| one.0 == next.0) {
            let returned: Vec<(SlotIndex, Sequence)> = of_one
                .iter()
                .map(|&(_, index, sequence)| (index, sequence))
                .collect();
            self.parts
                .queues
                .push_again(of_one[0].0, &returned, now.epoch_ms());
        }
        let count = messages.len() as u64;
        self.sums.in_flight -= count;
        self.parts.counters.add(Counter::Redelivered, count);
    }

    // ---- the cycle's end ----

    fn supply_chunks(&mut self) {
        while self.chunks_at_ingest < CHUNKS_AT_INGEST {
            let Some(writer) = self.parts.ledger.writer() else {
                break;
            };
            self.chunks_at_ingest += 1;
            self.parts.to_ingest.send(ToIngest::Chunk(writer));
        }
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
    }

    fn end_cycle(&mut self, work_count: usize) {
        self.supply_chunks();
        if let Some(line) = self.responsible.take() {
            self.tell_responsible(line);
        }
        if work_count > 0 {
            self.publish();
        }
        let is_quiet = self.unrecorded == 0
            && self.sums.in_flight == 0
            && !self.parts.queues.has_ready()
            && self.parts.from_ingest.is_empty();
        self.parts.quiet.store(is_quiet, Ordering::Release);
        self.parts.recorder.poll_swap();
        self.parts.to_ingest.flush();
        self.parts.to_journal.flush();
        self.parts
            .deliveries
            .iter_mut()
            .for_each(|it| it.to.flush());
    }
}

/// The `sourceServerId` of a record, for rules that ask for it.
fn source_of(record: &[u8]) -> &[u8] {
    match record.split_first_chunk() {
        Some((header, frame)) => RecordHeader::decode(header).source.of(frame),
        None => &[],
    }
}

impl Agent for SchedulerAgent {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.hear_journal(now);
        for agent in 0..self.parts.deliveries.len() {
            work_count += self.hear_delivery(agent as u16, now);
        }
        work_count += self.hear_ingest(now);
        let aged = self.parts.queues.age(now.epoch_ms(), AGED_PER_CYCLE);
        self.parts.counters.add(Counter::Aged, aged as u64);
        work_count += aged + self.dispatch(now);
        self.end_cycle(work_count);
        Ok(work_count)
    }
}

const _: () = assert!(LEVELS_MAX < 16, "levels are counted in small arrays");
