//! Dialling: the configured sources are connected to, with pauses that grow, for ever.
//!
//! The agent feeds it the clock, the answers of the resolver and the sockets that became writable;
//! it says which source is connected. Nothing here reads a connection.
//!
//! ```text
//! Resting --pause over--> Resolving --addresses--> Connecting --first one--> Connected
//!    ^                        | too long, unknown      | all have failed         | ended
//!    +------------------------+------------------------+-------------------------+
//! ```

use std::io;
use std::net::SocketAddr;

use fastrand::Rng;
use tracing::{info, warn};

use super::attempts::Attempts;
use super::source::{Dial, Source};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{LOG_TICK_NS, LOOKUP_NS_MAX, LOOKUPS_PER_CYCLE};
use crate::net::{Key, Network, end_words};

/// Keeps the configured sources connected.
#[derive(Debug)]
pub(super) struct Dialler {
    sources: Vec<Source>,
    /// When the next step of any of them is due, in ns.
    dial_at_ns: u64,
    log_at_ns: u64,
    rng: Rng,
}

impl Dialler {
    pub(super) fn new(sources: Vec<Source>, seed: u64) -> Self {
        Self {
            sources,
            dial_at_ns: 0,
            log_at_ns: 0,
            rng: Rng::with_seed(seed),
        }
    }

    /// Goes on with the sources whose time has come. Returns the work count.
    pub(super) fn poll(&mut self, net: &mut impl Network, counters: &Counters, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < LOOKUPS_PER_CYCLE
            && let Some((index, answer)) = net.looked_up(now)
        {
            work_count += 1;
            self.note_looked_up(index, answer, net, counters, now);
        }
        if now.ns < self.dial_at_ns {
            return work_count;
        }
        for index in 0..self.sources.len() {
            if self.sources[index].wakes_at_ns() <= now.ns {
                work_count += 1;
                self.dial_one(index, net, counters, now);
            }
        }
        self.plan();
        work_count
    }

    /// A source is configured, in a slot that is free or the next one. It is dialled at once.
    pub(super) fn add(&mut self, slot: usize, mut source: Source, now: Now) {
        source.past.since_ns = now.ns;
        match self.sources.get_mut(slot) {
            Some(former) => {
                source.is_asked = former.is_asked;
                source.is_stale = former.is_asked;
                *former = source;
            }
            None => self.sources.push(source),
        }
        self.plan();
    }

    /// The source of a slot is configured no more. Its connection is the agent's.
    pub(super) fn remove(&mut self, slot: usize, net: &mut impl Network) {
        if let Dial::Connecting(_) = self.sources[slot].dial {
            let _ = self.end_attempts(slot, None, net);
        }
        self.sources[slot].dial = Dial::Removed;
        self.plan();
    }

    /// Whether the source of a slot is acknowledged.
    pub(super) fn set_ack(&mut self, slot: usize, ack: bool) {
        self.sources[slot].ack = ack;
    }

    /// A line of the source of this slot was accepted.
    pub(super) fn note_accepted(&mut self, slot: usize, now: Now) {
        if let Some(source) = self.sources.get_mut(slot) {
            source.note_accepted(now.ns, &mut self.rng);
            self.plan();
        }
    }

    /// It is time to go on with this source.
    fn dial_one(&mut self, index: usize, net: &mut impl Network, counters: &Counters, now: Now) {
        let source = &mut self.sources[index];
        match &source.dial {
            Dial::Resting(_) => match source.literal() {
                Some(address) => self.connect(index, &[address], net, counters, now),
                None => {
                    source.dial = Dial::Resolving(now.ns + LOOKUP_NS_MAX);
                    source.is_asked = true;
                    net.look_up(index, &source.address, now);
                }
            },
            Dial::Resolving(_) => {
                let seconds = LOOKUP_NS_MAX / 1_000_000_000;
                let words = format!("its name was not looked up within {seconds} s");
                let error = io::Error::new(io::ErrorKind::TimedOut, words);
                self.note_failure(index, &error, counters, now);
            }
            Dial::Connecting(_) => self.attempt(index, net, counters, now),
            Dial::Connected | Dial::Removed => {}
        }
    }

    /// An answer that comes late, while the source rests, is as good as one in time.
    fn note_looked_up(
        &mut self,
        index: usize,
        answer: io::Result<Vec<SocketAddr>>,
        net: &mut impl Network,
        counters: &Counters,
        now: Now,
    ) {
        let source = &mut self.sources[index];
        source.is_asked = false;
        if std::mem::take(&mut source.is_stale) {
            if let Dial::Resolving(_) = source.dial {
                source.is_asked = true;
                net.look_up(index, &source.address, now);
            }
            return;
        }
        let dial = &source.dial;
        let is_awaited = matches!(dial, Dial::Resolving(_));
        match answer {
            Ok(found) if is_awaited || matches!(dial, Dial::Resting(_)) => {
                self.connect(index, &found, net, counters, now);
            }
            Err(error) if is_awaited => self.note_failure(index, &error, counters, now),
            _ => {}
        }
    }

    fn connect(
        &mut self,
        index: usize,
        addresses: &[SocketAddr],
        net: &mut impl Network,
        counters: &Counters,
        now: Now,
    ) {
        self.sources[index].dial = Dial::Connecting(Attempts::new(addresses));
        self.attempt(index, net, counters, now);
    }

    /// Begins the attempts whose time has come; gives up when none is left.
    fn attempt(&mut self, index: usize, net: &mut impl Network, counters: &Counters, now: Now) {
        let Dial::Connecting(attempts) = &mut self.sources[index].dial else {
            return;
        };
        while let Some(address) = attempts.next(now.ns) {
            match net.connect_to(index, address) {
                Ok(key) => attempts.note_begun(key, now.ns),
                Err(error) => attempts.note_refused(error),
            }
        }
        if attempts.has_failed(now.ns) {
            let error = self.end_attempts(index, None, net);
            self.note_failure(index, &error, counters, now);
        }
        self.plan();
    }

    /// Closes the attempts of a source, save the one that has won; says why they failed.
    fn end_attempts(
        &mut self,
        index: usize,
        winner: Option<Key>,
        net: &mut impl Network,
    ) -> io::Error {
        let dial = &mut self.sources[index].dial;
        let Dial::Connecting(attempts) = std::mem::replace(dial, Dial::Resting(u64::MAX)) else {
            unreachable!("who asks for the end of attempts has made some");
        };
        let others = attempts.under_way().iter();
        for &key in others.filter(|key| Some(**key) != winner) {
            net.close(key);
        }
        attempts.error()
    }

    fn note_failure(&mut self, index: usize, error: &io::Error, counters: &Counters, now: Now) {
        counters.add(Counter::SourceConnectFailures, 1);
        let source = &mut self.sources[index];
        source.past.note_why(&error.to_string());
        if source.rest(now.ns, &mut self.rng) == 1
            && let Some(more) = source.log_failures.admit(now)
        {
            warn!(source = %source.address, %error, "not reachable; dialling until it is{more}");
        }
        self.plan();
    }

    fn plan(&mut self) {
        let wakes = self.sources.iter().map(Source::wakes_at_ns);
        self.dial_at_ns = wakes.min().unwrap_or(u64::MAX);
    }

    /// A socket became writable that is no connection yet. Returns the source that is connected by
    /// it.
    pub(super) fn note_writable(
        &mut self,
        key: Key,
        net: &mut impl Network,
        counters: &Counters,
        now: Now,
    ) -> Option<usize> {
        let index = self.sources.iter().position(|source| source.tries(key))?;
        match net.connected(key) {
            Ok(true) => {
                let _ = self.end_attempts(index, Some(key), net);
                let source = &mut self.sources[index];
                source.dial = Dial::Connected;
                source.past.note_connected(now.ns);
                if let Some(more) = source.log_connects.admit(now) {
                    info!(source = %source.address, "connected{more}");
                }
                return Some(index);
            }
            Ok(false) => {}
            Err(error) => {
                net.close(key);
                if let Dial::Connecting(attempts) = &mut self.sources[index].dial {
                    attempts.note_failed(key, error);
                }
                self.attempt(index, net, counters, now);
            }
        }
        None
    }

    /// Slots of sources, those that are free among them.
    pub(super) fn slots(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn source(&self, slot: usize) -> &Source {
        &self.sources[slot]
    }

    /// A source's name, and whether it wants acknowledgements.
    pub(super) fn wishes(&self, index: usize) -> (String, bool) {
        let source = &self.sources[index];
        (source.address.to_string(), source.ack)
    }

    /// Whether a source wants to know what became of each line.
    pub(super) fn wants_outcomes(&self, index: usize) -> bool {
        self.sources[index].is_within
    }

    /// A source's connection has ended, after so many lines, of which some were rejected.
    pub(super) fn note_ended(
        &mut self,
        index: usize,
        (lines, rejected): (u64, u64),
        error: &io::Error,
        now: Now,
    ) {
        let source = &mut self.sources[index];
        let _ = source.rest(now.ns, &mut self.rng);
        let why = end_words(error);
        source.past.note_ended((lines, rejected), &why, now.ns);
        if let Some(more) = source.log_disconnects.admit(now) {
            info!(source = %source.address, lines, why, "disconnected{more}");
        }
        self.plan();
    }

    /// Now and then, logs how many log lines were left out, where none came since that could say
    /// so. Returns whether it is time.
    pub(super) fn log_left_out(&mut self, now: Now) -> bool {
        if now.ns < self.log_at_ns {
            return false;
        }
        self.log_at_ns = now.ns + LOG_TICK_NS;
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
        true
    }
}

#[cfg(test)]
mod tests;
