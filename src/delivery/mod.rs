//! A delivery agent: the event loop of its subscribers' sockets.
//!
//! It accepts subscribers, tells the scheduler what they ask for, writes what the scheduler hands
//! it - as many frames as the socket takes in one call - and tells the scheduler what was written,
//! what was acknowledged, and who has gone. It keeps no message for later: what it was handed and
//! could not deliver, the scheduler still has.
//!
//! ```text
//!  scheduler --Frame--> outbox --writev--> subscriber
//!            <--Wrote, Acknowledged, Subscribe, Gone-- lines --read-- subscriber
//! ```

mod hop;
mod outbox;
mod subscriber;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tracing::{info, warn};

pub use self::hop::{FromDelivery, ToDelivery};
use self::subscriber::{Connection, Phase, Request};
use crate::agent::{Agent, Fatal};
use crate::arena::{Homebound, Lease, View};
use crate::clock::{Clock, Now};
use crate::counters::{Counter, Counters};
use crate::ingest::framer::{Line, buffer_len};
use crate::limits::{
    ACCEPTS_PER_CYCLE, DISPATCHES_PER_CYCLE, FRAMES_PER_WRITE, GREETING_NS_MAX, LEAVING_NS_MAX,
    READS_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX, SUBSCRIBER_READ_LEN_MAX,
};
use crate::message::{DestinationIndex, Directory};
use crate::net::{Key, Network, Ready};
use crate::ring::{Receiver, Sender};

/// How often deadlines are looked at, in ns.
const TICK_NS: u64 = 50_000_000;
/// A pause after a connection that could not be accepted, in ns.
const PAUSE_NS: u64 = 100_000_000;
/// Destinations that an error names.
const NAMES_SHOWN: usize = 10;

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
    /// A subscriber that owes acknowledgements for this long is cut, in ns.
    pub ack_timeout_ns: u64,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// The agent.
pub struct DeliveryAgent<N, C> {
    parts: DeliveryParts<N, C>,
    connections: Vec<Option<Connection>>,
    readable: VecDeque<Key>,
    /// Connections with something to write.
    listed: Vec<Key>,
    ready: Vec<Ready>,
    buffer: Vec<u8>,
    homebound: Homebound,
    accepting: bool,
    accept_at_ns: u64,
    tick_at_ns: u64,
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: DeliveryParts<N, C>) -> Self {
        Self {
            parts,
            connections: Vec::new(),
            readable: VecDeque::with_capacity(1024),
            listed: Vec::with_capacity(1024),
            ready: Vec::with_capacity(1024),
            buffer: vec![0; buffer_len(SUBSCRIBER_READ_LEN_MAX, SUBSCRIBER_LINE_LEN_MAX)],
            homebound: Homebound::default(),
            accepting: false,
            accept_at_ns: 0,
            tick_at_ns: 0,
        }
    }

    fn get(&mut self, key: Key) -> Option<&mut Connection> {
        self.connections.get_mut(key)?.as_mut()
    }

    // ---- sockets become ready ----

    fn poll_net(&mut self) -> Result<usize, Fatal> {
        let mut ready = std::mem::take(&mut self.ready);
        self.parts.net.poll(&mut ready)?;
        let work_count = ready.len();
        for event in ready.drain(..) {
            match event {
                Ready::Listener => self.accepting = true,
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

    /// Puts a connection into the queue of those to be read.
    fn enqueue(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut)
            && !connection.is_queued
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
        while self.accepting && now.ns >= self.accept_at_ns && work_count < ACCEPTS_PER_CYCLE {
            match self.parts.net.accept() {
                Ok((key, _)) => {
                    work_count += 1;
                    if self.connections.len() <= key {
                        self.connections.resize_with(key + 1, || None);
                    }
                    self.connections[key] = Some(Connection::new(now.ns + GREETING_NS_MAX));
                    self.parts.counters.add(Counter::SubscriberConnects, 1);
                    self.parts.counters.add(Counter::SubscribersConnected, 1);
                    self.enqueue(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accepting = false,
                Err(error) => {
                    warn!(%error, "a subscriber could not be accepted; trying again shortly");
                    self.parts.counters.add(Counter::AcceptFailures, 1);
                    self.accept_at_ns = now.ns + PAUSE_NS;
                }
            }
        }
        work_count
    }

    // ---- what subscribers say ----

    fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        for _ in 0..READS_PER_CYCLE.min(self.readable.len()) {
            let Some(key) = self.readable.pop_front() else {
                break;
            };
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_queued = false;
            if connection.phase == Phase::Gone {
                self.connections[key] = Some(connection);
                continue;
            }
            let result = self.read_one(key, &mut connection, now);
            self.connections[key] = Some(connection);
            match result {
                Ok(()) => {
                    work_count += 1;
                    self.enqueue(key);
                    self.list(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.list(key),
                Err(_) => self.end(key),
            }
        }
        work_count
    }

    fn read_one(&mut self, key: Key, connection: &mut Connection, now: Now) -> io::Result<()> {
        let kept = connection.framer.restore(&mut self.buffer);
        let room = &mut self.buffer[kept..kept + SUBSCRIBER_READ_LEN_MAX];
        let filled = match self.parts.net.read(key, room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read_len => kept + read_len,
        };
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            if matches!(connection.phase, Phase::Leaving(_)) {
                continue;
            }
            let heard = match line {
                Line::Whole(range) => connection.hear(&self.buffer[range], now.ns),
                Line::Oversize(_) => Err(format!(
                    "the line is longer than {SUBSCRIBER_LINE_LEN_MAX} bytes"
                )),
            };
            if let Err(why) = heard.and_then(|request| self.obey(key, connection, request)) {
                self.turn_away(connection, &why, now);
            }
        }
        connection.framer.keep(&self.buffer[..filled]);
        Ok(())
    }

    fn obey(&mut self, key: Key, connection: &Connection, request: Request) -> Result<(), String> {
        let subscriber = key as u32;
        match request {
            Request::Acknowledge(0) => {}
            Request::Acknowledge(frames) => {
                let news = FromDelivery::Acknowledged { subscriber, frames };
                self.parts.to_scheduler.send(news);
            }
            Request::Subscribe { destinations, ack } => {
                debug_assert_eq!(connection.phase, Phase::Subscribed { ack });
                let found = destinations.iter().map(|name| self.find(name));
                let destinations = found.collect::<Result<Vec<_>, _>>()?;
                let news = FromDelivery::Subscribe {
                    subscriber,
                    destinations,
                    ack,
                };
                self.parts.to_scheduler.send(news);
            }
        }
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<DestinationIndex, String> {
        let directory = &mut self.parts.destinations;
        let found = (1..=crate::limits::NAME_LEN_MAX).contains(&name.len());
        let found = found.then(|| directory.find_or_create(name)).flatten();
        found.ok_or_else(|| {
            let names = directory.all();
            let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(|it| &**it).collect();
            let more = if names.len() > NAMES_SHOWN {
                ", ..."
            } else {
                ""
            };
            format!(
                "unknown destination {name:?}; there are {}{more}",
                shown.join(", ")
            )
        })
    }

    /// Says what is wrong, and lets the connection read that before it is closed.
    fn turn_away(&mut self, connection: &mut Connection, why: &str, now: Now) {
        self.parts.counters.add(Counter::SubscriberErrors, 1);
        connection.phase = Phase::Leaving(now.ns + LEAVING_NS_MAX);
        let line = serde_json::json!({ "error": why });
        connection.outbox.push_word(line.to_string());
    }

    /// It has not said what it wants.
    fn lose_patience(&mut self, key: Key, now: Now) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        let seconds = GREETING_NS_MAX / 1_000_000_000;
        let expectation = connection.expectation();
        let why = format!("nothing was asked for in {seconds} s; {expectation}");
        self.turn_away(&mut connection, &why, now);
        self.connections[key] = Some(connection);
        self.list(key);
    }

    // ---- what the scheduler hands over ----

    fn hear_scheduler(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE {
            let Some(command) = self.parts.from_scheduler.poll() else {
                break;
            };
            work_count += 1;
            match command {
                ToDelivery::Frame {
                    subscriber,
                    lease,
                    again,
                } => {
                    self.take_frame(subscriber as Key, lease, again);
                }
                ToDelivery::Seated {
                    subscriber,
                    active,
                    standby,
                } => {
                    self.answer(subscriber as Key, &active, &standby);
                }
                ToDelivery::Forget { subscriber } => {
                    self.connections[subscriber as Key] = None;
                    self.parts.net.close(subscriber as Key);
                }
            }
        }
        work_count
    }

    fn take_frame(&mut self, key: Key, lease: Lease, again: bool) {
        let connection = self.connections.get_mut(key).and_then(Option::as_mut);
        match connection.filter(|it| matches!(it.phase, Phase::Subscribed { .. })) {
            Some(connection) => {
                if again && connection.phase == (Phase::Subscribed { ack: true }) {
                    connection.outbox.push_again(lease);
                } else {
                    connection.outbox.push_frame(lease);
                }
                if !connection.is_listed && connection.is_writable {
                    connection.is_listed = true;
                    self.listed.push(key);
                }
            }
            // It has gone; the scheduler hears of that, and hands the message to another.
            None => self.end_lease(lease),
        }
    }

    fn end_lease(&mut self, lease: Lease) {
        if let Some(returned) = self.homebound.add(lease) {
            self.parts
                .to_scheduler
                .send(FromDelivery::Returned(returned));
        }
    }

    fn answer(&mut self, key: Key, active: &[DestinationIndex], standby: &[DestinationIndex]) {
        let names = self.parts.destinations.all();
        let named = |list: &[DestinationIndex]| -> Vec<&str> {
            list.iter()
                .filter_map(|&it| names.get(it as usize))
                .map(|it| &**it)
                .collect()
        };
        let line = format!(
            "{{\"subscribed\":{},\"standby\":{}}}",
            serde_json::json!(named(active)),
            serde_json::json!(named(standby))
        );
        if let Some(connection) = self.get(key)
            && matches!(connection.phase, Phase::Subscribed { .. })
        {
            connection.outbox.push_word(line);
            self.list(key);
        }
    }

    // ---- writing ----

    fn write(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        for &key in &listed {
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_listed = false;
            let result = self.write_one(key, &mut connection);
            let left =
                matches!(connection.phase, Phase::Leaving(_)) && connection.outbox.is_empty();
            self.connections[key] = Some(connection);
            match result {
                Ok(()) if left => self.parts.net.shut_down(key),
                Ok(()) => {}
                Err(_) => self.end(key),
            }
        }
        listed.clear();
        self.listed = listed;
    }

    /// Writes until nothing is left or the socket takes no more.
    fn write_one(&mut self, key: Key, connection: &mut Connection) -> io::Result<()> {
        let (mut frames, mut bytes) = (0, 0);
        let result = loop {
            if connection.outbox.is_empty() {
                break Ok(());
            }
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
            let count = connection.outbox.gather(&self.parts.view, &mut slices);
            let taken = match self.parts.net.write(key, &slices[..count]) {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.is_writable = false;
                    break Ok(());
                }
                Err(error) => break Err(error),
            };
            let (homebound, to_scheduler) = (&mut self.homebound, &mut self.parts.to_scheduler);
            let completed = connection.outbox.advance(&self.parts.view, taken, |lease| {
                if let Some(returned) = homebound.add(lease) {
                    to_scheduler.send(FromDelivery::Returned(returned));
                }
            });
            self.parts.counters.add(Counter::BytesOut, taken as u64);
            frames += completed.frames;
            bytes += completed.bytes;
        };
        if frames > 0 {
            let at_ns = self.parts.clock.now().ns;
            connection.note_written(frames, at_ns);
            let news = FromDelivery::Wrote {
                subscriber: key as u32,
                frames,
                bytes,
                at_ns,
            };
            self.parts.to_scheduler.send(news);
        }
        result
    }

    // ---- ends ----

    /// The connection is over: the scheduler hears of it, if it ever heard of the subscriber.
    fn end(&mut self, key: Key) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        let (homebound, to_scheduler) = (&mut self.homebound, &mut self.parts.to_scheduler);
        connection.outbox.clear(|lease| {
            if let Some(returned) = homebound.add(lease) {
                to_scheduler.send(FromDelivery::Returned(returned));
            }
        });
        self.parts.counters.add(Counter::SubscriberDisconnects, 1);
        self.parts
            .counters
            .subtract(Counter::SubscribersConnected, 1);
        self.parts.net.shut_down(key);
        // The key stays taken until the scheduler says that no more frames come for it.
        connection.phase = Phase::Gone;
        self.connections[key] = Some(connection);
        self.parts.to_scheduler.send(FromDelivery::Gone {
            subscriber: key as u32,
        });
    }

    fn tick(&mut self, now: Now) {
        if now.ns < self.tick_at_ns {
            return;
        }
        self.tick_at_ns = now.ns + TICK_NS;
        for key in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[key] else {
                continue;
            };
            let (homebound, to_scheduler) = (&mut self.homebound, &mut self.parts.to_scheduler);
            if !connection.is_writable && std::mem::replace(&mut connection.was_blocked, true) {
                connection.outbox.detach(&self.parts.view, |lease| {
                    if let Some(returned) = homebound.add(lease) {
                        to_scheduler.send(FromDelivery::Returned(returned));
                    }
                });
            }
            match connection.phase {
                Phase::Greeting(until_ns) if until_ns <= now.ns => self.lose_patience(key, now),
                Phase::Leaving(until_ns) if until_ns <= now.ns => self.end(key),
                _ if connection.is_overdue(now.ns, self.parts.ack_timeout_ns) => {
                    info!(
                        owed = connection.written - connection.acknowledged,
                        "ack_timeout: cut"
                    );
                    self.parts.counters.add(Counter::AckTimeouts, 1);
                    self.end(key);
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
        let mut work_count = self.poll_net()?;
        work_count += self.accept(now);
        work_count += self.read(now);
        work_count += self.hear_scheduler();
        self.tick(now);
        self.write();
        if let Some(returned) = self.homebound.take() {
            self.parts
                .to_scheduler
                .send(FromDelivery::Returned(returned));
        }
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.parts.net.readiness()
    }
}
