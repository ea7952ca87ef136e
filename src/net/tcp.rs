//! The machine's TCP, through mio.
#![allow(unsafe_code)]

mod confirm;
mod speech;
mod streams;

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use self::confirm::confirm_now;
use self::speech::is_handshaking;
use super::local::LocalListener;
use super::offer::Offers;
use super::refused::Refused;
use super::resolver::Resolver;
use super::silence::{Answers, Silence};
use super::socket::Socket;
use super::tls::{self, Session, Tls, TlsParts};
use super::{Answer, Key, Network, Ready, SocketOptions};
use crate::clock::Now;
use crate::limits::{PEER_LOOK_INTERVAL, PEER_LOOKS, PEER_LOOKS_INTERVAL};

/// Between two looks at the clock, in polls: one takes a twentieth of a poll.
const POLLS_PER_LOOK: u32 = 16;

const LISTENER: Token = Token(usize::MAX);
/// An answer of the resolver has come.
const ANSWER: Token = Token(usize::MAX - 1);
/// Somebody in this process connects.
const LOCAL: Token = Token(usize::MAX - 2);

/// The machine's TCP, through mio.
#[derive(Debug)]
pub struct Tcp {
    poll: Poll,
    events: Events,
    listener: Option<TcpListener>,
    local: Option<LocalListener>,
    /// By configured source: those that are in this process.
    offers: Offers,
    streams: Vec<Option<Stream>>,
    free: Vec<Key>,
    refused: Refused,
    options: SocketOptions,
    resolver: Resolver,
    watch: Watch,
    /// `None`: all is plain, for ever.
    tls: Option<Tls>,
}

/// What a stream speaks.
#[derive(Debug)]
enum Speech {
    Plain,
    /// It was accepted, and is not let in yet: its socket is not set up, and the poller does not know it.
    Accepted,
    /// Nothing was read of a connection that was accepted: its peer may speak TLS, in vain.
    New,
    Tls(Box<Session>),
    /// Its peer is in this process, and stands for a client with these names in its certificate.
    Local(Option<Box<[String]>>),
}

/// One connection.
#[derive(Debug)]
struct Stream {
    socket: Socket,
    speech: Speech,
    silence: Silence,
    /// Its peer does not answer the system any more.
    is_dead: bool,
}

/// Whose peers are checked next, and when.
#[derive(Debug)]
struct Watch {
    polls: u32,
    began: Instant,
    next: Key,
    look_at: Duration,
    round_began: Duration,
}

impl Tcp {
    /// Takes a bound listener, if there is one.
    ///
    /// # Errors
    /// No poller could be made.
    pub fn new(
        listener: Option<std::net::TcpListener>,
        options: SocketOptions,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listener = listener.map(|it| {
            it.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(it);
            poll.registry()
                .register(&mut listener, LISTENER, Interest::READABLE)?;
            io::Result::Ok(listener)
        });
        Ok(Self {
            poll,
            events: Events::with_capacity(options.events),
            listener: listener.transpose()?,
            local: None,
            offers: Offers::default(),
            streams: Vec::new(),
            free: Vec::new(),
            refused: Refused::default(),
            options,
            resolver: Resolver::new(),
            watch: Watch {
                polls: 0,
                began: Instant::now(),
                next: 0,
                look_at: Duration::ZERO,
                round_began: Duration::ZERO,
            },
            tls: None,
        })
    }

    /// The listener and what is dialled speak TLS where these parts say so.
    #[must_use]
    pub(crate) fn with_tls(self, parts: TlsParts) -> Self {
        Self {
            tls: Some(Tls::new(parts)),
            ..self
        }
    }

    /// Accepts from within this process too.
    ///
    /// # Errors
    /// The poller cannot be woken by it.
    pub(crate) fn with_local(mut self, mut local: LocalListener) -> io::Result<Self> {
        local.register(self.poll.registry(), LOCAL)?;
        local.send_buffer = self.options.unsent;
        self.local = Some(local);
        Ok(self)
    }

    /// Some of the configured sources, by number, are in this process.
    #[must_use]
    pub(crate) fn with_offers(self, offers: Offers) -> Self {
        Self { offers, ..self }
    }

    /// Looks whether some more of the peers live; those that do not become ready, and their streams
    /// fail.
    fn watch(&mut self, ready: &mut Vec<Ready>) {
        self.watch.polls += 1;
        if self.watch.polls < POLLS_PER_LOOK {
            return;
        }
        self.watch.polls = 0;
        let now = self.watch.began.elapsed();
        if now < self.watch.look_at {
            return;
        }
        self.refused.tidy();
        if let Some(tls) = &mut self.tls {
            tls.log_left_out(now);
        }
        let end = self.streams.len().min(self.watch.next + PEER_LOOKS);
        for key in self.watch.next..end {
            if let Some(stream) = &mut self.streams[key]
                && stream.look(now)
            {
                ready.push(Ready::Stream {
                    key,
                    readable: true,
                    writable: true,
                });
            }
        }
        (self.watch.next, self.watch.look_at) = (end, now + PEER_LOOKS_INTERVAL);
        if end == self.streams.len() {
            let next_round = self.watch.round_began + PEER_LOOK_INTERVAL;
            self.watch.look_at = self.watch.look_at.max(next_round);
            (self.watch.next, self.watch.round_began) = (0, self.watch.look_at);
        }
    }
}

/// A stream whose peer lives, as far as is known.
fn live(streams: &mut [Option<Stream>], key: Key) -> io::Result<&mut Stream> {
    match streams.get_mut(key).and_then(Option::as_mut) {
        Some(stream) if stream.is_dead => Err(io::ErrorKind::TimedOut.into()),
        Some(stream) => Ok(stream),
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}

impl Stream {
    /// Whether the peer has turned out to be dead.
    fn look(&mut self, now: Duration) -> bool {
        if !self.is_dead {
            let answers = Answers::of(&self.socket);
            self.is_dead = answers.is_ok_and(|it| self.silence.look(it, now));
        }
        self.is_dead
    }
}

impl Network for Tcp {
    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        if let Some(tls) = &mut self.tls {
            ready.extend(tls.begin_poll().map(|key| Ready::Stream {
                key,
                readable: true,
                writable: true,
            }));
        }
        let (has_tls, all) = (self.tls.is_some(), &self.streams);
        let shakes = |key: Key| has_tls && is_handshaking(all, key);
        let streams = self.events.iter().filter(|it| it.token() != ANSWER);
        ready.extend(streams.map(|event| match event.token() {
            LISTENER | LOCAL => Ready::Listener,
            Token(key) => Ready::Stream {
                key,
                readable: event.is_readable()
                    || event.is_read_closed()
                    || event.is_error()
                    || shakes(key),
                writable: event.is_writable()
                    || event.is_write_closed()
                    || event.is_error()
                    || shakes(key),
            },
        }));
        self.end_late_handshakes(ready);
        self.watch(ready);
        Ok(())
    }

    fn look_up(&mut self, number: usize, name: &str, now: Now) {
        if !self.resolver.has_waker()
            // Without one, whoever sleeps looks by itself, if later.
            && let Ok(waker) = Waker::new(self.poll.registry(), ANSWER)
        {
            self.resolver.wakes(waker);
        }
        self.resolver.ask(number, name, now);
    }

    fn looked_up(&mut self, now: Now) -> Option<Answer> {
        self.resolver.poll(now)
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Key> {
        let stream = TcpStream::connect(address)?;
        self.options.set_up(&stream)?;
        self.adopt(stream.into(), Speech::Plain)
    }

    fn connect_to(&mut self, source: usize, address: SocketAddr) -> io::Result<Key> {
        if let Some(offer) = self.offers.of(source) {
            let stream = mio::net::UnixStream::from_std(offer.take()?);
            return self.adopt(stream.into(), Speech::Plain);
        }
        let tls = self.tls.as_ref();
        let Some(dialled) = tls.and_then(|it| it.parts.switch.dialled(source)) else {
            return self.connect(address);
        };
        let session = Session::connect(dialled)?;
        let stream = TcpStream::connect(address)?;
        self.options.set_up(&stream)?;
        self.adopt(stream.into(), Speech::Tls(Box::new(session)))
    }

    fn connected(&mut self, key: Key) -> io::Result<bool> {
        let Some(stream) = live(&mut self.streams, key)?.socket.tcp() else {
            return Ok(true);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            // A port that nobody listens on may be the very one that the system gave this socket.
            Ok(peer) if stream.local_addr()? == peer => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => self.shake(key),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn accept(&mut self) -> io::Result<(Key, SocketAddr)> {
        if let Some(local) = &mut self.local {
            match local.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => {
                    let (socket, peer) = accepted?;
                    let speech = Speech::Local(peer.certificate);
                    return Ok((self.adopt(socket, speech)?, peer.address));
                }
            }
        }
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
        let (stream, peer) = listener.accept()?;
        Ok((self.hold(stream.into(), Speech::Accepted), peer))
    }

    fn let_in(&mut self, key: Key) -> io::Result<()> {
        self.set_up(key)
    }

    fn is_local(&self, key: Key) -> bool {
        let stream = self.streams.get(key).and_then(Option::as_ref);
        stream.is_some_and(|it| it.socket.tcp().is_none())
    }

    fn certificate(&self, key: Key) -> Option<Vec<String>> {
        match &self.streams.get(key)?.as_ref()?.speech {
            Speech::Tls(session) => session.certificate(),
            Speech::Local(names) => names.as_ref().map(|it| it.to_vec()),
            Speech::Plain | Speech::Accepted | Speech::New => None,
        }
    }

    fn read(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        let stream = live(&mut self.streams, key)?;
        match &stream.speech {
            Speech::Plain | Speech::Accepted | Speech::Local(_) => stream.socket.read(into),
            Speech::New => self.read_first(key, into),
            Speech::Tls(_) => self.read_tls(key, into),
        }
    }

    fn confirm(&mut self, key: Key) {
        if !self.options.confirms_late {
            return;
        }
        if let Ok(stream) = live(&mut self.streams, key)
            && let Some(socket) = stream.socket.tcp()
        {
            confirm_now(socket);
        }
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = live(&mut self.streams, key)?;
        match &mut stream.speech {
            Speech::Plain | Speech::Accepted | Speech::New | Speech::Local(_) => {
                stream.socket.write_vectored(pieces)
            }
            Speech::Tls(session) => session.write(&mut stream.socket, pieces),
        }
    }

    fn uncounted(&self, key: Key) -> usize {
        let stream = self.streams.get(key).and_then(Option::as_ref);
        match stream.map(|it| &it.speech) {
            Some(Speech::Tls(session)) => session.sealed_len(),
            _ => 0,
        }
    }

    fn refuse(&mut self, key: Key, line: &str) {
        let Some(mut stream) = self.take(key) else {
            return;
        };
        match &mut stream.speech {
            Speech::Accepted if self.listener_tls().is_some() => {
                self.refused.take_with(stream.socket, &tls::REFUSED);
            }
            Speech::Plain | Speech::Accepted | Speech::New | Speech::Local(_) => {
                self.refused.take(stream.socket, line);
            }
            Speech::Tls(session) if session.is_handshaking() => {
                self.refused.take_with(stream.socket, &tls::REFUSED);
            }
            Speech::Tls(session) => {
                let pieces = [IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")];
                let _ = session.write(&mut stream.socket, &pieces);
                session.end(&mut stream.socket);
                self.refused.take_with(stream.socket, b"");
            }
        }
    }

    fn shut_down(&mut self, key: Key) {
        if let Ok(stream) = live(&mut self.streams, key) {
            if let Speech::Tls(session) = &mut stream.speech {
                session.end(&mut stream.socket);
            }
            // It fails only where the peer is gone already.
            let _ = stream.socket.shut_down();
        }
    }

    fn close(&mut self, key: Key) {
        let Some(mut stream) = self.take(key) else {
            return;
        };
        match &mut stream.speech {
            Speech::Plain | Speech::Accepted | Speech::New | Speech::Local(_) => {}
            // Its peer may read why the handshake has failed.
            Speech::Tls(session) if session.is_handshaking() => {
                self.refused.take_with(stream.socket, b"");
            }
            Speech::Tls(session) => session.end(&mut stream.socket),
        }
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is the poller's own and lives as long as the borrow of `self`.
        Some(unsafe { BorrowedFd::borrow_raw(self.poll.as_raw_fd()) })
    }
}

#[cfg(test)]
mod tests;
