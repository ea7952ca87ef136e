//! What the ingest agent is made of, and how it is put together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::agent::IngestAgent;
use super::answering::Answering;
use super::confirm::Confirmations;
use super::connection::Connections;
use super::dial::Dialler;
use super::intake::Intake;
use super::output::Output;
use super::parser::Parser;
use super::producer_log::ProducerLog;
use super::protocol::{FromIngest, ToIngest};
use super::read_len::ReadLen;
use super::reload::IngestChange;
use super::source::Source;
use super::timeouts::Timeouts;
use super::turn::Turns;
use super::waiting::Waiting;
use crate::access::{Senders, Users};
use crate::agent::control::Control;
use crate::agent::pressure::InputPressure;
use crate::cluster::run::lease::{LeaseCheck, PathLease};
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::limits::READ_LEN_MAX;
use crate::log_limit::LogLimit;
use crate::message::Directory;
use crate::message::IdHasher;
use crate::message::allowance::Windows;
use crate::message::when_full::WhenFullOf;
use crate::net::acceptor::Acceptor;
use crate::net::admission::Admission;
use crate::net::framer::ReadBuffer;
use crate::net::misdirected::Ports;
use crate::rejects::protocol::RejectSender;
use crate::ring::{Receiver, Sender};
use crate::sources::Reporter;

/// What the ingest agent is made of.
pub(crate) struct IngestParts<N> {
    pub(crate) net: N,
    /// Frames go there.
    pub(crate) to_scheduler: Sender<FromIngest>,
    /// Chunks and acknowledgements come from here.
    pub(crate) from_scheduler: Receiver<ToIngest>,
    /// What reloads change.
    pub(crate) control: Control<IngestChange>,
    /// Whether this engine may serve.
    pub(crate) lease: PathLease,
    /// How many producers may be connected.
    pub(crate) admission: Arc<Admission>,
    /// The customers.
    pub(crate) destinations: Directory,
    /// The message types seen.
    pub(crate) message_types: Directory,
    pub(crate) hasher: IdHasher,
    /// Who may dial in.
    pub(crate) users: Arc<Users>,
    /// Rejected lines go there.
    pub(crate) rejects: RejectSender,
    pub(crate) counters: Arc<Counters>,
    /// Told what each read finds.
    pub(crate) pressure: Arc<InputPressure>,
    /// Set when nothing more shall be read.
    pub(crate) draining: Arc<AtomicBool>,
    /// For jitter.
    pub(crate) seed: u64,
    /// When the last message of the backlog arrived, in ms: nothing new goes before it, for its
    /// source may be the same.
    pub(crate) floor_ms: u64,
    /// How many messages may be handed over for each destination.
    pub(crate) allowances: Windows,
    /// Tells the monitor what each source does.
    pub(crate) reporter: Reporter,
}

impl<N> IngestAgent<N> {
    #[must_use]
    pub(crate) fn new(config: &Config, parts: IngestParts<N>) -> Self {
        let names = parts.destinations.len() as u64;
        parts.counters.set(Counter::Destinations, names);
        let settings = &config.ingest;
        let sources = config.sources.iter();
        let sources: Vec<Source> = sources
            .map(|source| {
                let is_within = source.nats.servers.is_some();
                Source::new(source.address.clone(), source.ack).within(is_within)
            })
            .collect();
        Self {
            turns: Turns::new(
                Intake::new(
                    Parser::configured(config.scheduler.levels, settings.parser),
                    [parts.destinations, parts.message_types],
                    parts.hasher,
                    parts.allowances,
                    WhenFullOf::new(config),
                )
                .with_senders(Senders::new(Arc::clone(&parts.users))),
                Output::new(parts.to_scheduler, parts.rejects),
            ),
            connections: Connections::new(sources.len(), settings.max_line, parts.floor_ms),
            waiting: Waiting::default(),
            read_len: ReadLen::default(),
            confirmations: Confirmations::new(),
            answering: Answering::default(),
            ended: Vec::new(),
            dialler: Dialler::new(sources, parts.seed),
            acceptor: Acceptor::new("a producer", parts.admission),
            lease: LeaseCheck::new(parts.lease),
            timeouts: Timeouts::new(settings).of_users(&parts.users),
            producer_log: ProducerLog::default(),
            max_rate: settings.max_rate,
            ports: Ports::of(config),
            buffer: ReadBuffer::new(READ_LEN_MAX, settings.max_line),
            ready: Vec::with_capacity(1024),
            log_refused: LogLimit::default(),
            is_drained: false,
            reporter: parts.reporter,
            net: parts.net,
            from_scheduler: parts.from_scheduler,
            control: parts.control,
            counters: parts.counters,
            pressure: parts.pressure,
            draining: parts.draining,
        }
    }
}
