//! Log lines for producers that come and go, at a limited rate: those of configured sources are the
//! dialler's.

use std::io;
use std::net::SocketAddr;

use tracing::info;

use crate::clock::Now;
use crate::limits::LOG_CONNECTIONS_PER_WINDOW;
use crate::log_limit::LogLimit;
use crate::net::end_words;

/// The limits of both kinds.
#[derive(Debug)]
pub(super) struct ProducerLog {
    connects: LogLimit,
    disconnects: LogLimit,
}

impl Default for ProducerLog {
    fn default() -> Self {
        Self {
            connects: LogLimit::of(LOG_CONNECTIONS_PER_WINDOW),
            disconnects: LogLimit::of(LOG_CONNECTIONS_PER_WINDOW),
        }
    }
}

impl ProducerLog {
    pub(super) fn connected(&mut self, peer: SocketAddr, now: Now) {
        if let Some(more) = self.connects.admit(now) {
            info!(producer = %peer, "connected{more}");
        }
    }

    /// After so many lines.
    pub(super) fn disconnected(
        &mut self,
        peer: SocketAddr,
        lines: u64,
        error: &io::Error,
        now: Now,
    ) {
        if let Some(more) = self.disconnects.admit(now) {
            let why = end_words(error);
            info!(producer = %peer, lines, why, "disconnected{more}");
        }
    }

    /// Logs how many were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if let Some(more) = self.connects.overdue(now) {
            info!(count = more.count, "more producers have connected");
        }
        if let Some(more) = self.disconnects.overdue(now) {
            info!(count = more.count, "more producers have disconnected");
        }
    }
}
