//! Streams that speak TLS, or may: handshakes, and the first bytes of whoever was accepted.
//!
//! The part of [`Tcp`] that [`tls`] stands behind.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::{Speech, Stream, Tcp, live};
use crate::net::Key;
use crate::net::tls::{self, Session};

impl Tcp {
    /// Goes on with the handshake of a stream; whether it is over.
    ///
    /// # Errors
    /// It has failed.
    #[cold]
    pub(super) fn shake(&mut self, key: Key) -> io::Result<bool> {
        let stream = live(&mut self.streams, key)?;
        let (Speech::Tls(session), Some(tls)) = (&mut stream.speech, &mut self.tls) else {
            return Ok(true);
        };
        if !tls.may_step(key) {
            return Ok(false);
        }
        let shaken = match plain(session, &stream.socket) {
            Some(answer) => {
                // A socket that is closed with bytes unread would take the answer away.
                let _ = stream.socket.read(&mut [0; 4096]);
                let _ = stream.socket.write(answer);
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the peer does not speak TLS",
                ))
            }
            None => session.shake(&mut stream.socket),
        };
        match &shaken {
            // What waits to be written can be now.
            Ok(true) => tls.note_ready(key),
            Ok(false) => {}
            Err(error) => {
                let peer = stream.socket.peer_addr().ok();
                tls.note_failure(peer, &error.to_string(), self.watch.began.elapsed());
            }
        }
        shaken
    }

    /// The first read of a plain connection that was accepted.
    #[cold]
    pub(super) fn read_first(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        let stream = live(&mut self.streams, key)?;
        let len = stream.socket.read(into)?;
        stream.speech = Speech::Plain;
        if tls::is_tls(&into[..len]) {
            let _ = stream.socket.write(tls::NO_TLS);
            let why = "the peer speaks TLS, and this address does not";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(len)
    }

    pub(super) fn read_tls(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        let stream = live(&mut self.streams, key)?;
        if let Speech::Tls(session) = &stream.speech
            && session.is_handshaking()
            && !self.shake(key)?
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let stream = live(&mut self.streams, key)?;
        match &mut stream.speech {
            Speech::Tls(session) => session.read(&mut stream.socket, into),
            _ => stream.socket.read(into),
        }
    }
}

/// The answer for a peer that was accepted and begins with something else than TLS.
fn plain(session: &Session, socket: &TcpStream) -> Option<&'static [u8]> {
    let mut first = [0];
    let is_there = session.is_new() && socket.peek(&mut first).is_ok_and(|len| len > 0);
    is_there.then(|| tls::answer_to_plain(first[0])).flatten()
}

/// Whether a stream's handshake goes on, whichever way its socket is ready.
pub(super) fn is_handshaking(streams: &[Option<Stream>], key: Key) -> bool {
    let speech = streams
        .get(key)
        .and_then(Option::as_ref)
        .map(|it| &it.speech);
    matches!(speech, Some(Speech::Tls(session)) if session.is_handshaking())
}
