//! The ingest agent: one event loop for all sources.
//!
//! It dials the configured sources and accepts producers that dial in, cuts what they send into
//! lines, has each judged by the parser, hands wrong ones to the rejects agent, and accepted frames -
//! copied once, from the socket's buffer into an arena chunk - to the scheduler. Before it reads it
//! makes sure that a whole read finds room downstream; where it does not, it leaves the bytes in the
//! socket. It takes turns among its connections, a read each, so that none owns the loop.
//!
//! ```text
//!  sockets --read--> buffer --framer--> lines --parser--> records --ring--> scheduler
//!                                         |                 ^ chunks        | chunks come home,
//!                                         v ring to rejects +---------------+ acknowledgements
//! ```

mod acknowledge;
mod attempts;
mod dial;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hold;
mod idle;
mod judge;
mod names;
pub mod parser;
pub(crate) mod protocol;
mod read;
mod refuse;
mod share;
mod source;
#[cfg(test)]
mod stream_tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use tracing::info;

use self::idle::Patience;
use self::names::NewNames;
use self::parser::Parser;
use self::protocol::{FromIngest, ToIngest};
use self::read::DRAINED_MAX;
use self::refuse::Refusals;
use self::share::Share;
use self::source::{Confirmation, Connection, Source, Unkept};
use crate::agent::pressure::InputPressure;
use crate::agent::{Agent, Fatal};
use crate::arena::Writer;
use crate::clock::Now;
use crate::config::{Config, WhenFull};
use crate::counters::{Counter, Counters};
use crate::limits::{
    ACCEPTS_PER_CYCLE, CHUNKS_PER_READ, COMMANDS_PER_CYCLE, READ_LEN_MAX, READS_PER_CYCLE,
};
use crate::log_limit::LogLimit;
use crate::message::allowance::Windows;
use crate::message::{Directory, IdHasher, SourceIndex};
use crate::net::acceptor::Acceptor;
use crate::net::admission::Admission;
use crate::net::framer::{Framer, buffer_len};
use crate::net::{Key, Network, Ready};
use crate::rejects::protocol::RejectSender;
use crate::ring::{Receiver, Sender};

/// What the ingest agent is made of.
pub struct IngestParts<N> {
    /// Its sockets.
    pub net: N,
    /// Frames go there.
    pub to_scheduler: Sender<FromIngest>,
    /// Chunks and acknowledgements come from here.
    pub from_scheduler: Receiver<ToIngest>,
    /// The customers.
    pub destinations: Directory,
    /// The message types seen.
    pub message_types: Directory,
    /// Hashes messageIds.
    pub hasher: IdHasher,
    /// Rejected lines go there.
    pub rejects: RejectSender,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Told what each read finds.
    pub pressure: Arc<InputPressure>,
    /// Set when nothing more shall be read.
    pub draining: Arc<AtomicBool>,
    /// For jitter.
    pub seed: u64,
    /// When the last message of the backlog arrived, in ms: nothing new goes before it, for its
    /// source may be the same.
    pub floor_ms: u64,
    /// How many messages may be handed over for each destination.
    pub allowances: Windows,
}

/// The agent.
pub struct IngestAgent<N> {
    parts: IngestParts<N>,
    sources: Vec<Source>,
    connections: Vec<Option<Connection>>,
    /// The last connection of each source.
    keys: Vec<Key>,
    /// Source indices of connections that dialled in and went.
    free_indices: Vec<SourceIndex>,
    next_index: SourceIndex,
    next_number: u32,
    /// Connections that may have something to read, in turn.
    readable: VecDeque<Key>,
    /// Connections whose peers the system has not told yet that what they sent has come, and when the
    /// first of them is told at the latest, in ns.
    drained: Vec<Key>,
    confirm_at_ns: u64,
    /// Connections with something to acknowledge, or to go on writing.
    owing: Vec<Key>,
    /// Connections whose peers have ended their side, and are not told all yet.
    leaving: Vec<Key>,
    leaving_tick_at_ns: u64,
    /// Connections that wait until rejected lines are kept, and how far these are.
    awaiting_kept: Vec<Key>,
    rejected_kept: u64,
    ready: Vec<Ready>,
    new_names: NewNames,
    /// Connections that wait for room at a destination.
    holding: Vec<Key>,
    /// Connections whose next line is wrong, and waits for room in the ring to the rejects agent.
    waiting_rejects: VecDeque<Key>,
    /// Connections whose wrong lines have spent their share of the time.
    waiting_share: VecDeque<Key>,
    /// Until then a source that sends little at a time may be waiting: reads are short.
    shared_until_ns: u64,
    /// Bytes of lines that these hold.
    held_len: usize,
    log_held: LogLimit,
    log_tick_at_ns: u64,
    when_full: WhenFull,
    line_len_max: usize,
    /// All reads go here: a connection's unfinished line first, padding last.
    buffer: Vec<u8>,
    parser: Parser,
    writer: Option<Writer>,
    spare: Vec<Writer>,
    refusals: Refusals,
    /// No producer that dialled in and went, and nothing of an earlier life of the engine, is later
    /// than this, in ms.
    gone_floor_ms: u64,
    acceptor: Acceptor,
    patience: Patience,
    dial_at_ns: u64,
    is_drained: bool,
    rng: Rng,
}

impl<N: Network> IngestAgent<N> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(config: &Config, parts: IngestParts<N>) -> Self {
        let names = parts.destinations.len() as u64;
        parts.counters.set(Counter::Destinations, names);
        let sources: Vec<Source> = config
            .sources
            .iter()
            .map(|it| Source::new(it.address.clone(), it.ack))
            .collect();
        Self {
            next_index: sources.len() as SourceIndex,
            rng: Rng::with_seed(parts.seed),
            gone_floor_ms: parts.floor_ms,
            parts,
            keys: vec![0; sources.len()],
            sources,
            connections: Vec::new(),
            free_indices: Vec::new(),
            next_number: 0,
            readable: VecDeque::with_capacity(1024),
            drained: Vec::with_capacity(DRAINED_MAX + READS_PER_CYCLE),
            confirm_at_ns: 0,
            owing: Vec::with_capacity(64),
            leaving: Vec::new(),
            leaving_tick_at_ns: 0,
            awaiting_kept: Vec::new(),
            rejected_kept: 0,
            ready: Vec::with_capacity(1024),
            new_names: NewNames::default(),
            holding: Vec::new(),
            waiting_rejects: VecDeque::new(),
            waiting_share: VecDeque::new(),
            shared_until_ns: 0,
            held_len: 0,
            log_held: LogLimit::default(),
            log_tick_at_ns: 0,
            when_full: config.scheduler.when_full,
            line_len_max: config.ingest.max_line,
            buffer: vec![0; buffer_len(READ_LEN_MAX, config.ingest.max_line)],
            parser: Parser::new(config.scheduler.levels),
            writer: None,
            spare: Vec::with_capacity(2 * CHUNKS_PER_READ),
            refusals: Refusals::new(),
            acceptor: Acceptor::new(
                "a producer",
                Arc::new(Admission::new("ingest", config.ingest.connections)),
            ),
            patience: Patience::new(&config.ingest),
            dial_at_ns: 0,
            is_drained: false,
        }
    }

    fn take_commands(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < COMMANDS_PER_CYCLE
            && let Some(command) = self.parts.from_scheduler.poll()
        {
            work_count += 1;
            match command {
                ToIngest::Chunk(writer) => self.spare.push(writer),
                ToIngest::Responsible {
                    source,
                    connection,
                    line,
                } => {
                    self.note_responsible(source, connection, line);
                }
                ToIngest::Allowance { destination, until } => self.raise(destination, until),
            }
        }
        work_count
    }

    fn poll_net(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut ready = std::mem::take(&mut self.ready);
        self.parts.net.poll(&mut ready)?;
        let work_count = ready.len();
        for event in ready.drain(..) {
            match event {
                Ready::Listener => self.acceptor.note_ready(),
                Ready::Stream {
                    key,
                    readable,
                    writable,
                } => {
                    if writable {
                        self.note_writable(key, now);
                    }
                    if readable {
                        self.enqueue(key);
                    }
                }
            }
        }
        self.ready = ready;
        Ok(work_count)
    }

    fn enqueue(&mut self, key: Key) {
        let connection = self.connections.get_mut(key).and_then(Option::as_mut);
        let may_read = |it: &&mut Connection| !it.is_queued && it.waits_for.is_none();
        if let Some(connection) = connection.filter(may_read) {
            connection.is_queued = true;
            self.readable.push_back(key);
        }
    }

    fn begin(
        &mut self,
        key: Key,
        source: SourceIndex,
        configured: Option<usize>,
        name: String,
        ack: bool,
    ) {
        self.next_number = self.next_number.wrapping_add(1);
        if self.connections.len() <= key {
            self.connections.resize_with(key + 1, || None);
        }
        if self.keys.len() <= source as usize {
            self.keys.resize(source as usize + 1, 0);
        }
        self.keys[source as usize] = key;
        self.connections[key] = Some(Connection {
            source,
            configured,
            name,
            peer: None,
            read_at_ns: None,
            is_new: true,
            number: self.next_number,
            framer: Framer::new(self.line_len_max),
            ack,
            is_queued: false,
            waits_for: None,
            share: Share::new(0),
            floor_ms: self.gone_floor_ms,
            lines: 0,
            forwarded: 0,
            responsible: 0,
            acknowledged: 0,
            unkept: Unkept::default(),
            awaits_kept: false,
            unsent: Vec::new(),
            unsent_since_ns: 0,
            confirmation: Confirmation::Told,
            has_ended: false,
            broken: None,
        });
        self.parts.counters.add(Counter::SourceConnects, 1);
        self.parts.counters.add(Counter::SourcesConnected, 1);
        self.enqueue(key);
    }

    fn accept(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ACCEPTS_PER_CYCLE {
            let (net, counters) = (&mut self.parts.net, &self.parts.counters);
            let Some((key, peer)) = self.acceptor.next(net, counters, now) else {
                break;
            };
            work_count += 1;
            let source = self.free_indices.pop().unwrap_or_else(|| {
                self.next_index += 1;
                self.next_index - 1
            });
            self.begin(key, source, None, peer.to_string(), false);
            if let Some(connection) = &mut self.connections[key] {
                connection.peer = Some(peer);
                connection.read_at_ns = Some(now.ns);
            }
        }
        work_count
    }

    fn end(&mut self, key: Key, mut connection: Connection, error: &io::Error, now: Now) {
        self.parts.net.close(key);
        self.forget_held(key, &connection);
        if connection.framer.end() > 0 {
            self.parts.counters.add(Counter::PartialLines, 1);
        }
        self.parts.counters.add(Counter::SourceDisconnects, 1);
        self.parts.counters.subtract(Counter::SourcesConnected, 1);
        self.gone_floor_ms = self.gone_floor_ms.max(connection.floor_ms);
        if let Some(peer) = connection.peer {
            self.acceptor.closed(peer);
        }
        let Some(index) = connection.configured else {
            self.free_indices.push(connection.source);
            return;
        };
        let source = &mut self.sources[index];
        if connection.forwarded > 0 {
            source.is_well();
        }
        let _ = source.rest(now.ns, &mut self.rng);
        if let Some(more) = source.log_disconnects.admit(now) {
            let (address, lines) = (&source.address, connection.lines);
            info!(source = %address, lines, %error, "disconnected{more}");
        }
        self.plan_dials();
    }

    /// Nothing more is read; what was read is on its way.
    fn drain(&mut self) {
        let Some(mut permit) = self.parts.to_scheduler.claim(1) else {
            return;
        };
        self.is_drained = true;
        if let Some(writer) = self.writer.take() {
            permit.send(FromIngest::Sealed(writer));
        }
        info!("sources are read no more");
    }
}

impl<N: Network> Agent for IngestAgent<N> {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.take_commands();
        if self.parts.draining.load(Ordering::Relaxed) {
            if !self.is_drained {
                self.drain();
            }
        } else {
            work_count += self.dial(now);
            self.tell_left_out(now);
            work_count += self.poll_net(now)?;
            work_count += self.accept(now);
            self.close_idle(now);
            let read_count = self.read(now);
            work_count += match read_count {
                0 => self.look_again(),
                _ => read_count,
            };
        }
        work_count += self.hear_kept();
        self.acknowledge(now);
        self.give_up_leaving(now);
        self.parts.rejects.flush();
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.parts.net.readiness()
    }
}
