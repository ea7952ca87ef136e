//! Opening: connections that a dial has made, and producers that dial in.

use super::agent::IngestAgent;
use super::connection::Origin;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::ACCEPTS_PER_CYCLE;
use crate::net::{Key, Network, paused_line};

impl<N: Network> IngestAgent<N> {
    /// A connection may have something to be written, or a dial stands.
    pub(super) fn note_writable(&mut self, key: Key, now: Now) {
        if self.connections.get_mut(key).is_some() {
            self.answering.owe(key);
            return;
        }
        let (net, counters) = (&mut self.net, &self.counters);
        if let Some(index) = self.dialler.note_writable(key, net, counters, now) {
            let (name, ack) = self.dialler.wishes(index);
            self.open(key, Origin::Configured(index), name, ack, now);
            if self.dialler.wants_outcomes(index)
                && let Some(connection) = self.connections.get_mut(key)
            {
                connection.lines.tell_outcomes();
                self.answering.owe(key);
            }
        }
    }

    pub(super) fn accept(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ACCEPTS_PER_CYCLE {
            let (net, counters) = (&mut self.net, &self.counters);
            let Some((key, peer)) = self.acceptor.next(net, counters, now) else {
                break;
            };
            work_count += 1;
            if !self.lease.may_serve() && !self.net.is_local(key) {
                (self.acceptor).turn_away(&mut self.net, (key, peer), &paused_line());
                continue;
            }
            self.producer_log.connected(peer, now);
            self.open(key, Origin::DialledIn(peer), peer.to_string(), false, now);
        }
        work_count + self.acceptor.take_refused()
    }

    fn open(&mut self, key: Key, origin: Origin, name: String, ack: bool, now: Now) {
        self.connections.open(key, origin, name, ack, now.ns);
        self.counters.add(Counter::SourceConnects, 1);
        self.counters.add(Counter::SourcesConnected, 1);
    }
}
