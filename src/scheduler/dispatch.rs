//! Dispatching: hands out the most urgent message of a destination whose subscriber has credit, as
//! late as possible.
//!
//! The queues feed it; it feeds delivery. A message that waited so long that it gave up its chunk is
//! read from the journal first; those behind it wait for it, so that the order stands.

use super::cold::Shelf;
use super::seats::{Subscriber, SubscriberId};
use super::slots::{Slot, SlotIndex, Times};
use super::{ReplayLink, SchedulerAgent};
use crate::arena::Lease;
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::ToDelivery;
use crate::journal::record::RecordHeader;
use crate::journal::replay::{Fetch, FromReplay};
use crate::limits::DISPATCHES_PER_CYCLE;
use crate::message::{DestinationIndex, Level};

impl SchedulerAgent {
    /// Hands out what may go. The destinations of a delivery agent whose ring is full are passed
    /// over until it has room: one agent that stands still is no reason for the others to wait.
    pub(super) fn dispatch(&mut self, now: Now) -> usize {
        let mut full = self.full_agents();
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE {
            let mut shelf = Shelf {
                slots: &mut self.slots,
                ledger: &mut self.parts.ledger,
                recorder: &mut self.parts.recorder,
            };
            let queues = &mut self.parts.queues;
            let Some((destination, index, level)) = queues.pop_ready_except(full, &mut shelf)
            else {
                break;
            };
            let agent = self.dispatch_one(destination, index, level, now);
            full |= self.is_full(agent);
            work_count += 1;
        }
        if work_count < DISPATCHES_PER_CYCLE && self.parts.queues.has_ready() {
            self.parts.counters.add(Counter::DeliveryBackPressure, 1);
        }
        work_count
    }

    /// The delivery agents that have no room, one bit each.
    fn full_agents(&mut self) -> u64 {
        let agents = 0..self.parts.deliveries.len();
        agents.fold(0, |full, agent| full | self.is_full(agent as u16))
    }

    /// The agent's bit, if it has no room.
    fn is_full(&mut self, agent: u16) -> u64 {
        let link = &mut self.parts.deliveries[usize::from(agent)];
        u64::from(!link.to.has_room(1)) << agent
    }

    /// Hands a message over; or, where it must be read from the journal first or stands behind one
    /// that must, has it wait for that. Either way it takes its subscriber's credit. Says which
    /// delivery agent it is for.
    fn dispatch_one(
        &mut self,
        destination: DestinationIndex,
        index: SlotIndex,
        level: Level,
        now: Now,
    ) -> u16 {
        let id = self
            .seats
            .active(destination)
            .expect("an open destination has a subscriber");
        let subscriber = self.seats.get_mut(id).expect("who is seated is there");
        let slot = self.slots.get_mut(index);
        // It may have aged while it waited.
        slot.level = level;
        subscriber.credit -= slot.place.wire_len() as i64;
        self.sums.in_flight += 1;
        self.allowances.leave(destination);
        let lease = match subscriber.fetching.is_empty() {
            true => self.parts.ledger.lend(slot.place),
            false => None,
        };
        let is_open = match lease {
            Some(lease) => {
                let frame = subscriber.take(id.key, index, slot, lease, now);
                self.parts.deliveries[usize::from(id.agent)].to.send(frame);
                subscriber.is_open()
            }
            None => {
                subscriber.fetching.push_back(index);
                self.hand_over(id, index, now);
                self.is_open(id)
            }
        };
        if !is_open {
            self.set_open(id, false);
        }
        id.agent
    }

    /// Hands over what a subscriber waits for, as far as it is in memory; `last` is the message that
    /// joined last.
    #[cold]
    fn hand_over(&mut self, id: SubscriberId, last: SlotIndex, now: Now) {
        let Some(subscriber) = self.seats.get_mut(id) else {
            return;
        };
        while let Some(&index) = subscriber.fetching.front() {
            let slot = self.slots.get_mut(index);
            let Some(lease) = self.parts.ledger.lend(slot.place) else {
                request(&mut self.parts.replay, slot, index);
                break;
            };
            subscriber.fetching.pop_front();
            let frame = subscriber.take(id.key, index, slot, lease, now);
            // `dispatch` saw room; what was fetched is bounded by the credit.
            self.parts.deliveries[usize::from(id.agent)].to.send(frame);
        }
        if !subscriber.fetching.is_empty() {
            let slot = self.slots.get_mut(last);
            if !self.parts.ledger.is_resident(slot.place) {
                request(&mut self.parts.replay, slot, last);
            }
        }
    }

    /// Takes what was read from the journal.
    pub(super) fn hear_replay(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(news) = self.parts.replay.from.poll() {
            work_count += 1;
            match news {
                FromReplay::Sealed(writer) => {
                    self.parts.replay.chunks -= 1;
                    self.parts.ledger.seal(writer);
                }
                FromReplay::Fetched {
                    slot: index,
                    mut frame,
                } => {
                    let header = RecordHeader::decode(self.view.header_mut(&mut frame));
                    let place = self.parts.ledger.place(frame);
                    let slot = self.slots.get_mut(index);
                    slot.place = place;
                    slot.fetching = false;
                    if slot.was_cold {
                        slot.times = Times::of_arrival(header.arrival_us, now);
                    }
                    self.parts.counters.add(Counter::Fetched, 1);
                    if let Some(id) = self.seats.active(slot.destination) {
                        self.hand_over(id, index, now);
                    }
                }
            }
        }
        work_count
    }

    /// Opens or closes the destinations for which a subscriber is active.
    pub(super) fn set_open(&mut self, id: SubscriberId, open: bool) {
        let Some(subscriber) = self.seats.get_mut(id) else {
            return;
        };
        let destinations = std::mem::take(&mut subscriber.destinations);
        for &destination in &destinations {
            if self.seats.active(destination) != Some(id) {
                continue;
            }
            if open {
                self.parts.queues.open(destination, id.agent);
            } else {
                self.parts.queues.close(destination);
            }
        }
        if let Some(subscriber) = self.seats.get_mut(id) {
            subscriber.destinations = destinations;
        }
    }

    pub(super) fn is_open(&mut self, id: SubscriberId) -> bool {
        self.seats.get_mut(id).is_some_and(|it| it.is_open())
    }
}

impl Subscriber {
    /// The message in this slot is on its way to the subscriber from now on.
    #[inline]
    fn take(
        &mut self,
        key: u32,
        index: SlotIndex,
        slot: &mut Slot,
        lease: Lease,
        now: Now,
    ) -> ToDelivery {
        slot.times.dispatched_ns = now.ns;
        self.in_flight.push_back(index);
        self.unwritten.add(slot.level);
        ToDelivery::Frame {
            subscriber: key,
            lease,
            again: slot.again,
        }
    }
}

/// Asks for a record, unless that was done.
fn request(replay: &mut ReplayLink, slot: &mut Slot, index: SlotIndex) {
    if slot.fetching {
        return;
    }
    slot.fetching = true;
    replay.to.send(Fetch {
        slot: index,
        sequence: slot.sequence,
        position: slot.position,
        len: slot.place.record_len() as u32,
    });
}
