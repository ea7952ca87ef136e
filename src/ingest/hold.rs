//! Holding: a source whose next line is for a destination with as many messages as may wait is not
//! read on until there is room. What was read behind that line stays with its connection.
//!
//! The scheduler feeds it allowances. Other sources, and what other sources send to the same
//! destination, are none of its business: each is held by its own next line.

use tracing::info;

use super::source::Connection;
use super::{IngestAgent, IngestParts};
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::HELD_LEN_MAX;
use crate::message::DestinationIndex;
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    /// A destination has room again: who waits for it goes on.
    pub(super) fn raise(&mut self, destination: DestinationIndex, until: u64) {
        self.parts.allowances.raise(destination, until);
        for at in (0..self.holding.len()).rev() {
            let key = self.holding[at];
            let connection = self.connections.get_mut(key).and_then(Option::as_mut);
            let waiting = connection.filter(|it| it.waits_for == Some(destination));
            if let Some(connection) = waiting {
                connection.waits_for = None;
                self.holding.swap_remove(at);
                self.enqueue(key);
            }
        }
        self.show_held();
    }

    /// The connection waits for room; its framer holds the line already.
    pub(super) fn hold(
        &mut self,
        key: Key,
        connection: &mut Connection,
        destination: DestinationIndex,
        now: Now,
    ) {
        connection.waits_for = Some(destination);
        self.holding.push(key);
        self.parts.counters.add(Counter::QueueFullWaits, 1);
        self.show_held();
        if let Some(more) = self.log_held.admit(now) {
            let IngestParts { destinations, .. } = &self.parts;
            let name = destinations.name(destination).unwrap_or_default();
            info!(source = %connection.name, destination = %name, "waits: max_queued is reached{more}");
        }
    }

    /// A turn begins: says whether the connection has lines that were held, which now it takes.
    pub(super) fn release(&mut self, connection: &mut Connection) -> bool {
        let was_holding = connection.framer.is_holding();
        if was_holding {
            self.held_len -= connection.framer.partial_len();
            connection.framer.resume();
        }
        was_holding
    }

    /// A turn ends: counts the lines that the connection holds.
    pub(super) fn note_held_len(&mut self, connection: &Connection) {
        if connection.framer.is_holding() {
            self.held_len += connection.framer.partial_len();
        }
    }

    /// Whether a connection must not read because others hold too much.
    pub(super) fn must_pause(&self, connection: &Connection) -> bool {
        self.held_len > HELD_LEN_MAX && !connection.framer.is_holding()
    }

    /// The connection ends.
    pub(super) fn forget_held(&mut self, key: Key, connection: &Connection) {
        if connection.framer.is_holding() {
            self.held_len -= connection.framer.partial_len();
        }
        if connection.waits_for.is_some() {
            self.holding.retain(|it| *it != key);
            self.show_held();
        }
    }

    fn show_held(&self) {
        let count = self.holding.len() as u64;
        self.parts.counters.set(Counter::SourcesHeld, count);
    }
}
