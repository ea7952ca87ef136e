//! A connection to or from a source, and the table of all of them.
//!
//! Values only; the agent owns the sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::budget::Budget;
use super::confirm::Confirmation;
use super::duplicates::Duplicates;
use super::lines::Lines;
use super::pace::{Pace, Share};
use super::turn::Sender;
use super::waits::Wait;
use crate::config::MaxRate;
use crate::limits::{OUTCOME_LINES_MAX, REMOVED_READ_LEN_MAX};
use crate::message::SourceIndex;
use crate::net::Key;
use crate::net::framer::Framer;

/// How a connection came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The engine has dialled this one of the configured sources.
    Configured(usize),
    /// A producer has dialled in from there.
    DialledIn(SocketAddr),
    /// It was a configured source, which the settings name no more: what it holds goes on, and it is
    /// closed.
    Removed,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    /// Its name, and how much of the time its wrong lines and its duplicates may take.
    pub(super) sender: Sender,
    /// What it has taken of `max_rate`.
    pub(super) pace: Pace,
    /// How far its lines are.
    pub(super) lines: Lines,
    /// Cuts its lines.
    pub(super) framer: Framer,
    pub(super) peer: Peer,
    /// When it came, in ns.
    pub(super) came_at_ns: u64,
    /// Bytes that are still read of it at most where its source is removed.
    pub(super) last_len: usize,
    /// When something was read of it last, in ns, or it came.
    pub(super) read_at_ns: u64,
    /// It is in the queue of connections to read.
    pub(super) is_queued: bool,
    /// It is not read on before it has this.
    pub(super) waits_for: Option<Wait>,
    /// It is in the list of connections that wait until rejected lines are durable.
    pub(super) awaits_rejects: bool,
    /// Bytes of an acknowledgement that the socket did not take.
    pub(super) unsent: Vec<u8>,
    /// Since when the socket has taken none of them, in ns.
    pub(super) unsent_since_ns: u64,
    /// Whether its peer knows what was read.
    pub(super) confirmation: Confirmation,
}

impl Connection {
    /// What its turn may take, if it is a producer with a rate.
    ///
    /// # Errors
    /// It must wait first.
    #[inline]
    pub(super) fn share(&self, rate: &MaxRate, now_ns: u64) -> Result<Option<Share>, Wait> {
        let is_bound = rate.lines.is_some() || rate.bytes.is_some();
        if !is_bound || !matches!(self.origin, Origin::DialledIn(_)) {
            return Ok(None);
        }
        self.pace.share(rate, now_ns).map(Some).map_err(Wait::Rate)
    }

    /// Whether its source is removed, and it is read no more.
    #[inline]
    pub(super) fn is_leaving(&self) -> bool {
        self.origin == Origin::Removed
            && !self.framer.is_suspended()
            && (self.peer.has_ended || self.last_len == 0)
    }

    /// Whether nothing more is to be read or acknowledged.
    pub(super) fn is_done(&self) -> bool {
        let is_told = self.lines.is_acknowledged() && self.unsent.is_empty();
        let owes = self.lines.ack && self.peer.broken.is_none() && !is_told;
        self.peer.has_ended && !self.framer.is_suspended() && !owes
    }

    /// Whether it has waited for room for outcomes, and half of it is there.
    pub(super) fn may_go_on(&self) -> bool {
        self.waits_for == Some(Wait::Answers) && self.lines.room() >= OUTCOME_LINES_MAX / 2
    }

    /// Whether an acknowledgement, or its end, is due.
    pub(super) fn is_owed(&self) -> bool {
        let awaits_rejects = self.lines.awaits_rejects() && !self.awaits_rejects;
        let is_skipping = self.framer.is_skipping();
        awaits_rejects || self.peer.has_ended || self.lines.owes_acknowledgement(is_skipping)
    }
}

/// What is known of the other side.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// It has ended its side: nothing more comes, and what was accepted is acknowledged.
    pub(super) has_ended: bool,
    /// A write has failed, in this way: nothing more is written, and what the peer has sent is
    /// read.
    pub(super) broken: Option<ErrorKind>,
}

impl Peer {
    /// Notes what a read has come to; zero: the peer has just ended its side.
    ///
    /// # Errors
    /// Nothing can be read now (`WouldBlock`), or the connection was reset.
    pub(super) fn note_read(&mut self, read: io::Result<usize>) -> io::Result<usize> {
        let read_len = match read {
            // The peer ended its side, then closed, and refuses what is written: all it sent is
            // here.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.broken = Some(ErrorKind::BrokenPipe);
                0
            }
            other => other?,
        };
        if read_len > 0 {
            return Ok(read_len);
        }
        match self.broken {
            // A write has got the reset, and the system reports it once.
            Some(kind) if kind != ErrorKind::BrokenPipe => Err(kind.into()),
            _ if std::mem::replace(&mut self.has_ended, true) => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(0),
        }
    }
}

/// No source has this index.
const NO_SOURCE: SourceIndex = SourceIndex::MAX;

/// All connections, and the queue of those to read.
#[derive(Debug)]
pub(super) struct Connections {
    table: Vec<Option<Connection>>,
    /// The last connection of each source.
    keys: Vec<Key>,
    /// The source index of each configured source, by slot; [`NO_SOURCE`]: the slot is free.
    slots: Vec<SourceIndex>,
    /// Source indices of connections that dialled in and went.
    free_sources: Vec<SourceIndex>,
    next_source: SourceIndex,
    last_number: u32,
    /// Connections that may have something to read, in turn.
    readable: VecDeque<Key>,
    line_len_max: usize,
    /// No producer that dialled in and went, and nothing of an earlier run, is later
    /// than this, in ms.
    gone_floor_ms: u64,
}

impl Connections {
    /// None yet, for so many configured sources.
    pub(super) fn new(sources: usize, line_len_max: usize, floor_ms: u64) -> Self {
        Self {
            table: Vec::new(),
            keys: vec![0; sources],
            slots: (0..sources as SourceIndex).collect(),
            free_sources: Vec::new(),
            next_source: sources as SourceIndex,
            last_number: 0,
            readable: VecDeque::with_capacity(1024),
            line_len_max,
            gone_floor_ms: floor_ms,
        }
    }

    /// A connection stands.
    pub(super) fn open(&mut self, key: Key, origin: Origin, name: String, ack: bool, now_ns: u64) {
        self.last_number = self.last_number.wrapping_add(1);
        let source = self.source_of(origin);
        if self.table.len() <= key {
            self.table.resize_with(key + 1, || None);
        }
        if self.keys.len() <= source as usize {
            self.keys.resize(source as usize + 1, 0);
        }
        self.keys[source as usize] = key;
        let mut lines = Lines::new(source, self.last_number, ack, self.gone_floor_ms);
        lines.may_greet = matches!(origin, Origin::DialledIn(_));
        self.table[key] = Some(Connection {
            origin,
            sender: Sender {
                name,
                user: None,
                certificate: None,
                budget: Budget::for_wrong_lines(0),
                duplicates: Duplicates::new(now_ns),
            },
            pace: Pace::default(),
            lines,
            framer: Framer::new(self.line_len_max),
            peer: Peer::default(),
            came_at_ns: now_ns,
            last_len: REMOVED_READ_LEN_MAX,
            read_at_ns: now_ns,
            is_queued: false,
            waits_for: None,
            awaits_rejects: false,
            unsent: Vec::new(),
            unsent_since_ns: 0,
            confirmation: Confirmation::Told,
        });
        self.enqueue(key);
    }

    fn source_of(&mut self, origin: Origin) -> SourceIndex {
        match origin {
            Origin::Configured(slot) => self.slots[slot],
            Origin::DialledIn(_) | Origin::Removed => self.take_source(),
        }
    }

    fn take_source(&mut self) -> SourceIndex {
        self.free_sources.pop().unwrap_or_else(|| {
            self.next_source += 1;
            self.next_source - 1
        })
    }

    /// A source is configured, in a slot that is free or the next one.
    pub(super) fn add_source(&mut self, slot: usize) {
        let source = self.take_source();
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, NO_SOURCE);
        }
        debug_assert_eq!(self.slots[slot], NO_SOURCE);
        self.slots[slot] = source;
    }

    /// The source of a slot is configured no more. Returns its connection, if there is one.
    pub(super) fn remove_source(&mut self, slot: usize) -> Option<Key> {
        let key = self.of_slot(slot).map(|(key, connection)| {
            connection.origin = Origin::Removed;
            key
        });
        let source = std::mem::replace(&mut self.slots[slot], NO_SOURCE);
        if key.is_none() {
            self.free_sources.push(source);
        }
        key
    }

    /// The connection of a configured source.
    pub(super) fn of_slot(&mut self, slot: usize) -> Option<(Key, &mut Connection)> {
        let source = *self.slots.get(slot)?;
        let key = *self.keys.get(source as usize)?;
        let connection = self.get_mut(key)?;
        let is_its = connection.origin == Origin::Configured(slot);
        is_its.then_some((key, connection))
    }

    /// The slot of a source; `None`: it dialled in, or is configured no more.
    pub(super) fn slot_of(&self, source: SourceIndex) -> Option<usize> {
        self.slots.iter().position(|it| *it == source)
    }

    /// A connection is over.
    pub(super) fn close(&mut self, key: Key) -> Option<Connection> {
        let connection = self.table.get_mut(key)?.take()?;
        self.gone_floor_ms = self.gone_floor_ms.max(connection.lines.floor_ms);
        if let Origin::DialledIn(_) | Origin::Removed = connection.origin {
            self.free_sources.push(connection.lines.source);
        }
        Some(connection)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Connection> {
        self.table.get(key)?.as_ref()
    }

    /// All keys are below.
    pub(super) fn keys_end(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Connection> {
        self.table.get_mut(key)?.as_mut()
    }

    /// This connection of a source, if it is there still.
    pub(super) fn of_source(
        &mut self,
        source: SourceIndex,
        number: u32,
    ) -> Option<(Key, &mut Connection)> {
        let key = *self.keys.get(source as usize)?;
        let connection = self.get_mut(key)?;
        let lines = &connection.lines;
        (lines.source == source && lines.connection == number).then_some((key, connection))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Connection)> {
        let table = self.table.iter().enumerate();
        table.filter_map(|(key, connection)| Some((key, connection.as_ref()?)))
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Connection)> {
        let table = self.table.iter_mut().enumerate();
        table.filter_map(|(key, connection)| Some((key, connection.as_mut()?)))
    }

    /// The connection is read in its turn, unless it waits.
    pub(super) fn enqueue(&mut self, key: Key) {
        if let Some(connection) = self.table.get_mut(key).and_then(Option::as_mut)
            && !connection.is_queued
            && connection.waits_for.is_none()
        {
            connection.is_queued = true;
            self.readable.push_back(key);
        }
    }

    /// The connection waits no more, and is read in its turn.
    pub(super) fn resume(&mut self, key: Key) {
        if let Some(connection) = self.get_mut(key) {
            connection.waits_for = None;
            self.enqueue(key);
        }
    }

    /// How many are to be read.
    pub(super) fn readable_len(&self) -> usize {
        self.readable.len()
    }

    /// The one that is to be read next.
    pub(super) fn next_readable(&mut self) -> Option<Key> {
        let key = self.readable.pop_front()?;
        if let Some(connection) = self.get_mut(key) {
            connection.is_queued = false;
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests;
