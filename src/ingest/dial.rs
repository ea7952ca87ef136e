//! Dialling: the configured sources are connected to, with pauses that grow, for ever.
//!
//! The clock, the resolver's answers and sockets that became writable feed it; what it connects,
//! the agent reads.

use std::io;
use std::net::SocketAddr;

use tracing::{info, warn};

use super::IngestAgent;
use super::source::Dial;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::LOG_TICK_NS;
use crate::message::SourceIndex;
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    pub(super) fn dial(&mut self, now: Now) -> usize {
        while let Some((index, answer)) = self.resolver.poll() {
            match answer {
                Ok(address) => self.dial_one(index, address, now),
                Err(error) => self.note_dial_failure(index, &error, now),
            }
        }
        if now.ns < self.dial_at_ns {
            return 0;
        }
        let mut work_count = 0;
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if !matches!(source.dial, Dial::Resting(until_ns) if until_ns <= now.ns) {
                continue;
            }
            work_count += 1;
            if let Some(address) = source.literal() {
                self.dial_one(index, address, now);
                continue;
            }
            source.dial = Dial::Resolving;
            if let Err(error) = self.resolver.ask(index, &source.address, source.failures()) {
                self.note_dial_failure(index, &error, now);
            }
        }
        self.plan_dials();
        work_count
    }

    fn dial_one(&mut self, index: usize, address: SocketAddr, now: Now) {
        match self.parts.net.connect(address) {
            Ok(key) => self.sources[index].dial = Dial::Connecting(key),
            Err(error) => self.note_dial_failure(index, &error, now),
        }
    }

    fn note_dial_failure(&mut self, index: usize, error: &io::Error, now: Now) {
        self.parts.counters.add(Counter::SourceConnectFailures, 1);
        let source = &mut self.sources[index];
        if source.rest(now.ns, &mut self.rng) == 1
            && let Some(more) = source.log_failures.admit(now)
        {
            warn!(source = %source.address, %error, "not reachable; dialling until it is{more}");
        }
        self.plan_dials();
    }

    /// When the next source wakes from its rest.
    pub(super) fn plan_dials(&mut self) {
        let rests = self.sources.iter().filter_map(|source| match source.dial {
            Dial::Resting(until_ns) => Some(until_ns),
            _ => None,
        });
        self.dial_at_ns = rests.min().unwrap_or(u64::MAX);
    }

    pub(super) fn note_writable(&mut self, key: Key, now: Now) {
        if self.connections.get(key).is_some_and(Option::is_some) {
            self.owing.push(key);
            return;
        }
        let dialled = self
            .sources
            .iter()
            .position(|it| it.dial == Dial::Connecting(key));
        let Some(index) = dialled else { return };
        match self.parts.net.connected(key) {
            Ok(true) => self.begin_dialled(index, key, now),
            Ok(false) => {}
            Err(error) => {
                self.parts.net.close(key);
                self.note_dial_failure(index, &error, now);
            }
        }
    }

    fn begin_dialled(&mut self, index: usize, key: Key, now: Now) {
        let source = &mut self.sources[index];
        source.dial = Dial::Connected(key);
        let (name, ack) = (source.address.clone(), source.ack);
        if let Some(more) = source.log_connects.admit(now) {
            info!(source = %name, "connected{more}");
        }
        self.begin(key, index as SourceIndex, Some(index), name, ack);
    }

    /// Tells of log lines that were left out, where none came since that could.
    pub(super) fn tell_left_out(&mut self, now: Now) {
        if now.ns < self.log_tick_at_ns {
            return;
        }
        self.log_tick_at_ns = now.ns + LOG_TICK_NS;
        if let Some(more) = self.log_held.overdue(now) {
            info!(
                count = more.count,
                "sources have waited: max_queued was reached"
            );
        }
        for source in &mut self.sources {
            let name = &source.address;
            if let Some(more) = source.log_connects.overdue(now) {
                info!(source = %name, count = more.count, "connected again and again");
            }
            if let Some(more) = source.log_disconnects.overdue(now) {
                info!(source = %name, count = more.count, "disconnected again and again");
            }
            if let Some(more) = source.log_failures.overdue(now) {
                warn!(source = %name, count = more.count, "not reachable again and again");
            }
        }
    }
}
