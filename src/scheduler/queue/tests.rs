//! The queues beside their naive model, and what they promise, case by case.

use super::cold::AllHot;
use super::model::{Item, Model};
use super::testing::TestSlots;
use super::*;
use crate::limits::BUCKETS;
use proptest::prelude::*;

const DESTINATIONS: usize = 3;
const SOURCES: usize = 3;
const AGENTS: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    Push {
        destination: usize,
        level0: usize,
        source: usize,
        late_ms: u64,
    },
    /// Without the destinations of these delivery agents, one bit each.
    PopReady(u64),
    Pop(usize),
    Return {
        destination: usize,
        count: usize,
        skip: usize,
    },
    Settle(usize),
    Age(usize),
    Later(u64),
    Open(usize, u16),
    Close(usize),
    Evict {
        destination: usize,
        limit: usize,
    },
    /// Whether slots are given up from now on.
    Refuse(bool),
}

fn step(levels: usize) -> impl Strategy<Value = Step> {
    let late_ms = prop_oneof![3 => Just(0u64), 3 => 0u64..12, 3 => 0u64..300, 1 => Just(u64::MAX)];
    let push = (0..DESTINATIONS, 0..levels, 0..SOURCES, late_ms);
    let later = prop_oneof![6 => 0u64..4, 2 => 0u64..100, 1 => 200u64..2_000];
    prop_oneof![
        12 => push.prop_map(|(destination, level0, source, late_ms)| {
            Step::Push { destination, level0, source, late_ms }
        }),
        4 => prop_oneof![2 => Just(0), 1 => 1u64..1 << AGENTS].prop_map(Step::PopReady),
        3 => (0..DESTINATIONS).prop_map(Step::Pop),
        2 => (0..DESTINATIONS, 0usize..9, 0usize..3).prop_map(|(destination, count, skip)| {
            Step::Return { destination, count, skip }
        }),
        1 => (0..DESTINATIONS).prop_map(Step::Settle),
        3 => prop_oneof![Just(1_000usize), 1usize..4].prop_map(Step::Age),
        8 => later.prop_map(Step::Later),
        1 => (0..DESTINATIONS, 0..AGENTS as u16).prop_map(|(it, agent)| Step::Open(it, agent)),
        1 => (0..DESTINATIONS).prop_map(Step::Close),
        2 => (0..DESTINATIONS, 0usize..9).prop_map(|(destination, limit)| {
            Step::Evict { destination, limit }
        }),
        1 => any::<bool>().prop_map(Step::Refuse),
    ]
}

/// The queues and the model, with what lies between: sources, slots, messages in flight.
struct Pair {
    queues: Queues,
    model: Model,
    levels: usize,
    now_ms: u64,
    floors_ms: [u64; SOURCES],
    slots: TestSlots,
    sequence: u64,
    in_flight: Vec<Vec<Item>>,
}

impl Pair {
    fn new(levels: usize, wait_ms: &[u64]) -> Self {
        let max_wait: Vec<_> = wait_ms
            .iter()
            .map(|&ms| Duration::from_millis(ms))
            .collect();
        Self {
            queues: Queues::new(levels, DESTINATIONS, &max_wait).served_by(AGENTS),
            model: Model::new(levels, DESTINATIONS, wait_ms),
            levels,
            now_ms: 100_000,
            floors_ms: [0; SOURCES],
            slots: TestSlots::default(),
            sequence: 0,
            in_flight: vec![Vec::new(); DESTINATIONS],
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push {
                destination,
                level0,
                source,
                late_ms,
            } => {
                self.push(destination, level0, source, late_ms);
            }
            Step::PopReady(passed_over) => {
                let mine = self.queues.pop_ready_except(passed_over, &mut self.slots);
                let naive = self.model.pop_ready(passed_over);
                let naive_parts =
                    naive.map(|(item, level)| (item.destination as u32, item.order, level));
                let order = |(destination, slot, level)| (destination, self.slots.of(slot), level);
                assert_eq!(mine.map(order), naive_parts);
                self.popped(naive, mine.map(|(_, slot, _)| slot));
            }
            Step::Pop(destination) => {
                let mine = self.queues.pop(destination as u32, &mut self.slots);
                let naive = self.model.pop(destination);
                let order = mine.map(|(slot, level)| (self.slots.of(slot), level));
                assert_eq!(order, naive.map(|(item, level)| (item.order, level)));
                self.popped(naive, mine.map(|(slot, _)| slot));
            }
            Step::Return {
                destination,
                count,
                skip,
            } => self.give_back(destination, count, skip),
            Step::Settle(destination) => {
                let settled = self.in_flight[destination].drain(..);
                settled.for_each(|item| self.slots.remove(item.slot));
            }
            Step::Age(limit) => self.age(limit),
            Step::Later(ms) => self.now_ms += ms,
            Step::Open(destination, agent) => {
                self.queues.open(destination as u32, agent);
                self.model.open[destination] = Some(agent);
            }
            Step::Close(destination) => {
                self.queues.close(destination as u32);
                self.model.open[destination] = None;
            }
            Step::Evict { destination, limit } => self.evict(destination, limit),
            Step::Refuse(refuses) => self.slots.refuses = refuses,
        }
        self.check();
    }

    fn push(&mut self, destination: usize, level0: usize, source: usize, late_ms: u64) {
        let own_ms = self.now_ms.saturating_sub(late_ms);
        let timestamp_ms = clamp_timestamp(own_ms, self.floors_ms[source], self.now_ms);
        self.floors_ms[source] = timestamp_ms;
        self.sequence += 1;
        let slot = self.slots.insert(self.sequence);
        let mut item = Item::new(destination, level0, source, timestamp_ms);
        item.order = self.sequence;
        let level = level0 as Level + 1;
        self.queues
            .push(destination as u32, level, slot, timestamp_ms, self.now_ms);
        self.model.push(item);
    }

    fn evict(&mut self, destination: usize, limit: usize) {
        let held = self.slots.len();
        let slots = &mut self.slots;
        let evicted = self
            .queues
            .evict(destination as u32, self.now_ms, limit, slots);
        assert!(evicted <= limit);
        assert_eq!(self.slots.len(), held - evicted);
    }

    fn popped(&mut self, popped: Option<(Item, Level)>, slot: Option<u32>) {
        let (Some((mut item, _)), Some(slot)) = (popped, slot) else {
            return;
        };
        item.slot = slot;
        // The promise itself, whatever the model does: no earlier one of its kind still waits.
        let kind = |item: &Item| (item.source, item.destination, item.own0);
        let overtaken = |other: &&Item| kind(other) == kind(&item) && other.order < item.order;
        let overtaken = self.model.items.iter().find(overtaken);
        assert!(overtaken.is_none(), "{item:?} overtook {overtaken:?}");
        self.in_flight[item.destination].push(item);
    }

    fn give_back(&mut self, destination: usize, count: usize, skip: usize) {
        let flying = &mut self.in_flight[destination];
        let from = skip.min(flying.len());
        let until = (from + count).min(flying.len());
        let mut back: Vec<_> = flying.drain(from..until).collect();
        for item in back.iter().rev() {
            let level = item.level0 as Level + 1;
            self.queues
                .return_turn(destination as u32, item.slot, level);
            self.model.return_turn(item);
        }
        if count.is_multiple_of(2) {
            back.sort_by_key(|item| item.order);
        }
        let messages: Vec<_> = back.iter().map(|item| (item.slot, item.order)).collect();
        self.queues
            .requeue(destination as u32, &messages, self.now_ms);
        self.model.requeue(&back, self.now_ms);
    }

    fn age(&mut self, limit: usize) {
        let moved = self.queues.age(self.now_ms, limit, &mut self.slots);
        assert!(moved <= limit);
        for _ in 0..moved {
            assert!(self.model.age_one(self.now_ms));
        }
        if limit == 1_000 {
            assert!(
                !self.model.age_one(self.now_ms),
                "something was due and did not move"
            );
        }
    }

    fn check(&self) {
        let (queues, model) = (&self.queues, &self.model);
        assert_eq!(queues.len(), model.items.len());
        for level0 in 0..self.levels {
            assert_eq!(queues.len_at(level0 as Level + 1), model.len_at(level0));
        }
        for destination in 0..DESTINATIONS {
            let of = model
                .items
                .iter()
                .filter(|item| item.destination == destination);
            assert_eq!(queues.len_of(destination as u32), of.count());
            let peeked = queues
                .peek(destination as u32)
                .map(|(next, level)| match next {
                    Next::Slot(slot) => (self.slots.of(slot), level),
                    Next::Cold(sequence) => (sequence, level),
                });
            assert_eq!(peeked, model.peek(destination));
        }
        if let Some((due_ms, _)) = model.next_due() {
            assert!(
                queues
                    .next_deadline_ms()
                    .is_some_and(|at_ms| at_ms <= due_ms)
            );
        }
        if model.items.is_empty() {
            assert_eq!(queues.tables.in_use(), 0);
            assert_eq!(queues.cold_store.blocks_used(), 0);
        }
        let flying: usize = self.in_flight.iter().map(Vec::len).sum();
        assert_eq!(self.slots.len() + queues.len_cold(), queues.len() + flying);
    }
}

/// Takes the steps; after each of them up to `evicted` messages of each destination go cold.
fn run(wait_ms: &[u64], steps: Vec<Step>, evicted: usize) {
    let mut pair = Pair::new(wait_ms.len(), wait_ms);
    for step in steps {
        pair.step(step);
        (0..DESTINATIONS).for_each(|destination| pair.evict(destination, evicted));
        pair.check();
    }
    (0..DESTINATIONS).for_each(|destination| pair.step(Step::Open(destination, 0)));
    while !pair.queues.is_empty() {
        pair.step(Step::PopReady(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_usual_levels_go_as_the_model_does(
        steps in prop::collection::vec(step(3), 1..300),
    ) {
        run(&[0, 300, 900], steps, 0);
    }

    #[test]
    fn what_may_go_cold_does_so_at_once_and_all_goes_as_the_model_does(
        steps in prop::collection::vec(step(3), 1..300),
        evicted in prop_oneof![Just(1_000usize), 1usize..3],
    ) {
        run(&[0, 300, 900], steps, evicted);
    }

    #[test]
    fn waits_that_shrink_and_levels_that_never_age_go_as_the_model_does(
        steps in prop::collection::vec(step(5), 1..300),
        wait_ms in prop::collection::vec(prop_oneof![Just(0u64), 1u64..400], 4),
    ) {
        run(&[&[0], &wait_ms[..]].concat(), steps, 0);
    }
}

proptest! {
    #[test]
    fn a_lane_that_borrows_a_table_goes_in_the_order_of_timestamps(
        steps in prop::collection::vec((0u64..BUCKETS as u64, 0u64..40, 0usize..3), 30..400),
    ) {
        let (mut queues, mut model) = (queues(1, [0; 3]), std::collections::BTreeSet::new());
        let mut now_ms = 10_000;
        for (slot, (late_ms, later_ms, pops)) in (0..).zip(steps) {
            now_ms += if later_ms == 39 { 300 } else { later_ms / 8 };
            queues.push(0, 2, slot, now_ms - late_ms, now_ms);
            model.insert((now_ms - late_ms, slot));
            for _ in 0..pops / 2 {
                let first = model.pop_first().map(|(_, slot)| (slot, 2));
                prop_assert_eq!(queues.pop(0, &mut AllHot), first);
            }
        }
        while let Some((_, slot)) = model.pop_first() {
            prop_assert_eq!(queues.pop(0, &mut AllHot), Some((slot, 2)));
        }
        prop_assert!(queues.is_empty());
    }
}

fn queues(destinations: usize, wait_ms: [u64; 3]) -> Queues {
    let mut queues = Queues::new(3, destinations, &wait_ms.map(Duration::from_millis));
    (0..destinations as u32).for_each(|destination| queues.open(destination, 0));
    queues
}

#[test]
fn a_message_of_level_3_is_late_in_a_flood_of_level_1_and_not_starved() {
    let mut queues = queues(1, [0, 100, 200]);
    queues.push(0, 3, 0, 1_000, 1_000);
    let mut slot = 1;
    for now_ms in 1_000..2_000 {
        queues.age(now_ms, 64, &mut AllHot);
        for _ in 0..2 {
            queues.push(0, 1, slot, now_ms, now_ms);
            slot += 1;
        }
        let (popped, level) = queues.pop(0, &mut AllHot).expect("one was pushed");
        if popped == 0 {
            assert_eq!(level, 1);
            assert!((1_200..1_210).contains(&now_ms), "served at {now_ms}");
            return;
        }
    }
    panic!("starved");
}

#[test]
fn a_fresh_message_of_level_1_overtakes_a_hundred_thousand_that_aged_into_it() {
    let mut queues = queues(1, [0, 100, 200]);
    for slot in 0..100_000 {
        queues.push(0, 3, slot, 1_000, 1_000);
    }
    while queues.age(1_300, 1_024, &mut AllHot) > 0 {}
    assert_eq!(queues.len_at(1), 100_000);
    queues.push(0, 1, 100_000, 1_300, 1_300);
    assert_eq!(queues.pop_ready(&mut AllHot), Some((0, 100_000, 1)));
    for slot in 0..100_000 {
        assert_eq!(queues.pop_ready(&mut AllHot), Some((0, slot, 1)));
    }
}

#[test]
fn one_aged_message_goes_after_every_few_native_ones() {
    let mut queues = queues(1, [0, 100, 200]);
    (0..10).for_each(|slot| queues.push(0, 2, slot, 1_000, 1_000));
    while queues.age(1_100, 1_024, &mut AllHot) > 0 {}
    (10..30).for_each(|slot| queues.push(0, 1, slot, 1_100, 1_100));
    let popped: Vec<_> = (0..10)
        .map(|_| queues.pop(0, &mut AllHot).map(|(slot, _)| slot))
        .collect();
    assert_eq!(popped, [10, 11, 12, 13, 0, 14, 15, 16, 17, 1].map(Some));
}

/// Ten aged messages wait, and own ones of level 1 without end. Each subscriber takes `takes` of
/// the sixteen that it is handed, and goes.
fn delivered_by_subscribers_that_go(takes: usize) -> Vec<u32> {
    let mut queues = queues(1, [0, 100, 200]);
    (0..10).for_each(|slot| queues.push(0, 2, slot, 1_000, 1_000));
    while queues.age(1_100, 1_024, &mut AllHot) > 0 {}
    (10..500).for_each(|slot| queues.push(0, 1, slot, 1_100, 1_100));
    let mut delivered = Vec::new();
    while delivered.len() < 40 {
        let popped: Vec<_> = (0..16).filter_map(|_| queues.pop(0, &mut AllHot)).collect();
        delivered.extend(popped[..takes].iter().map(|&(slot, _)| slot));
        for &(slot, level) in popped[takes..].iter().rev() {
            queues.return_turn(0, slot, level);
        }
        let mut back: Vec<_> = popped[takes..]
            .iter()
            .map(|&(slot, _)| (slot, u64::from(slot)))
            .collect();
        back.sort_unstable();
        queues.requeue(0, &back, 1_100);
    }
    delivered
}

#[test]
fn subscribers_that_come_and_go_starve_neither_aged_messages_nor_urgent_ones() {
    let expected = delivered_by_subscribers_that_go(16);
    for takes in 1..16 {
        let delivered = delivered_by_subscribers_that_go(takes);
        assert_eq!(delivered[..40], expected[..40], "{takes} each");
    }
}

#[test]
fn destinations_of_a_level_are_served_in_turn() {
    let mut queues = queues(100, [0; 3]);
    for round in 0..3 {
        for destination in 0..100 {
            queues.push(destination, 2, round * 100 + destination, 1_000, 1_000);
        }
    }
    queues.close(7);
    queues.push(42, 1, 300, 1_000, 1_000);
    assert_eq!(queues.pop_ready(&mut AllHot), Some((42, 300, 1)));
    for round in 0..3 {
        for destination in (0..100).filter(|&destination| destination != 7) {
            let slot = round * 100 + destination;
            assert_eq!(queues.pop_ready(&mut AllHot), Some((destination, slot, 2)));
        }
    }
    assert_eq!(queues.pop_ready(&mut AllHot), None);
    queues.open(7, 0);
    assert_eq!(queues.pop_ready(&mut AllHot), Some((7, 7, 2)));
}

#[test]
fn who_is_passed_over_keeps_its_turn_and_delays_nobody() {
    let mut queues = Queues::new(3, 100, &[]).served_by(2);
    for destination in 0..100 {
        queues.open(destination, destination as u16 % 2);
        queues.push(destination, 2, destination, 1_000, 1_000);
    }
    queues.push(1, 1, 100, 1_000, 1_000);
    // An urgent message of an agent that has no room delays no other agent's.
    let of_agent_0 = (0..100).step_by(2).take(10);
    for destination in of_agent_0 {
        let popped = queues.pop_ready_except(0b10, &mut AllHot);
        assert_eq!(popped, Some((destination, destination, 2)));
    }
    assert_eq!(queues.pop_ready(&mut AllHot), Some((1, 100, 1)));
    // The turns go on where they were, for both.
    for destination in 19..30 {
        let popped = queues.pop_ready(&mut AllHot);
        assert_eq!(popped, Some((destination, destination, 2)));
    }
    assert_eq!(queues.pop_ready_except(0b11, &mut AllHot), None);
    assert!(queues.has_ready());
}

#[test]
fn what_timed_out_in_flight_goes_before_what_aged_past_it_meanwhile() {
    let mut queues = queues(1, [0, 100, 500]);
    queues.push(0, 3, 0, 1_000, 1_000);
    queues.push(0, 3, 1, 1_001, 1_001);
    assert_eq!(queues.pop(0, &mut AllHot), Some((0, 3)));
    while queues.age(31_000, 64, &mut AllHot) > 0 {}
    assert_eq!(queues.peek(0), Some((Next::Slot(1), 1)));
    queues.requeue(0, &[(0, 1)], 31_000);
    assert_eq!(queues.pop(0, &mut AllHot), Some((0, 1)));
    assert_eq!(queues.pop(0, &mut AllHot), Some((1, 1)));
}

#[test]
fn a_lane_orders_a_source_whose_clock_lags_far_behind_and_gives_its_table_back() {
    let mut queues = queues(1, [0; 3]);
    let mut expected = Vec::new();
    for (slot, now_ms) in (0..4_000).zip(10_000..) {
        let timestamp_ms = if slot % 2 == 0 { now_ms } else { now_ms - 200 };
        queues.push(0, 1, slot, timestamp_ms, now_ms);
        expected.push((timestamp_ms, slot));
    }
    assert_eq!(queues.tables.in_use(), 1);
    expected.sort_unstable();
    for (_, slot) in expected {
        assert_eq!(queues.pop(0, &mut AllHot), Some((slot, 1)));
    }
    assert_eq!(queues.tables.in_use(), 0);
}

#[test]
fn ten_thousand_idle_destinations_cost_some_hundred_bytes_each() {
    assert_eq!(size_of::<Node>(), 16);
    assert_eq!(size_of::<Cell>(), 32);
    assert_eq!(size_of::<Requeued>(), 24);
    let deadline = size_of::<(u64, u32)>() + size_of::<u32>();
    let bytes = |levels: usize| {
        let level = size_of::<Cell>() + size_of::<Requeued>() + deadline;
        size_of::<Destination>() + levels * level
    };
    assert!(bytes(3) <= 240, "{}", bytes(3));
    assert!(bytes(8) <= 640, "{}", bytes(8));
}

#[test]
fn growing_keeps_what_waits() {
    let mut queues = queues(1, [0; 3]);
    queues.push(0, 2, 0, 5, 5);
    queues.grow(70);
    queues.open(69, 0);
    queues.push(69, 2, 1, 5, 5);
    assert_eq!(queues.pop_ready(&mut AllHot), Some((0, 0, 2)));
    assert_eq!(queues.pop_ready(&mut AllHot), Some((69, 1, 2)));
    queues.requeue(69, &[(1, 2)], 6);
    queues.grow(5_000);
    queues.requeue(4_999, &[(0, 1)], 6);
    assert_eq!(queues.len(), 2);
    assert_eq!(queues.pop_ready(&mut AllHot), Some((69, 1, 2)));
}
