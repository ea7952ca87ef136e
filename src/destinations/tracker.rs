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
    /// By the engine's clock, in ns: since when it waits, for whatever it was.
    pub(crate) still_since_ns: u64,
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
        // What stands still has done so since the report before.
        let (since_ns, since_us) = match waits_for {
            Some(WaitsFor::Subscriber) => (span.end_ns, span.end_us),
            _ => (span.begin_ns, span.begin_us),
        };
        if is_another_wait(self.waits_for, waits_for) {
            self.waits_since_us = since_us;
        }
        if stands_still(self.waits_for) != stands_still(waits_for) {
            self.still_since_ns = since_ns;
        }
        self.waits_for = waits_for;
        let queued_ns = state.oldest_wait_ms.map(|ms| ms.saturating_mul(1_000_000));
        let still_ns = waits_for.map(|_| span.end_ns.saturating_sub(self.still_since_ns));
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

/// Whether a wait has begun or ended. A subscriber that neither reads nor acknowledges is one wait. The
/// journal's is another: nobody is blamed for it.
fn is_another_wait(before: Option<WaitsFor>, now: Option<WaitsFor>) -> bool {
    let is_the_subscribers = |it: Option<WaitsFor>| it.is_some_and(WaitsFor::is_the_subscribers);
    before != now && !(is_the_subscribers(before) && is_the_subscribers(now))
}

/// Whether nothing moves though somebody has subscribed; `None`: nobody has, or it goes on.
fn stands_still(waits_for: Option<WaitsFor>) -> Option<bool> {
    waits_for.map(|it| it != WaitsFor::Subscriber)
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
mod tests;
