//! One connection's TLS: plaintext to the agent, records to the socket.
//!
//! `Tcp` has one beside the socket of each TLS stream, and calls it wherever it would read or write the
//! socket itself. It owns no socket: each call is given one. Nothing here blocks.
//!
//! ```text
//! read    socket --records--> rustls --plaintext--> agent     until one has no more, or no room
//! write   agent --16 KiB--> one record --> socket             told to the agent once it is in the socket
//! ```
//!
//! A record that the socket took in part is finished by the next write, which is given the same bytes
//! again: they count as written then, and not before. So what the engine counts as delivered is in the
//! socket, as without TLS.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConnection, Connection, ServerConfig, ServerConnection};

use super::Dialled;
use super::asked::Asked;
use super::failure::NotLetIn;
use crate::limits::TLS_RECORD_LEN;

#[derive(Debug)]
pub(in crate::net) struct Session {
    connection: Connection,
    /// Bytes of the agent's in the record that the socket has not wholly taken.
    sealed: usize,
    /// No record has come.
    is_new: bool,
    began: Instant,
    /// Of a server that was dialled, where no certificate is shown.
    asked: Option<Arc<Asked>>,
}

impl Session {
    /// For a connection that was accepted.
    pub(in crate::net) fn accept(config: &Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config));
        Ok(Self::over(connection.map_err(io::Error::other)?.into()))
    }

    /// For a connection to this server.
    pub(in crate::net) fn connect(to: Dialled) -> io::Result<Self> {
        let connection = ClientConnection::new(to.config, to.name);
        Ok(Self {
            asked: to.asked,
            ..Self::over(connection.map_err(io::Error::other)?.into())
        })
    }

    fn over(connection: Connection) -> Self {
        Self {
            connection,
            sealed: 0,
            is_new: true,
            began: Instant::now(),
            asked: None,
        }
    }

    pub(in crate::net) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether nothing was read yet of a peer that was accepted.
    pub(in crate::net) fn is_new(&self) -> bool {
        self.is_new && matches!(self.connection, Connection::Server(_))
    }

    /// The names in the certificate that a peer who was accepted has shown; `None`: it showed none, or
    /// has not shaken hands yet.
    pub(in crate::net) fn certificate(&self) -> Option<Vec<String>> {
        match &self.connection {
            Connection::Server(it) if !it.is_handshaking() => super::certificate(it),
            _ => None,
        }
    }

    /// Since when, for its time is bounded.
    pub(in crate::net) fn began(&self) -> Instant {
        self.began
    }

    /// Reads plaintext, as much as there is room and records for; zero: the peer has said that it ends
    /// its side.
    ///
    /// # Errors
    /// `WouldBlock`; or the peer breaks the protocol, or has ended without a word, so that what came last
    /// may have been cut off.
    pub(in crate::net) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        into: &mut [u8],
    ) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.connection.reader().read(&mut into[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(len) => {
                    filled += len;
                    if filled == into.len() {
                        return Ok(filled);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            match self.take_records(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is told by the next read.
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on with the handshake as far as the socket gives and takes. Returns whether it is over.
    ///
    /// # Errors
    /// It has failed, or the peer is gone.
    pub(in crate::net) fn shake(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        self.flush(socket)?;
        while self.is_handshaking() {
            match self.take_records(socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes some records from the socket, and answers what they ask; returns how many bytes they have.
    fn take_records(&mut self, socket: &mut (impl Read + Write)) -> io::Result<usize> {
        let len = self.connection.read_tls(socket)?;
        self.is_new &= len == 0;
        let processed = self.connection.process_new_packets();
        // A record of which the socket has a part is the next write's, which counts it: else a peer
        // would acknowledge what is not known to be sent.
        if self.sealed == 0 || processed.is_err() {
            // It also tells the peer what is wrong. If the peer is gone, what it has sent is read all
            // the same.
            let _ = self.flush(socket);
        }
        match processed {
            Ok(_) => Ok(len),
            Err(error) => Err(self.explained(error)),
        }
    }

    /// Why the peer or this side has ended the session.
    fn explained(&self, error: rustls::Error) -> io::Error {
        let is_asked = self.asked.as_ref().map(|it| it.get());
        let not_let_in = match &self.connection {
            Connection::Client(_) => NotLetIn::of(&error, is_asked),
            Connection::Server(_) => None,
        };
        match not_let_in {
            Some(why) => io::Error::new(ErrorKind::InvalidData, why),
            None => io::Error::new(ErrorKind::InvalidData, error),
        }
    }

    /// Writes plaintext, in records; returns how many bytes are in the socket. After `WouldBlock` the
    /// same bytes must come again first.
    ///
    /// # Errors
    /// `WouldBlock`, also while the handshake lasts; or the connection is gone.
    pub(in crate::net) fn sealed_len(&self) -> usize {
        self.sealed
    }

    pub(in crate::net) fn write(
        &mut self,
        socket: &mut impl Write,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if self.is_handshaking() || !self.flush(socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = std::mem::take(&mut self.sealed);
        debug_assert!(taken <= pieces.iter().map(|it| it.len()).sum());
        loop {
            let sealed = self.seal(pieces, taken)?;
            if sealed == 0 {
                return Ok(taken);
            }
            if !self.flush(socket)? {
                self.sealed = sealed;
                return match taken {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    taken => Ok(taken),
                };
            }
            taken += sealed;
        }
    }

    /// Makes a record of what follows the first `skip` bytes; returns how many are in it.
    fn seal(&mut self, pieces: &[IoSlice<'_>], mut skip: usize) -> io::Result<usize> {
        let mut sealed = 0;
        let mut record = Vec::with_capacity(TLS_RECORD_LEN);
        for piece in pieces {
            let rest = piece.get(skip..).unwrap_or_default();
            skip -= skip.min(piece.len());
            let len = rest.len().min(TLS_RECORD_LEN - sealed);
            record.extend_from_slice(&rest[..len]);
            sealed += len;
        }
        self.connection.writer().write_all(&record)?;
        Ok(sealed)
    }

    /// Hands records to the socket; returns whether it took all.
    ///
    /// # Errors
    /// The connection is gone.
    pub(in crate::net) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that this side ends, as far as the socket takes it.
    pub(in crate::net) fn end(&mut self, socket: &mut impl Write) {
        if self.is_handshaking() {
            return;
        }
        self.connection.send_close_notify();
        // The peer may be gone.
        let _ = self.flush(socket);
    }
}
