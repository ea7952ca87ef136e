//! Log lines for subscribers that come and go, with their destinations, at a limited rate.

use std::fmt;

use tracing::{info, warn};

use super::Subscribers;
use crate::clock::Now;
use crate::delivery::subscriber::Subscriber;
use crate::limits::LOG_CONNECTIONS_PER_WINDOW;
use crate::log_limit::LogLimit;
use crate::net::Key;

/// Destinations that a line names.
pub(super) const DESTINATIONS_LOGGED: usize = 4;

/// The limits of both kinds, and the time of the present duty cycle.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    now: Now,
    connects: LogLimit,
    disconnects: LogLimit,
}

impl Default for ConnectionLog {
    fn default() -> Self {
        Self {
            now: Now::default(),
            connects: LogLimit::of(LOG_CONNECTIONS_PER_WINDOW),
            disconnects: LogLimit::of(LOG_CONNECTIONS_PER_WINDOW),
        }
    }
}

impl Subscribers {
    /// A duty cycle begins.
    pub(in crate::delivery) fn begin_cycle(&mut self, now: Now) {
        self.log.now = now;
    }

    /// A subscription was answered; the first one is logged.
    #[cold]
    pub(super) fn log_connected(&mut self, key: Key) {
        let Some(subscriber) = &mut self.table[key] else {
            return;
        };
        if std::mem::replace(&mut subscriber.is_announced, true) {
            return;
        }
        if let Some(more) = self.log.connects.admit(self.log.now)
            && let Some(subscriber) = &self.table[key]
        {
            let destinations = self.destination_words(subscriber);
            info!(subscriber = %subscriber.peer, destinations, "connected{more}");
        }
    }

    /// Who has subscribed is gone.
    #[cold]
    pub(super) fn log_disconnected(&mut self, subscriber: &Subscriber, why: &dyn fmt::Display) {
        if !subscriber.is_announced {
            return;
        }
        if let Some(more) = self.log.disconnects.admit(self.log.now) {
            let destinations = self.destination_words(subscriber);
            let why = why.to_string();
            info!(
                subscriber = %subscriber.peer,
                destinations,
                frames = subscriber.written,
                why,
                "disconnected{more}"
            );
        }
    }

    /// Logs how many were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if let Some(more) = self.log.connects.overdue(now) {
            info!(count = more.count, "more subscribers have connected");
        }
        if let Some(more) = self.log.disconnects.overdue(now) {
            info!(count = more.count, "more subscribers have disconnected");
        }
        if let Some(more) = self.log_refused.overdue(now) {
            warn!(count = more.count, "more subscribers were refused");
        }
    }

    /// "table1, table2 and 96 others", and ", as standby for 1 of them" while no frame says that it has taken over.
    pub(super) fn destination_words(&self, subscriber: &Subscriber) -> String {
        let first = subscriber.first_destinations.iter();
        let names = first.filter_map(|index| self.destinations.name(*index));
        let names: Vec<_> = names.map(|name| name.to_string()).collect();
        let words = names.join(", ");
        let words = match subscriber.requested.len().saturating_sub(names.len()) {
            0 => words,
            1 => format!("{words} and 1 other"),
            others => format!("{words} and {others} others"),
        };
        match subscriber.standby_count {
            _ if subscriber.written > 0 => words,
            0 => words,
            count if count >= subscriber.requested.len() => format!("{words}, as standby"),
            count => format!("{words}, as standby for {count} of them"),
        }
    }
}
