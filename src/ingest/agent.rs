//! The ingest agent: polls its sockets and rings, a bounded amount each, and hands what comes to
//! the cores.
//!
//! Its other methods are in `opening` (dialled, or dialled in), `reading` (sockets to lines),
//! `ending`, `changing` and `reporting`.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answering::{Answering, Ended};
use super::confirm::Confirmations;
use super::connection::Connections;
use super::dial::Dialler;
use super::producer_log::ProducerLog;
use super::protocol::ToIngest;
use super::read_len::ReadLen;
use super::reload::IngestChange;
use super::timeouts::Timeouts;
use super::turn::Turns;
use super::waiting::Waiting;
use crate::agent::control::Control;
use crate::agent::pressure::InputPressure;
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::cluster::run::lease::LeaseCheck;
use crate::config::MaxRate;
use crate::counters::Counters;
use crate::limits::COMMANDS_PER_CYCLE;
use crate::log_limit::LogLimit;
use crate::message::DestinationIndex;
use crate::net::acceptor::Acceptor;
use crate::net::framer::ReadBuffer;
use crate::net::misdirected::Ports;
use crate::net::{Network, Ready};
use crate::ring::Receiver;
use crate::sources::Reporter;

pub(crate) struct IngestAgent<N> {
    pub(super) net: N,
    pub(super) from_scheduler: Receiver<ToIngest>,
    /// What reloads change.
    pub(super) control: Control<IngestChange>,
    pub(super) counters: Arc<Counters>,
    pub(super) pressure: Arc<InputPressure>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) turns: Turns,
    pub(super) connections: Connections,
    pub(super) waiting: Waiting,
    pub(super) read_len: ReadLen,
    pub(super) confirmations: Confirmations,
    pub(super) answering: Answering,
    /// Empty between two cycles.
    pub(super) ended: Ended,
    pub(super) dialler: Dialler,
    pub(super) acceptor: Acceptor,
    /// Whoever comes without one is told so.
    pub(super) lease: LeaseCheck,
    pub(super) timeouts: Timeouts,
    pub(super) max_rate: MaxRate,
    pub(super) producer_log: ProducerLog,
    /// Where who is wrong here should go.
    pub(super) ports: Ports,
    /// All reads go here.
    pub(super) buffer: ReadBuffer,
    pub(super) ready: Vec<Ready>,
    pub(super) log_refused: LogLimit,
    pub(super) is_drained: bool,
    pub(super) reporter: Reporter,
}

impl<N: Network> IngestAgent<N> {
    fn poll_scheduler(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < COMMANDS_PER_CYCLE
            && let Some(command) = self.from_scheduler.poll()
        {
            work_count += 1;
            match command {
                ToIngest::Chunk(writer) => self.turns.output.add_chunk(writer),
                ToIngest::Ack {
                    source,
                    connection,
                    line,
                } => {
                    if let Some((key, found)) = self.connections.of_source(source, connection) {
                        found.lines.note_recorded(line);
                        self.answering.owe(key);
                    }
                }
                ToIngest::Duplicates {
                    source,
                    connection,
                    first,
                    count,
                } => {
                    if let Some((_, found)) = self.connections.of_source(source, connection) {
                        found.lines.note_duplicates(first, count);
                    }
                }
                ToIngest::Accepted { source } => {
                    if let Some(slot) = self.connections.slot_of(source) {
                        self.dialler.note_accepted(slot, now);
                    }
                }
                ToIngest::Repeated {
                    source,
                    connection,
                    count,
                } => {
                    if let Some((_, found)) = self.connections.of_source(source, connection) {
                        let shared = &mut self.turns.duplicates_budget;
                        (found.sender.duplicates).charge(count, shared, now.ns);
                    }
                }
                ToIngest::Allowance { destination, until } => {
                    self.turns.intake.allowances.move_to(destination, until);
                    let connections = &mut self.connections;
                    (self.waiting).release_at(destination, connections, &self.counters);
                }
                ToIngest::Retire { destination } => self.forget_destination(destination),
            }
        }
        work_count
    }

    /// A destination's name may be about to go. Lines that wait for it ask for its index again.
    fn forget_destination(&mut self, destination: DestinationIndex) {
        self.turns.intake.forget_destination(destination);
        let connections = &mut self.connections;
        (self.waiting).release_at(destination, connections, &self.counters);
        self.turns.output.confirm_forgotten(destination);
    }

    /// Sees how far rejected lines are durable, and acknowledges what can be.
    fn acknowledge(&mut self, now: Now) -> usize {
        let durable = self.turns.output.rejects_durable();
        let connections = &mut self.connections;
        let work_count = self.answering.note_durable(durable, connections);
        let (net, ended) = (&mut self.net, &mut self.ended);
        (self.answering).acknowledge(connections, net, &self.counters, now, ended);
        self.answering.close_leaving(connections, now, ended);
        let mut ended = std::mem::take(&mut self.ended);
        for (key, error) in ended.drain(..) {
            self.end(key, &error, now);
        }
        self.ended = ended;
        work_count
    }

    fn poll_net(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut ready = std::mem::take(&mut self.ready);
        self.net.poll(&mut ready)?;
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
                        self.connections.enqueue(key);
                    }
                }
            }
        }
        self.ready = ready;
        Ok(work_count)
    }
}

impl<N: Network> Agent for IngestAgent<N> {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.poll_scheduler(now) + self.poll_control(now);
        if self.draining.load(Ordering::Relaxed) {
            self.drain();
        } else {
            self.check_lease(now);
            if self.lease.may_serve() {
                work_count += self.dialler.poll(&mut self.net, &self.counters, now);
            }
            self.log_left_out(now);
            work_count += self.poll_net(now)?;
            work_count += self.accept(now);
            self.close_silent(now);
            work_count += self.read(now);
        }
        work_count += self.acknowledge(now) + self.report(now);
        self.turns.output.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.net.readiness()
    }
}
