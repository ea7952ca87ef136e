//! One TCP connection of a server, without blocking: bytes in, bytes out, and whether it lives.
//!
//! `server` owns it and waits for it. It knows nothing of frames.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use rustix::event::PollFd;

use crate::peer::AckReader;

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
    acks: AckReader,
    ended: bool,
}

impl Connection {
    /// # Errors
    /// The peer is gone already.
    pub(crate) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            acks: AckReader::default(),
            ended: false,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Io {
        outcome(self.socket.write(bytes))
    }

    /// Reads what is there. `Closed` also when the peer has only ended its own side: a source's
    /// peer has nothing to say, so an end from it means that it left.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> (Io, Option<u64>) {
        match outcome(self.socket.read(buffer)) {
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
