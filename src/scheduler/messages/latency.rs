//! Latency groups: how long messages took in each stage, recorded for equal neighbours at once.
//!
//! Messages that came with one read and went with one write have the same times: at full load, most
//! neighbours do. Recording them together saves five look-ups a message.

use super::{Message, Times};
use crate::clock::Now;
use crate::latency::{Delivered, Interval, Stage};
use crate::message::{DestinationIndex, Level};

/// What messages with the same latencies have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LatencyGroup {
    times: Times,
    destination: DestinationIndex,
    level: Level,
    /// The stages before the queues were measured when it was evicted.
    was_cold: bool,
}

impl LatencyGroup {
    #[inline]
    pub(super) fn of(message: &Message) -> Self {
        Self {
            times: message.times,
            destination: message.destination,
            level: message.level,
            was_cold: message.was_cold,
        }
    }

    fn record(&self, stages: &[(Stage, u64, u64)], count: u32, active: &mut Interval) {
        for &(stage, from_ns, to_ns) in stages {
            let ns = to_ns.saturating_sub(from_ns);
            active.record(stage, self.level, self.destination, ns, count);
        }
    }

    /// Records the stages before the queues.
    pub(super) fn record_arrival(&self, count: u32, active: &mut Interval) {
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

    /// Records the stages from the queues on, and the total.
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

/// The group of the messages settled last that is not recorded yet, and its size.
#[derive(Debug, Default)]
pub(super) struct Measurement {
    group: Option<(LatencyGroup, u32)>,
}

impl Measurement {
    /// Adds a settled message; [`Self::record`] must follow the last of a batch.
    #[inline]
    pub(super) fn add(&mut self, message: &Message, now: Now, active: &mut Interval) {
        let Times {
            read_ns,
            written_ns,
            ..
        } = message.times;
        active.delivered(Delivered {
            destination: message.destination,
            level: message.level,
            message_type: message.message_type,
            sequence: message.sequence,
            latency_ns: written_ns.saturating_sub(read_ns),
            epoch_us: now.epoch_us,
        });
        match &mut self.group {
            Some((group, count)) if *group == LatencyGroup::of(message) => *count += 1,
            _ => {
                self.record(active);
                self.group = Some((LatencyGroup::of(message), 1));
            }
        }
    }

    /// Records the last group.
    pub(super) fn record(&mut self, active: &mut Interval) {
        if let Some((group, count)) = self.group.take() {
            group.record_arrival(count, active);
            group.record_departure(count, active);
        }
    }
}
