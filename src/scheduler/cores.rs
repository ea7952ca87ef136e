//! The cores together: what each event does, one function an event.
//!
//! The agent polls the rings and calls one of these with the event's values and the time; each
//! calls the cores in the order of the data and writes to the outputs. No IO, no clock.

mod changing;
mod cycle_end;
mod leaving;
mod retiring;
mod unconfirmed;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing::{info, warn};

use super::chunks::ChunkSupply;
use super::dispatcher::Dispatcher;
use super::duplicates::Duplicates;
use super::first_accepted::FirstAccepted;
use super::gate::{Batch, Gate, Passed};
use super::intake::{Admitted, Intake};
use super::message::SlotIndex;
use super::messages::Messages;
use super::protocol::{
    Arrival, FromDelivery, FromIngest, FromJournal, FromReplay, FromRetention, ToDelivery,
    ToJournal,
};
use super::queue::cold::ColdStore;
use super::reload::Configured;
use super::repeats::Repeats;
use super::retirement::Retirement;
use super::rings::DispatchOutput;
use super::settlements::Settlements;
use super::source_acks::SourceAcks;
use super::subscriber::{Subscriber, SubscriberId};
use super::subscriptions::Subscriptions;
use crate::clock::{Now, Walls};
use crate::cluster::run::lease::PathLease;
use crate::counters::{Counter, Counters};
use crate::destinations::Reporter;
use crate::log_limit::LogLimit;
use crate::message::{DestinationIndex, Directory};
use crate::ring::{Permit, Sender};

/// All cores, and what they share.
pub(super) struct Cores {
    pub(super) messages: Messages,
    pub(super) intake: Intake,
    pub(super) gate: Gate,
    /// What the group allows, where there is one.
    pub(super) lease: PathLease,
    pub(super) source_acks: SourceAcks,
    pub(super) duplicates: Duplicates,
    pub(super) first_accepted: FirstAccepted,
    pub(super) repeats: Repeats,
    pub(super) dispatcher: Dispatcher,
    pub(super) subscriptions: Subscriptions,
    /// Subscribers that have gone and are still in rows of the subscriptions.
    pub(super) leaving: VecDeque<SubscriberId>,
    pub(super) settlements: Settlements,
    pub(super) retirement: Retirement,
    pub(super) chunks: ChunkSupply,
    pub(super) names: Directory,
    /// Destinations that the cores have room for.
    pub(super) known_destinations: DestinationIndex,
    /// Those that the settings name: their names stay.
    pub(super) configured: Configured,
    /// There may be others.
    pub(super) may_retire: bool,
    pub(super) walls: Walls,
    pub(super) counters: Arc<Counters>,
    /// Bytes on their way to one subscriber.
    pub(super) credit: i64,
    /// Messages held at most, hot and cold.
    pub(super) messages_max: usize,
    /// Slots in use above which messages are evicted.
    pub(super) hot_max: usize,
    /// All sources wait: no more messages can be held.
    pub(super) is_full: bool,
    pub(super) log_full: LogLimit,
    /// What the last run left unsettled, until it is loaded.
    pub(super) recovered: ColdStore,
    /// Set while everything that can be delivered was delivered and is recorded.
    pub(super) drained: Arc<AtomicBool>,
    /// Who asks what waits for whom.
    pub(super) reporter: Reporter,
}

impl Cores {
    /// Loads what the last run left unsettled: it is in the journal, and may have been delivered.
    pub(super) fn load_recovered(&mut self, now: Now) {
        self.walls.note(now);
        let recovered = std::mem::take(&mut self.recovered);
        let count = recovered.len() as u64;
        if count > 0 {
            // All names were read before the agents were made.
            self.ensure_destination(self.names.len() as DestinationIndex - 1);
            self.dispatcher
                .load(recovered, self.known_destinations, now);
            self.intake.count_recovered(count);
            for destination in 0..self.known_destinations {
                let waiting = self.dispatcher.queues().len_of(destination);
                self.messages.count_recovered(destination, waiting as u64);
            }
            self.counters.add(Counter::Recovered, count);
        }
        self.publish();
    }

    /// What ingest sends. It takes one entry of the permit at most, and a message leaves its run to be
    /// sent.
    #[inline]
    pub(super) fn on_ingest(
        &mut self,
        event: FromIngest,
        now: Now,
        journal: &mut Permit<'_, ToJournal>,
    ) {
        match event {
            FromIngest::Arrived(arrival) => self.on_arrival(arrival, now, journal),
            FromIngest::Sealed(writer) => self.chunks.take_from_ingest(writer, &mut self.messages),
            FromIngest::Rejected { reason, count } => self.intake.reject(reason, count),
            FromIngest::Forgotten { destination } => self.retirement.answer(destination, true),
        }
    }

    #[inline]
    fn on_arrival(&mut self, arrival: Arrival, now: Now, journal: &mut Permit<'_, ToJournal>) {
        let destination = arrival.destination;
        let (source, connection) = (arrival.source, arrival.connection);
        let wants_outcome = arrival.wants_outcome;
        self.ensure_destination(destination);
        let admitted = (self.intake).admit(arrival, now, &mut self.messages, journal);
        match admitted {
            Admitted::Message { index, record_len } => {
                self.first_accepted.note(source, connection);
                self.gate.push(index, record_len);
                if self.gate.is_open() {
                    self.queue(index, now);
                }
            }
            Admitted::Duplicate(line) => {
                self.dispatcher.allowances().leave(destination);
                self.repeats.note(source, connection);
                if wants_outcome {
                    self.duplicates.add(line);
                }
                if let Some(line) = self.gate.push_duplicate(line) {
                    self.source_acks.add(line);
                }
            }
        }
    }

    /// A message leaves the gate: it may be delivered, and its source may forget it.
    #[inline]
    fn queue(&mut self, index: SlotIndex, now: Now) {
        let message = self.messages.queue(index);
        self.source_acks.add(message.line);
        let is_inversion = (self.dispatcher).push(index, message, now, &self.subscriptions);
        if is_inversion {
            self.counters.add(Counter::Inversions, 1);
        }
    }

    pub(super) fn on_journal(&mut self, event: FromJournal, now: Now) {
        match event {
            FromJournal::Returned(returned) => self.messages.take_back(returned),
            FromJournal::Recorded {
                first_sequence,
                entries,
                position,
            } => self.on_recorded(Batch::new(first_sequence, entries, position), now),
        }
    }

    fn on_recorded(&mut self, mut batch: Batch, now: Now) {
        while let Some(passed) = self.gate.pass(&mut batch) {
            match passed {
                Passed::Duplicate(line) => self.source_acks.add(line),
                Passed::Message {
                    index,
                    sequence,
                    position,
                } => {
                    if let Some(ahead) = self.gate.ahead() {
                        self.messages.prefetch(ahead);
                    }
                    if (self.messages).record_at(index, sequence, position, now) {
                        self.queue(index, now);
                    }
                }
            }
        }
    }

    pub(super) fn on_replay(&mut self, event: FromReplay, now: Now, out: &mut DispatchOutput<'_>) {
        match event {
            FromReplay::Sealed(writer) => self.chunks.take_from_replay(writer, &mut self.messages),
            FromReplay::Fetched { slot, frame } => {
                self.counters.add(Counter::Fetched, 1);
                let steady_us = |wall_us| self.walls.steady_us(wall_us, now);
                let message = self.messages.end_fetch(slot, frame, now, steady_us);
                let fetched = (message.destination, slot);
                let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
                (self.dispatcher).on_fetched(fetched, now, messages, subscriptions, out);
            }
        }
    }

    /// What a delivery agent says. It takes one answer of the permit at most.
    pub(super) fn on_delivery(
        &mut self,
        agent: u16,
        event: FromDelivery,
        now: Now,
        answers: &mut Permit<'_, ToDelivery>,
        journal: &mut Sender<ToJournal>,
    ) {
        let id = |key| SubscriberId { agent, key };
        match event {
            FromDelivery::Returned(returned) => self.messages.take_back(returned),
            FromDelivery::Subscribe {
                subscriber,
                destinations,
                ack,
                is_last,
                peer,
            } => {
                let assigned = self.on_subscribe(id(subscriber), &destinations, ack, is_last);
                if let Some(found) = self.subscriptions.get_mut(id(subscriber)) {
                    found.peer = Some(*peer);
                }
                answers.send(assigned);
            }
            FromDelivery::Written {
                subscriber,
                frames,
                bytes,
                at_ns,
            } => {
                let (id, written) = (id(subscriber), (frames, bytes));
                if self.on_written(id, written, at_ns) {
                    self.on_acknowledged(id, frames, now, journal);
                }
            }
            FromDelivery::Acknowledged { subscriber, frames } => {
                self.on_acknowledged(id(subscriber), frames, now, journal);
            }
            FromDelivery::Gone { subscriber } => {
                self.on_gone(id(subscriber), now, answers);
            }
            FromDelivery::Released {
                destination,
                consent,
            } => self.on_released(destination, consent),
        }
    }

    /// Returns the answer. The last destinations of a line let its messages go, in the next
    /// dispatch: the answer goes before the first frame.
    fn on_subscribe(
        &mut self,
        id: SubscriberId,
        destinations: &[DestinationIndex],
        ack: bool,
        is_last: bool,
    ) -> ToDelivery {
        for &destination in destinations {
            self.ensure_destination(destination);
            self.retirement.refuse(destination);
        }
        let assigned = (self.subscriptions).subscribe(id, destinations, ack, self.credit);
        if is_last {
            self.dispatcher.begin_serving(id, &mut self.subscriptions);
        }
        ToDelivery::Assigned {
            subscriber: id.key,
            active: assigned.active,
            standby: assigned.standby,
            is_last,
        }
    }

    /// Returns whether the subscriber is done with these frames, for it does not acknowledge.
    fn on_written(&mut self, id: SubscriberId, (frames, bytes): (u32, u32), at_ns: u64) -> bool {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return false;
        };
        let (was_open, ack) = (subscriber.is_open(), subscriber.ack);
        let messages = &mut self.messages;
        subscriber.write(frames as usize, bytes, |index| messages.write(index, at_ns));
        self.counters.add(Counter::Written, u64::from(frames));
        self.open_if_closed(id, was_open);
        !ack
    }

    /// The subscriber is done with its oldest so many frames.
    fn on_acknowledged(
        &mut self,
        id: SubscriberId,
        frames: u32,
        now: Now,
        journal: &mut Sender<ToJournal>,
    ) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let was_open = subscriber.is_open();
        let mut permit = journal.claim_up_to(frames as usize);
        for index in subscriber.settle(frames as usize) {
            (self.settlements).settle(index, now, &mut self.messages, &mut permit);
        }
        self.messages.record_latencies();
        self.open_if_closed(id, was_open);
    }

    /// A subscriber's credit has come: its destinations are opened if they were closed.
    #[inline]
    fn open_if_closed(&mut self, id: SubscriberId, was_open: bool) {
        if !was_open && self.subscriptions.get(id).is_some_and(Subscriber::is_open) {
            self.dispatcher.set_open(id, true, &self.subscriptions);
        }
    }

    /// What retention says. The answer goes through the journal, behind the settlements that it
    /// speaks of.
    pub(super) fn on_retention(
        &mut self,
        event: FromRetention,
        journal: &mut Permit<'_, ToJournal>,
    ) {
        match event {
            FromRetention::Granted(position) => self.gate.grant(position),
            FromRetention::Query(mut query) => {
                (self.messages).answer(&mut query, self.intake.next_sequence());
                query.is_at_limit = !self.gate.may_grow();
                journal.send(ToJournal::Query(query));
            }
        }
    }

    /// Settles what found no room in the journal's ring before.
    pub(super) fn retry_settlements(&mut self, now: Now, journal: &mut Sender<ToJournal>) -> usize {
        self.settlements.retry(now, &mut self.messages, journal)
    }

    /// Dispatches what may go.
    pub(super) fn dispatch(&mut self, now: Now, out: &mut DispatchOutput<'_>) -> usize {
        if !self.lease.may_serve() {
            return 0;
        }
        if self.counters.get(Counter::JournalStuck) != 0 {
            // What is handed out now would be settled, and nowhere recorded.
            return 0;
        }
        let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
        let work_count = (self.dispatcher).dispatch(now, messages, subscriptions, out);
        if work_count < crate::limits::DISPATCHES_PER_CYCLE && self.dispatcher.queues().has_ready()
        {
            self.counters.add(Counter::DeliveryBackPressure, 1);
        }
        work_count
    }

    /// Moves up what has waited `max_wait`, and evicts queued messages while more than `hot_max`
    /// slots are in use.
    pub(super) fn age_and_evict(&mut self, now: Now) -> usize {
        let aged = self.dispatcher.age(now, &mut self.messages);
        self.counters.add(Counter::Aged, aged as u64);
        aged + (self.dispatcher).evict(self.hot_max, now, &mut self.messages)
    }

    /// Whether so many more arrivals find room in the gate, in slots, in the journal's ring and on
    /// disk.
    pub(super) fn may_accept(
        &mut self,
        count: usize,
        now: Now,
        journal: &Permit<'_, ToJournal>,
    ) -> bool {
        let has_room = self.gate.has_room(count) && self.may_hold_more(count, now);
        // A run for each arrival, and the one that was begun.
        let journal_has_room = journal.left() > count;
        if !journal_has_room {
            self.counters.add(Counter::JournalBackPressure, 1);
        }
        let may_accept = self.gate.may_grow() && self.lease.may_accept();
        has_room && journal_has_room && may_accept && self.duplicates.has_room(count)
    }

    /// Whether so many more messages may be held, hot and cold.
    fn may_hold_more(&mut self, count: usize, now: Now) -> bool {
        let held = self.messages.used() + self.dispatcher.queues().len_cold();
        let may = self.messages.has_room(count) && held + count <= self.messages_max;
        if !may {
            self.counters.add(Counter::HeldBackPressure, 1);
        }
        if may == self.is_full {
            self.is_full = !may;
            match self.log_full.admit(now) {
                None => {}
                Some(more) if may => {
                    info!(
                        held,
                        "there is room for messages again: sources are read{more}"
                    );
                }
                Some(more) => warn!(held, "no more messages can be held: all sources wait{more}"),
            }
        }
        may
    }

    /// Makes room for a destination, which may be new.
    #[inline]
    pub(super) fn ensure_destination(&mut self, destination: DestinationIndex) {
        if !self.intake.knows(destination) {
            self.add_destination(destination);
        }
    }

    #[cold]
    fn add_destination(&mut self, destination: DestinationIndex) {
        if destination < self.known_destinations {
            self.name_destination(destination);
        }
        while self.known_destinations <= destination {
            self.name_destination(self.known_destinations);
            self.known_destinations += 1;
            self.dispatcher.grow(self.known_destinations as usize);
            self.subscriptions.grow(self.known_destinations as usize);
            self.messages.grow(self.known_destinations as usize);
        }
    }

    /// A destination has the name that its index has now.
    fn name_destination(&mut self, destination: DestinationIndex) {
        let name = self.names.name(destination);
        let name = name.as_deref().unwrap_or_default();
        self.intake.add_destination(destination, name);
    }
}
