//! Settlements: has the journal record which messages are settled.
//!
//! Subscribers feed it; it frees the messages in the table. A settlement for which the journal's
//! ring has no room waits in its slot, so the slots bound what waits.

use std::collections::VecDeque;

use super::message::SlotIndex;
use super::messages::Messages;
use super::protocol::ToJournal;
use crate::clock::Now;
use crate::ring::{Permit, Sender};

/// The messages that wait for room, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Settlements {
    waiting: VecDeque<SlotIndex>,
}

impl Settlements {
    /// Settles a message, behind those that wait: the journal's ring is not asked for each of many.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        index: SlotIndex,
        now: Now,
        messages: &mut Messages,
        permit: &mut Permit<'_, ToJournal>,
    ) {
        if self.waiting.is_empty() && permit.left() > 0 {
            permit.send(ToJournal::Settled(messages.settle(index, now)));
        } else {
            self.waiting.push_back(index);
        }
    }

    /// Settles those that wait, as far as there is room; returns their number.
    pub(crate) fn retry(
        &mut self,
        now: Now,
        messages: &mut Messages,
        journal: &mut Sender<ToJournal>,
    ) -> usize {
        let mut permit = journal.claim_up_to(self.waiting.len());
        let count = permit.left();
        for index in self.waiting.drain(..count) {
            permit.send(ToJournal::Settled(messages.settle(index, now)));
        }
        messages.record_latencies();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Returned;
    use crate::ring::{Wake, ring};
    use crate::scheduler::testing::{Frames, messages, now_at};

    #[test]
    fn settlements_keep_their_order_through_a_full_ring() {
        let wake = Wake::new().expect("a descriptor");
        let (mut to_journal, mut journal) = ring(2, &wake);
        let (mut messages, mut frames) = (messages(16), Frames::default());
        let mut settlements = Settlements::default();
        let (mut settled, mut sent) = (0, Vec::new());
        for round in 0..4 {
            for _ in 0..round {
                settled += 1;
                let index = frames.queued(&mut messages, settled, 0, 1);
                messages.pop(index, 1);
                let dispatched = messages.dispatch(index, now_at(2)).expect("in memory");
                messages.take_back(Returned::one(dispatched.lease));
                messages.write(index, 3);
                let mut permit = to_journal.claim_up_to(1);
                settlements.settle(index, now_at(3), &mut messages, &mut permit);
            }
            settlements.retry(now_at(3), &mut messages, &mut to_journal);
            assert_eq!(messages.used() as u64, messages.counts().in_flight);
            sent.extend(journal.poll());
        }
        while messages.used() > 0 {
            sent.extend(journal.poll());
            settlements.retry(now_at(4), &mut messages, &mut to_journal);
        }
        sent.extend(std::iter::from_fn(|| journal.poll()));
        let sequences = sent.iter().map(|entry| match entry {
            ToJournal::Settled(settlement) => settlement.sequence,
            entry => panic!("{entry:?}"),
        });
        assert!(sequences.eq(1..=settled));
        assert_eq!(messages.counts().settled, settled);
    }
}
