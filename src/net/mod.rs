//! Sockets behind a narrow trait: what the ingest and delivery agents need of a network, so that a
//! simulation can cut reads short, delay, reset and reorder.
//!
//! Readiness is a hint: it is reported once (edge-triggered), and whoever polled must go on until
//! [`io::ErrorKind::WouldBlock`] or remember that there is more. Nothing here blocks.

pub(crate) mod acceptor;
pub(crate) mod admission;
pub(crate) mod bridge;
pub mod framer;
pub(crate) mod local;
mod lookups;
pub(crate) mod machine;
pub(crate) mod misdirected;
pub(crate) mod offer;
mod options;
mod refused;
mod resolver;
mod silence;
mod socket;
mod tcp;
pub(crate) mod tls;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

pub use self::options::SocketOptions;
pub use self::resolver::Answer;
pub(crate) use self::silence::{Answers, Silence};
pub use self::tcp::Tcp;
use crate::clock::Now;

/// The line that says what is wrong, without its newline: the protocol's `{"error":"..."}`.
pub(crate) fn error_line(words: &str) -> String {
    serde_json::json!({ "error": words }).to_string()
}

/// The line for whoever comes while no frame may be handed out.
pub(crate) fn paused_line() -> String {
    error_line(PAUSED)
}

/// What it says.
pub(crate) const PAUSED: &str = "paused: the group's stream confirms nothing, and another member may serve: try again, or ask another member";

/// Why a connection has ended, in words: an orderly end is no error.
pub(crate) fn end_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it has ended its side".to_owned(),
        _ => error.to_string(),
    }
}

/// A stream; numbers of closed streams are used again.
pub type Key = usize;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Connections wait to be accepted.
    Listener,
    /// A stream can be read (or has ended), or written (or was connected).
    Stream {
        /// Which.
        key: Key,
        /// Reading may yield something.
        readable: bool,
        /// Writing may be taken.
        writable: bool,
    },
}

/// What an agent can do with a network.
pub trait Network: Send {
    /// Appends what became ready since the last call.
    ///
    /// # Errors
    /// The poller itself failed.
    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// Begins to look up the addresses of a name, `host:port`. [`Network::looked_up`] answers under this
    /// number; where the last question of the number has no answer yet, that one is the answer.
    fn look_up(&mut self, number: usize, name: &str, now: Now);

    /// The next answer to a [`Network::look_up`], if there is one.
    fn looked_up(&mut self, now: Now) -> Option<Answer>;

    /// Begins to connect; a later `writable` says that [`Network::connected`] may be asked.
    ///
    /// # Errors
    /// Not even the attempt could be made.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Key>;

    /// The same for the configured source of this number, which may be spoken to in a way of its own.
    ///
    /// # Errors
    /// As [`Network::connect`].
    fn connect_to(&mut self, _source: usize, address: SocketAddr) -> io::Result<Key> {
        self.connect(address)
    }

    /// Whether a connection that was begun stands now.
    ///
    /// # Errors
    /// It was refused, or timed out.
    fn connected(&mut self, key: Key) -> io::Result<bool>;

    /// The next connection that somebody made to the listener.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; anything else: it could not be accepted now.
    fn accept(&mut self) -> io::Result<(Key, SocketAddr)>;

    /// A stream that was just accepted may stay: what only such a one needs is done now. One that may not
    /// costs no more than its refusal.
    ///
    /// # Errors
    /// The system does not let it in now.
    fn let_in(&mut self, _key: Key) -> io::Result<()> {
        Ok(())
    }

    /// The names in the certificate that the peer of an accepted stream has shown, once it was verified.
    fn certificate(&self, _key: Key) -> Option<Vec<String>> {
        None
    }

    /// Whether a stream comes from within this process: then whoever opened it has bounded how many
    /// there are.
    fn is_local(&self, _key: Key) -> bool {
        false
    }

    /// Reads; zero: the peer has ended its side.
    ///
    /// # Errors
    /// `WouldBlock`, or the connection is gone.
    fn read(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize>;

    /// Has the system tell a stream's peer that what was read has come. Where the role's sockets put
    /// this off, and [`Network::read`] does not tell it, it is told in 40 ms at the latest.
    fn confirm(&mut self, _key: Key) {}

    /// Writes the pieces, one behind the other; returns how many bytes were taken.
    ///
    /// # Errors
    /// `WouldBlock`, or the connection is gone.
    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// So many bytes of what a blocked [`Network::write`] was offered are on their way, and are counted by
    /// a later one, which must be offered them again.
    fn uncounted(&self, _key: Key) -> usize {
        0
    }

    /// Tells a stream that was just accepted why it may not stay, in a line, and closes it; its key
    /// is free.
    fn refuse(&mut self, key: Key, line: &str) {
        // The peer may be gone.
        let _ = self.write(key, &[IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")]);
        self.shut_down(key);
        self.close(key);
    }

    /// Ends this side of a stream; the peer may go on sending.
    fn shut_down(&mut self, key: Key);

    /// Closes a stream.
    fn close(&mut self, key: Key);

    /// Readable when [`Network::poll`] would find something.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;
}
