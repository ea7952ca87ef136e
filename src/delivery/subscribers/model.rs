//! The core between two models: a naive scheduler - a destination's subscribers in their order, credit,
//! what is in flight and what is settled - and peers whose sockets take and give any number of bytes.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};

use super::peer::Peer;
use super::{SocketAction, Subscribers, Timeouts};
use crate::arena::{Ledger, Place, Writer};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::delivery::protocol::{Consent, FromDelivery, SubscriberKey, ToDelivery};
use crate::message::{DestinationIndex, Directory};
use crate::net::Key;
use crate::net::misdirected::Ports;

pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// Frames on their way to one subscriber.
const CREDIT: usize = 3;
const CHUNK_LEN: usize = 128 * 1024;

#[derive(Debug, Clone, Copy)]
struct Message {
    number: u64,
    destination: DestinationIndex,
    place: Place,
    redelivered: bool,
}

/// A subscriber, as the scheduler sees it.
#[derive(Debug, Default)]
struct Seen {
    ack: bool,
    has_joined: bool,
    in_flight: VecDeque<Message>,
    written: usize,
}

#[derive(Debug, Default)]
struct Destination {
    /// The active one first, then those that stand by.
    subscribers: Vec<SubscriberKey>,
    queue: VecDeque<Message>,
}

/// The core, the scheduler and the peers.
pub(super) struct Model {
    pub(super) core: Subscribers,
    pub(super) now: Now,
    /// By key; those that are closed, too.
    pub(super) peers: Vec<Peer>,
    /// Keys of peers that are gone stay theirs: numbers are not used again.
    seen: BTreeMap<SubscriberKey, Seen>,
    destinations: Vec<Destination>,
    ledger: Ledger,
    writer: Option<Writer>,
    counters: std::sync::Arc<Counters>,
    next_number: u64,
    settled: Vec<u64>,
    /// Settled as soon as they were written.
    settled_by_writing: usize,
    /// Names that were forgotten.
    pub(super) released: Vec<(DestinationIndex, Consent)>,
    lent: usize,
    /// Bytes that a socket gives and takes at once.
    pub(super) step: usize,
}

impl Model {
    pub(super) fn new(step: usize) -> Self {
        let mut ledger = Ledger::new(CHUNK_LEN, 1);
        let writer = ledger.writer();
        let counters = std::sync::Arc::new(Counters::default());
        let timeouts = Timeouts {
            greeting_ns: SECOND_NS,
            ack_ns: SECOND_NS,
            unread_ns: Some(SECOND_NS),
        };
        let directory = Directory::new(["a", "b"], false, 2);
        let ports = Ports::of(&crate::config::Config::default());
        Self {
            core: Subscribers::new(timeouts, ports, ledger.view(), directory, counters.clone()),
            now: Now::default(),
            peers: Vec::new(),
            seen: BTreeMap::new(),
            destinations: vec![Destination::default(), Destination::default()],
            ledger,
            writer,
            counters,
            next_number: 0,
            settled: Vec::new(),
            settled_by_writing: 0,
            released: Vec::new(),
            lent: 0,
            step,
        }
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Somebody connects and sends this.
    pub(super) fn connect(&mut self, line: &str, ack: bool, room: usize) -> Key {
        let key = self.peers.len();
        self.peers.push(Peer {
            ack,
            room,
            input: line.bytes().collect(),
            ..Peer::default()
        });
        let peer = ([127, 0, 0, 1], 9).into();
        self.core.on_accept(key, peer, self.now);
        key
    }

    pub(super) fn say(&mut self, key: Key, line: &str) {
        self.peers[key].input.extend(line.bytes());
        self.core.on_ready(key, true, false);
    }

    pub(super) fn make_room(&mut self, key: Key, room: usize) {
        self.peers[key].room += room;
        self.core.on_ready(key, false, true);
    }

    /// Acknowledges all that the peer has got.
    pub(super) fn acknowledge(&mut self, key: Key) {
        let count = self.peers[key].frames().len();
        self.say(key, &format!("{{\"ack\":{count}}}\n"));
    }

    /// A message comes for a destination.
    pub(super) fn publish(&mut self, destination: DestinationIndex) {
        let number = self.next_number;
        let frame = format!("{{\"n\":{number},\"d\":{destination}}}");
        let writer = self.writer.as_mut().expect("it is not sealed");
        let Some(claim) = writer.claim(frame.as_bytes()) else {
            return;
        };
        self.next_number += 1;
        let place = self.ledger.place(claim.commit());
        let queue = &mut self.destinations[destination as usize].queue;
        queue.push_back(Message {
            number,
            destination,
            place,
            redelivered: false,
        });
    }

    pub(super) fn pass(&mut self, ns: u64) {
        self.now.ns += ns;
        self.core.tick(self.now);
    }

    /// Duty cycles until nothing happens.
    pub(super) fn settle_down(&mut self) {
        while self.cycle() > 0 {}
    }

    /// One duty cycle; returns how much happened.
    pub(super) fn cycle(&mut self) -> usize {
        let mut work_count = self.dispatch();
        work_count += self.write();
        for _ in 0..self.core.readable_count() {
            work_count += self.read();
        }
        work_count += self.core.look_up(self.now);
        work_count += self.write();
        while let Some(action) = self.core.next_action() {
            match action {
                SocketAction::ShutDown(key) => self.peers[key].is_shut = true,
                SocketAction::Close(key, peer) => {
                    assert!(peer.is_some());
                    self.peers[key].is_closed = true;
                }
            }
        }
        while self.core.has_events() {
            let event = self.core.next_event().expect("there is one");
            self.on_event(event);
            work_count += 1;
        }
        work_count
    }

    fn read(&mut self) -> usize {
        let (peers, step) = (&mut self.peers, self.step);
        let read = self.core.read_next(self.now, |key, room, _| {
            let peer = &mut peers[key];
            assert!(!peer.is_closed);
            let len = peer.input.len().min(step).min(room.len());
            if peer.is_broken {
                return Err(ErrorKind::ConnectionReset.into());
            }
            if len == 0 && !peer.has_ended {
                return Err(ErrorKind::WouldBlock.into());
            }
            let bytes = peer.input.drain(..len);
            room.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            Ok(len)
        });
        read.unwrap_or_default()
    }

    fn write(&mut self) -> usize {
        let mut count = 0;
        while let Some(key) = self.core.next_write() {
            count += 1;
            let result = self.write_one(key);
            let now_ns = self.now.ns;
            self.core.end_write(key, (result, 0), || now_ns);
        }
        count
    }

    fn write_one(&mut self, key: Key) -> io::Result<()> {
        loop {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = self.core.gather(key, &mut slices);
            if count == 0 {
                return Ok(());
            }
            let peer = &mut self.peers[key];
            assert!(!peer.is_closed);
            if peer.is_broken {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let before = peer.got.len();
            let room = peer.room.min(self.step);
            let pieces = slices[..count].iter().flat_map(|it| it.iter());
            peer.got.extend(pieces.take(room));
            let taken = peer.got.len() - before;
            if taken == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            peer.room -= taken;
            self.core.on_written(key, taken);
        }
    }

    /// Hands out what may be handed out.
    fn dispatch(&mut self) -> usize {
        let mut count = 0;
        for destination in &mut self.destinations {
            let Some(&subscriber) = destination.subscribers.first() else {
                continue;
            };
            let seen = self.seen.get_mut(&subscriber).expect("it is known");
            while seen.has_joined
                && seen.in_flight.len() < CREDIT
                && let Some(message) = destination.queue.pop_front()
            {
                count += 1;
                self.lent += 1;
                seen.in_flight.push_back(message);
                let handed = &mut self.peers[subscriber as usize].handed;
                handed.insert(message.number, message.redelivered);
                self.core.on_command(ToDelivery::Frame {
                    subscriber,
                    lease: self.ledger.lend(message.place).expect("it is in memory"),
                    redelivered: message.redelivered,
                });
            }
        }
        count
    }

    fn on_event(&mut self, event: FromDelivery) {
        match event {
            FromDelivery::Subscribe {
                subscriber,
                destinations,
                ack,
                is_last,
                ..
            } => self.on_subscribe(subscriber, &destinations, ack, is_last),
            FromDelivery::Written {
                subscriber, frames, ..
            } => {
                let seen = self.seen.get_mut(&subscriber).expect("it has subscribed");
                seen.written += frames as usize;
                assert!(
                    seen.written <= seen.in_flight.len(),
                    "only what it was handed"
                );
                if !seen.ack {
                    self.settled_by_writing += frames as usize;
                    self.settle(subscriber, frames as usize);
                }
            }
            FromDelivery::Acknowledged { subscriber, frames } => {
                self.settle(subscriber, frames as usize);
            }
            FromDelivery::Gone { subscriber } => self.on_gone(subscriber),
            FromDelivery::Returned(returned) => self.ledger.take_back(returned),
            FromDelivery::Released {
                destination,
                consent,
            } => self.released.push((destination, consent)),
        }
    }

    fn on_subscribe(
        &mut self,
        subscriber: SubscriberKey,
        destinations: &[DestinationIndex],
        ack: bool,
        is_last: bool,
    ) {
        let seen = self.seen.entry(subscriber).or_default();
        (seen.ack, seen.has_joined) = (ack, is_last);
        let (mut active, mut standby) = (Vec::new(), Vec::new());
        for &destination in destinations {
            let subscribers = &mut self.destinations[destination as usize].subscribers;
            assert!(!subscribers.contains(&subscriber), "it is told once");
            subscribers.push(subscriber);
            let list = if subscribers.len() == 1 {
                &mut active
            } else {
                &mut standby
            };
            list.push(destination);
        }
        self.core.on_command(ToDelivery::Assigned {
            subscriber,
            active,
            standby,
            is_last,
        });
    }

    fn settle(&mut self, subscriber: SubscriberKey, frames: usize) {
        let seen = self.seen.get_mut(&subscriber).expect("it has subscribed");
        seen.written = seen.written.checked_sub(frames).expect("they were written");
        for message in seen.in_flight.drain(..frames) {
            self.settled.push(message.number);
            self.ledger.release(message.place);
        }
    }

    /// What it did not settle goes to the next one, before what is later.
    fn on_gone(&mut self, subscriber: SubscriberKey) {
        let seen = self.seen.remove(&subscriber).unwrap_or_default();
        for (index, mut message) in seen.in_flight.into_iter().enumerate().rev() {
            message.redelivered |= index < seen.written;
            let destination = &mut self.destinations[message.destination as usize];
            destination.queue.push_front(message);
        }
        for destination in &mut self.destinations {
            destination.subscribers.retain(|it| *it != subscriber);
        }
        self.core.on_command(ToDelivery::Forget { subscriber });
    }

    /// Faults end, a last subscriber takes all that is left, and everything must add up.
    pub(super) fn finish(mut self) {
        for key in 0..self.peers.len() {
            self.peers[key].has_ended = true;
            self.core.on_ready(key, true, true);
        }
        self.settle_down();
        let last = self.connect(
            "{\"subscribe\":[\"*\"],\"ack\":true}\n",
            true,
            usize::MAX / 2,
        );
        self.settle_down();
        let mut turns = 0;
        while self.settled.len() < self.next_number as usize {
            self.acknowledge(last);
            self.settle_down();
            turns += 1;
            assert!(turns < 1_000, "messages are left: {:?}", self.destinations);
        }
        self.peers[last].has_ended = true;
        self.core.on_ready(last, true, false);
        self.settle_down();
        self.check();
    }

    fn check(mut self) {
        self.settled.sort_unstable();
        let all: Vec<u64> = (0..self.next_number).collect();
        assert_eq!(self.settled, all, "each message is settled once");
        let mut got_plain = 0;
        for peer in &self.peers {
            assert!(peer.is_shut && peer.is_closed);
            peer.check();
            if !peer.ack {
                got_plain += peer.frames().len();
            }
        }
        assert_eq!(
            got_plain, self.settled_by_writing,
            "what was written is there"
        );
        self.ledger.seal(self.writer.take().expect("it is there"));
        assert_eq!(self.ledger.free_count(), 1, "all leases came home");
        let count = |it| self.counters.get(it);
        assert_eq!(count(Counter::SubscribersConnected), 0);
        let connects = self.peers.len() as u64;
        assert_eq!(count(Counter::SubscriberConnects), connects);
        assert_eq!(count(Counter::SubscriberDisconnects), connects);
    }
}
