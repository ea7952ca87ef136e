//! The dispatcher: hands out the most urgent message of a destination whose subscriber has credit,
//! as late as possible.
//!
//! The gate feeds it recorded messages, subscribers feed it credit; it fills the rings to delivery.
//! [`Dispatcher::dispatch`] is the loop, and [`Queues::pop_ready_except`] decides which message goes
//! next. A message whose record is not in memory is read from the journal first; those behind it
//! wait for it, so the order stands.
//!
//! ```text
//! push ------> [ queues ] --pop, the most urgent with credit--> record in memory? --yes--> Frame
//! requeue -->       ^                                                 | no
//!                   | evict, age                    Fetched <-- [ fetching ] --> Fetch
//! ```

mod subscribers;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::message::{Message, SlotIndex};
use super::messages::{Dispatched, Messages};
use super::protocol::{Fetch, ToDelivery};
use super::queue::Queues;
use super::queue::cold::ColdStore;
use super::queue::ready::GroupSet;
use super::rings::DispatchOutput;
use super::subscriber::{Subscriber, SubscriberId};
use super::subscriptions::Subscriptions;
use crate::clock::Now;
use crate::limits::{
    AGED_PER_CYCLE, COLD_LEN_MIN, DISPATCHES_PER_CYCLE, EVICTED_PER_CYCLE, SERVING_GROUP_MIN,
    SLOTS_LOOKED_AT_PER_CYCLE,
};
use crate::message::allowance::Grants;
use crate::message::{DestinationIndex, Level};
use crate::ring::{Permit, Sender};

/// The core.
pub(crate) struct Dispatcher {
    queues: Queues,
    /// How many more messages ingest may hand over for each destination.
    allowances: Grants,
    /// Subscribers whose next message found no room in a ring: each once.
    waiting_for_room: VecDeque<SubscriberId>,
    /// A subscriber of more destinations is served as a group.
    group_min: usize,
}

impl Dispatcher {
    pub(crate) fn new(queues: Queues, allowances: Grants) -> Self {
        Self {
            queues,
            allowances,
            waiting_for_room: VecDeque::new(),
            group_min: SERVING_GROUP_MIN,
        }
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// How many messages may wait for a destination.
    pub(crate) fn max_queued(&self, destination: DestinationIndex) -> u64 {
        self.allowances.max_of(destination)
    }

    pub(crate) fn allowances(&mut self) -> &mut Grants {
        &mut self.allowances
    }

    /// There are so many destinations now.
    pub(crate) fn grow(&mut self, destinations: usize) {
        self.queues.grow(destinations);
        self.allowances.grow(destinations);
    }

    /// The name of a destination is gone, for which no message waits. Its window goes on where it is,
    /// at ingest and here.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        self.queues.remove_destination(destination);
    }

    /// Loads the messages of earlier runs.
    pub(crate) fn load(&mut self, recovered: ColdStore, destinations: DestinationIndex, now: Now) {
        self.queues.load(recovered, now.steady_ms());
        for destination in 0..destinations {
            let waiting = self.queues.len_of(destination);
            self.allowances.load_recovered(destination, waiting);
        }
    }

    /// Queues a message. Returns whether it is an inversion: a less urgent message is on its way to
    /// the same subscriber, and cannot be overtaken.
    #[inline]
    pub(crate) fn push(
        &mut self,
        index: SlotIndex,
        message: &Message,
        now: Now,
        subscriptions: &Subscriptions,
    ) -> bool {
        let (destination, level) = (message.destination, message.level);
        self.queues.push(
            destination,
            level,
            index,
            message.bucket_ms,
            now.steady_ms(),
        );
        let active = subscriptions.active(destination);
        let subscriber = active.and_then(|id| subscriptions.get(id));
        subscriber.is_some_and(|it| it.is_ahead_of(level))
    }

    /// Hands out what may go; returns how many messages. A delivery agent whose ring is full is
    /// passed over: the others do not wait for it.
    pub(crate) fn dispatch(
        &mut self,
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
        out: &mut DispatchOutput<'_>,
    ) -> usize {
        self.retry_waiting(now, messages, subscriptions, out);
        let agents = 0..out.agents;
        let mut full = agents.fold(0, |full, agent| full | self.if_full(agent, out));
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE
            && let Some(popped) = self.queues.pop_ready_except(full, messages)
        {
            let agent = self.dispatch_one(popped, now, messages, subscriptions, out);
            full |= self.if_full(agent, out);
            work_count += 1;
        }
        work_count
    }

    /// The agent's groups, if its ring has no room for a frame.
    #[inline]
    fn if_full(&self, agent: u16, out: &mut DispatchOutput<'_>) -> GroupSet {
        match out.frames_to(agent) {
            Some(_) => 0,
            None => self.queues.groups_of(agent),
        }
    }

    /// Hands a popped message over, or has it wait for its record. Either way it takes its
    /// subscriber's credit. Returns its delivery agent.
    #[inline]
    fn dispatch_one(
        &mut self,
        (destination, index, level): (DestinationIndex, SlotIndex, Level),
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
        out: &mut DispatchOutput<'_>,
    ) -> u16 {
        let id = subscriptions
            .active(destination)
            .expect("an open destination has a subscriber");
        let subscriber = subscriptions
            .get_mut(id)
            .expect("an active subscriber is there");
        subscriber.charge(messages.pop(index, level));
        self.allowances.leave(destination);
        let permit = match subscriber.fetching.is_empty() {
            true => out.frames_to(id.agent),
            false => None,
        };
        let is_open = if let Some(permit) = permit
            && let Some(dispatched) = messages.dispatch(index, now)
        {
            send_frame(id, index, dispatched, subscriber, permit);
            subscriber.is_open()
        } else {
            subscriber.fetching.push_back(index);
            self.hand_over(id, Some(index), now, messages, subscriptions, out);
            subscriptions.get(id).is_some_and(Subscriber::is_open)
        };
        if !is_open {
            self.set_open(id, false, subscriptions);
        }
        id.agent
    }

    /// Hands over the messages that a subscriber waits for, as far as their records are in memory
    /// and its agent's ring has room; asks for the record that is missing first, and for that of
    /// `last`, which has joined just now.
    #[cold]
    fn hand_over(
        &mut self,
        id: SubscriberId,
        last: Option<SlotIndex>,
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
        out: &mut DispatchOutput<'_>,
    ) {
        let Some(subscriber) = subscriptions.get_mut(id) else {
            return;
        };
        let mut has_room = true;
        while let Some(&index) = subscriber.fetching.front() {
            if !messages.is_resident(index) {
                has_room = request(index, messages, out.replay);
                break;
            }
            let Some(permit) = out.frames_to(id.agent) else {
                has_room = false;
                break;
            };
            let dispatched = messages.dispatch(index, now);
            let dispatched = dispatched.expect("its record is in memory");
            subscriber.fetching.pop_front();
            send_frame(id, index, dispatched, subscriber, permit);
        }
        if !has_room && !std::mem::replace(&mut subscriber.waits_for_room, true) {
            self.waiting_for_room.push_back(id);
        }
        // Without room for it now, it is asked for when it is the first.
        if let Some(last) = last
            && has_room
            && !subscriber.fetching.is_empty()
            && !messages.is_resident(last)
        {
            request(last, messages, out.replay);
        }
    }

    /// Tries again to hand over what found no room in a ring.
    fn retry_waiting(
        &mut self,
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
        out: &mut DispatchOutput<'_>,
    ) {
        for _ in 0..self.waiting_for_room.len().min(DISPATCHES_PER_CYCLE) {
            let Some(id) = self.waiting_for_room.pop_front() else {
                return;
            };
            if let Some(subscriber) = subscriptions.get_mut(id) {
                subscriber.waits_for_room = false;
                self.hand_over(id, None, now, messages, subscriptions, out);
            }
        }
    }

    /// The record of a message for this destination was read from the journal.
    pub(crate) fn on_fetched(
        &mut self,
        (destination, index): (DestinationIndex, SlotIndex),
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
        out: &mut DispatchOutput<'_>,
    ) {
        if let Some(id) = subscriptions.active(destination) {
            self.hand_over(id, Some(index), now, messages, subscriptions, out);
        }
    }

    /// Moves up what has waited `max_wait` of its level; returns how many messages.
    pub(crate) fn age(&mut self, now: Now, messages: &mut Messages) -> usize {
        self.queues.age(now.steady_ms(), AGED_PER_CYCLE, messages)
    }

    /// Evicts queued messages while more than `hot_max` slots are in use; returns how many. Slots
    /// are looked at in turn, and the destination of each has the fronts of its lanes evicted.
    pub(crate) fn evict(&mut self, hot_max: usize, now: Now, messages: &mut Messages) -> usize {
        let over = messages.used().saturating_sub(hot_max);
        let limit = over.min(EVICTED_PER_CYCLE);
        let (mut left, mut looks) = (limit, 0);
        while left > 0 && looks < SLOTS_LOOKED_AT_PER_CYCLE {
            looks += 1;
            let destination = messages.next_destination();
            if self.queues.len_of(destination) >= COLD_LEN_MIN {
                left -= (self.queues).evict(destination, now.steady_ms(), left, messages);
            }
        }
        limit - left
    }
}

/// Sends a message's frame to its subscriber.
#[inline(always)]
fn send_frame(
    id: SubscriberId,
    index: SlotIndex,
    dispatched: Dispatched,
    subscriber: &mut Subscriber,
    permit: &mut Permit<'_, ToDelivery>,
) {
    subscriber.hand(index, dispatched.level);
    let frame = ToDelivery::Frame {
        subscriber: id.key,
        lease: dispatched.lease,
        redelivered: dispatched.redelivered,
    };
    permit.send(frame);
}

/// Asks for a message's record, unless that was done; `false`: the ring has no room.
fn request(index: SlotIndex, messages: &mut Messages, replay: &mut Sender<Fetch>) -> bool {
    let message = messages.get(index);
    if message.is_fetching {
        return true;
    }
    let Some(mut permit) = replay.claim(1) else {
        return false;
    };
    permit.send(Fetch {
        slot: index,
        sequence: message.sequence,
        position: message.position,
        len: message.place.record_len() as u32,
    });
    messages.begin_fetch(index);
    true
}
