//! Ending: of one connection, of those that are silent for too long, and of the agent's work.

use std::io;

use tracing::{info, warn};

use super::agent::IngestAgent;
use super::connection::Origin;
use super::greeting::WrongGreeting;
use crate::clock::Now;
use crate::counters::Counter;
use crate::net::{Key, Network, error_line, paused_line};

impl<N: Network> IngestAgent<N> {
    /// The connection is over.
    pub(super) fn end(&mut self, key: Key, error: &io::Error, now: Now) {
        if self.forget(key, error, now) {
            self.net.close(key);
        }
    }

    /// All that is known of a connection goes, but for its socket. `false`: there is none.
    fn forget(&mut self, key: Key, error: &io::Error, now: Now) -> bool {
        let Some(mut connection) = self.connections.close(key) else {
            return false;
        };
        if let Some(wait) = connection.waits_for {
            self.waiting.remove(key, wait, &self.counters);
        }
        if connection.framer.is_suspended() {
            self.read_len.release(connection.framer.partial_len());
        }
        if connection.framer.clear() > 0 {
            self.counters.add(Counter::PartialLines, 1);
        }
        self.counters.add(Counter::SourceDisconnects, 1);
        self.counters.subtract(Counter::SourcesConnected, 1);
        match connection.origin {
            Origin::DialledIn(peer) => {
                self.acceptor.closed(&self.net, key, peer);
                let lines = connection.lines.last();
                self.producer_log.disconnected(peer, lines, error, now);
            }
            Origin::Configured(index) => {
                let lines = (connection.lines.last(), connection.lines.rejected());
                self.dialler.note_ended(index, lines, error, now);
            }
            Origin::Removed => {
                let (source, lines) = (&connection.sender.name, connection.lines.last());
                info!(%source, lines, "disconnected: it is not in the settings any more");
            }
        }
        true
    }

    /// Now and then, closes producers that have been silent for too long.
    pub(super) fn close_silent(&mut self, now: Now) {
        let is_full = self.acceptor.is_full();
        if !self.timeouts.are_due(is_full, now) {
            return;
        }
        let all = self.connections.iter();
        let ends = all.filter_map(|(key, connection)| {
            let (counter, why) = self.timeouts.end_of(connection, is_full, now)?;
            Some((key, counter, why))
        });
        let ends: Vec<_> = ends.collect();
        for (key, counter, why) in ends {
            // Where its cut-off line finds no room among the rejected ones, it is tried again.
            if self.reject_cut_off(key, now) {
                self.counters.add(counter, 1);
                self.close_with(key, &error_line(&why), &why, now);
            }
        }
    }

    /// Without a lease nothing is acknowledged: whoever waits for that, and would send again, is told to go
    /// elsewhere. The others are read on: nobody else keeps what they send.
    pub(super) fn check_lease(&mut self, now: Now) {
        if !self.lease.is_lost() {
            return;
        }
        let all = self.connections.iter();
        let waiting: Vec<_> = all.filter(|(_, it)| it.lines.ack).map(|it| it.0).collect();
        let why = "the group's stream confirms nothing";
        for key in waiting {
            match self.connections.get_mut(key).map(|it| it.origin) {
                Some(Origin::DialledIn(_)) => self.close_with(key, &paused_line(), why, now),
                _ => self.end(key, &io::Error::other(why), now),
            }
        }
    }

    /// A producer's greeting was wrong, it may not send, or it is at the wrong port.
    #[cold]
    pub(super) fn close_greeting(&mut self, key: Key, why: WrongGreeting, now: Now) {
        let words = why.words();
        self.counters.add(why.counter(), 1);
        if let WrongGreeting::Refused(_) = why
            && let Some(connection) = self.connections.get_mut(key)
            && let Some(more) = self.log_refused.admit(now)
        {
            let peer = &connection.sender.name;
            warn!(%peer, "a producer is refused: {words}{more}");
        }
        let redirection = match why {
            WrongGreeting::Misdirected(peer) => self.ports.answer_at_ingest(peer),
            WrongGreeting::NotUnderstood | WrongGreeting::Twice(_) | WrongGreeting::Refused(_) => {
                None
            }
        };
        let answer = redirection.unwrap_or_else(|| error_line(&words));
        self.close_with(key, &answer, &words, now);
    }

    /// Closes a connection with an answer that can be read though the peer has sent more; `why` is
    /// for the log.
    pub(super) fn close_with(&mut self, key: Key, answer: &str, why: &str, now: Now) {
        let error = io::Error::other(why.to_owned());
        if self.forget(key, &error, now) {
            self.net.refuse(key, answer);
        }
    }

    /// Nothing more is read; what was read is on its way, but for lines that found no room.
    pub(super) fn drain(&mut self) {
        if self.is_drained || !self.turns.output.seal() {
            return;
        }
        self.is_drained = true;
        info!("sources are read no more");
        let unacknowledged = self.connections.iter().filter(|(_, it)| !it.lines.ack);
        let left = unacknowledged.map(|(_, connection)| connection.framer.lines_left() as u64);
        let lines: u64 = left.sum();
        if lines > 0 {
            self.counters.add(Counter::HeldLost, lines);
            warn!(
                lines,
                "lines that were read and found no room are lost: their sources do not acknowledge"
            );
        }
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if self.dialler.log_left_out(now) {
            self.waiting.log_left_out(now);
            self.producer_log.log_left_out(now);
            self.acceptor.log_left_out(now);
            self.turns.intake.log_left_out(now);
            if let Some(more) = self.log_refused.overdue(now) {
                warn!(count = more.count, "more producers were refused");
            }
        }
    }
}
