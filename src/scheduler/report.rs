//! What the scheduler reports of each destination when the monitor asks.
//!
//! A cycle does a bounded part of the report, so that ten thousand destinations delay no message.

use std::ops::Range;

use tracing::warn;

use super::cores::Cores;
use crate::clock::Now;
use crate::destinations::{DestinationState, SubscriberState};
use crate::limits::REPORTED_PER_CYCLE;
use crate::message::DestinationIndex;

impl Cores {
    /// Goes on with the report that was asked for; returns how many destinations it added.
    #[inline]
    pub(super) fn report(&mut self, now: Now) -> usize {
        match self.reporter.progress() {
            None => 0,
            Some(reported) => self.report_from(reported as DestinationIndex, now),
        }
    }

    /// Reports all destinations as they are at the end.
    pub(super) fn report_last(&mut self, now: Now) {
        self.reporter.restart();
        self.add_to_report(0..self.known_destinations, now);
        self.reporter.complete(now);
    }

    #[cold]
    fn report_from(&mut self, first: DestinationIndex, now: Now) -> usize {
        let end = self.known_destinations.min(first + REPORTED_PER_CYCLE);
        self.add_to_report(first..end, now);
        if end == self.known_destinations {
            self.reporter.complete(now);
            self.log_left_out(now);
        }
        (end - first) as usize
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    fn log_left_out(&mut self, now: Now) {
        if let Some(more) = self.log_full.overdue(now) {
            let state = match self.is_full {
                true => "all sources wait",
                false => "sources are read",
            };
            let count = more.count;
            warn!(
                count,
                "there was no room for messages, and room again; now {state}"
            );
        }
    }

    fn add_to_report(&mut self, destinations: Range<DestinationIndex>, now: Now) {
        for destination in destinations {
            let state = self.state_of(destination, now);
            self.reporter.add(state);
        }
    }

    fn state_of(&self, destination: DestinationIndex, now: Now) -> DestinationState {
        if !self.intake.knows(destination) {
            return DestinationState {
                is_vacant: true,
                ..DestinationState::default()
            };
        }
        let counts = self.messages.counts_of(destination);
        let queues = self.dispatcher.queues();
        let oldest_ms = queues.oldest_ms(destination);
        DestinationState {
            accepted: counts.accepted,
            settled: counts.settled,
            redelivered: counts.redelivered,
            queued: queues.len_by_level(destination),
            queued_max: self.dispatcher.max_queued(destination),
            in_flight: counts.in_flight,
            oldest_wait_ms: oldest_ms.map(|ms| now.steady_ms().saturating_sub(ms)),
            subscriber: self.subscriber_of(destination),
            standbys: self.subscriptions.standbys(destination) as u32,
            is_vacant: false,
        }
    }

    fn subscriber_of(&self, destination: DestinationIndex) -> Option<SubscriberState> {
        let id = self.subscriptions.active(destination)?;
        let subscriber = self.subscriptions.get(id)?;
        Some(SubscriberState {
            id: (id.agent, id.key),
            peer: subscriber.peer,
            ack: subscriber.ack,
            written: subscriber.written_total,
            unwritten: (subscriber.in_flight.len() - subscriber.written) as u32,
            unacknowledged: subscriber.written as u32,
            fetching: subscriber.fetching.len() as u32,
        })
    }
}
