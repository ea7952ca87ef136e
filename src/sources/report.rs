//! A report: the state of every source, as ingest saw it within some duty cycles; and how it changes
//! hands. The mechanism is in `ring/exchange.rs`. Ingest allocates nothing for it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::User;
use crate::clock::Now;
use crate::limits::SOURCES_REPORTED_MAX;
use crate::message::DestinationIndex;
use crate::ring::exchange::{self, Reuse, Writer};

/// Which source it is.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// One of the settings, by its address there.
    Dialled(Arc<str>),
    /// It has dialled in from there, as this user.
    Producer(SocketAddr, Option<Arc<User>>),
    /// It was one of the settings, which name it no more; what it has sent is read to its end.
    Removed,
}

/// What a source is doing, or is done to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connected,
    /// The next dial comes after a pause.
    Resting,
    /// Its name is looked up.
    LookedUp,
    Connecting,
}

impl State {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Resting => "not reached",
            Self::LookedUp => "looked up",
            Self::Connecting => "dialled",
        }
    }
}

/// Why a source is not read on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Its next line is for this destination, which has `max_queued` messages.
    Destination(DestinationIndex),
    /// Its next line is wrong and cannot be kept.
    Rejects,
    /// Its wrong lines took more than their share of the time.
    Budget,
    /// Its duplicates took more than their share of the time.
    Duplicates,
    /// It is at `max_rate`.
    Rate,
    /// It does not read the outcomes of its lines.
    Outcomes,
}

/// One source at one moment.
#[derive(Debug, Clone)]
pub(crate) struct SourceState {
    pub(crate) who: Who,
    pub(crate) state: State,
    /// Since when it is connected, or not, in ns.
    pub(crate) since_ns: u64,
    /// Lines since the start; of a producer, since it came.
    pub(crate) lines: u64,
    /// Those among them that were rejected.
    pub(crate) rejected: u64,
    /// Connections that were made to it.
    pub(crate) connects: u64,
    pub(crate) waits_for: Option<WaitsFor>,
    /// Why it is not reached, or its last connection has ended.
    pub(crate) why: Option<Arc<str>>,
}

/// The states of all sources.
#[derive(Debug, Default)]
pub(crate) struct SourceReport {
    pub(crate) states: Vec<SourceState>,
    /// Sources for which there was no room.
    pub(crate) omitted: u64,
    /// When it had all; `None`: it has not.
    pub(crate) completed_at: Option<Now>,
}

impl Reuse for SourceReport {
    fn clear(&mut self) {
        self.states.clear();
        self.omitted = 0;
        self.completed_at = None;
    }
}

/// The monitor's end.
#[derive(Debug)]
pub struct Collector(exchange::Collector<SourceReport>);

impl Collector {
    /// Passes on what came back since the last call.
    pub(crate) fn poll(&mut self, take: impl FnMut(&SourceReport)) {
        self.0.poll(take);
    }

    /// Asks for a report, unless one is on its way.
    pub(crate) fn ask(&mut self) {
        self.0.ask();
    }
}

/// Ingest's end, and where it is in the report that was asked for.
#[derive(Debug)]
pub struct Reporter {
    reports: Writer<SourceReport>,
    /// The next of those that ingest has, by its own numbers.
    pub(crate) next: usize,
}

/// Makes both ends.
#[must_use]
pub fn exchange() -> (Reporter, Collector) {
    let (reports, collector) = exchange::exchange(|| SourceReport {
        // Memory is taken when it is used.
        states: Vec::with_capacity(SOURCES_REPORTED_MAX),
        ..SourceReport::default()
    });
    (Reporter { reports, next: 0 }, Collector(collector))
}

impl Reporter {
    /// Whether a report is asked for. One atomic load.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.reports.is_asked()
    }

    /// Adds the next source.
    pub(crate) fn add(&mut self, state: SourceState) {
        let report = self.reports.active_mut();
        match report.states.len() < SOURCES_REPORTED_MAX {
            true => report.states.push(state),
            false => report.omitted += 1,
        }
    }

    /// The report has all, and goes to who asked.
    pub(crate) fn complete(&mut self, now: Now) {
        self.next = 0;
        self.reports.active_mut().completed_at = Some(now);
        self.reports.poll_swap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lines: u64) -> SourceState {
        SourceState {
            who: Who::Removed,
            state: State::Connected,
            since_ns: 0,
            lines,
            rejected: 0,
            connects: 1,
            waits_for: None,
            why: None,
        }
    }

    #[test]
    fn a_report_is_given_when_it_is_complete_and_what_has_no_room_is_counted() {
        let (mut reporter, mut collector) = exchange();
        assert!(!reporter.is_asked());
        collector.ask();
        let mut given = Vec::new();
        let mut poll = |it: &SourceReport| {
            let at = it.completed_at.map(|it| it.ns);
            given.push((it.states.len(), it.omitted, at));
        };
        collector.poll(&mut poll);
        assert!(reporter.is_asked());
        for lines in 0..SOURCES_REPORTED_MAX as u64 + 3 {
            reporter.add(state(lines));
        }
        collector.poll(&mut poll);
        reporter.next = 7;
        reporter.complete(Now {
            ns: 5,
            ..Now::default()
        });
        assert_eq!((reporter.next, reporter.is_asked()), (0, false));
        collector.poll(&mut poll);
        assert_eq!(given, [(SOURCES_REPORTED_MAX, 3, Some(5))]);
    }
}
