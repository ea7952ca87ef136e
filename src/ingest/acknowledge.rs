//! Acknowledging: sources that wish it are told how many of their lines the engine has taken
//! responsibility for.
//!
//! The scheduler says which lines are recorded; what was rejected counts once it is kept.

use std::io::{self, IoSlice, Write};

use super::IngestAgent;
use super::hold::Wait;
use super::source::Connection;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{LEAVING_TICK_NS, UNTAKEN_ACK_NS_MAX};
use crate::message::SourceIndex;
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    pub(super) fn note_responsible(&mut self, source: SourceIndex, number: u32, line: u64) {
        let Some(&key) = self.keys.get(source as usize) else {
            return;
        };
        let connection = self.connections.get_mut(key).and_then(Option::as_mut);
        let is_it = |it: &&mut Connection| it.source == source && it.number == number;
        if let Some(connection) = connection.filter(is_it) {
            connection.responsible = line;
            self.owing.push(key);
        }
    }

    /// Tells sources what is taken. Those that wait for a rejected line to be kept come again.
    pub(super) fn acknowledge(&mut self, now: Now) {
        let kept = self.parts.rejects.kept();
        let mut owing = std::mem::take(&mut self.owing);
        for key in owing.drain(..) {
            let Some(mut connection) = self.connections.get_mut(key).and_then(Option::take) else {
                continue;
            };
            connection.unkept.advance(kept);
            let is_waiting = connection.unkept.is_waiting();
            if is_waiting && !std::mem::replace(&mut connection.awaits_kept, true) {
                self.awaiting_kept.push(key);
            }
            match self.acknowledge_one(key, &mut connection, now) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.note_broken(key, connection, &error, now);
                }
                _ if connection.is_done() => {
                    let error = io::ErrorKind::UnexpectedEof.into();
                    self.end(key, connection, &error, now);
                }
                _ => self.connections[key] = Some(connection),
            }
        }
        self.owing = owing;
    }

    /// Sees whether more rejected lines are kept than before; who waits for that is looked at.
    pub(super) fn hear_kept(&mut self) -> usize {
        let kept = self.parts.rejects.kept();
        if std::mem::replace(&mut self.rejected_kept, kept) == kept {
            return 0;
        }
        for key in self.awaiting_kept.drain(..) {
            if let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut) {
                connection.awaits_kept = false;
                self.owing.push(key);
            }
        }
        1
    }

    /// The peer cannot be told any more. What it has sent before is read still, and wrong lines of it
    /// are kept as soon as there is room; a connection of which nothing more can be read now is over.
    fn note_broken(&mut self, key: Key, mut connection: Connection, error: &io::Error, now: Now) {
        let waits_long = matches!(connection.waits_for, Some(Wait::Destination(_)));
        let has_lines = connection.framer.is_holding() && !waits_long;
        if !has_lines && (connection.has_ended || waits_long) {
            self.end(key, connection, error, now);
            return;
        }
        connection.broken = Some(error.kind());
        connection.unsent.clear();
        self.connections[key] = Some(connection);
        self.enqueue(key);
    }

    /// A peer that has ended its side and takes none of its acknowledgements is not waited for for
    /// ever. One that takes them is, however long the journal needs.
    pub(super) fn give_up_leaving(&mut self, now: Now) {
        if self.leaving.is_empty() || now.ns < self.leaving_tick_at_ns {
            return;
        }
        self.leaving_tick_at_ns = now.ns + LEAVING_TICK_NS;
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|&key| {
            let Some(connection) = self.connections[key].take_if(|it| it.has_ended) else {
                return false;
            };
            let waited_ns = now.ns.saturating_sub(connection.unsent_since_ns);
            let is_late = !connection.unsent.is_empty() && waited_ns >= UNTAKEN_ACK_NS_MAX;
            if is_late {
                self.end(key, connection, &io::ErrorKind::TimedOut.into(), now);
            } else {
                self.connections[key] = Some(connection);
            }
            !is_late
        });
        self.leaving = leaving;
    }

    fn acknowledge_one(
        &mut self,
        key: Key,
        connection: &mut Connection,
        now: Now,
    ) -> io::Result<()> {
        if connection.broken.is_some() {
            return Ok(());
        }
        let line = connection.acknowledgeable();
        if connection.unsent.is_empty() && connection.ack && line > connection.acknowledged {
            connection.acknowledged = line;
            connection.unsent_since_ns = now.ns;
            self.parts.counters.add(Counter::AcksSent, 1);
            writeln!(connection.unsent, "{{\"ack\":{line}}}")?;
        }
        while !connection.unsent.is_empty() {
            let taken = self
                .parts
                .net
                .write(key, &[IoSlice::new(&connection.unsent)])?;
            connection.unsent.drain(..taken);
            connection.unsent_since_ns = now.ns;
        }
        Ok(())
    }
}
