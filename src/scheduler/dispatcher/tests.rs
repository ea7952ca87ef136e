//! The dispatcher over real rings: credit, room, order, and large subscribers beside small ones.

use proptest::prelude::*;

use super::*;
use crate::arena::Returned;
use crate::message::Sequence;
use crate::message::allowance::MaxQueued;
use crate::ring::{Receiver, Wake, ring};
use crate::scheduler::rings::Outputs;
use crate::scheduler::testing::{Frames, messages, now_at};

const DESTINATIONS: usize = 6;
const AGENTS: usize = 2;

/// Bytes of one frame with its newline.
const WIRE_LEN: usize = 101;

struct Fixture {
    dispatcher: Dispatcher,
    messages: Messages,
    subscriptions: Subscriptions,
    out: Outputs,
    frames: Frames,
    deliveries: Vec<Receiver<ToDelivery>>,
    replay: Receiver<Fetch>,
    last_sequence: Sequence,
}

/// What a delivery agent was handed: to whom, which message, and whether it may have been seen.
type Handed = (SubscriberId, Sequence, bool);

impl Fixture {
    /// Rings to delivery have room for `frames` frames.
    fn new(frames: usize) -> Self {
        let wake = Wake::new().expect("a descriptor");
        let capacity = frames + crate::limits::ANSWERS_RESERVED;
        let links = (0..AGENTS).map(|_| ring(capacity, &wake));
        let (to_deliveries, deliveries) = links.unzip();
        let (to_replay, replay) = ring(8, &wake);
        let config = crate::config::parse("test", "", &[]).expect("the defaults are good");
        let mut allowances = Grants::new(MaxQueued::new(&config));
        allowances.grow(DESTINATIONS);
        let queues = Queues::new(3, DESTINATIONS, &[]).served_by(AGENTS);
        Self {
            dispatcher: Dispatcher::new(queues, allowances),
            messages: messages(4_096),
            subscriptions: Subscriptions::new(AGENTS),
            out: Outputs {
                ingest: ring(1, &wake).0,
                journal: ring(1, &wake).0,
                replay: to_replay,
                replay_chunks: ring(1, &wake).0,
                deliveries: to_deliveries,
            },
            frames: Frames::default(),
            deliveries,
            replay,
            last_sequence: 0,
        }
    }

    fn subscribe(&mut self, id: SubscriberId, destinations: &[DestinationIndex], credit: usize) {
        (self.subscriptions).subscribe(id, destinations, true, credit as i64);
        self.dispatcher.begin_serving(id, &mut self.subscriptions);
    }

    fn push(&mut self, destination: DestinationIndex, level: Level) -> bool {
        self.last_sequence += 1;
        let messages = &mut self.messages;
        let index = (self.frames).queued(messages, self.last_sequence, destination, level);
        let message = self.messages.get(index);
        (self.dispatcher).push(index, message, now_at(1), &self.subscriptions)
    }

    fn dispatch(&mut self) -> usize {
        let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
        (self.dispatcher).dispatch(now_at(2), messages, subscriptions, &mut self.out.dispatch())
    }

    /// Takes what an agent was handed, and ends its leases.
    fn take(&mut self, agent: u16) -> Vec<Handed> {
        let mut handed = Vec::new();
        while let Some(entry) = self.deliveries[usize::from(agent)].poll() {
            let ToDelivery::Frame {
                subscriber: key,
                lease,
                redelivered,
            } = entry
            else {
                panic!("{entry:?}");
            };
            let sequence = self.messages.sequence_of(&lease);
            self.messages.take_back(Returned::one(lease));
            handed.push((SubscriberId { agent, key }, sequence, redelivered));
        }
        handed
    }

    /// A subscriber has its oldest frames in its socket, and is done with them.
    fn acknowledge(&mut self, id: SubscriberId, frames: usize) {
        let Some(subscriber) = self.subscriptions.get_mut(id) else {
            return;
        };
        let was_open = subscriber.is_open();
        let messages = &mut self.messages;
        let bytes = (frames * WIRE_LEN) as u32;
        subscriber.write(frames, bytes, |index| messages.write(index, 3));
        for index in subscriber.settle(frames) {
            messages.settle(index, now_at(3));
        }
        if !was_open && subscriber.is_open() {
            self.dispatcher.set_open(id, true, &self.subscriptions);
        }
    }

    fn go(&mut self, id: SubscriberId) -> usize {
        let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
        let requeued = (self.dispatcher).begin_leaving(id, now_at(4), messages, subscriptions);
        while !(self.dispatcher).leave(id, &mut 1, subscriptions) {}
        requeued
    }

    fn fetch(&mut self) -> Vec<Sequence> {
        let mut fetched = Vec::new();
        while let Some(fetch) = self.replay.poll() {
            fetched.push(fetch.sequence);
            let frame = (self.frames).commit_as(&mut self.messages, fetch.sequence);
            let slot = fetch.slot;
            let message = self.messages.end_fetch(slot, frame, now_at(5), |_| None);
            let found = (message.destination, slot);
            let (messages, subscriptions) = (&mut self.messages, &mut self.subscriptions);
            (self.dispatcher).on_fetched(
                found,
                now_at(5),
                messages,
                subscriptions,
                &mut self.out.dispatch(),
            );
        }
        fetched
    }
}

fn id(key: u32) -> SubscriberId {
    SubscriberId {
        agent: (key % AGENTS as u32) as u16,
        key,
    }
}

fn sequences(handed: &[Handed]) -> Vec<Sequence> {
    handed.iter().map(|it| it.1).collect()
}

#[test]
fn an_urgent_message_overtakes_all_that_credit_holds_back() {
    let mut it = Fixture::new(64);
    it.subscribe(id(0), &[0], WIRE_LEN + 1);
    (0..5).for_each(|_| {
        it.push(0, 3);
    });
    assert_eq!(it.dispatch(), 2, "the last frame may overdraw the credit");
    assert!(it.push(0, 1), "less urgent ones are on their way");
    assert_eq!(it.dispatch(), 0);
    it.acknowledge(id(0), 2);
    assert_eq!(it.dispatch(), 2);
    assert_eq!(sequences(&it.take(0)), [1, 2, 6, 3]);
}

#[test]
fn an_agent_whose_ring_is_full_is_passed_over() {
    let mut it = Fixture::new(3);
    it.subscribe(id(0), &[0], 1 << 20);
    it.subscribe(id(1), &[1], 1 << 20);
    for _ in 0..10 {
        it.push(0, 1);
        it.push(1, 3);
    }
    assert_eq!(it.dispatch(), 6);
    assert_eq!(sequences(&it.take(1)), [2, 4, 6]);
    assert_eq!(it.dispatch(), 3);
    assert_eq!(sequences(&it.take(1)), [8, 10, 12]);
    assert_eq!(sequences(&it.take(0)), [1, 3, 5]);
}

#[test]
fn messages_behind_one_that_is_read_from_the_journal_wait_for_it() {
    let mut it = Fixture::new(64);
    for _ in 0..4 {
        it.push(0, 2);
    }
    // These four lie in a chunk that is evicted.
    it.frames.end(&mut it.messages);
    assert!(it.messages.evict_chunk());
    it.push(0, 2);
    it.subscribe(id(0), &[0], 1 << 20);
    assert_eq!(it.dispatch(), 5);
    assert_eq!(it.take(0), [], "the last one is in memory, and waits");
    assert_eq!(it.messages.counts().in_flight, 5);
    assert_eq!(it.fetch(), [1, 2, 3, 4]);
    assert_eq!(sequences(&it.take(0)), [1, 2, 3, 4, 5]);
}

#[test]
fn what_finds_no_room_in_a_ring_is_handed_over_later() {
    let mut it = Fixture::new(2);
    (0..5).for_each(|_| {
        it.push(0, 2);
    });
    it.frames.end(&mut it.messages);
    it.messages.evict_chunk();
    it.subscribe(id(0), &[0], 1 << 20);
    it.dispatch();
    let mut handed = Vec::new();
    for _ in 0..10 {
        it.fetch();
        handed.extend(sequences(&it.take(0)));
        it.dispatch();
    }
    assert_eq!(handed, [1, 2, 3, 4, 5]);
}

#[test]
fn a_cold_message_gets_a_slot_and_is_read_from_the_journal() {
    let mut it = Fixture::new(64);
    (0..40).for_each(|_| {
        it.push(0, 2);
    });
    let evicted = it.dispatcher.evict(0, now_at(1_000), &mut it.messages);
    assert_eq!((evicted, it.messages.used()), (40, 0));
    it.subscribe(id(0), &[0], 1 << 20);
    assert_eq!(it.dispatch(), 40);
    while !it.fetch().is_empty() {
        it.dispatch();
    }
    assert!(sequences(&it.take(0)).into_iter().eq(1..=40));
}

#[test]
fn a_subscriber_that_goes_leaves_its_messages_to_the_standby_in_order() {
    let mut it = Fixture::new(64);
    it.subscribe(id(0), &[0, 1], 3 * WIRE_LEN);
    it.subscribe(id(1), &[0, 1], 1 << 20);
    for destination in [0, 1, 0, 1, 0] {
        it.push(destination, 2);
    }
    it.dispatch();
    assert_eq!(sequences(&it.take(0)), [1, 2, 3]);
    let subscriber = it.subscriptions.get_mut(id(0)).expect("it is there");
    let messages = &mut it.messages;
    subscriber.write(1, 0, |index| messages.write(index, 3));
    assert_eq!(it.go(id(0)), 3);
    it.dispatch();
    let mut handed = it.take(1);
    handed.sort_by_key(|it| it.1);
    let expected: Vec<_> = (1..=5).map(|it| (id(1), it, it == 1)).collect();
    assert_eq!(handed, expected, "only the first one was written");
}

#[test]
fn a_large_subscriber_keeps_its_destinations_open_while_it_has_no_credit() {
    let mut it = Fixture::new(64);
    it.dispatcher.group_min = 3;
    it.subscribe(id(0), &[0, 1, 2, 3], WIRE_LEN);
    it.subscribe(id(2), &[4], 1 << 20);
    (0..5).for_each(|destination| {
        it.push(destination, 2);
    });
    assert_eq!(it.dispatch(), 2);
    assert!((0..4).all(|destination| it.dispatcher.queues.is_open(destination)));
    let expected = [(id(0), 1, false), (id(2), 5, false)];
    assert_eq!(it.take(0), expected);
    it.acknowledge(id(0), 1);
    assert_eq!(it.dispatch(), 1);
    assert_eq!(sequences(&it.take(0)), [2]);
}

#[derive(Debug, Clone)]
enum Step {
    Push(DestinationIndex, Level),
    /// The destinations, one bit each.
    Subscribe(u32, u8),
    Acknowledge(u32, usize),
    Go(u32),
    /// This agent takes what is in its ring.
    Take(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let destination = 0..DESTINATIONS as DestinationIndex;
    prop_oneof![
        6 => (destination, 1..4u8).prop_map(|(destination, level)| Step::Push(destination, level)),
        2 => (0..5u32, 1..64u8).prop_map(|(key, set)| Step::Subscribe(key, set)),
        4 => (0..5u32, 1..4usize).prop_map(|(key, frames)| Step::Acknowledge(key, frames)),
        1 => (0..5u32).prop_map(Step::Go),
        3 => (0..AGENTS as u16).prop_map(Step::Take),
    ]
}

impl Fixture {
    /// Takes a step and dispatches; returns what was handed over.
    fn step(&mut self, step: &Step, credit: usize) -> Vec<Handed> {
        let mut handed = Vec::new();
        match *step {
            Step::Push(destination, level) => {
                self.push(destination, level);
            }
            Step::Subscribe(key, set) => {
                let had = self.subscriptions.get(id(key));
                let had = had.map_or(Vec::new(), |it| it.destinations.clone());
                let wanted = (0..DESTINATIONS as u32).filter(|it| set >> it & 1 == 1);
                let wanted: Vec<_> = wanted.filter(|it| !had.contains(it)).collect();
                self.subscribe(id(key), &wanted, credit);
            }
            Step::Acknowledge(key, frames) => {
                let in_flight = self.subscriptions.get(id(key));
                let in_flight = in_flight.map_or(0, |it| it.in_flight.len());
                self.acknowledge(id(key), frames.min(in_flight));
            }
            Step::Go(key) => {
                self.go(id(key));
            }
            Step::Take(agent) => handed = self.take(agent),
        }
        self.dispatch();
        for key in 0..5 {
            if let Some(subscriber) = self.subscriptions.get(id(key)) {
                let unwritten = subscriber.in_flight.len() * WIRE_LEN;
                assert!(
                    unwritten < credit + WIRE_LEN,
                    "the credit bounds what is on its way"
                );
            }
        }
        handed
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn large_subscribers_are_served_as_small_ones_are(
        steps in prop::collection::vec(step(), 1..120),
        credit in 1..4usize,
        large in 0..4usize,
    ) {
        let credit = credit * WIRE_LEN;
        let (mut small, mut grouped) = (Fixture::new(4), Fixture::new(4));
        small.dispatcher.group_min = usize::MAX;
        grouped.dispatcher.group_min = large;
        for step in &steps {
            prop_assert_eq!(small.step(step, credit), grouped.step(step, credit), "{:?}", step);
            prop_assert_eq!(small.messages.counts(), grouped.messages.counts());
            let has_ready = small.dispatcher.queues.has_ready();
            prop_assert_eq!(has_ready, grouped.dispatcher.queues.has_ready());
        }
    }
}
