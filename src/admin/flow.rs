//! How much flows: what counters grew by within the last second, and over the last ten minutes.
//!
//! The monitor samples the counters about once a second; `/stats`, `/history` and the page read it. Nothing
//! on the path knows of it.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::counters::{Counter, Snapshot};
use crate::limits::{DESTINATIONS_COMPARED_AFTER, RECENT_STEP, RECENT_STEPS};

/// The counters whose growth is told.
pub(super) const FLOWING: [Counter; 10] = [
    Counter::Received,
    Counter::Accepted,
    Counter::Settled,
    Counter::Duplicates,
    Counter::Rejected,
    Counter::Redelivered,
    Counter::BytesIn,
    Counter::BytesOut,
    Counter::JournalBytes,
    Counter::Stored,
];

/// What some counters grew by in a second, in the order of [`FLOWING`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates([f64; FLOWING.len()]);

impl Rates {
    /// Of one of [`FLOWING`]; 0 of others.
    pub(super) fn of(&self, counter: Counter) -> f64 {
        let place = FLOWING.iter().position(|it| *it == counter);
        place.map_or(0.0, |it| self.0[it])
    }

    fn between(then: &[u64; FLOWING.len()], now: &[u64; FLOWING.len()], ns: u64) -> Self {
        let seconds = (ns.max(1)) as f64 / 1e9;
        let mut rates = Self::default();
        for (rate, (then, now)) in rates.0.iter_mut().zip(then.iter().zip(now)) {
            *rate = now.saturating_sub(*then) as f64 / seconds;
        }
        rates
    }
}

/// One step of the last ten minutes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FlowStep {
    /// In us since the epoch.
    pub(super) start_us: u64,
    pub(super) length_us: u64,
    /// Means of the step.
    pub(super) rates: Rates,
    /// The most within the step.
    pub(super) queued_max: u64,
    pub(super) in_flight_max: u64,
    pub(super) oldest_wait_ns_max: u64,
    pub(super) store_lag_max: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    ns: u64,
    epoch_us: u64,
    values: [u64; FLOWING.len()],
}

#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Of the last second.
    rates: Rates,
    last: Option<Sample>,
    /// Where the present step began.
    began: Option<Sample>,
    step: FlowStep,
    steps: VecDeque<FlowStep>,
}

impl Flow {
    /// Looks at the counters.
    pub(super) fn sample(&mut self, counters: &Snapshot, oldest_wait_ns: Option<u64>, now: Now) {
        let sample = Sample {
            ns: now.ns,
            epoch_us: now.epoch_us,
            values: FLOWING.map(|it| counters.get(it)),
        };
        let last = *self.last.get_or_insert(sample);
        let passed_ns = sample.ns.saturating_sub(last.ns);
        if u128::from(passed_ns) >= DESTINATIONS_COMPARED_AFTER.as_nanos() {
            self.rates = Rates::between(&last.values, &sample.values, passed_ns);
            self.last = Some(sample);
        }
        let step = &mut self.step;
        step.queued_max = step.queued_max.max(counters.get(Counter::Queued));
        step.in_flight_max = step.in_flight_max.max(counters.get(Counter::InFlight));
        step.oldest_wait_ns_max = step.oldest_wait_ns_max.max(oldest_wait_ns.unwrap_or(0));
        let lag = counters.get(Counter::StoreLagMessages);
        step.store_lag_max = step.store_lag_max.max(lag);
        self.advance(sample);
    }

    fn advance(&mut self, sample: Sample) {
        let began = *self.began.get_or_insert(sample);
        let length_ns = sample.ns.saturating_sub(began.ns);
        if u128::from(length_ns) < RECENT_STEP.as_nanos() {
            return;
        }
        if self.steps.len() == RECENT_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(FlowStep {
            start_us: began.epoch_us,
            length_us: length_ns / 1_000,
            rates: Rates::between(&began.values, &sample.values, length_ns),
            ..self.step
        });
        self.step = FlowStep::default();
        self.began = Some(sample);
    }

    /// Of the last second.
    pub(super) fn rates(&self) -> Rates {
        self.rates
    }

    /// The steps that are complete, oldest first.
    pub(super) fn steps(&self) -> impl ExactSizeIterator<Item = &FlowStep> {
        self.steps.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    fn at_ms(ms: u64) -> Now {
        Now {
            ns: ms * 1_000_000,
            steady_us: ms * 1_000,
            epoch_us: ms * 1_000,
        }
    }

    #[test]
    fn rates_are_of_the_last_second_and_means_of_each_step() {
        let (mut flow, counters) = (Flow::default(), Counters::default());
        for second in 0..=20 {
            // 100 a second in the first step, 200 in the second.
            let accepted = 100 * second + 100 * u64::saturating_sub(second, 10);
            counters.set(Counter::Accepted, accepted);
            counters.set(Counter::Queued, second);
            let oldest_wait_ns = (second == 3).then_some(7);
            flow.sample(&counters.snapshot(), oldest_wait_ns, at_ms(second * 1_000));
            // A look that comes too soon says nothing.
            flow.sample(&counters.snapshot(), None, at_ms(second * 1_000 + 10));
        }
        assert_eq!(flow.rates().of(Counter::Accepted), 200.0);
        assert_eq!(flow.rates().of(Counter::Queued), 0.0, "no counter");
        let steps: Vec<_> = flow.steps().collect();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].rates.of(Counter::Accepted), 100.0);
        assert_eq!(steps[1].rates.of(Counter::Accepted), 200.0);
        assert_eq!((steps[0].queued_max, steps[1].queued_max), (10, 20));
        assert_eq!(
            (steps[0].oldest_wait_ns_max, steps[1].oldest_wait_ns_max),
            (7, 0)
        );
        assert_eq!(steps[1].start_us, 10_000_000);
    }

    #[test]
    fn there_are_ten_minutes_of_steps() {
        let (mut flow, counters) = (Flow::default(), Counters::default());
        for second in 0..2_000 {
            flow.sample(&counters.snapshot(), None, at_ms(second * 1_000));
        }
        assert_eq!(flow.steps().len(), RECENT_STEPS);
    }
}
