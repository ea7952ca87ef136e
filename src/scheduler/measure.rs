//! Measuring: how long settled messages took in each stage.
//!
//! Messages that came with one read and went with one write took the same time everywhere: flat
//! out, most neighbours do. They are recorded at once, which spares five look-ups a message.

use super::messages::{Message, Times};
use crate::clock::Now;
use crate::latency::{Delivered, Interval, Stage};
use crate::message::{DestinationIndex, Level};

/// Messages whose latencies are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LatencyGroup {
    times: Times,
    destination: DestinationIndex,
    level: Level,
    /// They went through the stages before the queues in another way: only the rest counts.
    was_cold: bool,
}

impl LatencyGroup {
    fn of(slot: &Message) -> Self {
        Self {
            times: slot.times,
            destination: slot.destination,
            level: slot.level,
            was_cold: slot.was_cold,
        }
    }

    fn holds(&self, slot: &Message) -> bool {
        *self == Self::of(slot)
    }

    fn record(&self, stages: &[(Stage, u64, u64)], count: u32, active: &mut Interval) {
        for &(stage, from_ns, to_ns) in stages {
            let ns = to_ns.saturating_sub(from_ns);
            active.record(stage, self.level, self.destination, ns, count);
        }
    }

    /// The stages before the queues.
    fn record_arrival(&self, count: u32, active: &mut Interval) {
        if self.was_cold {
            return;
        }
        let times = &self.times;
        let stages = [
            (Stage::Ingest, times.read_ns, times.accepted_ns),
            (Stage::Journal, times.accepted_ns, times.recorded_ns),
        ];
        self.record(&stages, count, active);
    }

    /// The stages from the queues on, and the whole way.
    fn record_departure(&self, count: u32, active: &mut Interval) {
        let times = &self.times;
        let stages = [
            (Stage::Queue, times.recorded_ns, times.dispatched_ns),
            (Stage::Delivery, times.dispatched_ns, times.written_ns),
            (Stage::Total, times.read_ns, times.written_ns),
        ];
        self.record(&stages, count, active);
    }
}

impl Message {
    /// Measures the stages before the queues of a message that gives up its slot.
    pub(super) fn measure_arrival(&self, active: &mut Interval) {
        LatencyGroup::of(self).record_arrival(1, active);
    }
}

/// Settled messages that took the same time and are not recorded yet, and how many.
#[derive(Debug, Default)]
pub(super) struct Measurement {
    last: Option<(LatencyGroup, u32)>,
}

impl Measurement {
    /// Takes note of a settled message; [`Self::record`] must follow the last of a batch.
    #[inline]
    pub(super) fn note(&mut self, slot: &Message, now: Now, active: &mut Interval) {
        let Times {
            read_ns,
            written_ns,
            ..
        } = slot.times;
        active.delivered(Delivered {
            destination: slot.destination,
            level: slot.level,
            message_type: slot.message_type,
            sequence: slot.sequence,
            latency_ns: written_ns.saturating_sub(read_ns),
            epoch_us: now.epoch_us,
        });
        match &mut self.last {
            Some((seen, count)) if seen.holds(slot) => *count += 1,
            _ => {
                self.record(active);
                self.last = Some((LatencyGroup::of(slot), 1));
            }
        }
    }

    /// Records the messages noted last.
    pub(super) fn record(&mut self, active: &mut Interval) {
        if let Some((group, count)) = self.last.take() {
            group.record_arrival(count, active);
            group.record_departure(count, active);
        }
    }
}
