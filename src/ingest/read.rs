//! Reading: a read of each connection in turn, where a whole one finds room downstream.
//!
//! The event loop says whose turn it may be; the framer cuts what was read, and each line is judged.

use std::io;

use super::IngestAgent;
use super::judge::Fate;
use super::source::Connection;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{CHUNKS_PER_READ, LINE_LEN_MAX, LINE_LEN_MIN, READ_LEN_MAX, READS_PER_CYCLE};
use crate::message::Reason;
use crate::net::{Key, Network};

/// Ring entries that a read may need: its lines, and the sums of what was rejected.
const ENTRIES_PER_READ: usize =
    (READ_LEN_MAX + LINE_LEN_MAX) / LINE_LEN_MIN + CHUNKS_PER_READ + Reason::ALL.len();

/// Of a longer read the system has confirmed all but the last by itself, and more may be there.
const DRAINED_LEN_MAX: usize = 4096;

/// So many drained connections do not wait for a cycle in which there is nothing to read.
pub(super) const DRAINED_MAX: usize = 16;

impl<N: Network> IngestAgent<N> {
    /// Whether a whole read finds room downstream.
    fn has_room(&self) -> bool {
        self.parts.to_scheduler.room() >= ENTRIES_PER_READ
            && self.spare.len() >= CHUNKS_PER_READ
            && self.parts.rejected.pending() == 0
    }

    pub(super) fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
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
            if self.must_pause(&connection) {
                self.parts.counters.add(Counter::IngestBackPressure, 1);
                self.connections[key] = Some(connection);
                self.enqueue(key);
                continue;
            }
            match self.read_one(key, &mut connection, now) {
                Ok(filled) => {
                    work_count += filled.div_ceil(LINE_LEN_MIN);
                    self.connections[key] = Some(connection);
                    if self.drained.last() != Some(&key) {
                        self.enqueue(key);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.connections[key] = Some(connection);
                }
                Err(error) => self.end(key, connection, &error, now),
            }
            self.flush_rejected(now);
        }
        if self.drained.len() >= DRAINED_MAX {
            self.look_again();
        }
        work_count
    }

    fn read_one(&mut self, key: Key, connection: &mut Connection, now: Now) -> io::Result<usize> {
        let kept = connection.framer.restore(&mut self.buffer);
        let filled = match self.release(connection) {
            true => kept,
            false => kept + self.read_socket(key, kept)?,
        };
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            if let Fate::Held(destination) = self.take_line(connection, line, now) {
                self.hold(key, connection, destination, now);
                break;
            }
        }
        connection.framer.keep(&self.buffer[..filled]);
        self.note_held_len(connection);
        self.tell_rejections();
        let awaits = connection.unkept.wants().is_some() && !connection.awaits_kept;
        if awaits || connection.acknowledgeable() > connection.acknowledged {
            self.owing.push(key);
        }
        Ok(filled)
    }

    /// Reads behind what a connection has kept.
    fn read_socket(&mut self, key: Key, kept: usize) -> io::Result<usize> {
        let into = &mut self.buffer[kept..kept + READ_LEN_MAX];
        let read_len = match self.parts.net.read(key, into) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            other => other,
        }?;
        self.parts.counters.add(Counter::BytesIn, read_len as u64);
        if read_len < DRAINED_LEN_MAX {
            self.drained.push(key);
        }
        Ok(read_len)
    }

    /// Nothing waits to be read, and what was read is on its way: here is the time that its read did
    /// not take, to confirm it, and to see whether its peer has gone.
    pub(super) fn look_again(&mut self) -> usize {
        let mut drained = std::mem::take(&mut self.drained);
        let work_count = drained.len();
        for key in drained.drain(..) {
            self.parts.net.confirm(key);
            self.enqueue(key);
        }
        self.drained = drained;
        work_count
    }
}
