//! Answering: sources that wish it are told how many of their lines the engine has taken
//! responsibility for.
//!
//! `lines` knows how many that are; the scheduler says which lines are recorded, the rejects agent
//! which are durable.

use std::io::{self, IoSlice, Write};

use super::agent::IngestAgent;
use super::connection::Connection;
use super::waits::Wait;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{LEAVING_TICK_NS, UNTAKEN_ACK_NS_MAX};
use crate::net::{Key, Network};

/// Which connections are looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// Connections with something to acknowledge, or to go on writing.
    owing: Vec<Key>,
    /// Connections that wait until rejected lines are durable, and how far these are.
    awaiting_rejects: Vec<Key>,
    durable: u64,
    /// Connections whose peers have ended their side, and are not told all yet.
    leaving: Vec<Key>,
    look_at_ns: u64,
}

impl Answering {
    /// The connection is looked at in this cycle.
    pub(super) fn owe(&mut self, key: Key) {
        self.owing.push(key);
    }

    /// Its peer has ended its side.
    pub(super) fn note_leaving(&mut self, key: Key) {
        self.leaving.push(key);
    }
}

impl<N: Network> IngestAgent<N> {
    /// Sees whether more rejected lines are durable than before; who waits for that is looked at.
    pub(super) fn poll_rejects(&mut self) -> usize {
        let durable = self.output.rejects_durable();
        if std::mem::replace(&mut self.answering.durable, durable) == durable {
            return 0;
        }
        for key in self.answering.awaiting_rejects.drain(..) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.awaits_rejects = false;
                self.answering.owing.push(key);
            }
        }
        1
    }

    /// Tells sources what is taken. Those that wait for a rejected line come again.
    pub(super) fn acknowledge(&mut self, now: Now) {
        let durable = self.output.rejects_durable();
        let mut owing = std::mem::take(&mut self.answering.owing);
        for key in owing.drain(..) {
            let Some(connection) = self.connections.get_mut(key) else {
                continue;
            };
            connection.lines.note_durable(durable);
            let awaits = connection.lines.awaits_rejects();
            if awaits && !std::mem::replace(&mut connection.awaits_rejects, true) {
                self.answering.awaiting_rejects.push(key);
            }
            match answer(key, connection, &mut self.net, &self.counters, now) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.note_broken(key, &error, now);
                }
                _ if connection.is_done() => {
                    let error = io::ErrorKind::UnexpectedEof.into();
                    self.end(key, &error, now);
                }
                _ => {}
            }
        }
        self.answering.owing = owing;
    }

    /// The peer cannot be told any more. What it has sent before is read still, and wrong lines of
    /// it are kept as soon as there is room; a connection of which nothing more can be read now is
    /// over.
    fn note_broken(&mut self, key: Key, error: &io::Error, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let waits_long = matches!(connection.waits_for, Some(Wait::Destination(_)));
        let has_lines = connection.framer.is_suspended() && !waits_long;
        if !has_lines && (connection.peer.has_ended || waits_long) {
            self.end(key, error, now);
            return;
        }
        connection.peer.broken = Some(error.kind());
        connection.unsent.clear();
        self.connections.enqueue(key);
    }

    /// A peer that has ended its side and takes none of its acknowledgements is not waited for for
    /// ever. One that takes them is, however long the journal needs.
    pub(super) fn close_leaving(&mut self, now: Now) {
        if self.answering.leaving.is_empty() || now.ns < self.answering.look_at_ns {
            return;
        }
        self.answering.look_at_ns = now.ns + LEAVING_TICK_NS;
        let mut leaving = std::mem::take(&mut self.answering.leaving);
        leaving.retain(|&key| {
            let connection = self.connections.get_mut(key);
            let Some(connection) = connection.filter(|found| found.peer.has_ended) else {
                return false;
            };
            let waited_ns = now.ns.saturating_sub(connection.unsent_since_ns);
            let is_late = !connection.unsent.is_empty() && waited_ns >= UNTAKEN_ACK_NS_MAX;
            if is_late {
                self.end(key, &io::ErrorKind::TimedOut.into(), now);
            }
            !is_late
        });
        self.answering.leaving = leaving;
    }
}

/// Writes what can be acknowledged, and what the socket did not take before.
fn answer(
    key: Key,
    connection: &mut Connection,
    net: &mut impl Network,
    counters: &Counters,
    now: Now,
) -> io::Result<()> {
    if connection.peer.broken.is_some() {
        return Ok(());
    }
    let is_skipping = connection.framer.is_skipping();
    if connection.unsent.is_empty()
        && let Some(line) = connection.lines.acknowledge(is_skipping)
    {
        connection.unsent_since_ns = now.ns;
        counters.add(Counter::AcksSent, 1);
        writeln!(connection.unsent, "{{\"ack\":{line}}}")?;
    }
    while !connection.unsent.is_empty() {
        let taken = net.write(key, &[IoSlice::new(&connection.unsent)])?;
        connection.unsent.drain(..taken);
        connection.unsent_since_ns = now.ns;
    }
    Ok(())
}
