//! TLS behind the network: agents do not know of it.
//!
//! `Tcp` has one of these where a listener or a dialled source speaks TLS. The engine makes it from the
//! settings' files. Handshakes are bounded: a poll takes [`HANDSHAKE_STEPS_PER_POLL`] steps of them, and
//! one that is not over after [`HANDSHAKE_TIME_MAX`] ends.

mod asked;
mod failure;
mod files;
mod handshakes;
mod names;
mod pem;
mod session;
#[cfg(test)]
mod tests;
mod validity;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, ServerConnection};
use tracing::warn;

use self::asked::Asked;
pub(crate) use self::failure::{NotLetIn, TlsFailure, not_spoken, too_long};
pub(crate) use self::files::{File, Identity, TlsFileError, client, dialled, server};
use self::handshakes::Handshakes;
pub(super) use self::session::Session;
pub(crate) use self::validity::{Trouble, Validity};
use super::Key;
use crate::clock::Now;
use crate::counters::Counters;
use crate::limits::HANDSHAKE_STEPS_PER_POLL;
#[cfg(doc)]
use crate::limits::HANDSHAKE_TIME_MAX;
use crate::log_limit::LogLimit;

/// The first byte of whoever begins with TLS: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// The line for a peer that does not.
pub(crate) const WANTS_TLS: &[u8] = b"{\"error\":\"this address speaks TLS; connect with TLS\"}\n";

/// The line for a peer that begins with TLS where there is none.
pub(super) const NO_TLS: &[u8] = b"{\"error\":\"this address speaks no TLS; connect without it: \
    subscribers send {\\\"subscribe\\\":[\\\"table1\\\"]}, producers one JSON object a line\"}\n";

/// A fatal alert, `access_denied`.
pub(super) const REFUSED: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 49];

/// A server that is dialled with TLS.
#[derive(Debug, Clone)]
pub(crate) struct Dialled {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// `None`: a certificate is shown.
    asked: Option<Arc<Asked>>,
}

/// What connections to come speak TLS with.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSides {
    /// At the listener; `None`: it is plain.
    pub(crate) listener: Option<Arc<ServerConfig>>,
    /// To the dialled sources, by number.
    pub(crate) dialled: Vec<Option<Dialled>>,
}

/// The same, as a reload may change it. The lock is taken once a connection, and held for a copy.
#[derive(Debug, Default)]
pub(crate) struct TlsSwitch(Mutex<TlsSides>);

impl TlsSwitch {
    pub(crate) fn new(sides: TlsSides) -> Arc<Self> {
        Arc::new(Self(Mutex::new(sides)))
    }

    /// Connections that are there go on with what they have.
    pub(crate) fn set(&self, sides: TlsSides) {
        self.with(|it| *it = sides);
    }

    /// What the listener shows; `None`: it is plain.
    pub(crate) fn listener(&self) -> Option<Arc<ServerConfig>> {
        self.with(|it| it.listener.clone())
    }

    /// How a source is spoken to; `None`: plainly.
    pub(super) fn dialled(&self, source: usize) -> Option<Dialled> {
        self.with(|it| it.dialled.get(source).cloned().flatten())
    }

    fn with<T>(&self, look: impl FnOnce(&mut TlsSides) -> T) -> T {
        // Nothing in the lock panics half-way.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a poller speaks TLS with.
#[derive(Debug)]
pub(crate) struct TlsParts {
    pub(crate) switch: Arc<TlsSwitch>,
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
    pub(super) handshakes: Handshakes,
    log: LogLimit,
}

impl Tls {
    pub(super) fn new(parts: TlsParts) -> Self {
        Self {
            parts,
            steps_left: HANDSHAKE_STEPS_PER_POLL,
            ready: Vec::new(),
            handshakes: Handshakes::default(),
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
    pub(super) fn note_failure(
        &mut self,
        peer: Option<SocketAddr>,
        why: &io::Error,
        since: Duration,
    ) {
        TlsFailure::of(why).count(&self.parts.counters);
        if let Some(more) = self.log.admit(at(since)) {
            let peer = peer.map(|it| it.to_string()).unwrap_or_default();
            warn!(%peer, "no TLS: {why}{more}");
        }
    }

    /// Logs how many failures were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, since: Duration) {
        if let Some(more) = self.log.overdue(at(since)) {
            warn!(count = more.count, "no TLS, again and again");
        }
    }
}

/// The time of a poller's own clock.
fn at(since: Duration) -> Now {
    Now {
        ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        ..Now::default()
    }
}

/// What a peer gets that begins with something else than TLS; `None`: it is TLS.
pub(super) fn answer_to_plain(first: u8) -> Option<&'static [u8]> {
    (!begins_tls(first)).then_some(WANTS_TLS)
}

/// Whether the first byte of a peer is that of TLS.
pub(crate) fn begins_tls(first: u8) -> bool {
    first == HANDSHAKE
}

/// The names in the certificate that a client has shown; `None`: it has shown none.
pub(crate) fn certificate(connection: &ServerConnection) -> Option<Vec<String>> {
    connection.peer_certificates()?.first().map(names::names)
}

/// Whether bytes for a plain stream are the beginning of TLS: a handshake record of version 3.
pub(super) fn is_tls(begin: &[u8]) -> bool {
    begin.starts_with(&[HANDSHAKE, 3])
}
