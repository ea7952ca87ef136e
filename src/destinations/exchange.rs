//! How a report changes hands without a lock: one box, asked for and given back.
//!
//! ```text
//! Collector --an empty report (a request)--> ring --> Reporter: fills it, some destinations a cycle
//! Collector <-------------- ring <-- the full report ---- Reporter
//! ```
//! There is one box in all, so that a push never fails, and the scheduler allocates nothing.

use rtrb::{Consumer, Producer, RingBuffer};

use super::report::{DestinationState, Report};
use crate::clock::Now;

/// The scheduler's end.
#[derive(Debug)]
pub struct Reporter {
    filling: Option<Box<Report>>,
    requests: Consumer<Box<Report>>,
    full: Producer<Box<Report>>,
}

/// The monitor's end.
#[derive(Debug)]
pub struct Collector {
    /// The box; `None`: it has been sent, and the answer is still out.
    spare: Option<Box<Report>>,
    requests: Producer<Box<Report>>,
    full: Consumer<Box<Report>>,
}

/// Makes both ends, and room for so many destinations.
#[must_use]
pub fn exchange(destinations: usize) -> (Reporter, Collector) {
    let (ask, requests) = RingBuffer::new(1);
    let (give, full) = RingBuffer::new(1);
    let reporter = Reporter {
        filling: None,
        requests,
        full: give,
    };
    let collector = Collector {
        spare: Some(Report::with_room_for(destinations)),
        requests: ask,
        full,
    };
    (reporter, collector)
}

impl Reporter {
    /// How many destinations the report has that was asked for and is not complete; `None`: nobody asks.
    /// One atomic load where nobody does.
    #[inline]
    pub(crate) fn progress(&mut self) -> Option<usize> {
        if self.filling.is_none() {
            self.filling = self.requests.pop().ok();
        }
        self.filling.as_ref().map(|report| report.states.len())
    }

    /// Adds the next destination to the report that was asked for.
    pub(crate) fn add(&mut self, state: DestinationState) {
        if let Some(report) = &mut self.filling {
            debug_assert!(report.states.len() < report.states.capacity());
            report.states.push(state);
        }
    }

    /// The report has all destinations.
    pub(crate) fn complete(&mut self, now: Now) {
        if let Some(mut report) = self.filling.take() {
            report.at = now;
            let given = self.full.push(report);
            assert!(given.is_ok(), "the ring has room for the only report");
        }
    }
}

impl Collector {
    /// Passes on what came back since the last call.
    pub(crate) fn collect_with(&mut self, mut take: impl FnMut(&Report)) {
        if let Ok(mut report) = self.full.pop() {
            take(&report);
            report.states.clear();
            self.spare = Some(report);
        }
    }

    /// Asks for a report, unless one is on its way.
    pub(crate) fn ask(&mut self) {
        if let Some(spare) = self.spare.take() {
            let asked = self.requests.push(spare);
            assert!(asked.is_ok(), "the ring has room for the only report");
        }
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

    #[test]
    fn a_report_is_filled_in_pieces_and_given_when_it_is_complete() {
        let (mut reporter, mut collector) = exchange(3);
        assert_eq!(reporter.progress(), None, "nobody asks");
        collector.ask();
        collector.collect_with(|_| panic!("nothing was given"));
        assert_eq!(reporter.progress(), Some(0));
        reporter.add(state(1));
        reporter.add(state(2));
        assert_eq!(reporter.progress(), Some(2));
        collector.collect_with(|_| panic!("it is not complete"));
        reporter.add(state(3));
        let now = Now {
            epoch_us: 7,
            ..Now::default()
        };
        reporter.complete(now);
        assert_eq!(reporter.progress(), None, "it was given");
        let mut given = Vec::new();
        collector.collect_with(|report| {
            assert_eq!(report.at.epoch_us, 7);
            given.clone_from(&report.states);
        });
        assert_eq!(given, [state(1), state(2), state(3)]);
        collector.ask();
        assert_eq!(reporter.progress(), Some(0), "the next one is asked for");
    }
}
