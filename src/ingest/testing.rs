//! A network of values for the tests of ingest's cores: it answers as a test says, and keeps what it
//! was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use crate::clock::Now;
use crate::net::{Answer, Key, Network, Ready};

/// The network.
#[derive(Debug, Default)]
pub(super) struct Net {
    /// Look-ups that were asked for.
    pub(super) asked: Vec<(usize, String)>,
    /// Answers that were not taken yet.
    pub(super) answers: VecDeque<Answer>,
    /// Where connections were begun, by key.
    pub(super) dialled: Vec<SocketAddr>,
    /// Connections to these cannot be begun.
    pub(super) refused: Vec<SocketAddr>,
    /// How the connections that were begun stand; not there: not yet.
    pub(super) stands: BTreeMap<Key, Result<(), ErrorKind>>,
    pub(super) closed: Vec<Key>,
    /// Bytes that sockets take before they are full.
    pub(super) room: usize,
    pub(super) written: Vec<u8>,
    /// Writes fail in this way.
    pub(super) write_error: Option<ErrorKind>,
}

impl Network for Net {
    fn poll(&mut self, _: &mut Vec<Ready>) -> io::Result<()> {
        Ok(())
    }

    fn look_up(&mut self, number: usize, name: &str, _: Now) {
        self.asked.push((number, name.to_owned()));
    }

    fn looked_up(&mut self, _: Now) -> Option<Answer> {
        self.answers.pop_front()
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Key> {
        if self.refused.contains(&address) {
            return Err(ErrorKind::NetworkUnreachable.into());
        }
        self.dialled.push(address);
        Ok(self.dialled.len() - 1)
    }

    fn connected(&mut self, key: Key) -> io::Result<bool> {
        match self.stands.get(&key) {
            None => Ok(false),
            Some(stands) => stands.map(|()| true).map_err(io::Error::from),
        }
    }

    fn accept(&mut self) -> io::Result<(Key, SocketAddr)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn read(&mut self, _: Key, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, _: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(kind) = self.write_error {
            return Err(kind.into());
        }
        let before = self.written.len();
        for piece in pieces {
            let taken = piece.len().min(self.room);
            self.room -= taken;
            self.written.extend_from_slice(&piece[..taken]);
        }
        match self.written.len() - before {
            0 => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    fn shut_down(&mut self, _: Key) {}

    fn close(&mut self, key: Key) {
        self.closed.push(key);
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
