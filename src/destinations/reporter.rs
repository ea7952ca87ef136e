//! How a report changes hands: the scheduler agent holds the [`Reporter`], the monitor the
//! [`Collector`]. The mechanism is in `ring/exchange.rs`.
//!
//! The scheduler fills a report in pieces, some destinations a duty cycle, and allocates nothing.

use super::report::{DestinationState, Report};
use crate::clock::Now;
use crate::ring::exchange::{self, Reuse, Writer};

/// The scheduler's end.
#[derive(Debug)]
pub struct Reporter(Writer<Report>);

/// The monitor's end. What comes back when the reporter has gone may be incomplete.
#[derive(Debug)]
pub struct Collector(exchange::Collector<Report>);

/// Makes both ends, and room for so many destinations.
#[must_use]
pub fn exchange(destinations: usize) -> (Reporter, Collector) {
    let (writer, collector) = exchange::exchange(|| Report::with_room_for(destinations));
    (Reporter(writer), Collector(collector))
}

impl Reuse for Report {
    fn clear(&mut self) {
        self.states.clear();
        self.completed_at = None;
    }
}

impl Collector {
    /// Passes on what came back since the last call.
    pub(crate) fn poll(&mut self, take: impl FnMut(&Report)) {
        self.0.poll(take);
    }

    /// Asks for a report, unless one is on its way.
    pub(crate) fn ask(&mut self) {
        self.0.ask();
    }
}

impl Reporter {
    /// How many destinations the report has that was asked for and is not complete; `None`: nobody asks.
    /// One atomic load where nobody does.
    #[inline]
    pub(crate) fn progress(&mut self) -> Option<usize> {
        let is_asked = self.0.is_asked();
        is_asked.then(|| self.0.active_mut().states.len())
    }

    /// Begins the report anew.
    pub(crate) fn restart(&mut self) {
        self.0.active_mut().clear();
    }

    /// Adds the next destination.
    pub(crate) fn add(&mut self, state: DestinationState) {
        let states = &mut self.0.active_mut().states;
        debug_assert!(states.len() < states.capacity());
        states.push(state);
    }

    /// The report has all destinations. It goes to who asked; unasked, it goes when the reporter does.
    pub(crate) fn complete(&mut self, now: Now) {
        self.0.active_mut().completed_at = Some(now);
        self.0.poll_swap();
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
