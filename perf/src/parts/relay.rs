//! The relay: the baseline that every figure of the engine stands beside.
//!
//! One thread, one epoll, big reads and big writes. It dials the sources and answers subscribers
//! as the engine does, so the same source and sink measure both; between them it only searches and
//! copies. It keeps nothing, so its subscribers come before its sources send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use serde::Deserialize;

use super::routes::Routes;
use crate::plan::Plan;

const READ_LEN: usize = 256 * 1024;
/// With more waiting for any destination the sources wait: it is bounded, as the engine is.
const WAITING_MAX: usize = 1024 * 1024;
/// Longest line of a subscriber.
const WORDS_LEN_MAX: usize = 4096;
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

struct Source {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    is_readable: bool,
}

struct Subscriber {
    stream: TcpStream,
    is_writable: bool,
    /// What it said, until its line was whole.
    words: Vec<u8>,
}

/// The relay. Tokens: the sources from 0, then the subscribers as they came.
struct Relay {
    poll: Poll,
    listener: TcpListener,
    sources: Vec<Source>,
    subscribers: Vec<Subscriber>,
    routes: Routes,
    taker: Vec<Option<usize>>,
}

#[derive(Deserialize)]
struct Words {
    subscribe: Vec<String>,
}

/// Relays until it is killed.
pub(crate) fn run(destinations: usize, sources: &[SocketAddr]) -> Result<()> {
    let mut relay = Relay::new(destinations, sources).context("starting the relay")?;
    let address = relay.listener.local_addr().context("our address")?;
    // As the engine says it, for the same reader.
    eprintln!(
        "relay: running: {} sources, subscribers on {address}",
        sources.len()
    );
    relay.turn_for_ever().context("relaying")
}

impl Relay {
    fn new(destinations: usize, addresses: &[SocketAddr]) -> io::Result<Self> {
        let names = Plan {
            destinations,
            ..Plan::flat_out(0, 0)
        };
        let names = names.destination_names();
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut sources = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            registry.register(&mut stream, Token(index), Interest::READABLE)?;
            sources.push(Source {
                stream,
                buffer: vec![0; READ_LEN],
                filled: 0,
                is_readable: true,
            });
        }
        Ok(Self {
            poll,
            listener,
            sources,
            subscribers: Vec::new(),
            routes: Routes::new(&names),
            taker: vec![None; destinations],
        })
    }

    fn turn_for_ever(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let may_read = self.routes.waiting_max() < WAITING_MAX;
            let is_busy = may_read && self.sources.iter().any(|it| it.is_readable);
            let timeout = is_busy.then_some(Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(index) if index < self.sources.len() => {
                        self.sources[index].is_readable = true;
                    }
                    Token(token) => {
                        let index = token - self.sources.len();
                        self.subscribers[index].is_writable |= event.is_writable();
                        if event.is_readable() {
                            self.listen_to(index)?;
                        }
                    }
                }
            }
            self.relay()?;
        }
    }

    /// One read of each source that has something, written on at once.
    fn relay(&mut self) -> io::Result<()> {
        for index in 0..self.sources.len() {
            if self.sources[index].is_readable && self.routes.waiting_max() < WAITING_MAX {
                self.sources[index].read(&mut self.routes)?;
                self.write_all()?;
            }
        }
        self.write_all()
    }

    fn write_all(&mut self) -> io::Result<()> {
        for (out, taker) in self.routes.outs.iter_mut().zip(&self.taker) {
            let Some(subscriber) = taker.map(|it| &mut self.subscribers[it]) else {
                continue;
            };
            while out.waiting() > 0 && subscriber.is_writable {
                match subscriber.stream.write(&out.bytes[out.written..]) {
                    Ok(len) => out.wrote(len),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        subscriber.is_writable = false;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let (mut stream, _) = match self.listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                accepted => accepted?,
            };
            stream.set_nodelay(true)?;
            let token = Token(self.sources.len() + self.subscribers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, token, interest)?;
            self.subscribers.push(Subscriber {
                stream,
                is_writable: true,
                words: Vec::new(),
            });
        }
    }

    /// Reads what a subscriber says; answers its line as the engine would.
    fn listen_to(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &mut self.subscribers[index];
        let mut buffer = [0; WORDS_LEN_MAX];
        loop {
            match subscriber.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => subscriber.words.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if subscriber.words.last() != Some(&b'\n') {
            return Ok(());
        }
        let words: Words = serde_json::from_slice(&subscriber.words)?;
        subscriber.words.clear();
        for name in &words.subscribe {
            let destination = self.routes.index_of(name).ok_or(ErrorKind::NotFound)?;
            self.taker[destination] = Some(index);
        }
        let subscribed = serde_json::json!(words.subscribe);
        let answer = format!("{{\"subscribed\":{subscribed},\"standby\":[]}}\n");
        subscriber.stream.write_all(answer.as_bytes())
    }
}

impl Source {
    fn read(&mut self, routes: &mut Routes) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => self.is_readable = false,
            Ok(len) => {
                self.filled += len;
                let taken = routes.route(&self.buffer[..self.filled]);
                self.buffer.copy_within(taken..self.filled, 0);
                self.filled -= taken;
                if self.filled == self.buffer.len() {
                    return Err(io::Error::other(
                        "a line without a destination, or too long",
                    ));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
