//! Accepting connections, with a pause where the system has none to give, and refusing those for
//! which there is no room.
//!
//! Ingest and delivery each have one beside their sockets; it owns no socket itself. Out of
//! descriptors, say, the connections that are there live on, and those that wait are accepted as
//! soon as it is possible again. Whoever finds the listener full gets an error line: at a bounded
//! rate, so that a crowd that asks again and again does not take the path's time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::{info, warn};

use super::admission::{Admission, Refusal};
use super::{Key, Network};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{REFUSALS_NS, REFUSALS_PER_PERIOD};
use crate::log_limit::LogLimit;

/// A pause after a connection that could not be accepted, in ns.
const PAUSE_NS: u64 = 100_000_000;

/// Accepts what waits at an agent's listener.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// Who connects there, for the log.
    who: &'static str,
    admission: Arc<Admission>,
    /// Connections wait, as far as is known.
    waiting: bool,
    /// Nothing is accepted before, in ns.
    resume_at_ns: u64,
    /// The last try failed.
    failing: bool,
    log: LogLimit,
    refusals: Refusals,
}

/// What was refused.
#[derive(Debug, Default)]
struct Refusals {
    /// When the present period ends, in ns, and how many were refused in it.
    period_ends_ns: u64,
    in_period: u32,
    /// The listener is counted among those that are full.
    is_full: bool,
    /// How many were refused since this was asked.
    untold: usize,
    log: LogLimit,
}

impl Acceptor {
    /// Nobody waits yet; `who` is what the log calls those that connect: "a subscriber".
    #[must_use]
    pub(crate) fn new(who: &'static str, admission: Arc<Admission>) -> Self {
        Self {
            who,
            admission,
            waiting: false,
            resume_at_ns: 0,
            failing: false,
            log: LogLimit::default(),
            refusals: Refusals::default(),
        }
    }

    /// The listener has become ready.
    pub(crate) fn note_ready(&mut self) {
        self.waiting = true;
    }

    /// The next connection, if one waits and can be accepted now; `None` behind one that was refused, too: what
    /// the agent does for others goes on in between. [`Acceptor::closed`] must be called for its end.
    pub(crate) fn next<N: Network>(
        &mut self,
        net: &mut N,
        counters: &Counters,
        now: Now,
    ) -> Option<(Key, SocketAddr)> {
        self.look_for_room(counters);
        while self.waiting && now.ns >= self.resume_at_ns {
            match net.accept() {
                Ok((key, peer)) => {
                    self.note_success(counters, now);
                    if net.is_local(key) {
                        return Some((key, peer));
                    }
                    if let Err(why) = self.admission.admit(peer) {
                        self.refuse(net, key, peer, why, counters, now);
                        return None;
                    }
                    match net.let_in(key) {
                        Ok(()) => return Some((key, peer)),
                        Err(error) => {
                            self.closed(net, key, peer);
                            net.close(key);
                            self.note_failure(&error, counters, now);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Who waited has gone, or another agent has them; there is a descriptor again.
                    self.waiting = false;
                    self.note_success(counters, now);
                }
                Err(error) => self.note_failure(&error, counters, now),
            }
        }
        None
    }

    /// A connection that [`Acceptor::next`] has given out is about to be closed.
    pub(crate) fn closed<N: Network>(&self, net: &N, key: Key, peer: SocketAddr) {
        if !net.is_local(key) {
            self.admission.leave(peer);
        }
    }

    /// Logs how many log lines were left out, where none came since that could say so. To be asked every now
    /// and then.
    pub(crate) fn log_left_out(&mut self, now: Now) {
        let who = self.who;
        if let Some(more) = self.refusals.log.overdue(now) {
            warn!(count = more.count, "{who} was refused again and again");
        }
        if let Some(more) = self.log.overdue(now) {
            let state = if self.failing { "cannot" } else { "can" };
            let count = more.count;
            warn!(
                count,
                "{who} could not be accepted again and again; now it {state}"
            );
        }
    }

    /// Answers a connection that [`Acceptor::next`] has given out with this line, and ends it.
    pub(crate) fn turn_away<N: Network>(
        &self,
        net: &mut N,
        (key, peer): (Key, SocketAddr),
        line: &str,
    ) {
        self.closed(net, key, peer);
        net.refuse(key, line);
    }

    /// How many connections were refused since this was asked: work that was done.
    pub(crate) fn take_refused(&mut self) -> usize {
        std::mem::take(&mut self.refusals.untold)
    }

    /// Whether the next connection is refused.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.admission.is_full()
    }

    fn look_for_room(&mut self, counters: &Counters) {
        if self.refusals.is_full && !self.admission.is_full() {
            self.refusals.is_full = false;
            counters.subtract(Counter::ListenersFull, 1);
        }
    }

    fn refuse<N: Network>(
        &mut self,
        net: &mut N,
        key: Key,
        peer: SocketAddr,
        why: Refusal,
        counters: &Counters,
        now: Now,
    ) {
        counters.add(Counter::ConnectionsRefused, 1);
        counters.add(why.counter(), 1);
        let refusals = &mut self.refusals;
        if why == Refusal::Full && !std::mem::replace(&mut refusals.is_full, true) {
            counters.add(Counter::ListenersFull, 1);
        }
        if now.ns >= refusals.period_ends_ns {
            (refusals.period_ends_ns, refusals.in_period) = (now.ns + REFUSALS_NS, 0);
        }
        refusals.in_period += 1;
        refusals.untold += 1;
        if refusals.in_period >= REFUSALS_PER_PERIOD {
            self.resume_at_ns = refusals.period_ends_ns;
        }
        let words = self.admission.words(why);
        // Whoever reads it finds it counted.
        net.refuse(key, &words);
        if let Some(more) = refusals.log.admit(now) {
            warn!(%peer, "{} is refused: {words}{more}", self.who);
        }
    }

    fn note_success(&mut self, counters: &Counters, now: Now) {
        if !std::mem::take(&mut self.failing) {
            return;
        }
        counters.subtract(Counter::ListenersFailing, 1);
        if let Some(more) = self.log.admit(now) {
            info!("{} can be accepted again{more}", self.who);
        }
    }

    fn note_failure(&mut self, error: &io::Error, counters: &Counters, now: Now) {
        counters.add(Counter::AcceptFailures, 1);
        self.resume_at_ns = now.ns + PAUSE_NS;
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        counters.add(Counter::ListenersFailing, 1);
        if let Some(more) = self.log.admit(now) {
            warn!(
                %error,
                "{} could not be accepted; those connected live on, and it is tried again until \
                 it succeeds (out of descriptors? raise `ulimit -n`){more}",
                self.who
            );
        }
    }
}

#[cfg(test)]
mod tests;
