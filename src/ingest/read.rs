//! Reading: a read of each connection in turn, where a whole one finds room downstream.
//!
//! The event loop says whose turn it may be; the framer cuts what was read, and each line is judged.

use std::io;

use super::IngestAgent;
use super::hold::Wait;
use super::judge::Fate;
use super::source::{Confirmation, Connection};
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{
    CHUNKS_PER_READ, CONFIRM_NS_MAX, LINE_LEN_MAX, LINE_LEN_MIN, READ_LEN_HOLDING, READ_LEN_MAX,
    READ_LEN_SHARED, READS_PER_CYCLE, SHARED_NS, TURN_LINES_MAX,
};
use crate::message::Reason;
use crate::net::framer::Line;
use crate::net::{Key, Network};

/// Ring entries that a read may need: its lines, and the sums of what was rejected.
const ENTRIES_PER_READ: usize =
    (READ_LEN_MAX + LINE_LEN_MAX) / LINE_LEN_MIN + CHUNKS_PER_READ + Reason::ALL.len();

/// Behind a longer read there may be more: the next one tells.
const DRAINED_LEN_MAX: usize = 4096;

/// So many drained connections do not wait for a cycle in which there is nothing to read.
pub(super) const DRAINED_MAX: usize = 16;

/// What a connection's turn has come to.
struct Turn {
    /// Bytes of the buffer that were looked at.
    filled: usize,
    /// Little was read: it is confirmed before the connection is looked at again.
    is_short: bool,
}

impl<N: Network> IngestAgent<N> {
    /// Whether a whole read finds room downstream.
    fn has_room(&mut self) -> bool {
        self.parts.to_scheduler.has_room(ENTRIES_PER_READ) && self.spare.len() >= CHUNKS_PER_READ
    }

    pub(super) fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        self.release_wrong(now);
        // Each once: whether there is more can wait until what was read is on its way.
        for _ in 0..READS_PER_CYCLE.min(self.readable.len()) {
            if !self.has_room() {
                self.parts.counters.add(Counter::IngestBackPressure, 1);
                break;
            }
            let Some(key) = self.readable.pop_front() else {
                break;
            };
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_queued = false;
            match self.read_one(key, &mut connection, now) {
                Ok(turn) => {
                    work_count += turn.filled.div_ceil(LINE_LEN_MIN);
                    if turn.is_short || connection.waits_for.is_some() {
                        self.confirm_soon(key, &mut connection, true, now);
                    }
                    // Lines that were put off need no look at the socket.
                    let has_lines = connection.framer.is_holding();
                    self.connections[key] = Some(connection);
                    if has_lines || !turn.is_short {
                        self.enqueue(key);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.confirm_soon(key, &mut connection, false, now);
                    self.connections[key] = Some(connection);
                }
                Err(error) if self.keep_cut_off(&mut connection, now) => {
                    self.end(key, connection, &error, now);
                }
                Err(error) => {
                    connection.broken = Some(error.kind());
                    self.hold(key, &mut connection, Wait::Rejects, now);
                    self.connections[key] = Some(connection);
                }
            }
        }
        let is_late = !self.drained.is_empty() && now.ns >= self.confirm_at_ns;
        if is_late || self.drained.len() >= DRAINED_MAX {
            self.look_again();
        }
        work_count
    }

    fn read_one(&mut self, key: Key, connection: &mut Connection, now: Now) -> io::Result<Turn> {
        self.new_names.begin_turn();
        let kept = connection.framer.restore(&mut self.buffer);
        let filled = match self.release(connection) {
            true => kept,
            false => {
                let read_len = self.read_socket(key, connection, kept, now)?;
                connection.read_at_ns = connection.read_at_ns.and(Some(now.ns));
                kept + read_len
            }
        };
        self.take_lines(key, connection, filled, now);
        if connection.has_ended {
            self.take_last_line(key, connection, filled, now);
        }
        connection.framer.keep(&self.buffer[..filled]);
        self.note_held_len(connection);
        self.tell_rejections();
        let awaits = connection.unkept.is_waiting() && !connection.awaits_kept;
        if awaits || connection.has_ended || connection.acknowledgeable() > connection.acknowledged
        {
            self.owing.push(key);
        }
        let is_short = (1..DRAINED_LEN_MAX).contains(&(filled - kept));
        Ok(Turn { filled, is_short })
    }

    /// Takes a turn's lines: as many as are there, unless one finds no room, or they are so many, or so
    /// many of them wrong, that others must have a turn.
    fn take_lines(&mut self, key: Key, connection: &mut Connection, filled: usize, now: Now) {
        let mut count = 0;
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            count += 1;
            match self.take_line(connection, line, now) {
                Fate::Taken if count < TURN_LINES_MAX => {}
                Fate::Taken => return connection.framer.suspend(),
                Fate::Last => {
                    connection.framer.suspend();
                    return self.hold(key, connection, Wait::Share, now);
                }
                Fate::Held(wait) => return self.hold(key, connection, wait, now),
                Fate::Postponed => return,
            }
        }
    }

    /// How much is read at once: less where somebody who sends little at a time would wait for it.
    fn read_len(&self, now: Now) -> usize {
        let is_shared = now.ns < self.shared_until_ns;
        match self.holds_much() {
            true => READ_LEN_HOLDING,
            false if is_shared => READ_LEN_SHARED,
            false => READ_LEN_MAX,
        }
    }

    /// Reads behind what a connection has kept; zero: its peer has just ended its side.
    fn read_socket(
        &mut self,
        key: Key,
        connection: &mut Connection,
        kept: usize,
        now: Now,
    ) -> io::Result<usize> {
        let len = self.read_len(now);
        let into = &mut self.buffer[kept..kept + len];
        let read_len = match self.parts.net.read(key, into) {
            // The peer ended its side, then closed, and refuses what it is told: all it sent is here.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                connection.broken = Some(io::ErrorKind::BrokenPipe);
                0
            }
            result => result?,
        };
        if read_len > 0 {
            if read_len < DRAINED_LEN_MAX {
                self.shared_until_ns = now.ns + SHARED_NS;
            }
            self.parts.counters.add(Counter::BytesIn, read_len as u64);
            self.parts.pressure.note(read_len);
            connection.note_read();
        } else if let Some(kind) = connection
            .broken
            .filter(|it| *it != io::ErrorKind::BrokenPipe)
        {
            // The system has told a write of the reset, and tells it once.
            return Err(kind.into());
        } else if std::mem::replace(&mut connection.has_ended, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        } else {
            self.leaving.push(key);
        }
        Ok(read_len)
    }

    /// An orderly end ends the last line too.
    fn take_last_line(&mut self, key: Key, connection: &mut Connection, filled: usize, now: Now) {
        if connection.framer.is_holding() || connection.framer.has_more() {
            return;
        }
        if let Some(line) = connection.framer.finish(&self.buffer[..filled])
            && let Fate::Held(wait) = self.take_line(connection, line, now)
        {
            self.hold(key, connection, wait, now);
        }
    }

    /// The connection was reset: the line that this cut off is kept, for its source may not have it any
    /// more. What was held was not taken, and its source was told so. `false`: there is no room for it.
    pub(super) fn keep_cut_off(&mut self, connection: &mut Connection, now: Now) -> bool {
        if connection.framer.is_holding() {
            return true;
        }
        let kept = connection.framer.restore(&mut self.buffer);
        if let Some(Line::Whole(range)) = connection.framer.finish(&self.buffer[..kept]) {
            if let Fate::Held(_) = self.refuse_cut_off(connection, &range, now) {
                return false;
            }
            self.parts.counters.add(Counter::PartialLines, 1);
        }
        connection.framer.keep(&self.buffer[..kept]);
        true
    }

    /// The peer is told soon that what was read has come: it may wait for that with its next bytes
    /// (Nagle's algorithm). With `again`, there may be more to read.
    fn confirm_soon(&mut self, key: Key, connection: &mut Connection, again: bool, now: Now) {
        match &mut connection.confirmation {
            Confirmation::Listed { again: looks } => {
                *looks |= again;
                return;
            }
            Confirmation::Told if !again => return,
            listed => *listed = Confirmation::Listed { again },
        }
        if self.drained.is_empty() {
            self.confirm_at_ns = now.ns + CONFIRM_NS_MAX;
        }
        self.drained.push(key);
    }

    /// Nothing waits to be read, and what was read is on its way, or it is late: here is the time that
    /// its read did not take, to confirm it, and to see whether its peer has gone.
    pub(super) fn look_again(&mut self) -> usize {
        let mut drained = std::mem::take(&mut self.drained);
        let work_count = drained.len();
        for key in drained.drain(..) {
            let connection = self.connections.get_mut(key).and_then(Option::as_mut);
            let Some(connection) = connection else {
                continue;
            };
            let before = std::mem::replace(&mut connection.confirmation, Confirmation::Told);
            self.parts.net.confirm(key);
            if before != (Confirmation::Listed { again: false }) {
                self.enqueue(key);
            }
        }
        self.drained = drained;
        work_count
    }
}
