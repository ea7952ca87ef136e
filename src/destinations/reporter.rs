//! How a report changes hands: the scheduler agent holds the [`Reporter`], the monitor the
//! [`Collector`]. The mechanism is in `ring/exchange.rs`.
//!
//! The scheduler fills a report in pieces, some destinations a duty cycle, and allocates nothing.
//!
//! A report names the destinations that have gone, each once. When they are shown no more they go back
//! with a later request: then another name may have the index.

use super::report::{DestinationState, Report};
use crate::clock::Now;
use crate::message::DestinationIndex;
use crate::ring::exchange::{self, Reuse, Writer};

/// The scheduler's end.
#[derive(Debug)]
pub struct Reporter {
    reports: Writer<Report>,
    /// Destinations that have gone, for the next report.
    retired: Vec<DestinationIndex>,
    /// Destinations that are shown no more.
    released: Vec<DestinationIndex>,
}

/// The monitor's end. What comes back when the reporter has gone may be incomplete.
#[derive(Debug)]
pub struct Collector {
    reports: exchange::Collector<Report>,
    /// Destinations that are shown no more, for the next request.
    released: Vec<DestinationIndex>,
}

/// Makes both ends, and room for so many destinations.
#[must_use]
pub fn exchange(destinations: usize) -> (Reporter, Collector) {
    let (writer, collector) = exchange::exchange(|| Report::with_room_for(destinations));
    let reporter = Reporter {
        reports: writer,
        retired: Vec::with_capacity(destinations),
        released: Vec::with_capacity(destinations),
    };
    let collector = Collector {
        reports: collector,
        released: Vec::new(),
    };
    (reporter, collector)
}

impl Reuse for Report {
    fn clear(&mut self) {
        self.states.clear();
        self.retired.clear();
        self.completed_at = None;
    }
}

impl Collector {
    /// Passes on what came back since the last call.
    pub(crate) fn poll(&mut self, take: impl FnMut(&Report)) {
        self.reports.poll(take);
    }

    /// A destination that has gone is shown no more.
    pub(crate) fn release(&mut self, destination: DestinationIndex) {
        self.released.push(destination);
    }

    /// Whether the scheduler is to be told of one.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Asks for a report, unless one is on its way.
    pub(crate) fn ask(&mut self) {
        if let Some(request) = self.reports.spare_mut() {
            request.released.append(&mut self.released);
        }
        self.reports.ask();
    }
}

impl Reporter {
    /// How many destinations the report has that was asked for and is not complete; `None`: nobody asks.
    /// One atomic load where nobody does.
    #[inline]
    pub(crate) fn progress(&mut self) -> Option<usize> {
        let is_asked = self.reports.is_asked();
        is_asked.then(|| self.reports.active_mut().states.len())
    }

    /// Begins the report anew.
    pub(crate) fn restart(&mut self) {
        self.reports.active_mut().clear();
    }

    /// Adds the next destination.
    pub(crate) fn add(&mut self, state: DestinationState) {
        let states = &mut self.reports.active_mut().states;
        debug_assert!(states.len() < states.capacity());
        states.push(state);
    }

    /// The report has all destinations. It goes to who asked; unasked, it goes when the reporter does.
    pub(crate) fn complete(&mut self, now: Now) {
        let report = self.reports.active_mut();
        report.completed_at = Some(now);
        report.retired.append(&mut self.retired);
        if self.reports.poll_swap() {
            let request = self.reports.active_mut();
            self.released.append(&mut request.released);
        }
    }

    /// The name of a destination has gone; `false`: nobody shows any.
    pub(crate) fn retire(&mut self, destination: DestinationIndex) -> bool {
        let is_shown = !self.reports.is_abandoned();
        if is_shown {
            self.retired.push(destination);
        }
        is_shown
    }

    /// The next destination that is shown no more.
    pub(crate) fn next_released(&mut self) -> Option<DestinationIndex> {
        self.released.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(accepted: u64) -> DestinationState {
        DestinationState {
            accepted,
            ..DestinationState::default()
        }
    }

    /// When each report that came back was complete, and its states.
    fn collect(collector: &mut Collector) -> Vec<(Option<u64>, Vec<DestinationState>)> {
        let mut given = Vec::new();
        collector.poll(|report| {
            let completed_at = report.completed_at.map(|it| it.epoch_us);
            given.push((completed_at, report.states.clone()));
        });
        given
    }

    fn at(epoch_us: u64) -> Now {
        Now {
            epoch_us,
            ..Now::default()
        }
    }

    #[test]
    fn a_report_is_filled_in_pieces_and_given_when_it_is_complete() {
        let (mut reporter, mut collector) = exchange(3);
        assert_eq!(reporter.progress(), None, "nobody asks");
        collector.ask();
        assert_eq!(collect(&mut collector), [], "nothing was given");
        assert_eq!(reporter.progress(), Some(0));
        reporter.add(state(1));
        reporter.add(state(2));
        assert_eq!(reporter.progress(), Some(2));
        assert_eq!(collect(&mut collector), [], "it is not complete");
        reporter.add(state(3));
        reporter.complete(at(7));
        assert_eq!(reporter.progress(), None, "it was given");
        let complete = (Some(7), vec![state(1), state(2), state(3)]);
        assert_eq!(collect(&mut collector), [complete]);
        collector.ask();
        assert_eq!(reporter.progress(), Some(0), "the next one is asked for");
    }

    #[test]
    fn what_has_gone_is_told_once_and_comes_back_when_it_is_shown_no_more() {
        let (mut reporter, mut collector) = exchange(3);
        assert!(reporter.retire(2));
        for expected in [&[2_u32][..], &[]] {
            collector.ask();
            assert_eq!(reporter.progress(), Some(0));
            reporter.complete(at(7));
            assert_eq!(reporter.next_released(), None);
            let mut retired = None;
            collector.poll(|report| retired = Some(report.retired.clone()));
            assert_eq!(retired.as_deref(), Some(expected));
        }
        assert!(!collector.has_released());
        collector.release(2);
        assert!(collector.has_released());
        collector.ask();
        assert!(!collector.has_released());
        assert_eq!(reporter.next_released(), None, "the report is not complete");
        reporter.complete(at(8));
        let released = [reporter.next_released(), reporter.next_released()];
        assert_eq!(released, [Some(2), None]);
        drop(collector);
        assert!(!reporter.retire(1), "nobody shows it");
    }

    #[test]
    fn the_last_report_comes_unasked() {
        for ask in [false, true] {
            let (mut reporter, mut collector) = exchange(3);
            if ask {
                collector.ask();
            }
            reporter.add(state(1));
            reporter.restart();
            reporter.add(state(2));
            reporter.complete(at(7));
            drop(reporter);
            let given = collect(&mut collector);
            let complete: Vec<_> = given.iter().filter(|it| it.0.is_some()).collect();
            assert_eq!(complete, [&(Some(7), vec![state(2)])]);
        }
    }
}
