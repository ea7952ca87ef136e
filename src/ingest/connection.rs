//! A connection to or from a source, and the table of all of them.
//!
//! Values only; the agent owns the sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::budget::Budget;
use super::confirm::Confirmation;
use super::lines::Lines;
use super::pace::{Pace, Share};
use super::turn::Sender;
use super::waits::Wait;
use crate::config::MaxRate;
use crate::limits::OUTCOME_LINES_MAX;
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
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    /// Its name, and how much of the time its wrong lines may take.
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
        if !is_bound || matches!(self.origin, Origin::Configured(_)) {
            return Ok(None);
        }
        self.pace.share(rate, now_ns).map(Some).map_err(Wait::Rate)
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

/// All connections, and the queue of those to read.
#[derive(Debug)]
pub(super) struct Connections {
    table: Vec<Option<Connection>>,
    /// The last connection of each source.
    keys: Vec<Key>,
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
                budget: Budget::new(0),
            },
            pace: Pace::default(),
            lines,
            framer: Framer::new(self.line_len_max),
            peer: Peer::default(),
            came_at_ns: now_ns,
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
            Origin::Configured(index) => index as SourceIndex,
            Origin::DialledIn(_) => self.free_sources.pop().unwrap_or_else(|| {
                self.next_source += 1;
                self.next_source - 1
            }),
        }
    }

    /// A connection is over.
    pub(super) fn close(&mut self, key: Key) -> Option<Connection> {
        let connection = self.table.get_mut(key)?.take()?;
        self.gone_floor_ms = self.gone_floor_ms.max(connection.lines.floor_ms);
        if let Origin::DialledIn(_) = connection.origin {
            self.free_sources.push(connection.lines.source);
        }
        Some(connection)
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
mod tests {
    use super::*;

    #[test]
    fn a_source_that_comes_again_is_told_from_its_earlier_connection() {
        let mut connections = Connections::new(1, 100, 7);
        connections.open(3, Origin::Configured(0), "s".to_owned(), true, 0);
        assert!(connections.of_source(0, 1).is_some_and(|(key, _)| key == 3));
        connections.get_mut(3).expect("it is there").lines.floor_ms = 9;
        assert!(connections.close(3).is_some() && connections.close(3).is_none());
        connections.open(3, Origin::Configured(0), "s".to_owned(), true, 0);
        assert!(connections.of_source(0, 1).is_none());
        let (_, connection) = connections.of_source(0, 2).expect("the second one");
        assert_eq!(
            connection.lines.floor_ms, 9,
            "nothing goes before what was there"
        );
    }

    #[test]
    fn producers_get_the_indices_of_those_that_went() {
        let peer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
        let mut connections = Connections::new(2, 100, 0);
        let open = |connections: &mut Connections, key| {
            connections.open(key, peer, "p".to_owned(), false, 0);
            connections.get_mut(key).expect("it is there").lines.source
        };
        assert_eq!(
            [open(&mut connections, 0), open(&mut connections, 1)],
            [2, 3]
        );
        connections.close(0);
        assert_eq!(
            [open(&mut connections, 5), open(&mut connections, 0)],
            [2, 4]
        );
    }

    #[test]
    fn a_connection_is_in_the_queue_once_and_not_while_it_waits() {
        let mut connections = Connections::new(1, 100, 0);
        connections.open(0, Origin::Configured(0), "s".to_owned(), false, 0);
        connections.enqueue(0);
        connections.enqueue(9);
        assert_eq!(connections.readable_len(), 1);
        assert_eq!(connections.next_readable(), Some(0));
        connections.get_mut(0).expect("it is there").waits_for = Some(Wait::Rejects);
        connections.enqueue(0);
        assert_eq!(connections.next_readable(), None);
    }

    #[test]
    fn an_end_is_told_once_and_a_reset_that_a_write_has_seen_is_told_by_the_next_read() {
        let kind = |read: io::Result<usize>| read.map_err(|error| error.kind());
        let mut peer = Peer::default();
        assert_eq!(kind(peer.note_read(Ok(5))), Ok(5));
        assert_eq!(kind(peer.note_read(Ok(0))), Ok(0));
        assert_eq!(kind(peer.note_read(Ok(0))), Err(ErrorKind::WouldBlock));
        let mut peer = Peer::default();
        let closed = Err(ErrorKind::BrokenPipe.into());
        assert_eq!(kind(peer.note_read(closed)), Ok(0));
        assert!(peer.has_ended && peer.broken.is_some());
        let mut peer = Peer {
            has_ended: false,
            broken: Some(ErrorKind::ConnectionReset),
        };
        assert_eq!(kind(peer.note_read(Ok(3))), Ok(3));
        assert_eq!(kind(peer.note_read(Ok(0))), Err(ErrorKind::ConnectionReset));
    }
}
