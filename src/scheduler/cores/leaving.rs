//! Subscribers that have gone: what they did not settle is requeued at once, and their destinations
//! go to the next ones piece by piece.
//!
//! A subscriber of very many destinations would hold up a duty cycle, and hundreds of them that
//! leave together would stall everybody.

use super::Cores;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{LEAVING_PLACES_PER_CYCLE, SERVING_GROUP_MIN};
use crate::ring::{Permit, Sender};
use crate::scheduler::protocol::ToDelivery;
use crate::scheduler::subscriber::SubscriberId;

impl Cores {
    /// A subscriber of few destinations leaves them at once.
    pub(super) fn on_gone(
        &mut self,
        id: SubscriberId,
        now: Now,
        answers: &mut Permit<'_, ToDelivery>,
    ) {
        let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
        let requeued = (self.dispatcher).begin_leaving(id, now, messages, subscriptions);
        self.counters.add(Counter::Redelivered, requeued as u64);
        let mut places = SERVING_GROUP_MIN;
        if (self.dispatcher).leave(id, &mut places, &mut self.subscriptions) {
            answers.send(ToDelivery::Forget { subscriber: id.key });
        } else {
            self.leaving.push_back(id);
        }
    }

    /// Has subscribers that have gone leave their destinations, so many places in one duty cycle, and
    /// tells delivery who is forgotten.
    pub(in crate::scheduler) fn end_subscriptions(
        &mut self,
        deliveries: &mut [Sender<ToDelivery>],
    ) -> usize {
        let mut places = LEAVING_PLACES_PER_CYCLE;
        let mut work_count = 0;
        while places > 0
            && let Some(&id) = self.leaving.front()
            && let Some(mut answer) = deliveries[usize::from(id.agent)].claim(1)
        {
            work_count += 1;
            if (self.dispatcher).leave(id, &mut places, &mut self.subscriptions) {
                self.leaving.pop_front();
                answer.send(ToDelivery::Forget { subscriber: id.key });
            }
        }
        work_count
    }
}
