//! Accepting connections, with a pause where the system has none to give.
//!
//! Ingest and delivery each have one beside their sockets; it owns no socket itself. Out of
//! descriptors, say, the connections that are there live on, and those that wait are accepted as
//! soon as it is possible again.

use std::io;
use std::net::SocketAddr;

use tracing::{info, warn};

use super::{Key, Network};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::log_limit::LogLimit;

/// A pause after a connection that could not be accepted, in ns.
const PAUSE_NS: u64 = 100_000_000;

/// Accepts what waits at an agent's listener.
#[derive(Debug)]
pub struct Acceptor {
    /// Who connects there, for the log.
    who: &'static str,
    /// Connections wait, as far as is known.
    waiting: bool,
    /// Nothing is accepted before, in ns.
    resume_at_ns: u64,
    /// The last try failed.
    failing: bool,
    log: LogLimit,
}

impl Acceptor {
    /// Nobody waits yet; `who` is what the log calls those that connect: "a subscriber".
    #[must_use]
    pub fn new(who: &'static str) -> Self {
        Self {
            who,
            waiting: false,
            resume_at_ns: 0,
            failing: false,
            log: LogLimit::default(),
        }
    }

    /// The listener has become ready.
    pub fn note_ready(&mut self) {
        self.waiting = true;
    }

    /// The next connection, if one waits and can be accepted now.
    pub fn next<N: Network>(
        &mut self,
        net: &mut N,
        counters: &Counters,
        now: Now,
    ) -> Option<(Key, SocketAddr)> {
        if !self.waiting || now.ns < self.resume_at_ns {
            return None;
        }
        match net.accept() {
            Ok(accepted) => {
                if std::mem::take(&mut self.failing)
                    && let Some(more) = self.log.admit(now)
                {
                    info!("{} can be accepted again{more}", self.who);
                }
                return Some(accepted);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.waiting = false,
            Err(error) => self.note_failure(&error, counters, now),
        }
        None
    }

    fn note_failure(&mut self, error: &io::Error, counters: &Counters, now: Now) {
        counters.add(Counter::AcceptFailures, 1);
        self.resume_at_ns = now.ns + PAUSE_NS;
        if !std::mem::replace(&mut self.failing, true)
            && let Some(more) = self.log.admit(now)
        {
            warn!(
                %error,
                "{} could not be accepted; those connected live on, and it is tried again until \
                 it succeeds (out of descriptors? raise `ulimit -n`){more}",
                self.who
            );
        }
    }
}
