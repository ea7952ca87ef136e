//! Holding: a source whose next line finds no room is not read on until there is some: at its
//! destination, or, for a wrong line, in the ring to the rejects agent. So is, for a moment, one whose
//! wrong lines took more than their share of the time. What was read behind that line stays with its
//! connection.
//!
//! The scheduler feeds it allowances, the rejects agent room. Other sources, and what other sources
//! send to the same destination, are none of its business: each is held by its own next line.

use tracing::info;

use super::source::Connection;
use super::{IngestAgent, IngestParts};
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{HELD_LEN_MAX, READS_PER_CYCLE};
use crate::message::DestinationIndex;
use crate::net::{Key, Network};

/// What a connection waits for before it is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Its next line is for this destination, which has no room.
    Destination(DestinationIndex),
    /// Its next line is wrong, and the ring to the rejects agent has no room.
    Rejects,
    /// Its wrong lines have spent their share of the time.
    Share,
}

impl<N: Network> IngestAgent<N> {
    /// A destination has room again: who waits for it goes on.
    pub(super) fn raise(&mut self, destination: DestinationIndex, until: u64) {
        self.parts.allowances.raise(destination, until);
        for at in (0..self.holding.len()).rev() {
            let key = self.holding[at];
            let connection = self.connections.get_mut(key).and_then(Option::as_mut);
            let wait = Some(Wait::Destination(destination));
            let waiting = connection.filter(|it| it.waits_for == wait);
            if let Some(connection) = waiting {
                connection.waits_for = None;
                self.holding.swap_remove(at);
                self.enqueue(key);
            }
        }
        self.show_held();
    }

    /// The connection waits; its framer holds what is to come already.
    pub(super) fn hold(&mut self, key: Key, connection: &mut Connection, wait: Wait, now: Now) {
        connection.waits_for = Some(wait);
        match wait {
            Wait::Destination(destination) => {
                self.hold_for_destination(key, connection, destination, now);
            }
            Wait::Rejects => {
                self.parts.counters.add(Counter::RejectedWaits, 1);
                self.waiting_rejects.push_back(key);
                self.show_held();
            }
            Wait::Share => {
                self.parts.counters.add(Counter::RejectedPaced, 1);
                self.waiting_share.push_back(key);
            }
        }
    }

    fn hold_for_destination(
        &mut self,
        key: Key,
        connection: &Connection,
        destination: DestinationIndex,
        now: Now,
    ) {
        self.holding.push(key);
        self.parts.counters.add(Counter::QueueFullWaits, 1);
        self.show_held();
        if let Some(more) = self.log_held.admit(now) {
            let IngestParts { destinations, .. } = &self.parts;
            let name = destinations.name(destination).unwrap_or_default();
            info!(source = %connection.name, destination = %name, "waits: max_queued is reached{more}");
        }
    }

    /// Lets some go on for whose wrong lines there is room, or time, again: in the order in which they
    /// came to wait, and few in a cycle. Who finds no room after all waits again, behind the others.
    pub(super) fn release_wrong(&mut self, now: Now) {
        for _ in 0..READS_PER_CYCLE {
            if self.waiting_rejects.is_empty() || !self.parts.rejects.has_room() {
                break;
            }
            let next = self.waiting_rejects.pop_front();
            self.go_on(next, Wait::Rejects);
        }
        if let Some(&key) = self.waiting_share.front() {
            let connection = self.connections.get_mut(key).and_then(Option::as_mut);
            let is_back = connection.is_none_or(|it| it.share.is_back(now.ns));
            if is_back && self.refusals.share.is_back(now.ns) {
                let next = self.waiting_share.pop_front();
                self.go_on(next, Wait::Share);
            }
        }
    }

    fn go_on(&mut self, key: Option<Key>, wait: Wait) {
        let connection = key.and_then(|it| self.connections.get_mut(it)?.as_mut());
        if let Some(connection) = connection.filter(|it| it.waits_for == Some(wait)) {
            connection.waits_for = None;
            key.into_iter().for_each(|it| self.enqueue(it));
        }
        self.show_held();
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

    /// Whether others hold so much that a read must be small.
    pub(super) fn holds_much(&self) -> bool {
        self.held_len > HELD_LEN_MAX
    }

    /// The connection ends.
    pub(super) fn forget_held(&mut self, key: Key, connection: &Connection) {
        if connection.framer.is_holding() {
            self.held_len -= connection.framer.partial_len();
        }
        match connection.waits_for {
            None => return,
            Some(Wait::Destination(_)) => self.holding.retain(|it| *it != key),
            Some(Wait::Rejects) => self.waiting_rejects.retain(|it| *it != key),
            Some(Wait::Share) => self.waiting_share.retain(|it| *it != key),
        }
        self.show_held();
    }

    fn show_held(&self) {
        let counters = &self.parts.counters;
        counters.set(Counter::SourcesHeld, self.holding.len() as u64);
        let count = self.waiting_rejects.len() as u64;
        counters.set(Counter::RejectedHeld, count);
    }
}
