//! TLS behind the network: agents do not know of it.
//!
//! `Tcp` has one of these where a listener or a dialled source speaks TLS. The engine makes it from the
//! settings' files. Handshakes are bounded: a poll takes [`HANDSHAKE_STEPS_PER_POLL`] steps of them, and
//! one that is not over after [`HANDSHAKE_TIME_MAX`] ends.

mod files;
mod session;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tracing::warn;

pub(crate) use self::files::{File, TlsFileError, client, server};
pub(super) use self::session::Session;
use super::Key;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::HANDSHAKE_STEPS_PER_POLL;
#[cfg(doc)]
use crate::limits::HANDSHAKE_TIME_MAX;
use crate::log_limit::LogLimit;

/// The first byte of whoever begins with TLS: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// The line for a peer that does not.
const WANTS_TLS: &[u8] = b"{\"error\":\"this address speaks TLS; connect with TLS\"}\n";

/// The line for a peer that begins with TLS where there is none.
pub(super) const NO_TLS: &[u8] = b"{\"error\":\"this address speaks no TLS; connect without it: \
    subscribers send {\\\"subscribe\\\":[\\\"table1\\\"]}, producers one JSON object a line\"}\n";

/// A fatal alert, `access_denied`.
pub(super) const REFUSED: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 49];

/// A server that is dialled with TLS.
#[derive(Debug, Clone)]
pub(crate) struct Dialled {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

/// What a poller speaks TLS with.
#[derive(Debug)]
pub(crate) struct TlsParts {
    /// The listener; `None`: it is plain.
    pub(crate) listener: Option<Arc<ServerConfig>>,
    /// The dialled sources, by number.
    pub(crate) dialled: Vec<Option<Dialled>>,
    pub(crate) counters: Arc<Counters>,
}

/// The TLS of one poller.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) parts: TlsParts,
    /// Steps of handshakes that this poll may still take.
    steps_left: usize,
    /// Streams that are ready though their sockets need not be: a handshake waits for the next poll, or
    /// is over.
    ready: Vec<Key>,
    log: LogLimit,
}

impl Tls {
    pub(super) fn new(parts: TlsParts) -> Self {
        Self {
            parts,
            steps_left: HANDSHAKE_STEPS_PER_POLL,
            ready: Vec::new(),
            log: LogLimit::default(),
        }
    }

    /// A poll begins: the streams that are ready by themselves.
    pub(super) fn begin_poll(&mut self) -> std::vec::Drain<'_, Key> {
        self.steps_left = HANDSHAKE_STEPS_PER_POLL;
        self.ready.drain(..)
    }

    /// Whether a step of a handshake may be taken now; else the stream is ready in the next poll.
    pub(super) fn may_step(&mut self, key: Key) -> bool {
        if self.steps_left == 0 {
            self.note_ready(key);
            return false;
        }
        self.steps_left -= 1;
        true
    }

    /// The stream is ready in the next poll, whatever its socket is.
    pub(super) fn note_ready(&mut self, key: Key) {
        if !self.ready.contains(&key) {
            self.ready.push(key);
        }
    }

    /// A peer that connected does not get in.
    pub(super) fn note_failure(&mut self, peer: Option<SocketAddr>, why: &str, since: Duration) {
        self.parts.counters.add(Counter::TlsFailures, 1);
        let ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let now = Now {
            ns,
            ..Now::default()
        };
        if let Some(more) = self.log.admit(now) {
            let peer = peer.map(|it| it.to_string()).unwrap_or_default();
            warn!(%peer, "no TLS: {why}{more}");
        }
    }
}

/// What a peer gets that begins with something else than TLS; `None`: it is TLS.
pub(super) fn answer_to_plain(first: u8) -> Option<&'static [u8]> {
    (first != HANDSHAKE).then_some(WANTS_TLS)
}

/// Whether bytes for a plain stream are the beginning of TLS: a handshake record of version 3.
pub(super) fn is_tls(begin: &[u8]) -> bool {
    begin.starts_with(&[HANDSHAKE, 3])
}
