//! Dialling: the configured sources are connected to, with pauses that grow, for ever.
//!
//! The clock, names that were looked up and sockets that became writable feed it; what it connects, the
//! agent reads.
//!
//! ```text
//! Resting --pause over--> Resolving --addresses--> Connecting --first one--> Connected
//!    ^                        | too long, unknown      | all have failed         | ended
//!    +------------------------+------------------------+-------------------------+
//! ```

use std::io;
use std::net::SocketAddr;

use tracing::{info, warn};

use super::IngestAgent;
use super::attempts::Attempts;
use super::source::Dial;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{LOG_TICK_NS, LOOKUP_NS_MAX};
use crate::message::SourceIndex;
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    pub(super) fn dial(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some((index, answer)) = self.parts.net.looked_up(now) {
            work_count += 1;
            self.note_looked_up(index, answer, now);
        }
        if now.ns < self.dial_at_ns {
            return work_count;
        }
        for index in 0..self.sources.len() {
            if self.sources[index].wakes_at_ns() <= now.ns {
                work_count += 1;
                self.dial_one(index, now);
            }
        }
        self.plan_dials();
        work_count
    }

    /// It is time to go on with this source.
    fn dial_one(&mut self, index: usize, now: Now) {
        let source = &mut self.sources[index];
        match &source.dial {
            Dial::Resting(_) => match source.literal() {
                Some(address) => self.connect(index, &[address], now),
                None => {
                    source.dial = Dial::Resolving(now.ns + LOOKUP_NS_MAX);
                    self.parts.net.look_up(index, &source.address, now);
                }
            },
            Dial::Resolving(_) => {
                let seconds = LOOKUP_NS_MAX / 1_000_000_000;
                let words = format!("its name was not looked up within {seconds} s");
                let error = io::Error::new(io::ErrorKind::TimedOut, words);
                self.note_dial_failure(index, &error, now);
            }
            Dial::Connecting(_) => self.attempt(index, now),
            Dial::Connected => {}
        }
    }

    /// An answer that comes late, while the source rests, is as good as one in time.
    fn note_looked_up(&mut self, index: usize, answer: io::Result<Vec<SocketAddr>>, now: Now) {
        let dial = &self.sources[index].dial;
        let is_awaited = matches!(dial, Dial::Resolving(_));
        match answer {
            Ok(found) if is_awaited || matches!(dial, Dial::Resting(_)) => {
                self.connect(index, &found, now);
            }
            Err(error) if is_awaited => self.note_dial_failure(index, &error, now),
            _ => {}
        }
    }

    fn connect(&mut self, index: usize, addresses: &[SocketAddr], now: Now) {
        self.sources[index].dial = Dial::Connecting(Attempts::new(addresses));
        self.attempt(index, now);
    }

    /// Begins the attempts whose time has come; gives up when none is left.
    fn attempt(&mut self, index: usize, now: Now) {
        let Dial::Connecting(attempts) = &mut self.sources[index].dial else {
            return;
        };
        while let Some(address) = attempts.next(now.ns) {
            match self.parts.net.connect(address) {
                Ok(key) => attempts.note_begun(key, now.ns),
                Err(error) => attempts.note_refused(error),
            }
        }
        if attempts.has_failed(now.ns) {
            let error = self.end_attempts(index, None);
            self.note_dial_failure(index, &error, now);
        }
        self.plan_dials();
    }

    /// Closes the attempts of a source, save the one that has won; says why they failed.
    fn end_attempts(&mut self, index: usize, winner: Option<Key>) -> io::Error {
        let dial = &mut self.sources[index].dial;
        let Dial::Connecting(attempts) = std::mem::replace(dial, Dial::Resting(u64::MAX)) else {
            unreachable!("who asks for the end of attempts has made some");
        };
        let others = attempts.under_way().iter();
        for &key in others.filter(|it| Some(**it) != winner) {
            self.parts.net.close(key);
        }
        attempts.error()
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

    /// When the next source must be looked at.
    pub(super) fn plan_dials(&mut self) {
        let wakes = self.sources.iter().map(|it| it.wakes_at_ns());
        self.dial_at_ns = wakes.min().unwrap_or(u64::MAX);
    }

    pub(super) fn note_writable(&mut self, key: Key, now: Now) {
        if self.connections.get(key).is_some_and(Option::is_some) {
            self.owing.push(key);
            return;
        }
        let Some(index) = self.sources.iter().position(|it| it.tries(key)) else {
            return;
        };
        match self.parts.net.connected(key) {
            Ok(true) => self.begin_dialled(index, key, now),
            Ok(false) => {}
            Err(error) => {
                self.parts.net.close(key);
                if let Dial::Connecting(attempts) = &mut self.sources[index].dial {
                    attempts.note_failed(key, error);
                }
                self.attempt(index, now);
            }
        }
    }

    fn begin_dialled(&mut self, index: usize, key: Key, now: Now) {
        let _ = self.end_attempts(index, Some(key));
        let source = &mut self.sources[index];
        source.dial = Dial::Connected;
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
