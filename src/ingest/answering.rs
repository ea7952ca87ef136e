//! Answering: acknowledges to sources that wish it how many of their lines the engine is responsible
//! for.
//!
//! The agent feeds it the connections to check and how far rejected lines are durable; `lines` knows
//! what can be acknowledged. It writes to the sockets, and reports the connections that are over to
//! the agent, which ends them.

use std::io::{self, ErrorKind, IoSlice};

use super::connection::{Connection, Connections};
use super::waits::Wait;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{LEAVING_TICK_NS, UNTAKEN_ACK_NS_MAX};
use crate::net::{Key, Network};

/// Connections that are over, and why.
pub(super) type Ended = Vec<(Key, io::Error)>;

/// The core: which connections are checked, and when.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// Connections with something to acknowledge, or to go on writing.
    owing: Vec<Key>,
    /// Connections that wait until rejected lines are durable, and how far these are.
    awaiting_rejects: Vec<Key>,
    durable: u64,
    /// Connections whose peers have ended their side, and have not got all acknowledgements.
    leaving: Vec<Key>,
    check_at_ns: u64,
}

impl Answering {
    /// The connection is checked in this cycle.
    pub(super) fn owe(&mut self, key: Key) {
        self.owing.push(key);
    }

    /// Its peer has ended its side.
    pub(super) fn note_leaving(&mut self, key: Key) {
        self.leaving.push(key);
    }

    /// Rejected lines are durable up to here: connections that wait for that are checked. Returns the
    /// work count.
    pub(super) fn note_durable(&mut self, durable: u64, connections: &mut Connections) -> usize {
        if std::mem::replace(&mut self.durable, durable) == durable {
            return 0;
        }
        for key in self.awaiting_rejects.drain(..) {
            if let Some(connection) = connections.get_mut(key) {
                connection.awaits_rejects = false;
                self.owing.push(key);
            }
        }
        1
    }

    /// Writes acknowledgements. Connections that wait for a rejected line are checked again when it
    /// is durable.
    pub(super) fn acknowledge(
        &mut self,
        connections: &mut Connections,
        net: &mut impl Network,
        counters: &Counters,
        now: Now,
        ended: &mut Ended,
    ) {
        for key in self.owing.drain(..) {
            let Some(connection) = connections.get_mut(key) else {
                continue;
            };
            connection.lines.note_durable(self.durable);
            let awaits = connection.lines.awaits_rejects();
            if awaits && !std::mem::replace(&mut connection.awaits_rejects, true) {
                self.awaiting_rejects.push(key);
            }
            match answer(key, connection, net, counters, now) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    if note_broken(connection, error.kind()) {
                        connections.enqueue(key);
                    } else {
                        ended.push((key, error));
                    }
                }
                _ if connection.is_done() => ended.push((key, ErrorKind::UnexpectedEof.into())),
                _ if connection.may_go_on() => connections.resume(key),
                _ => {}
            }
        }
    }

    /// A peer that has ended its side and takes none of its acknowledgements for
    /// [`UNTAKEN_ACK_NS_MAX`] is closed. One that takes them is not, however long the journal needs.
    pub(super) fn close_leaving(
        &mut self,
        connections: &mut Connections,
        now: Now,
        ended: &mut Ended,
    ) {
        if self.leaving.is_empty() || now.ns < self.check_at_ns {
            return;
        }
        self.check_at_ns = now.ns + LEAVING_TICK_NS;
        self.leaving.retain(|&key| {
            let connection = connections.get_mut(key);
            let Some(connection) = connection.filter(|found| found.peer.has_ended) else {
                return false;
            };
            let waited_ns = now.ns.saturating_sub(connection.unsent_since_ns);
            let is_late = !connection.unsent.is_empty() && waited_ns >= UNTAKEN_ACK_NS_MAX;
            if is_late {
                ended.push((key, ErrorKind::TimedOut.into()));
            }
            !is_late
        });
    }
}

/// The peer gets no more acknowledgements. What it has sent before is still read, and wrong lines of
/// it are kept as soon as there is room. `false`: nothing more can be read now, the connection is
/// over.
fn note_broken(connection: &mut Connection, kind: ErrorKind) -> bool {
    let waits_long = matches!(connection.waits_for, Some(Wait::Destination(_)));
    let has_lines = connection.framer.is_suspended() && !waits_long;
    if !has_lines && (connection.peer.has_ended || waits_long) {
        return false;
    }
    connection.peer.broken = Some(kind);
    connection.unsent.clear();
    connection.lines.forget_outcomes();
    if connection.waits_for == Some(Wait::Answers) {
        connection.waits_for = None;
    }
    true
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
    loop {
        if connection.unsent.is_empty() {
            let (lines, unsent) = (&mut connection.lines, &mut connection.unsent);
            if !lines.acknowledge(is_skipping, unsent)? {
                return Ok(());
            }
            connection.unsent_since_ns = now.ns;
            counters.add(Counter::AcksSent, 1);
        }
        while !connection.unsent.is_empty() {
            let taken = net.write(key, &[IoSlice::new(&connection.unsent)])?;
            connection.unsent.drain(..taken);
            connection.unsent_since_ns = now.ns;
        }
    }
}

#[cfg(test)]
mod tests;
