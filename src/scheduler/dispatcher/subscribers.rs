//! Subscribers that come, go, and have credit or not: which destinations may be served.
//!
//! The part of the [`Dispatcher`] that opens and closes destinations. A subscriber of few
//! destinations has them opened and closed one by one, as its credit goes and comes. One of many is
//! a serving group: its destinations stay open, and the group is opened and closed at once.

use super::{Dispatcher, Messages, Subscriber, SubscriberId, Subscriptions};
use crate::clock::Now;
use crate::message::{DestinationIndex, Sequence};
use crate::scheduler::message::SlotIndex;
use crate::scheduler::queue::ready::Group;

impl Dispatcher {
    /// A `subscribe` line is complete: what waits for its destinations may go.
    pub(crate) fn begin_serving(&mut self, id: SubscriberId, subscriptions: &mut Subscriptions) {
        let added = subscriptions.complete_line(id);
        let Some(subscriber) = subscriptions.get_mut(id) else {
            return;
        };
        let is_large = subscriber.destinations.len() > self.group_min;
        if is_large && subscriber.group.is_none() {
            subscriber.group = self.queues.take_group(id.agent);
            // The former ones move into the group too.
            let destinations = subscriber.destinations.clone();
            self.reopen(&destinations, subscriptions);
        } else {
            self.reopen(&added, subscriptions);
        }
        let is_open = subscriptions.get(id).is_some_and(Subscriber::is_open);
        if is_open && let Some(group) = subscriptions.get(id).and_then(|it| it.group) {
            self.queues.set_group_open(group, true);
        }
    }

    /// A subscriber has credit from now on, or has none: opens or closes the destinations for which
    /// it is active.
    pub(crate) fn set_open(&mut self, id: SubscriberId, open: bool, subscriptions: &Subscriptions) {
        let Some(subscriber) = subscriptions.get(id) else {
            return;
        };
        if let Some(group) = subscriber.group {
            self.queues.set_group_open(group, open);
            return;
        }
        for &destination in &subscriber.destinations {
            if subscriptions.active(destination) != Some(id) {
                continue;
            }
            if open {
                self.queues.open(destination, id.agent as Group);
            } else {
                self.queues.close(destination);
            }
        }
    }

    /// A subscriber has gone: what it did not settle is requeued for the next one, before what is
    /// later. Returns how many messages. What waits for its destinations goes on waiting until
    /// [`Dispatcher::leave`] has come to them.
    pub(crate) fn begin_leaving(
        &mut self,
        id: SubscriberId,
        now: Now,
        messages: &mut Messages,
        subscriptions: &mut Subscriptions,
    ) -> usize {
        let was_open = subscriptions.get(id).is_some_and(Subscriber::is_open);
        let Some(gone) = subscriptions.begin_leaving(id) else {
            return 0;
        };
        if was_open {
            self.set_open(id, false, subscriptions);
        }
        self.requeue(&gone, now, messages)
    }

    /// Has a subscriber that has gone leave its destinations to the next ones, as far as `places`
    /// go, see [`Subscriptions::leave_some`]. Returns whether it has left all.
    pub(crate) fn leave(
        &mut self,
        id: SubscriberId,
        places: &mut usize,
        subscriptions: &mut Subscriptions,
    ) -> bool {
        let left = subscriptions.leave_some(id, places);
        self.reopen(&left, subscriptions);
        if let Some(group) = subscriptions.forget(id).and_then(|it| it.group) {
            self.queues.give_back_group(group);
        }
        subscriptions.get(id).is_none()
    }

    /// Opens or closes destinations as their active subscribers say now.
    fn reopen(&mut self, destinations: &[DestinationIndex], subscriptions: &Subscriptions) {
        for &destination in destinations {
            let active = subscriptions.active(destination);
            let group = active.and_then(|id| {
                let subscriber = subscriptions.get(id)?;
                let is_open = subscriber.is_open();
                (subscriber.group).or_else(|| is_open.then_some(id.agent as Group))
            });
            match group {
                Some(group) => self.queues.open(destination, group),
                None => self.queues.close(destination),
            }
        }
    }

    /// Queues again what a subscriber had in flight or waited for, by destination and sequence.
    fn requeue(&mut self, subscriber: &Subscriber, now: Now, messages: &mut Messages) -> usize {
        let mut requeued: Vec<(DestinationIndex, SlotIndex, Sequence)> = Vec::new();
        for &index in subscriber.in_flight.iter().chain(&subscriber.fetching) {
            let message = messages.requeue(index);
            self.allowances.requeue(message.destination);
            requeued.push((message.destination, index, message.sequence));
        }
        // A message that was written had its turn, whatever became of it.
        for &(destination, index, _) in requeued[subscriber.written..].iter().rev() {
            let level = messages.get(index).level;
            self.queues.return_turn(destination, index, level);
        }
        requeued.sort_unstable_by_key(|&(destination, _, sequence)| (destination, sequence));
        for of_one in requeued.chunk_by(|one, next| one.0 == next.0) {
            let of_one_in_order: Vec<(SlotIndex, Sequence)> = of_one
                .iter()
                .map(|&(_, index, sequence)| (index, sequence))
                .collect();
            self.queues
                .requeue(of_one[0].0, &of_one_in_order, now.steady_ms());
        }
        requeued.len()
    }
}
