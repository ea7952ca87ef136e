//! Settling: what subscribers took and acknowledged, who came and who went.
//!
//! Delivery feeds it; it tells the journal what is settled, measures how long it took, and gives
//! back to the queues what a subscriber that went had not settled.

use super::SchedulerAgent;
use super::messages::SlotIndex;
use super::subscriptions::{Subscriber, SubscriberId};
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::protocol::{FromDelivery, ToDelivery};
use crate::journal::protocol::ToJournal;
use crate::journal::record::Settlement;
use crate::limits::DELIVERY_EVENTS_PER_CYCLE;
use crate::message::{DestinationIndex, Sequence};

impl SchedulerAgent {
    pub(super) fn poll_delivery(&mut self, agent: u16, now: Now) -> usize {
        let mut work_count = 0;
        let place = usize::from(agent);
        // Each is answered by one entry at most.
        while work_count < DELIVERY_EVENTS_PER_CYCLE
            && self.parts.deliveries[place].to.has_room(1)
            && let Some(event) = self.parts.deliveries[place].from.poll()
        {
            work_count += 1;
            match event {
                FromDelivery::Returned(returned) => self.parts.ledger.take_back(returned),
                FromDelivery::Subscribe {
                    subscriber,
                    destinations,
                    ack,
                    is_last,
                } => {
                    let id = SubscriberId {
                        agent,
                        key: subscriber,
                    };
                    self.subscribe(id, destinations, ack, is_last);
                }
                FromDelivery::Written {
                    subscriber,
                    frames,
                    bytes,
                    at_ns,
                } => {
                    let id = SubscriberId {
                        agent,
                        key: subscriber,
                    };
                    self.on_written(id, frames, bytes, at_ns, now);
                }
                FromDelivery::Acknowledged { subscriber, frames } => {
                    self.on_settled(
                        SubscriberId {
                            agent,
                            key: subscriber,
                        },
                        frames,
                        now,
                    );
                }
                FromDelivery::Gone { subscriber } => {
                    self.on_gone(
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

    /// Subscribes for some destinations. With the last ones of a line it gets what waits for
    /// them: what it is told goes before the first frame.
    fn subscribe(
        &mut self,
        id: SubscriberId,
        destinations: Vec<DestinationIndex>,
        ack: bool,
        is_last: bool,
    ) {
        for &destination in &destinations {
            self.ensure_destination(destination);
        }
        let credit = self.parts.credit as i64;
        let assigned = self.subscriptions.subscribe(id, &destinations, ack, credit);
        let answer = ToDelivery::Assigned {
            subscriber: id.key,
            active: assigned.active,
            standby: assigned.standby,
            is_last,
        };
        self.answer_delivery(id.agent, answer);
        if is_last {
            self.begin_delivery(id);
        }
    }

    fn begin_delivery(&mut self, id: SubscriberId) {
        let joined = self.subscriptions.join(id);
        if !self.is_open(id) {
            return;
        }
        for destination in joined {
            if self.subscriptions.active(destination) == Some(id) {
                self.parts.queues.open(destination, id.agent);
            }
        }
    }

    fn on_written(&mut self, id: SubscriberId, frames: u32, bytes: u32, at_ns: u64, now: Now) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let was_open = subscriber.is_open();
        let first = subscriber.written;
        subscriber.written += frames as usize;
        subscriber.credit += i64::from(bytes);
        for &index in subscriber.in_flight.range(first..subscriber.written) {
            let slot = self.messages.get_mut(index);
            slot.times.written_ns = at_ns;
            subscriber.unwritten.remove(slot.level);
        }
        let (ack, is_open) = (subscriber.ack, subscriber.is_open());
        self.parts
            .counters
            .add(Counter::Delivered, u64::from(frames));
        if is_open && !was_open {
            self.set_open(id, true);
        }
        if !ack {
            self.on_settled(id, frames, now);
        }
    }

    fn on_settled(&mut self, id: SubscriberId, frames: u32, now: Now) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let was_open = subscriber.is_open();
        let still_written = subscriber.written.checked_sub(frames as usize);
        subscriber.written = still_written.expect("only what was written is settled");
        let mut in_flight = std::mem::take(&mut subscriber.in_flight);
        for index in in_flight.drain(..frames as usize) {
            // What waits goes first: the journal shall not be asked for each of a long row.
            if !self.settling.is_empty() || !self.settle(index, now) {
                self.settling.push_back(index);
            }
        }
        self.measurement.record(self.parts.recorder.active_mut());
        if let Some(subscriber) = self.subscriptions.get_mut(id) {
            subscriber.in_flight = in_flight;
        }
        if !was_open && self.is_open(id) {
            self.set_open(id, true);
        }
    }

    /// Settles what found no room in the journal's ring before.
    pub(super) fn settle_waiting(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(&index) = self.settling.front()
            && self.settle(index, now)
        {
            self.settling.pop_front();
            work_count += 1;
        }
        self.measurement.record(self.parts.recorder.active_mut());
        work_count
    }

    /// The message needs no more work; `false`: the journal's ring has no room for that.
    fn settle(&mut self, index: SlotIndex, now: Now) -> bool {
        let Some(mut permit) = self.parts.to_journal.claim(1) else {
            return false;
        };
        let slot = self.messages.get(index);
        self.parts.ledger.release(slot.place);
        self.parts.unsettled.remove(slot.sequence);
        self.sums.settled += 1;
        self.sums.in_flight -= 1;
        let settlement = Settlement {
            sequence: slot.sequence,
            settled_us: now.epoch_us,
        };
        permit.send(ToJournal::Settled(settlement));
        let active = self.parts.recorder.active_mut();
        self.measurement.note(slot, now, active);
        self.messages.remove(index);
        true
    }

    /// A subscriber has gone: what it did not settle goes to the next one, before what is later.
    fn on_gone(&mut self, id: SubscriberId, now: Now) {
        if let Some(subscriber) = self.subscriptions.leave(id) {
            self.requeue(&subscriber, now);
            for &destination in &subscriber.destinations {
                let next = self.subscriptions.active(destination);
                match next.filter(|&next| self.is_open(next)) {
                    Some(next) => self.parts.queues.open(destination, next.agent),
                    None => self.parts.queues.close(destination),
                }
            }
        }
        let forget = ToDelivery::Forget { subscriber: id.key };
        self.answer_delivery(id.agent, forget);
    }

    fn answer_delivery(&mut self, agent: u16, answer: ToDelivery) {
        let permit = self.parts.deliveries[usize::from(agent)].to.claim(1);
        let mut permit = permit.expect("room was seen before the event was taken");
        permit.send(answer);
    }

    fn requeue(&mut self, subscriber: &Subscriber, now: Now) {
        let mut messages: Vec<(DestinationIndex, SlotIndex, Sequence)> = Vec::new();
        let waiting = subscriber.in_flight.iter().chain(&subscriber.fetching);
        for (place, &index) in waiting.enumerate() {
            let slot = self.messages.get_mut(index);
            slot.redelivered |= place < subscriber.written;
            self.allowances.come_back(slot.destination);
            messages.push((slot.destination, index, slot.sequence));
        }
        // What was written had its turn, whatever became of it.
        for &(destination, index, _) in messages[subscriber.written..].iter().rev() {
            let level = self.messages.get(index).level;
            self.parts.queues.return_turn(destination, index, level);
        }
        messages.sort_unstable_by_key(|&(destination, _, sequence)| (destination, sequence));
        for of_one in messages.chunk_by(|one, next| one.0 == next.0) {
            let returned: Vec<(SlotIndex, Sequence)> = of_one
                .iter()
                .map(|&(_, index, sequence)| (index, sequence))
                .collect();
            self.parts
                .queues
                .requeue(of_one[0].0, &returned, now.steady_ms());
        }
        let count = messages.len() as u64;
        self.sums.in_flight -= count;
        self.parts.counters.add(Counter::Redelivered, count);
    }
}
