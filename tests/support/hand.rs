//! The pipeline turned by hand on the test's own thread: the real agents, sockets and files, and -
//! where a test wants it - a clock that stands still until the test moves it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flipped_lb::clock::{Clock, Now};
use flipped_lb::config::{self, Config};
use flipped_lb::counters::{Counter, Counters};
use flipped_lb::destinations;
use flipped_lb::engine::crank::Crank;
use flipped_lb::engine::pipeline::{Common, Signals, World, assemble, recover, rejects};
use flipped_lb::engine::{Names, Wakes};
use flipped_lb::journal::journal_folder;
use flipped_lb::journal::storage::Directory;
use flipped_lb::latency::{self, Collector};
use flipped_lb::limits::{REJECTS_RING, SCHEDULER_RING};
use flipped_lb::net::{SocketOptions, Tcp};
use flipped_lb::ring::Wake;
use flipped_lb::rolling;
use flipped_lb::scheduler::recovered::RecoveredState;
use flipped_lb::scheduler::rules::Rules;
use serde_json::Value;

use crate::support::PATIENCE;

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct HandClock {
    ns: Arc<AtomicU64>,
    started_us: u64,
}

impl HandClock {
    /// Starts at this time of the wall clock, in microseconds since the epoch.
    pub fn at(started_us: u64) -> Self {
        Self {
            ns: Arc::default(),
            started_us,
        }
    }

    pub fn advance(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).expect("tests are short");
        self.ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        let ns = self.ns.load(Ordering::Relaxed);
        Now {
            ns,
            steady_us: self.started_us + ns / 1_000,
            epoch_us: self.started_us + ns / 1_000,
        }
    }
}

/// The pipeline, and whoever turns it.
pub struct Hand<C> {
    pub crank: Crank,
    pub clock: C,
    pub counters: Arc<Counters>,
    /// The first delivery agent's address.
    pub delivery: SocketAddr,
    /// Each delivery agent's.
    pub deliveries: Vec<SocketAddr>,
    pub ingest: SocketAddr,
    pub collector: Collector,
    _home: tempfile::TempDir,
}

impl<C: Clock + 'static> Hand<C> {
    /// Puts a pipeline together that producers dial in to, and that dials no source unless the settings
    /// begin with some.
    pub fn new(settings: &str, clock: C) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let none = if settings.starts_with("source") {
            ""
        } else {
            "source = []"
        };
        let settings = format!("{none}\n{settings}\n");
        let config = config::parse("test", &settings, &[]).expect("good settings");
        let mut segments = Directory::at(&journal_folder(home.path())).expect("a folder");
        let names = Names::new(&config, &rules(&config));
        let (recovered, recovered_state) =
            recover(&config, &mut segments, &names, [7; 8], clock.now().epoch_us)
                .expect("an empty journal");
        let (ingest, ingest_net) = listener(SocketOptions::of_sources());
        let options = SocketOptions::of_subscribers(&config.delivery);
        let listeners = (0..config.delivery.agents).map(|_| listener(options));
        let (deliveries, delivery_nets): (Vec<_>, Vec<_>) = listeners.unzip();
        let counters = Arc::new(Counters::default());
        let world = World {
            ingest_net,
            delivery_nets,
            storage: segments,
            clock: clock.clone(),
            seed: 7,
            scheduler_ring: SCHEDULER_RING,
        };
        let wake = Wake::new().expect("a descriptor");
        let wakes = Wakes {
            ingest: Arc::clone(&wake),
            scheduler: Arc::clone(&wake),
            journal: Arc::clone(&wake),
            replay: Arc::clone(&wake),
            retention: Arc::clone(&wake),
            rejects: Arc::clone(&wake),
            deliveries: vec![wake; deliveries.len()],
        };
        let storage =
            rolling::storage::Directory::at(home.path(), "rejected").expect("a directory");
        let rejects = rejects(&config, storage, REJECTS_RING, &wakes, &counters).expect("a file");
        let (common, collector) = common(&config, &counters, recovered_state);
        let pipeline = assemble(&config, world, &wakes, recovered, common, rejects);
        let crank = Crank::start(pipeline, clock.now()).expect("the agents start");
        Self {
            crank,
            clock,
            counters,
            delivery: deliveries[0],
            deliveries,
            ingest,
            collector,
            _home: home,
        }
    }

    /// One duty cycle of each agent.
    pub fn turn(&mut self) -> usize {
        let now = self.clock.now();
        self.crank.turn(now).expect("the agents go on")
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Turns until the condition holds; gives up when patience ends.
    pub fn turn_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            self.turn();
            assert!(begun.elapsed() < PATIENCE, "{what}");
        }
    }

    /// Sends these lines on the connection and turns until their fate is decided, recorded and
    /// queued.
    pub fn feed<L: AsRef<str>>(&mut self, peer: &mut Peer, lines: impl IntoIterator<Item = L>) {
        let lines: Vec<L> = lines.into_iter().collect();
        let decided = self.count(Counter::Received) + lines.len() as u64;
        for line in &lines {
            peer.out.extend(line.as_ref().as_bytes());
            peer.out.push(b'\n');
        }
        let begun = Instant::now();
        while self.count(Counter::Received) < decided || !peer.out.is_empty() {
            peer.push();
            self.turn();
            assert!(begun.elapsed() < PATIENCE, "lines go in");
        }
        // What is recorded is queued two turns later: journal, then scheduler.
        for _ in 0..4 {
            self.turn();
        }
    }

    /// A connection to the producers' listener.
    pub fn producer(&self) -> Peer {
        Peer::connect(self.ingest)
    }

    /// Connects a subscriber and turns until it is answered.
    pub fn subscriber(&mut self, line: &str) -> Peer {
        self.subscriber_at(self.delivery, line)
    }

    /// The same at this delivery agent's address.
    pub fn subscriber_at(&mut self, address: SocketAddr, line: &str) -> Peer {
        let mut peer = Peer::connect(address);
        peer.say(line);
        let answer = self.line(&mut peer);
        assert!(answer.starts_with("{\"subscribed\":"), "{answer}");
        peer
    }

    /// Turns until the peer's next line is there.
    pub fn line(&mut self, peer: &mut Peer) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = peer.line() {
                return line;
            }
            assert!(!peer.ended, "a line, but the connection ended");
            assert!(begun.elapsed() < PATIENCE, "a line");
            self.turn();
        }
    }

    /// Turns until so many frames have come; returns their ids.
    pub fn ids(&mut self, peer: &mut Peer, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.extend(id_of(&self.line(peer)));
        }
        ids
    }
}

/// The messageId of a frame; `None`: it is the engine's own word.
pub fn id_of(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).expect("JSON");
    value["messageId"].as_str().map(str::to_owned)
}

fn listener(options: SocketOptions) -> (SocketAddr, Tcp) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    (
        address,
        Tcp::new(Some(listener), options).expect("a poller"),
    )
}

fn rules(config: &Config) -> Rules {
    Rules::new(&config.rules, &config.destinations, config.scheduler.levels)
}

fn common(
    config: &Config,
    counters: &Arc<Counters>,
    recovered_state: RecoveredState,
) -> (Common, Collector) {
    let rules = rules(config);
    let names = Names::new(config, &rules);
    let destinations_max = names.destinations_max();
    let (recorder, collector) = latency::exchange(config.scheduler.levels, destinations_max);
    let common = Common {
        counters: Arc::clone(counters),
        signals: Signals::default(),
        names,
        destinations_max,
        rules,
        recovered_state,
        recorder,
        reporter: destinations::exchange(destinations_max).0,
    };
    (common, collector)
}

/// A socket of the test's that never blocks.
pub struct Peer {
    stream: TcpStream,
    /// Bytes that the socket did not take yet.
    pub out: Vec<u8>,
    buffer: Vec<u8>,
    text: VecDeque<u8>,
    /// Bytes read from the socket so far.
    pub read_len: usize,
    /// Frames that the test counted.
    pub frames: u64,
    /// The other side has ended.
    pub ended: bool,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("it listens"))
    }

    /// A peer whose kernel takes few bytes that it does not read.
    pub fn narrow(address: SocketAddr, receive_buffer: usize) -> Self {
        Self::over(narrow(address, receive_buffer))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        Self {
            stream,
            out: Vec::new(),
            buffer: vec![0; 1 << 16],
            text: VecDeque::with_capacity(1 << 20),
            read_len: 0,
            frames: 0,
            ended: false,
        }
    }

    pub fn say(&mut self, line: &str) {
        self.out.extend(line.as_bytes());
        self.out.push(b'\n');
        self.push();
    }

    /// Writes what the socket takes.
    pub fn push(&mut self) {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(taken) => drop(self.out.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads once, at most so many bytes; says how many there were.
    pub fn pull(&mut self, len_max: usize) -> usize {
        let len_max = len_max.min(self.buffer.len());
        match self.stream.read(&mut self.buffer[..len_max]) {
            Ok(0) => self.ended = true,
            Ok(len) => {
                self.text.extend(&self.buffer[..len]);
                self.read_len += len;
                return len;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
        0
    }

    /// The next whole line, of what was read or can be.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.iter().position(|&it| it == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).expect("text"));
            }
            if self.pull(self.buffer.len()) == 0 {
                return None;
            }
        }
    }
}

/// A connection with a receive buffer of this many bytes (the kernel doubles it).
pub fn narrow(address: SocketAddr, receive_buffer: usize) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .set_recv_buffer_size(receive_buffer)
        .expect("an option");
    socket.connect(&address.into()).expect("it listens");
    socket.into()
}
