//! The ingest agent: one event loop for all sources.
//!
//! It dials the configured sources and accepts producers that dial in, cuts what they send into
//! lines, has each judged by the parser, keeps rejected ones, and hands accepted frames - copied
//! once, from the socket's buffer into an arena chunk - to the scheduler. Before it reads it makes
//! sure that a whole read finds room downstream; where it does not, it leaves the bytes in the
//! socket. It takes turns among its connections, a read each, so that none owns the loop.
//!
//! ```text
//!  sockets --read--> buffer --framer--> lines --parser--> records --ring--> scheduler
//!                                         |                 ^ chunks        | chunks come home,
//!                                         v rejected.ndjson +---------------+ acknowledgements
//! ```

mod acknowledge;
pub mod allowance;
mod dial;
pub mod framer;
mod hold;
pub mod parser;
pub mod rejected;
mod resolver;
mod source;
#[cfg(test)]
mod stream_tests;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use serde::Deserialize;
use tracing::{info, warn};

use self::allowance::Allowances;
use self::framer::{Framer, Line, buffer_len};
use self::parser::{PADDING, Parsed, Parser};
use self::rejected::RejectedLog;
use self::resolver::Resolver;
use self::source::{Connection, Source, Unkept};
use crate::agent::{Agent, Fatal};
use crate::arena::{Committed, Writer};
use crate::clock::Now;
use crate::config::{Config, WhenFull};
use crate::counters::{Counter, Counters};
use crate::limits::{
    ACCEPTS_PER_CYCLE, CHUNKS_PER_READ, LINE_LEN_MAX, LINE_LEN_MIN, READ_LEN_MAX, READS_PER_CYCLE,
};
use crate::message::{DestinationIndex, Directory, Reason, SourceIndex, TypeIndex};
use crate::net::acceptor::Acceptor;
use crate::net::{Key, Network, Ready};
use crate::ring::{Receiver, Sender};
use crate::scheduler::dedup::{IdHash, IdHasher};
use crate::scheduler::queue::clamp_timestamp;

/// Ring entries that a read may need: its lines, and the sums of what was rejected.
const ENTRIES_PER_READ: usize =
    (READ_LEN_MAX + LINE_LEN_MAX) / LINE_LEN_MIN + CHUNKS_PER_READ + Reason::ALL.len();

/// Of a longer read the system has confirmed all but the last by itself.
const UNCONFIRMED_LEN_MAX: usize = 4096;

/// A pause after something that will not get better at once, in ns.
const PAUSE_NS: u64 = 100_000_000;

/// An accepted frame.
#[derive(Debug)]
pub struct Arrival {
    /// Its record, complete but for sequence and level.
    pub frame: Committed,
    /// Its messageId, hashed while it was at hand.
    pub id: IdHash,
    /// Whom it is for.
    pub destination: DestinationIndex,
    /// Where it came from.
    pub source: SourceIndex,
    /// Which connection of the source.
    pub connection: u32,
    /// Which line of the connection, if it wants acknowledgements; else 0.
    pub line: u64,
    /// Its type.
    pub message_type: TypeIndex,
    /// Its own priority.
    pub priority: u8,
    /// Its place in time, in ms since the epoch: its own timestamp, clamped.
    pub bucket_ms: u64,
    /// When it was read, in ns.
    pub read_ns: u64,
}

/// What ingest tells the scheduler.
#[derive(Debug)]
pub enum FromIngest {
    /// A frame was accepted.
    Arrived(Arrival),
    /// Lines were rejected.
    Rejected {
        /// Why.
        reason: Reason,
        /// How many.
        count: u32,
    },
    /// A chunk is full.
    Sealed(Writer),
}

/// What the scheduler tells ingest.
#[derive(Debug)]
pub enum ToIngest {
    /// A chunk to fill.
    Chunk(Writer),
    /// All lines of a connection up to this one are the engine's responsibility now.
    Responsible {
        /// Whose.
        source: SourceIndex,
        /// Which connection of it.
        connection: u32,
        /// The line.
        line: u64,
    },
    /// So many messages may be handed over for a destination, in all since the start.
    Allowance {
        /// Which.
        destination: DestinationIndex,
        /// The count.
        until: u64,
    },
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the engine's.
    Taken,
    /// Its destination has no room: it was not read yet, so to say.
    Held(DestinationIndex),
}

/// The first line of a producer that dials in, if it has wishes. With any other field it is a
/// message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    producer: Producer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Producer {
    #[serde(default)]
    ack: bool,
}

/// Understands a producer's wishes. An array is none: serde would fill a struct from it too.
fn hello(line: &[u8]) -> Option<Hello> {
    let is_object = line.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice(line).ok().filter(|_| is_object)
}

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
    /// Keeps rejected lines.
    pub rejected: RejectedLog,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Set when nothing more shall be read.
    pub draining: Arc<AtomicBool>,
    /// For jitter.
    pub seed: u64,
    /// When the last message of the backlog arrived, in ms: nothing new goes before it, for its
    /// source may be the same.
    pub floor_ms: u64,
    /// How many messages may be handed over for each destination.
    pub allowances: Allowances,
}

/// The agent.
pub struct IngestAgent<N> {
    parts: IngestParts<N>,
    sources: Vec<Source>,
    connections: Vec<Option<Connection>>,
    /// Source indices of connections that dialled in and went.
    free_indices: Vec<SourceIndex>,
    next_index: SourceIndex,
    next_number: u32,
    /// Connections that may have something to read, in turn.
    readable: VecDeque<Key>,
    /// Connections of which little was read: the system has not told their peers yet that it came.
    unconfirmed: Vec<Key>,
    /// Connections with something to acknowledge, or to go on writing.
    owing: Vec<Key>,
    /// Connections that wait until rejected lines are kept, and how far these are.
    awaiting_kept: Vec<Key>,
    rejected_kept: u64,
    ready: Vec<Ready>,
    resolver: Resolver,
    /// Connections that wait for room at a destination.
    holding: Vec<Key>,
    /// Bytes of lines that these hold.
    held_len: usize,
    hold_log_at_ns: u64,
    when_full: WhenFull,
    line_len_max: usize,
    /// All reads go here: a connection's unfinished line first, padding last.
    buffer: Vec<u8>,
    parser: Parser,
    writer: Option<Writer>,
    spare: Vec<Writer>,
    rejections: [u32; Reason::ALL.len()],
    /// No producer that dialled in and went, and nothing of an earlier life of the engine, is later
    /// than this, in ms.
    gone_floor_ms: u64,
    acceptor: Acceptor,
    dial_at_ns: u64,
    flush_at_ns: u64,
    is_drained: bool,
    rng: Rng,
}

impl<N: Network> IngestAgent<N> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(config: &Config, parts: IngestParts<N>) -> Self {
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
            sources,
            connections: Vec::new(),
            free_indices: Vec::new(),
            next_number: 0,
            readable: VecDeque::with_capacity(1024),
            unconfirmed: Vec::with_capacity(READS_PER_CYCLE),
            owing: Vec::with_capacity(64),
            awaiting_kept: Vec::new(),
            rejected_kept: 0,
            ready: Vec::with_capacity(1024),
            resolver: Resolver::new(),
            holding: Vec::new(),
            held_len: 0,
            hold_log_at_ns: 0,
            when_full: config.scheduler.when_full,
            line_len_max: config.ingest.max_line,
            buffer: vec![0; buffer_len(READ_LEN_MAX, config.ingest.max_line)],
            parser: Parser::new(config.scheduler.levels),
            writer: None,
            spare: Vec::with_capacity(2 * CHUNKS_PER_READ),
            rejections: [0; Reason::ALL.len()],
            acceptor: Acceptor::new("a producer"),
            dial_at_ns: 0,
            flush_at_ns: 0,
            is_drained: false,
        }
    }

    fn take_commands(&mut self) -> usize {
        let mut work_count = 0;
        while let Some(command) = self.parts.from_scheduler.poll() {
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
        self.connections[key] = Some(Connection {
            source,
            configured,
            name,
            is_new: true,
            number: self.next_number,
            framer: Framer::new(self.line_len_max),
            ack,
            is_queued: false,
            waits_for: None,
            floor_ms: self.gone_floor_ms,
            lines: 0,
            forwarded: 0,
            responsible: 0,
            acknowledged: 0,
            unkept: Unkept::default(),
            awaits_kept: false,
            unsent: Vec::new(),
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
        }
        work_count
    }

    /// Whether a whole read finds room downstream.
    fn has_room(&self) -> bool {
        self.parts.to_scheduler.room() >= ENTRIES_PER_READ
            && self.spare.len() >= CHUNKS_PER_READ
            && self.parts.rejected.pending() == 0
    }

    fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        // Each once: whether there is more can wait until what was read is on its way.
        for _ in 0..READS_PER_CYCLE.min(self.readable.len()) {
            if !self.has_room() {
                self.parts.counters.add(Counter::IngestBackPressure, 1);
                break;
            }
            let Some(key) = self.readable.pop_front() else {
                break;
            };
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_queued = false;
            if self.must_pause(&connection) {
                self.parts.counters.add(Counter::IngestBackPressure, 1);
                self.connections[key] = Some(connection);
                self.enqueue(key);
                continue;
            }
            match self.read_one(key, &mut connection, now) {
                Ok(read_len) => {
                    work_count += read_len.div_ceil(LINE_LEN_MIN);
                    self.connections[key] = Some(connection);
                    self.enqueue(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.connections[key] = Some(connection);
                }
                Err(error) => self.end(key, connection, &error, now),
            }
            self.flush_rejected(now);
        }
        work_count
    }

    fn read_one(&mut self, key: Key, connection: &mut Connection, now: Now) -> io::Result<usize> {
        let kept = connection.framer.restore(&mut self.buffer);
        let filled = match self.release(connection) {
            true => kept,
            false => kept + self.read_socket(key, kept)?,
        };
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            if let Fate::Held(destination) = self.take_line(connection, line, now) {
                self.hold(key, connection, destination, now);
                break;
            }
        }
        connection.framer.keep(&self.buffer[..filled]);
        self.note_held_len(connection);
        self.tell_rejections();
        let awaits = connection.unkept.wants().is_some() && !connection.awaits_kept;
        if awaits || connection.acknowledgeable() > connection.acknowledged {
            self.owing.push(key);
        }
        Ok(filled)
    }

    /// Reads behind what a connection has kept.
    fn read_socket(&mut self, key: Key, kept: usize) -> io::Result<usize> {
        let into = &mut self.buffer[kept..kept + READ_LEN_MAX];
        let read_len = match self.parts.net.read(key, into) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            other => other,
        }?;
        self.parts.counters.add(Counter::BytesIn, read_len as u64);
        if read_len < UNCONFIRMED_LEN_MAX {
            self.unconfirmed.push(key);
        }
        Ok(read_len)
    }

    /// What was read is on its way by now: here is the time that its read did not take.
    fn confirm(&mut self) {
        for key in self.unconfirmed.drain(..) {
            self.parts.net.confirm(key);
        }
    }

    fn take_line(&mut self, connection: &mut Connection, line: Line, now: Now) -> Fate {
        let is_first = std::mem::replace(&mut connection.is_new, false);
        let range = match line {
            Line::Oversize(range) => {
                connection.lines += 1;
                let start = &self.buffer[range];
                self.parts
                    .rejected
                    .push(Reason::Oversize, &connection.name, now, start);
                connection.note_rejected(self.parts.rejected.end());
                self.rejections[Reason::Oversize as usize] += 1;
                return Fate::Taken;
            }
            Line::Whole(range) => range,
        };
        if is_first
            && connection.configured.is_none()
            && let Some(Hello { producer }) = hello(&self.buffer[range.clone()])
        {
            connection.ack = producer.ack;
            return Fate::Taken;
        }
        connection.lines += 1;
        if self
            .writer
            .as_ref()
            .is_none_or(|it| it.room() < LINE_LEN_MAX + 128)
        {
            self.change_chunk();
        }
        self.judge(connection, range, now)
    }

    fn change_chunk(&mut self) {
        if let Some(full) = self.writer.take() {
            self.parts.to_scheduler.send(FromIngest::Sealed(full));
        }
        self.writer = self.spare.pop();
    }

    fn judge(&mut self, connection: &mut Connection, range: Range<usize>, now: Now) -> Fate {
        let writer = self
            .writer
            .as_mut()
            .expect("`has_room` saw enough chunks for this read");
        let mut claim = writer
            .claim(&self.buffer[range.clone()])
            .expect("a chunk with room for any line");
        let line = &mut self.buffer[range.start..range.end + PADDING];
        let mut refuse = |connection: &mut Connection, frame: &[u8], reason: Reason| {
            let rejected = &mut self.parts.rejected;
            rejected.push(reason, &connection.name, now, frame);
            connection.note_rejected(rejected.end());
            self.rejections[reason as usize] += 1;
            Fate::Taken
        };
        let judged = self.parser.parse(line, claim.frame());
        let parsed = match &judged {
            Ok(parsed) => parsed,
            Err(reason) => return refuse(connection, claim.frame(), *reason),
        };
        let destinations = &mut self.parts.destinations;
        let Some(destination) = destinations.find_or_create(parsed.destination) else {
            return refuse(connection, claim.frame(), Reason::UnknownDestination);
        };
        if !self.parts.allowances.claim(destination) {
            if self.when_full != WhenFull::Wait {
                return refuse(connection, claim.frame(), Reason::QueueFull);
            }
            // The parser has changed it.
            self.buffer[range.clone()].copy_from_slice(claim.frame());
            connection.framer.hold(&range);
            connection.lines -= 1;
            return Fate::Held(destination);
        }
        let types = &mut self.parts.message_types;
        let message_type = types
            .find_or_create(parsed.message_type)
            .unwrap_or(types.len() as u32);
        connection.floor_ms = place_in_time(parsed, connection.floor_ms, now);
        connection.forwarded = connection.lines;
        let id = self.parts.hasher.hash(parsed.id.as_bytes());
        let priority = parsed.priority;
        let header = parsed.header(now.epoch_us);
        header.encode(claim.header_mut());
        let arrival = Arrival {
            id,
            frame: claim.commit(),
            destination,
            source: connection.source,
            connection: connection.number,
            line: if connection.ack { connection.lines } else { 0 },
            message_type: message_type as TypeIndex,
            priority,
            bucket_ms: connection.floor_ms,
            read_ns: now.ns,
        };
        // `has_room` saw room for all entries of this read.
        self.parts.to_scheduler.send(FromIngest::Arrived(arrival));
        Fate::Taken
    }

    fn tell_rejections(&mut self) {
        for reason in Reason::ALL {
            let count = std::mem::take(&mut self.rejections[reason as usize]);
            if count > 0 {
                self.parts
                    .to_scheduler
                    .send(FromIngest::Rejected { reason, count });
            }
        }
    }

    fn flush_rejected(&mut self, now: Now) {
        if self.parts.rejected.pending() == 0 || now.ns < self.flush_at_ns {
            return;
        }
        if let Err(error) = self.parts.rejected.flush() {
            if self.flush_at_ns == 0 {
                warn!(%error, "rejected.ndjson cannot be written; sources wait until it can");
            }
            self.parts.counters.add(Counter::RejectedUnwritable, 1);
            self.flush_at_ns = now.ns + PAUSE_NS;
        } else {
            self.flush_at_ns = 0;
        }
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
        let Some(index) = connection.configured else {
            self.free_indices.push(connection.source);
            return;
        };
        let source = &mut self.sources[index];
        if connection.lines > 0 {
            source.is_well();
        }
        let _ = source.rest(now.ns, &mut self.rng);
        info!(source = %source.address, lines = connection.lines, %error, "disconnected");
        self.plan_dials();
    }

    /// Nothing more is read; what was read is on its way.
    fn drain(&mut self) {
        self.is_drained = true;
        if let Some(writer) = self.writer.take() {
            self.parts.to_scheduler.send(FromIngest::Sealed(writer));
        }
        info!("sources are read no more");
    }
}

/// A message's bucket: its own time within the window around its arrival, never before that of its
/// predecessor from the same source.
fn place_in_time(parsed: &Parsed<'_>, floor_ms: u64, now: Now) -> u64 {
    let own_ms = parsed.timestamp_ms.and_then(|it| u64::try_from(it).ok());
    clamp_timestamp(own_ms.unwrap_or(now.epoch_ms()), floor_ms, now.epoch_ms())
}

impl<N: Network> Agent for IngestAgent<N> {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        self.confirm();
        let mut work_count = self.take_commands();
        if self.parts.draining.load(Ordering::Relaxed) {
            if !self.is_drained {
                self.drain();
            }
        } else {
            work_count += self.dial(now);
            work_count += self.poll_net(now)?;
            work_count += self.accept(now);
            work_count += self.read(now);
        }
        self.flush_rejected(now);
        work_count += self.hear_kept()?;
        self.acknowledge(now);
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.parts.net.readiness()
    }
}
