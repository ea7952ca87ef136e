//! Sockets behind a narrow trait: what the ingest and delivery agents need of a network, so that a
//! simulation can cut reads short, delay, reset and reorder.
//!
//! Readiness is a hint: it is told once (edge-triggered), and whoever was told must go on until
//! [`io::ErrorKind::WouldBlock`] or remember that there is more. Nothing here blocks.
#![allow(unsafe_code)]

pub mod acceptor;
pub mod admission;
pub mod framer;
mod lookups;
mod refused;
mod resolver;
mod silence;

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{SockRef, TcpKeepalive};

use self::refused::Refused;
pub use self::resolver::Answer;
use self::resolver::Resolver;
use self::silence::{Answers, Silence};
use crate::clock::Now;
use crate::config::Delivery;
use crate::limits::{PEER_LOOK_INTERVAL, PEER_LOOKS, PEER_LOOKS_INTERVAL, SUBSCRIBER_SEND_BUFFER};

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

    /// Tells a stream that was just accepted why it may not stay, in a line, and closes it; its key
    /// is free.
    fn refuse(&mut self, key: Key, line: &str) {
        // A peer that is gone is not told.
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

/// How sockets of one role are set up.
#[derive(Debug, Clone, Copy)]
pub struct SocketOptions {
    /// Bytes of the kernel's send buffer; `None`: the system's own choice.
    pub send_buffer: Option<usize>,
    /// While fewer bytes wait in the kernel for the peer to have room, it takes more; `None`: as long
    /// as its buffer has room.
    pub unsent: Option<usize>,
    /// A read does not confirm at once what it read: that takes longer than the read itself, and has
    /// time until [`Network::confirm`].
    pub confirms_late: bool,
    /// Events taken from the poller at once.
    pub events: usize,
}

impl SocketOptions {
    /// Those of whoever sends to the engine.
    #[must_use]
    pub fn of_sources() -> Self {
        Self {
            send_buffer: None,
            unsent: None,
            confirms_late: true,
            events: EVENTS,
        }
    }

    /// Those of whoever gets messages, with these settings: what is in the kernel's buffer cannot be
    /// overtaken either.
    #[must_use]
    pub fn of_subscribers(settings: &Delivery) -> Self {
        Self {
            send_buffer: Some(SUBSCRIBER_SEND_BUFFER.min(settings.credit)),
            unsent: Some(settings.credit_unsent()),
            confirms_late: false,
            events: EVENTS,
        }
    }
}

/// Events that are taken from the poller at once.
const EVENTS: usize = 1024;

/// A peer that is silent this long is asked whether it lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// ... and then this often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and so many times, before it is dead: a minute after its last word.
const KEEPALIVE_PROBES: u32 = 3;
/// Between two looks at the clock, in polls: one takes a twentieth of a poll.
const POLLS_PER_LOOK: u32 = 16;

const LISTENER: Token = Token(usize::MAX);
/// An answer of the resolver has come.
const ANSWER: Token = Token(usize::MAX - 1);

/// The machine's TCP, through mio.
#[derive(Debug)]
pub struct Tcp {
    poll: Poll,
    events: Events,
    listener: Option<TcpListener>,
    streams: Vec<Option<Stream>>,
    free: Vec<Key>,
    refused: Refused,
    options: SocketOptions,
    resolver: Resolver,
    watch: Watch,
}

/// One connection.
#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    silence: Silence,
    /// Its peer does not answer the system any more.
    is_dead: bool,
}

/// Whose peers are looked at next, and when.
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
        })
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

    fn adopt(&mut self, mut stream: TcpStream) -> io::Result<Key> {
        let key = self.free.last().copied().unwrap_or(self.streams.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(key), interest)?;
        if self.free.pop().is_none() {
            self.streams.push(None);
        }
        self.streams[key] = Some(Stream {
            socket: stream,
            silence: Silence::default(),
            is_dead: false,
        });
        Ok(key)
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut TcpStream> {
        match self.streams.get_mut(key).and_then(Option::as_mut) {
            Some(stream) if stream.is_dead => Err(io::ErrorKind::TimedOut.into()),
            Some(stream) => Ok(&mut stream.socket),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Gives up a stream and its key.
    fn take(&mut self, key: Key) -> Option<TcpStream> {
        let mut stream = self.streams.get_mut(key).and_then(Option::take)?;
        // Closing the descriptor deregisters it too; failure would change nothing.
        let _ = self.poll.registry().deregister(&mut stream.socket);
        self.free.push(key);
        Some(stream.socket)
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        if let Some(len) = self.options.send_buffer {
            socket.set_send_buffer_size(len)?;
        }
        if let Some(len) = self.options.unsent {
            socket.set_tcp_notsent_lowat(u32::try_from(len).unwrap_or(u32::MAX))?;
        }
        if self.options.confirms_late {
            // Where the system has no such option, reads take longer.
            let _ = socket.set_tcp_quickack(false);
        }
        Ok(())
    }
}

impl Stream {
    /// Whether the peer has turned out to be dead.
    fn look(&mut self, now: Duration) -> bool {
        let answers = Answers::of(&self.socket);
        self.is_dead |= answers.is_ok_and(|it| self.silence.look(it, now));
        self.is_dead
    }
}

impl Network for Tcp {
    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let told = self.events.iter().filter(|it| it.token() != ANSWER);
        ready.extend(told.map(|event| match event.token() {
            LISTENER => Ready::Listener,
            Token(key) => Ready::Stream {
                key,
                readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            },
        }));
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
        self.set_up(&stream)?;
        self.adopt(stream)
    }

    fn connected(&mut self, key: Key) -> io::Result<bool> {
        let stream = self.stream(key)?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            // A port that nobody listens on may be the very one that the system gave this socket.
            Ok(peer) if stream.local_addr()? == peer => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn accept(&mut self) -> io::Result<(Key, SocketAddr)> {
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
        let (stream, peer) = listener.accept()?;
        self.set_up(&stream)?;
        Ok((self.adopt(stream)?, peer))
    }

    fn read(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        self.stream(key)?.read(into)
    }

    fn confirm(&mut self, key: Key) {
        if !self.options.confirms_late {
            return;
        }
        if let Ok(stream) = self.stream(key) {
            confirm_now(stream);
        }
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream(key)?.write_vectored(pieces)
    }

    fn refuse(&mut self, key: Key, line: &str) {
        if let Some(stream) = self.take(key) {
            self.refused.take(stream, line);
        }
    }

    fn shut_down(&mut self, key: Key) {
        if let Ok(stream) = self.stream(key) {
            // It fails only where the peer is gone already.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn close(&mut self, key: Key) {
        drop(self.take(key));
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is the poller's own and lives as long as the borrow of `self`.
        Some(unsafe { BorrowedFd::borrow_raw(self.poll.as_raw_fd()) })
    }
}

/// Has the system send the acknowledgement that is due, and put off those to come, in one call.
fn confirm_now(stream: &TcpStream) {
    // tcp(7) knows 0 and 1. Linux: any value but 0 sends what is due, and an even one goes back to
    // putting off (`__tcp_sock_set_quickack`).
    let once: libc::c_int = 2;
    // SAFETY: the descriptor is open while the stream lives, and the system reads four bytes of `once`.
    // It fails only where the stream is gone: then nothing is due.
    let _ = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            (&raw const once).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn no_limit_of_the_kernel_s_cuts_a_peer_that_does_not_read() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mut net = Tcp::new(Some(listener), SocketOptions::of_sources()).expect("a poller");
        let _peer = std::net::TcpStream::connect(address).expect("it listens");
        let key = loop {
            match net.accept() {
                Ok((key, _)) => break key,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        let socket = SockRef::from(&*net.stream(key).expect("it is there"));
        assert_eq!(socket.tcp_user_timeout().expect("an option"), None);
        assert!(socket.keepalive().expect("an option"));
    }

    #[test]
    fn who_is_refused_reads_why_though_it_has_sent_something() {
        use std::io::Read as _;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mut net = Tcp::new(Some(listener), SocketOptions::of_sources()).expect("a poller");
        let mut peers = Vec::new();
        for _ in 0..2 * crate::limits::REFUSED_HELD_MAX {
            let mut peer = std::net::TcpStream::connect(address).expect("it listens");
            peer.write_all(b"something\n").expect("it is connected");
            peers.push(peer);
        }
        for _ in &peers {
            let (key, _) = net.accept().expect("it waits");
            net.refuse(key, "{\"error\":\"no room\"}");
            assert_eq!(key, 0, "its key is free again");
        }
        for mut peer in peers {
            let mut line = String::new();
            peer.read_to_string(&mut line).expect("no reset");
            assert_eq!(line, "{\"error\":\"no room\"}\n");
        }
    }

    #[test]
    fn a_socket_that_reached_itself_is_not_connected() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("a port");
        let own = socket.local_addr().expect("it is bound");
        socket.connect(&own).expect("TCP allows it");
        socket.set_nonblocking(true).expect("an option");
        let mut net = Tcp::new(None, SocketOptions::of_sources()).expect("a poller");
        let key = net.adopt(TcpStream::from_std(socket.into())).expect("room");
        let error = net.connected(key).expect_err("nobody else is there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
