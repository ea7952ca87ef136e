//! A delivery agent: the event loop of its subscribers' sockets.
//!
//! It accepts subscribers, tells the scheduler what they ask for, writes what the scheduler hands
//! it - as many frames as the socket takes in one call - and tells the scheduler what was written,
//! what was acknowledged, and who has gone. It keeps no message for later: what it was handed and
//! could not deliver, the scheduler still has.
//!
//! ```text
//!  scheduler --Frame--> outbox --writev--> subscriber
//!            <--Written, Acknowledged, Subscribe, Gone-- lines --read-- subscriber
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hear;
mod join;
mod outbox;
pub mod protocol;
mod staging;
mod subscriber;
mod tell;
mod write;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tracing::warn;

use self::protocol::{FromDelivery, ToDelivery};
use self::staging::Staging;
use self::subscriber::{Connection, Phase};
use crate::agent::{Agent, Fatal};
use crate::arena::{EndedLeases, View};
use crate::clock::{Clock, Now};
use crate::counters::{Counter, Counters};
use crate::limits::{ACCEPTS_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX, SUBSCRIBER_LONG_READ_LEN_MAX};
use crate::log_limit::LogLimit;
use crate::message::{DestinationIndex, Directory};
use crate::net::acceptor::Acceptor;
use crate::net::admission::Admission;
use crate::net::framer::buffer_len;
use crate::net::{Key, Network, Ready};
use crate::ring::{Receiver, Sender};

/// How often deadlines are looked at, in ns.
const TICK_NS: u64 = 50_000_000;

/// What a delivery agent is made of.
pub struct DeliveryParts<N, C> {
    /// Its sockets.
    pub net: N,
    /// Read after a write, for the time at which it was complete.
    pub clock: C,
    /// Frames come from here.
    pub from_scheduler: Receiver<ToDelivery>,
    /// News go there.
    pub to_scheduler: Sender<FromDelivery>,
    /// Reads the chunks.
    pub view: View,
    /// The customers.
    pub destinations: Directory,
    /// Who may connect; shared by the agents.
    pub admission: Arc<Admission>,
    /// A connection that has not subscribed after this long is closed, in ns.
    pub greeting_timeout_ns: u64,
    /// A subscriber that owes acknowledgements for this long is cut, in ns.
    pub ack_timeout_ns: u64,
    /// A subscriber whose socket has taken nothing for this long is cut, in ns; `None`: none is.
    pub unread_timeout_ns: Option<u64>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// The agent.
pub struct DeliveryAgent<N, C> {
    parts: DeliveryParts<N, C>,
    connections: Vec<Option<Connection>>,
    readable: VecDeque<Key>,
    /// Connections whose subscriptions are on their way, in turn.
    joining: VecDeque<Key>,
    /// Names before this one were held against the subscribers' patterns.
    matched_names: DestinationIndex,
    /// Bytes of unfinished long lines.
    long_len: usize,
    /// Connections with something to write.
    listed: Vec<Key>,
    ready: Vec<Ready>,
    buffer: Vec<u8>,
    staging: Staging,
    /// Leases that have ended and are not on their way.
    ended_leases: EndedLeases,
    /// Connections of which the scheduler is to be told.
    with_news: VecDeque<Key>,
    acceptor: Acceptor,
    tick_at_ns: u64,
    log_cut: LogLimit,
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: DeliveryParts<N, C>) -> Self {
        let acceptor = Acceptor::new("a subscriber", Arc::clone(&parts.admission));
        Self {
            ended_leases: EndedLeases::new(&parts.view),
            with_news: VecDeque::with_capacity(1024),
            parts,
            connections: Vec::new(),
            readable: VecDeque::with_capacity(1024),
            joining: VecDeque::new(),
            matched_names: 0,
            long_len: 0,
            listed: Vec::with_capacity(1024),
            ready: Vec::with_capacity(1024),
            buffer: vec![0; buffer_len(SUBSCRIBER_LONG_READ_LEN_MAX, SUBSCRIBER_LINE_LEN_MAX)],
            staging: Staging::new(),
            acceptor,
            tick_at_ns: 0,
            log_cut: LogLimit::default(),
        }
    }

    fn get(&mut self, key: Key) -> Option<&mut Connection> {
        self.connections.get_mut(key)?.as_mut()
    }

    fn poll_net(&mut self) -> Result<usize, Fatal> {
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
                    let Some(connection) = self.get(key) else {
                        continue;
                    };
                    if writable {
                        connection.is_writable = true;
                        connection.was_blocked = false;
                        self.list(key);
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

    /// Puts a connection into the queue of those to be read, unless a subscription of it is on its way.
    fn enqueue(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut)
            && !connection.is_queued
            && connection.joins.is_empty()
        {
            connection.is_queued = true;
            self.readable.push_back(key);
        }
    }

    /// Puts a connection into the list of those to be written to.
    fn list(&mut self, key: Key) {
        if let Some(connection) = self.get(key)
            && !connection.is_listed
            && connection.is_writable
            && !connection.outbox.is_empty()
        {
            connection.is_listed = true;
            self.listed.push(key);
        }
    }

    fn accept(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ACCEPTS_PER_CYCLE {
            let (net, counters) = (&mut self.parts.net, &self.parts.counters);
            let Some((key, peer)) = self.acceptor.next(net, counters, now) else {
                break;
            };
            work_count += 1;
            counters.add(Counter::SubscriberConnects, 1);
            counters.add(Counter::SubscribersConnected, 1);
            if self.connections.len() <= key {
                self.connections.resize_with(key + 1, || None);
            }
            self.connections[key] = Some(Connection::new(
                peer,
                now.ns + self.parts.greeting_timeout_ns,
            ));
            self.enqueue(key);
        }
        work_count
    }

    /// The connection is over: the scheduler hears of it, if it ever heard of the subscriber.
    fn end(&mut self, key: Key) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        connection
            .outbox
            .clear(|lease| self.ended_leases.add(lease));
        connection.joins.clear();
        connection.framer.end();
        self.note_long(&mut connection);
        self.parts.counters.add(Counter::SubscriberDisconnects, 1);
        self.parts
            .counters
            .subtract(Counter::SubscribersConnected, 1);
        self.parts.net.shut_down(key);
        // The key stays taken until the scheduler says that no more frames come for it.
        connection.phase = Phase::Gone;
        connection.news.gone = true;
        self.connections[key] = Some(connection);
        self.list_news(key);
    }

    fn tick(&mut self, now: Now) {
        if now.ns < self.tick_at_ns {
            return;
        }
        self.tick_at_ns = now.ns + TICK_NS;
        self.match_new_names();
        if let Some(more) = self.log_cut.overdue(now) {
            warn!(
                count = more.count,
                "subscribers were cut that acknowledged, or read, nothing for too long"
            );
        }
        for key in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[key] else {
                continue;
            };
            if !connection.is_writable && std::mem::replace(&mut connection.was_blocked, true) {
                let end = |lease| self.ended_leases.add(lease);
                connection.outbox.detach(&self.parts.view, end);
            }
            let is_unread = connection.is_unread(now.ns, self.parts.unread_timeout_ns);
            match connection.phase {
                Phase::Greeting(until_ns) if until_ns <= now.ns => self.lose_patience(key, now),
                Phase::Leaving(until_ns) if until_ns <= now.ns => self.end(key),
                _ if is_unread => self.cut_unread(key, now),
                _ if connection.is_overdue(now.ns, self.parts.ack_timeout_ns) => {
                    self.cut_overdue(key, now);
                }
                _ => {}
            }
        }
    }
}

impl<N: Network, C: Clock> Agent for DeliveryAgent<N, C> {
    fn name(&self) -> &'static str {
        "delivery"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        // What is to be delivered does not wait for a look at the sockets.
        let mut work_count = self.hear_scheduler();
        self.write();
        work_count += self.poll_net()?;
        work_count += self.accept(now);
        work_count += self.read(now) + self.join(now);
        self.tick(now);
        self.write();
        self.tell();
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.parts.net.readiness()
    }
}
