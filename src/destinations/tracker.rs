//! The tracker: what two reports tell of a destination that one does not. Rates, what it waits for, and
//! since when.
//!
//! The monitor feeds it about once a second. A destination *stands still* if messages were there at both
//! reports and none was settled between them.

use std::time::Duration;

use super::report::{DestinationState, Report, SubscriberState};
use crate::clock::Now;
use crate::limits::DESTINATIONS_COMPARED_AFTER;

/// What a destination's messages wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Nobody has subscribed.
    Subscriber,
    /// The subscriber's socket takes nothing.
    Reading,
    /// The subscriber owes acknowledgements.
    Acknowledgement,
    /// The frames are read from the journal first.
    Journal,
}

impl WaitsFor {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [
        Self::Subscriber,
        Self::Reading,
        Self::Acknowledgement,
        Self::Journal,
    ];

    /// Whether it is for the subscriber to go on.
    pub(crate) fn is_the_subscribers(self) -> bool {
        matches!(self, Self::Reading | Self::Acknowledgement)
    }

    /// The word in `/stats` and `/metrics`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Subscriber => "subscriber",
            Self::Reading => "reading",
            Self::Acknowledgement => "acknowledgement",
            Self::Journal => "journal",
        }
    }

    /// The same for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Subscriber => "no subscriber",
            Self::Reading => "its subscriber does not read",
            Self::Acknowledgement => "its subscriber does not acknowledge",
            Self::Journal => "its frames are read from the journal",
        }
    }
}

/// One destination, as far as the reports tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tracked {
    /// Of the last report.
    pub(crate) state: DestinationState,
    /// Messages accepted a second, between the last two reports.
    pub(crate) accepted_rate: f64,
    /// Messages settled a second.
    pub(crate) settled_rate: f64,
    /// `None`: nothing waits, or it goes on.
    pub(crate) waits_for: Option<WaitsFor>,
    /// Since when, in us since the epoch.
    pub(crate) waits_since_us: u64,
    /// The same by the engine's clock, in ns.
    pub(crate) waits_since_ns: u64,
    /// How long the oldest message that is not settled has waited, in ns, as far as the reports tell:
    /// what is queued says so itself, and what is in flight has waited for as long as it stands still.
    /// `None`: nothing waits.
    pub(crate) oldest_wait_ns: Option<u64>,
    /// When the present subscriber was first seen, in us since the epoch.
    pub(crate) subscribed_since_us: u64,
    /// When a subscriber was seen last, in us since the epoch; `None`: never.
    pub(crate) last_seen_us: Option<u64>,
}

/// All destinations, by index.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    tracked: Vec<Tracked>,
    /// When the last report was complete, in ns of the engine's clock, and in us since the epoch.
    at: Option<(u64, u64)>,
}

impl Tracker {
    /// Takes the next report, if it is complete.
    pub(crate) fn update(&mut self, report: &Report) {
        let Some(Now { ns, epoch_us, .. }) = report.completed_at else {
            return;
        };
        let (before_ns, before_us) = self.at.replace((ns, epoch_us)).unwrap_or((ns, epoch_us));
        let span = Span {
            duration: Duration::from_nanos(ns.saturating_sub(before_ns)),
            begin_us: before_us,
            end_us: epoch_us,
            begin_ns: before_ns,
            end_ns: ns,
        };
        // One that was created since had nothing before.
        let known = self.tracked.len().max(report.states.len());
        self.tracked.resize(known, Tracked::default());
        for (tracked, state) in self.tracked.iter_mut().zip(&report.states) {
            tracked.update(*state, span);
        }
        for &destination in &report.retired {
            if let Some(tracked) = self.tracked.get_mut(destination as usize) {
                *tracked = Tracked::vacant();
            }
        }
    }

    /// All destinations in the order of their indices.
    pub(crate) fn all(&self) -> &[Tracked] {
        &self.tracked
    }
}

impl Tracked {
    /// Whether anything was ever for it, or anybody subscribed.
    pub(crate) fn has_been_used(&self) -> bool {
        self.state.accepted > 0 || self.last_seen_us.is_some()
    }

    /// That of an index that has no name.
    fn vacant() -> Self {
        let mut vacant = Self::default();
        vacant.state.is_vacant = true;
        vacant
    }

    fn update(&mut self, state: DestinationState, span: Span) {
        if state.is_vacant {
            *self = Self::vacant();
            return;
        }
        let before = std::mem::replace(&mut self.state, state);
        let waits_for = if span.is_long_enough() {
            self.accepted_rate = span.rate(state.accepted, before.accepted);
            self.settled_rate = span.rate(state.settled, before.settled);
            waits_for(&before, &state)
        } else {
            let known = self.waits_for.filter(|it| *it != WaitsFor::Subscriber);
            waits_for_subscriber(&state).unwrap_or(known)
        };
        if waits_for != self.waits_for {
            // What stands still has done so since the report before.
            (self.waits_since_ns, self.waits_since_us) = match waits_for {
                Some(WaitsFor::Subscriber) => (span.end_ns, span.end_us),
                _ => (span.begin_ns, span.begin_us),
            };
            self.waits_for = waits_for;
        }
        let queued_ns = state.oldest_wait_ms.map(|ms| ms.saturating_mul(1_000_000));
        let still_ns = waits_for.map(|_| span.end_ns.saturating_sub(self.waits_since_ns));
        self.oldest_wait_ns = queued_ns.max(still_ns);
        if let Some(subscriber) = state.subscriber {
            if before.subscriber.is_none_or(|it| it.id != subscriber.id) {
                self.subscribed_since_us = span.end_us;
            }
            self.last_seen_us = Some(span.end_us);
        }
    }
}

/// The time between two reports.
#[derive(Debug, Clone, Copy)]
struct Span {
    duration: Duration,
    /// In us since the epoch.
    begin_us: u64,
    end_us: u64,
    /// By the engine's clock.
    begin_ns: u64,
    end_ns: u64,
}

impl Span {
    /// Whether it says something that nothing moved meanwhile.
    fn is_long_enough(self) -> bool {
        self.duration >= DESTINATIONS_COMPARED_AFTER
    }

    fn rate(self, now: u64, then: u64) -> f64 {
        now.saturating_sub(then) as f64 / self.duration.as_secs_f64()
    }
}

fn has_work(state: &DestinationState) -> bool {
    state.in_flight > 0 || state.queued() > 0
}

/// What one report tells: nothing waits, or nobody has subscribed. `None`: only a comparison tells.
fn waits_for_subscriber(now: &DestinationState) -> Option<Option<WaitsFor>> {
    if !has_work(now) {
        return Some(None);
    }
    now.subscriber
        .is_none()
        .then_some(Some(WaitsFor::Subscriber))
}

fn waits_for(before: &DestinationState, now: &DestinationState) -> Option<WaitsFor> {
    if let Some(waits_for) = waits_for_subscriber(now) {
        return waits_for;
    }
    let subscriber = now.subscriber?;
    let was_there = before.subscriber.filter(|it| it.id == subscriber.id)?;
    let stands_still = has_work(before) && before.settled == now.settled;
    if !stands_still {
        return None;
    }
    stopped_by(was_there, subscriber)
}

fn stopped_by(before: SubscriberState, now: SubscriberState) -> Option<WaitsFor> {
    let reads = now.written != before.written;
    if now.unwritten > 0 && before.unwritten > 0 && !reads {
        Some(WaitsFor::Reading)
    } else if now.ack && now.unacknowledged > 0 {
        Some(WaitsFor::Acknowledgement)
    } else if now.fetching > 0 && before.fetching > 0 && !reads {
        Some(WaitsFor::Journal)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_US: u64 = 1_000_000_000;

    /// Feeds a tracker one state a second.
    #[derive(Default)]
    struct Fed {
        tracker: Tracker,
        at_ms: u64,
    }

    impl Fed {
        fn feed(&mut self, state: DestinationState) -> Tracked {
            self.feed_before(state, 1_000)
        }

        /// The next report comes so much later.
        fn feed_before(&mut self, state: DestinationState, later_ms: u64) -> Tracked {
            let report = Report {
                states: vec![state],
                retired: Vec::new(),
                released: Vec::new(),
                completed_at: Some(Now {
                    ns: self.at_ms * 1_000_000,
                    steady_us: 0,
                    epoch_us: START_US + self.at_ms * 1_000,
                }),
            };
            self.at_ms += later_ms;
            self.tracker.update(&report);
            self.tracker.all()[0]
        }
    }

    fn at_us(second: u64) -> u64 {
        START_US + second * 1_000_000
    }

    fn queued(count: u32) -> DestinationState {
        let mut state = DestinationState::default();
        state.queued[1] = count;
        state
    }

    fn subscriber() -> SubscriberState {
        SubscriberState {
            peer: None,
            id: (0, 7),
            ack: true,
            written: 0,
            unwritten: 0,
            unacknowledged: 0,
            fetching: 0,
        }
    }

    fn served(settled: u64, in_flight: u32, subscriber: SubscriberState) -> DestinationState {
        DestinationState {
            settled,
            in_flight,
            subscriber: Some(subscriber),
            ..queued(9)
        }
    }

    #[test]
    fn rates_are_those_between_two_reports() {
        let mut fed = Fed::default();
        let mut state = DestinationState {
            accepted: 100,
            settled: 50,
            ..DestinationState::default()
        };
        let first = fed.feed(state);
        assert_eq!((first.accepted_rate, first.settled_rate), (0.0, 0.0));
        (state.accepted, state.settled) = (350, 51);
        let second = fed.feed(state);
        assert_eq!((second.accepted_rate, second.settled_rate), (250.0, 1.0));
    }

    #[test]
    fn of_a_name_that_has_gone_nothing_is_left_for_the_next_one() {
        let mut fed = Fed::default();
        fed.feed(served(5, 3, subscriber()));
        let gone = DestinationState {
            is_vacant: true,
            ..DestinationState::default()
        };
        assert_eq!(fed.feed(gone), Tracked::vacant());
        let next = fed.feed(queued(1));
        assert_eq!((next.last_seen_us, next.accepted_rate), (None, 0.0));
        assert!(!next.state.is_vacant);
        let mut report = Report::with_room_for(1);
        report.states.push(served(5, 3, subscriber()));
        report.retired.push(0);
        report.completed_at = Some(Now::default());
        fed.tracker.update(&report);
        assert_eq!(fed.tracker.all()[0], Tracked::vacant(), "it went meanwhile");
    }

    #[test]
    fn an_absent_subscriber_is_waited_for_since_it_was_missed() {
        let mut fed = Fed::default();
        assert_eq!(fed.feed(DestinationState::default()).waits_for, None);
        for _ in 1..=3 {
            let tracked = fed.feed(queued(1));
            assert_eq!(tracked.waits_for, Some(WaitsFor::Subscriber));
            assert_eq!(tracked.waits_since_us, at_us(1));
            assert_eq!(tracked.last_seen_us, None);
        }
        let tracked = fed.feed(served(0, 0, subscriber()));
        assert_eq!(tracked.waits_for, None, "it has come just now");
        assert_eq!(tracked.subscribed_since_us, at_us(4));
        assert_eq!(fed.feed(queued(1)).last_seen_us, Some(at_us(4)));
    }

    #[test]
    fn what_stands_still_is_told_apart_by_what_the_subscriber_does() {
        let unread = SubscriberState {
            unwritten: 3,
            ..subscriber()
        };
        let mut fed = Fed::default();
        assert_eq!(fed.feed(served(5, 3, unread)).waits_for, None);
        let tracked = fed.feed(served(5, 3, unread));
        assert_eq!(tracked.waits_for, Some(WaitsFor::Reading));
        assert_eq!(tracked.waits_since_us, at_us(0));
        let written = SubscriberState {
            written: 3,
            unacknowledged: 3,
            ..subscriber()
        };
        let tracked = fed.feed(served(5, 3, written));
        assert_eq!(tracked.waits_for, Some(WaitsFor::Acknowledgement));
        assert_eq!(tracked.waits_since_us, at_us(1), "it was the other before");
        assert_eq!(fed.feed(served(6, 2, written)).waits_for, None);
        let fetching = SubscriberState {
            written: 3,
            fetching: 1,
            ..subscriber()
        };
        fed.feed(served(8, 1, fetching));
        let tracked = fed.feed(served(8, 1, fetching));
        assert_eq!(tracked.waits_for, Some(WaitsFor::Journal));
    }

    #[test]
    fn a_report_soon_after_another_has_new_counts_and_judges_nobody() {
        let reads = |settled| served(settled, 3, subscriber());
        let mut fed = Fed::default();
        fed.feed(reads(5));
        let before = fed.feed_before(reads(7), 20);
        assert_eq!((before.waits_for, before.settled_rate), (None, 2.0));
        let unread = SubscriberState {
            unwritten: 3,
            ..subscriber()
        };
        let soon = fed.feed_before(served(7, 3, unread), 20);
        assert_eq!((soon.waits_for, soon.settled_rate), (None, 2.0));
        assert_eq!(soon.state.in_flight, 3);
        let alone = fed.feed_before(queued(1), 20);
        assert_eq!(alone.waits_for, Some(WaitsFor::Subscriber));
        let served = fed.feed_before(reads(7), 20);
        assert_eq!(served.waits_for, None);
    }

    #[test]
    fn a_message_that_has_come_just_now_stands_not_still() {
        let on_its_way = SubscriberState {
            unwritten: 1,
            ..subscriber()
        };
        let mut fed = Fed::default();
        let idle = DestinationState {
            subscriber: Some(subscriber()),
            ..DestinationState::default()
        };
        fed.feed(idle);
        fed.feed(idle);
        assert_eq!(fed.feed(served(0, 1, on_its_way)).waits_for, None);
    }

    #[test]
    fn what_stands_still_in_flight_has_waited_for_so_long() {
        let mut fed = Fed::default();
        let owing = SubscriberState {
            unacknowledged: 3,
            ..subscriber()
        };
        let still = served(0, 3, owing);
        let ages = [0; 4].map(|_| fed.feed(still).oldest_wait_ns);
        let second = 1_000_000_000;
        assert_eq!(
            ages,
            [None, Some(second), Some(2 * second), Some(3 * second)]
        );
        let mut queued = still;
        (queued.queued[0], queued.oldest_wait_ms) = (1, Some(9_000));
        assert_eq!(fed.feed(queued).oldest_wait_ns, Some(9 * second));
        assert_eq!(fed.feed(served(1, 2, owing)).oldest_wait_ns, None);
    }
}
