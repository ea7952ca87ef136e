//! What the monitor shows to the HTTP thread and prints.
//!
//! The monitor writes it, behind a mutex; `/stats`, `/metrics`, `/destinations` and the statistics read it.

use super::alarms::Alarms;
use super::flow::Flow;
use super::sources::Sources;
use crate::destinations::{Report, Tracked, Tracker};
use crate::disk::Outlook;
use crate::latency::{CustomerTotals, Interval, IntervalLog, Recent, Totals};
use crate::limits::LEVELS_MAX;
use crate::message::DestinationIndex;

#[derive(Debug)]
pub(crate) struct Shown {
    /// Latencies and deliveries since the start, as far as they were collected.
    pub(crate) totals: Totals,
    /// Latencies of the last ten minutes.
    pub(crate) recent: Recent,
    /// How much flows.
    pub(crate) flow: Flow,
    /// What waits for each destination.
    pub(crate) destinations: Tracker,
    /// What each source does.
    pub(crate) sources: Sources,
    /// What is wrong, and since when.
    pub(crate) alarms: Alarms,
    /// What the disk has room for; `None`: it was not looked at yet.
    pub(crate) disk: Option<Outlook>,
}

/// What a customer got, and what waits for it. One of the two is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Customer<'a> {
    pub(super) index: DestinationIndex,
    /// `None`: it got nothing since the start.
    pub(super) totals: Option<&'a CustomerTotals>,
    /// `None`: no message was ever for it, and nobody subscribed, as far as was reported.
    pub(super) tracked: Option<&'a Tracked>,
}

impl Shown {
    /// Nothing yet; the totals are empty. The settings name so many sources.
    pub(crate) fn new(totals: Totals, configured_sources: usize) -> Self {
        Self {
            recent: Recent::like(&totals),
            flow: Flow::default(),
            totals,
            destinations: Tracker::default(),
            sources: Sources::default(),
            alarms: Alarms::new(configured_sources),
            disk: None,
        }
    }

    /// It is known how many customers there can be: these totals are empty, and of that shape.
    pub(crate) fn set_totals(&mut self, totals: Totals) {
        self.recent = Recent::like(&totals);
        self.totals = totals;
    }

    /// Adds the latencies of an interval.
    pub(super) fn merge(&mut self, interval: &Interval) {
        self.totals.merge(interval);
        self.recent.merge(interval);
    }

    /// A destination's name has gone.
    pub(super) fn retire(&mut self, destination: DestinationIndex) {
        self.totals.retire(destination);
        self.recent.retire(destination);
    }

    /// Messages that wait, by level.
    pub(super) fn queued(&self) -> [u64; LEVELS_MAX] {
        let mut sums = [0; LEVELS_MAX];
        for it in self.destinations.all() {
            for (sum, queued) in sums.iter_mut().zip(it.state.queued) {
                *sum += u64::from(queued);
            }
        }
        sums
    }

    /// The destination whose oldest message has waited longest, and for how long, in ns.
    pub(super) fn oldest_wait(&self) -> Option<(DestinationIndex, u64)> {
        let all = (0..).zip(self.destinations.all());
        let waiting = all.filter_map(|(index, it)| Some((index, it.oldest_wait_ns?)));
        waiting.max_by_key(|(_, ns)| *ns)
    }

    /// Takes a report, and adds the age of what waits to the latencies: a customer that is frozen has
    /// no others.
    pub(super) fn track(&mut self, report: &Report, mut log: Option<&mut IntervalLog>) {
        self.destinations.update(report);
        if report.completed_at.is_none() {
            return;
        }
        for (index, it) in (0..).zip(self.destinations.all()) {
            let Some(ns) = it.oldest_wait_ns else {
                continue;
            };
            self.totals.record_waiting(index, ns);
            if let Some(log) = &mut log {
                log.record_waiting(index, ns);
            }
        }
    }

    /// The customers that got something, or that were ever used, in the order of their indices.
    pub(super) fn customers(&self) -> impl Iterator<Item = Customer<'_>> {
        let tracked = self.destinations.all();
        let end = (self.totals.customers_end()).max(tracked.len() as DestinationIndex);
        let all = (0..end).map(|index| Customer {
            index,
            totals: self.totals.customer(index),
            tracked: tracked.get(index as usize).filter(|it| it.has_been_used()),
        });
        all.filter(|it| it.totals.is_some() || it.tracked.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::clock::Now;
    use crate::destinations::DestinationState;
    use crate::latency::Stage;

    /// Destination 1 has been used, 3 got something; there are four, or more.
    fn shown() -> Shown {
        let used = DestinationState {
            accepted: 1,
            ..DestinationState::default()
        };
        let mut states = vec![DestinationState::default(); 3];
        states[1] = used;
        let mut interval = Interval::new(3, 5);
        interval.delivered(testing::delivery(1, 3));
        let mut shown = Shown::new(Totals::new(3, 5), 0);
        shown.merge(&interval);
        shown.destinations.update(&Report {
            states,
            retired: Vec::new(),
            released: Vec::new(),
            completed_at: Some(Now::default()),
        });
        shown
    }

    #[test]
    fn intervals_are_of_the_shape_of_the_totals_that_came_last() {
        let mut shown = Shown::new(Totals::new(3, 1), 0);
        shown.set_totals(Totals::new(3, 100));
        let mut interval = Interval::new(3, 100);
        for destination in [0, 99] {
            interval.record(Stage::Total, 3, destination, 1_000, 1);
        }
        shown.merge(&interval);
        for second in [0, 10] {
            shown.recent.advance(Now {
                ns: second * 1_000_000_000,
                ..Now::default()
            });
        }
        let step = shown.recent.steps().next().expect("a step");
        assert_eq!(step.level(Stage::Total, 3).count, 2);
    }

    #[test]
    fn customers_are_those_that_got_something_or_were_used() {
        let shown = shown();
        let customers: Vec<_> = shown
            .customers()
            .map(|it| (it.index, it.totals.is_some(), it.tracked.is_some()))
            .collect();
        assert_eq!(customers, [(1, false, true), (3, true, false)]);
    }
}
