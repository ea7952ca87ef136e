//! Dispatching: hands out the most urgent message of a destination whose subscriber has credit, as
//! late as possible.
//!
//! The queues feed it; it feeds delivery. A message that waited so long that it gave up its chunk is
//! read from the journal first; those behind it wait for it, so that the order stands.

use super::eviction::MessageSlots;
use super::messages::{Message, SlotIndex, Times};
use super::subscriptions::{Subscriber, SubscriberId};
use super::{DeliveryLink, ReplayLink, SchedulerAgent};
use crate::arena::Lease;
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::protocol::ToDelivery;
use crate::journal::protocol::{Fetch, FromReplay};
use crate::limits::{ANSWERS_RESERVED, DISPATCHES_PER_CYCLE, REPLAY_EVENTS_PER_CYCLE};
use crate::message::layout::RecordHeader;
use crate::message::{DestinationIndex, Level};

impl SchedulerAgent {
    /// Hands out what may go. The destinations of a delivery agent whose ring is full are passed
    /// over until it has room: one agent that stands still is no reason for the others to wait.
    pub(super) fn dispatch(&mut self, now: Now) -> usize {
        if self.parts.counters.get(Counter::JournalStuck) != 0 {
            // What is handed out now would be settled, and nowhere recorded.
            return 0;
        }
        self.go_on_with_held_up(now);
        let mut full = self.full_agents();
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE {
            let mut slots = MessageSlots {
                slots: &mut self.messages,
                ledger: &mut self.parts.ledger,
                recorder: &mut self.parts.recorder,
            };
            let queues = &mut self.parts.queues;
            let Some((destination, index, level)) = queues.pop_ready_except(full, &mut slots)
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
        u64::from(!link.has_room_for_frame()) << agent
    }

    /// Tries again with those for whose messages a ring had no room.
    fn go_on_with_held_up(&mut self, now: Now) {
        for _ in 0..self.waiting_for_room.len().min(DISPATCHES_PER_CYCLE) {
            let Some(id) = self.waiting_for_room.pop_front() else {
                return;
            };
            if let Some(subscriber) = self.subscriptions.get_mut(id) {
                subscriber.is_held_up = false;
                self.hand_over(id, None, now);
            }
        }
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
            .subscriptions
            .active(destination)
            .expect("an open destination has a subscriber");
        let subscriber = self
            .subscriptions
            .get_mut(id)
            .expect("who is assigned is there");
        let slot = self.messages.get_mut(index);
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
                let permit = self.parts.deliveries[usize::from(id.agent)].to.claim(1);
                permit.expect("who has no room is passed over").send(frame);
                subscriber.is_open()
            }
            None => {
                subscriber.fetching.push_back(index);
                self.hand_over(id, Some(index), now);
                self.is_open(id)
            }
        };
        if !is_open {
            self.set_open(id, false);
        }
        id.agent
    }

    /// Hands over what a subscriber waits for, as far as it is in memory and there is room; `last` is
    /// the message that joined last. One of these that cannot be asked for now will be as the first.
    #[cold]
    fn hand_over(&mut self, id: SubscriberId, last: Option<SlotIndex>, now: Now) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let link = &mut self.parts.deliveries[usize::from(id.agent)];
        let mut has_room = true;
        while let Some(&index) = subscriber.fetching.front() {
            let slot = self.messages.get_mut(index);
            if !self.parts.ledger.is_resident(slot.place) {
                has_room = request(&mut self.parts.replay, slot, index);
                break;
            }
            has_room = link.has_room_for_frame();
            if !has_room {
                break;
            }
            let lease = self.parts.ledger.lend(slot.place);
            let lease = lease.expect("it is in memory");
            subscriber.fetching.pop_front();
            let frame = subscriber.take(id.key, index, slot, lease, now);
            let permit = link.to.claim(1);
            permit.expect("there is room for a frame").send(frame);
        }
        if !has_room && !std::mem::replace(&mut subscriber.is_held_up, true) {
            self.waiting_for_room.push_back(id);
        }
        if let Some(last) = last.filter(|_| has_room && !subscriber.fetching.is_empty()) {
            let slot = self.messages.get_mut(last);
            if !self.parts.ledger.is_resident(slot.place) {
                request(&mut self.parts.replay, slot, last);
            }
        }
    }

    /// Takes what was read from the journal.
    pub(super) fn poll_replay(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < REPLAY_EVENTS_PER_CYCLE
            && let Some(event) = self.parts.replay.from.poll()
        {
            work_count += 1;
            match event {
                FromReplay::Sealed(writer) => {
                    self.parts.replay.chunks -= 1;
                    self.parts.ledger.seal(writer);
                }
                FromReplay::Fetched {
                    slot: index,
                    mut frame,
                } => {
                    let arrival_us = RecordHeader::arrival_us_of(self.view.header_mut(&mut frame));
                    let place = self.parts.ledger.place(frame);
                    let slot = self.messages.get_mut(index);
                    slot.place = place;
                    slot.fetching = false;
                    if slot.was_cold {
                        slot.times = Times::of_arrival(self.walls.steady_us(arrival_us, now), now);
                    }
                    self.parts.counters.add(Counter::Fetched, 1);
                    if let Some(id) = self.subscriptions.active(slot.destination) {
                        self.hand_over(id, Some(index), now);
                    }
                }
            }
        }
        work_count
    }

    /// Opens or closes the destinations for which a subscriber is active.
    pub(super) fn set_open(&mut self, id: SubscriberId, open: bool) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let destinations = std::mem::take(&mut subscriber.destinations);
        for &destination in &destinations {
            if self.subscriptions.active(destination) != Some(id) {
                continue;
            }
            if open {
                self.parts.queues.open(destination, id.agent);
            } else {
                self.parts.queues.close(destination);
            }
        }
        if let Some(subscriber) = self.subscriptions.get_mut(id) {
            subscriber.destinations = destinations;
        }
    }

    pub(super) fn is_open(&mut self, id: SubscriberId) -> bool {
        self.subscriptions
            .get_mut(id)
            .is_some_and(|it| it.is_open())
    }
}

impl Subscriber {
    /// The message in this slot is on its way to the subscriber from now on.
    #[inline]
    fn take(
        &mut self,
        key: u32,
        index: SlotIndex,
        slot: &mut Message,
        lease: Lease,
        now: Now,
    ) -> ToDelivery {
        slot.times.dispatched_ns = now.ns;
        self.in_flight.push_back(index);
        self.unwritten.add(slot.level);
        ToDelivery::Frame {
            subscriber: key,
            lease,
            redelivered: slot.redelivered,
        }
    }
}

impl DeliveryLink {
    /// Whether a frame may be sent: answers find room behind it, so that who comes and goes is heard.
    fn has_room_for_frame(&mut self) -> bool {
        self.to.has_room(1 + ANSWERS_RESERVED)
    }
}

/// Asks for a record, unless that was done; `false`: the ring has no room for that.
fn request(replay: &mut ReplayLink, slot: &mut Message, index: SlotIndex) -> bool {
    if slot.fetching {
        return true;
    }
    let Some(mut permit) = replay.to.claim(1) else {
        return false;
    };
    slot.fetching = true;
    permit.send(Fetch {
        slot: index,
        sequence: slot.sequence,
        position: slot.position,
        len: slot.place.record_len() as u32,
    });
    true
}
