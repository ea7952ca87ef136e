//! Streams that speak TLS, or may: handshakes, and the first bytes of whoever was accepted.
//!
//! The part of [`Tcp`] that [`tls`] stands behind.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use super::{Speech, Stream, Tcp, live};
use crate::net::socket::Socket;
use crate::net::tls::{self, NotLetIn, Session};
use crate::net::{Key, Ready};

impl Stream {
    /// `None`: it is from within this process, or gone.
    fn peer(&self) -> Option<SocketAddr> {
        self.socket.tcp()?.peer_addr().ok()
    }
}

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
                Err(tls::not_spoken())
            }
            None => session.shake(&mut stream.socket),
        };
        match &shaken {
            // What waits to be written can be now.
            Ok(true) => tls.note_ready(key),
            Ok(false) => {}
            Err(error) => {
                let peer = stream.peer();
                tls.note_failure(peer, error, self.watch.began.elapsed());
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
        let read = match &mut stream.speech {
            Speech::Tls(session) => session.read(&mut stream.socket, into),
            _ => stream.socket.read(into),
        };
        // A server of TLS 1.3 says so when the handshake is over on this side.
        if let (Err(error), Some(tls)) = (&read, &mut self.tls)
            && NotLetIn::is(error)
        {
            let peer = stream.peer();
            tls.note_failure(peer, error, self.watch.began.elapsed());
        }
        read
    }

    /// Ends the handshakes whose time is over: their streams become ready, and fail.
    pub(super) fn end_late_handshakes(&mut self, ready: &mut Vec<Ready>) {
        let Some(tls) = &mut self.tls else {
            return;
        };
        let goes_on = |streams: &[Option<Stream>], (key, began): (Key, Instant)| {
            let stream = streams.get(key).and_then(Option::as_ref);
            stream.is_some_and(|it| match &it.speech {
                Speech::Tls(session) => session.is_handshaking() && session.began() == began,
                _ => false,
            })
        };
        while let Some(key) = {
            let streams = &self.streams;
            (tls.handshakes).next_late(Instant::now, |it| goes_on(streams, it))
        } {
            let Some(stream) = &mut self.streams[key] else {
                continue;
            };
            stream.is_dead = true;
            let peer = stream.peer();
            tls.note_failure(peer, &tls::too_long(), self.watch.began.elapsed());
            ready.push(Ready::Stream {
                key,
                readable: true,
                writable: true,
            });
        }
    }
}

/// The answer for a peer that was accepted and begins with something else than TLS.
fn plain(session: &Session, socket: &Socket) -> Option<&'static [u8]> {
    let mut first = [0];
    let is_there = session.is_new()
        && (socket.tcp()).is_some_and(|it| it.peek(&mut first).is_ok_and(|len| len > 0));
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
