//! HTTP clients that do not get in, for want of a right or of TLS: what challenges them, and their lines in
//! the log, at a limited rate.
//!
//! The guards and the handshakes of both HTTP listeners feed it; the monitor, or a standby's listeners, ask for
//! what was left out. Off the path.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::warn;

use super::Unidentified;
use crate::clock::Now;
use crate::log_limit::LogLimit;

/// How a client shows a token.
pub(crate) const HOW_BY_HTTP: &str = "send it as Authorization: Bearer TOKEN";

/// The challenge of a user who may not do what it asks for.
pub(crate) const NO_RIGHT_CHALLENGE: &str =
    "Bearer realm=\"flipped-lb\", error=\"insufficient_scope\"";

/// That of who is no user. By RFC 6750 it names an error only where a token was shown.
pub(crate) fn challenge(why: Unidentified) -> &'static str {
    if why.shows_token() {
        "Bearer realm=\"flipped-lb\", error=\"invalid_token\""
    } else {
        "Bearer realm=\"flipped-lb\""
    }
}

/// The log of an engine's refused HTTP clients.
#[derive(Debug)]
pub(crate) struct RefusedClients {
    began: Instant,
    requests: Mutex<LogLimit>,
    handshakes: Mutex<LogLimit>,
}

impl Default for RefusedClients {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            requests: Mutex::default(),
            handshakes: Mutex::default(),
        }
    }
}

impl RefusedClients {
    /// A request was refused. The words are escaped where a peer chose them.
    pub(crate) fn log(&self, peer: SocketAddr, words: &str) {
        if let Some(more) = lock(&self.requests).admit(self.now()) {
            warn!(%peer, "an HTTP client is refused: {}{more}", words.trim_end());
        }
    }

    /// A handshake has failed: the line is that of the TCP listeners.
    pub(crate) fn log_handshake(&self, peer: SocketAddr, why: &io::Error) {
        if let Some(more) = lock(&self.handshakes).admit(self.now()) {
            warn!(%peer, "no TLS: {why}{more}");
        }
    }

    /// Logs how many were left out, where none came since that could say so.
    pub(crate) fn log_left_out(&self) {
        if let Some(more) = lock(&self.requests).overdue(self.now()) {
            warn!(count = more.count, "more HTTP clients were refused");
        }
        if let Some(more) = lock(&self.handshakes).overdue(self.now()) {
            warn!(count = more.count, "more TLS handshakes have failed");
        }
    }

    fn now(&self) -> Now {
        Now::default().after(self.began.elapsed())
    }
}

fn lock(limit: &Mutex<LogLimit>) -> MutexGuard<'_, LogLimit> {
    // Whoever panicked while it held the lock has ended the process.
    limit.lock().unwrap_or_else(PoisonError::into_inner)
}
