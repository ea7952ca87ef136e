//! One TCP connection of a server, without blocking: bytes in, bytes out, and whether it lives.
//!
//! `server` owns it and waits for it. It knows nothing of frames. Where it has a TLS session, all bytes
//! go through that.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use rustix::event::PollFd;

use crate::peer::AckReader;
use crate::tls::Session;

/// What a read or a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Io {
    /// So many bytes moved.
    Bytes(usize),
    /// Not now.
    WouldBlock,
    /// The peer is gone.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    /// `None`: plain.
    tls: Option<Session>,
    acks: AckReader,
    ended: bool,
}

impl Connection {
    /// # Errors
    /// The peer is gone already.
    pub(crate) fn new(socket: TcpStream, tls: Option<Session>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            tls,
            acks: AckReader::default(),
            ended: false,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Io {
        outcome(match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => tls.write(&mut self.socket, bytes),
        })
    }

    /// Hands the socket what TLS has for it, as far as there is room. What is wrong shows at the next read.
    pub(crate) fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            let _ = tls.flush(&mut self.socket);
        }
    }

    /// Whether it waits for room in the socket; a handshake waits for the peer.
    pub(crate) fn waits_for_room(&self, is_blocked: bool) -> bool {
        match &self.tls {
            None => is_blocked,
            Some(tls) => tls.wants_write() || (is_blocked && !tls.is_handshaking()),
        }
    }

    /// Reads what is there. `Closed` also when the peer has only ended its own side: a source's
    /// peer has nothing to say, so an end from it means that it left.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> (Io, Option<u64>) {
        let read = match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => tls.read(&mut self.socket, buffer),
        };
        match outcome(read) {
            Io::Bytes(0) => (Io::Closed, None),
            Io::Bytes(len) => (Io::Bytes(len), self.acks.feed(&buffer[..len])),
            other => (other, None),
        }
    }

    /// Ends our side; what was written still arrives. True the first time.
    pub(crate) fn end(&mut self) -> bool {
        let first = !self.ended;
        if first {
            self.ended = true;
            if let Some(tls) = &mut self.tls {
                tls.end(&mut self.socket);
            }
            // A peer that left meanwhile shows at the next read.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        first
    }

    pub(crate) fn poll_fd(&self, events: rustix::event::PollFlags) -> PollFd<'_> {
        PollFd::new(&self.socket, events)
    }
}

fn outcome(result: io::Result<usize>) -> Io {
    match result {
        Ok(len) => Io::Bytes(len),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Io::WouldBlock
        }
        Err(_) => Io::Closed,
    }
}
