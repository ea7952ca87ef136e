//! Settlements: tells the journal which messages are settled.
//!
//! Subscribers feed it; it frees the messages in the table. A settlement for which the journal's
//! ring has no room waits in its slot, so the slots bound what waits.

use std::collections::VecDeque;

use super::message::SlotIndex;
use super::messages::Messages;
use super::protocol::ToJournal;
use crate::clock::Now;
use crate::ring::Sender;

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
        journal: &mut Sender<ToJournal>,
    ) {
        if !self.waiting.is_empty() || !send(index, now, messages, journal) {
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
        let mut work_count = 0;
        while let Some(&index) = self.waiting.front()
            && send(index, now, messages, journal)
        {
            self.waiting.pop_front();
            work_count += 1;
        }
        messages.record_latencies();
        work_count
    }
}

/// `false`: the journal's ring has no room.
#[inline]
fn send(
    index: SlotIndex,
    now: Now,
    messages: &mut Messages,
    journal: &mut Sender<ToJournal>,
) -> bool {
    let Some(mut permit) = journal.claim(1) else {
        return false;
    };
    permit.send(ToJournal::Settled(messages.settle(index, now)));
    true
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
                settlements.settle(index, now_at(3), &mut messages, &mut to_journal);
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
