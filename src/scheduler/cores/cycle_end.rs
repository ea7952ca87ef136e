//! The end of a duty cycle: what waits in the cores' state is sent to ingest, and the counters are
//! published.

use std::sync::atomic::Ordering;

use super::Cores;
use crate::counters::Counter;
use crate::message::Reason;
use crate::scheduler::protocol::ToIngest;
use crate::scheduler::rings::Outputs;

impl Cores {
    /// Sends chunks to who needs them, and to ingest duplicates, acknowledgements, first accepted
    /// lines, counts of duplicates and allowances, as far as its ring has room.
    fn send_to_ingest(&mut self, out: &mut Outputs) {
        let evicted = self.chunks.supply(&mut self.messages, out);
        if evicted > 0 {
            self.counters.add(Counter::ChunksEvicted, evicted);
        }
        while !self.duplicates.is_empty()
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some(run) = self.duplicates.next()
        {
            permit.send(ToIngest::Duplicates {
                source: run.first.source,
                connection: run.first.connection,
                first: run.first.number,
                count: run.count,
            });
        }
        // An acknowledgement says that all outcomes of its lines are known.
        while self.duplicates.is_empty()
            && !self.source_acks.is_empty()
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some(line) = self.source_acks.next()
        {
            permit.send(ToIngest::Ack {
                source: line.source,
                connection: line.connection,
                line: line.number,
            });
        }
        while !self.first_accepted.is_empty()
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some(source) = self.first_accepted.next()
        {
            permit.send(ToIngest::Accepted { source });
        }
        while !self.repeats.is_empty()
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some(repeated) = self.repeats.next()
        {
            permit.send(ToIngest::Repeated {
                source: repeated.source,
                connection: repeated.connection,
                count: repeated.count,
            });
        }
        let allowances = self.dispatcher.allowances();
        while allowances.has_updates()
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some((destination, until)) = allowances.next_update()
        {
            permit.send(ToIngest::Allowance { destination, until });
        }
    }

    /// Ends a duty cycle: sends what waits in the cores' state, publishes the counters and wakes the
    /// receivers.
    pub(in crate::scheduler) fn end_cycle(
        &mut self,
        did_work: bool,
        has_arrivals: bool,
        out: &mut Outputs,
    ) {
        self.send_to_ingest(out);
        if did_work {
            self.publish();
        }
        let is_drained = self.is_drained() && !has_arrivals;
        self.drained.store(is_drained, Ordering::Release);
        self.messages.swap_latencies();
        out.flush();
    }

    /// Whether everything that can be delivered was delivered, and is recorded.
    fn is_drained(&self) -> bool {
        let counts = self.messages.counts();
        // With `memory`, what is delivered may not be recorded yet.
        self.gate.is_empty()
            && self.counters.get(Counter::JournalSettled) >= counts.settled
            && counts.in_flight == 0
            && !self.dispatcher.queues().has_ready()
    }

    /// Publishes the counters, as one consistent snapshot.
    pub(super) fn publish(&self) {
        let (counters, counts) = (&self.counters, self.messages.counts());
        let (queues, lines) = (self.dispatcher.queues(), self.intake.counts());
        counters.begin();
        counters.set(Counter::Received, lines.received);
        counters.set(Counter::Accepted, counts.accepted);
        counters.set(Counter::Duplicates, lines.duplicates);
        counters.set(Counter::Rejected, lines.rejected);
        counters.set(Counter::Settled, counts.settled);
        counters.set(Counter::Delivered, counts.settled);
        counters.set(Counter::InFlight, counts.in_flight);
        counters.set(Counter::Queued, counts.unrecorded + queues.len() as u64);
        for reason in Reason::ALL {
            counters.set_rejected(reason, lines.rejected_for[reason as usize]);
        }
        counters.end();
        counters.set(Counter::QueuedCold, queues.len_cold() as u64);
        counters.set(Counter::Destinations, self.names.count() as u64);
        let is_full = self.names.may_create() && self.names.is_full();
        counters.set(Counter::DestinationsAtMax, u64::from(is_full));
        counters.set(Counter::ChunksUsed, self.messages.used_chunks() as u64);
        counters.set(Counter::DedupIds, self.intake.dedup_len() as u64);
        counters.set(Counter::LastSequence, self.intake.next_sequence() - 1);
    }
}
