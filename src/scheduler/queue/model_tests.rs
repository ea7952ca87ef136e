//! The queues beside their naive model.

use super::model::{Item, Model};
use super::ready::Group;
use super::testing::{Next, TestSlots};
use super::*;
use proptest::prelude::*;

const DESTINATIONS: usize = 3;
const SOURCES: usize = 3;
const AGENTS: usize = 2;

/// The group of a large subscriber of the first agent.
const LARGE: Group = AGENTS as Group;

#[derive(Debug, Clone)]
enum Step {
    Push {
        destination: usize,
        level0: usize,
        source: usize,
        late_ms: u64,
    },
    /// Without the destinations of these delivery agents, one bit each.
    PopReady(GroupSet),
    Pop(usize),
    Return {
        destination: usize,
        count: usize,
        skip: usize,
    },
    Settle(usize),
    Age(usize),
    Later(u64),
    Open(usize, Group),
    Close(usize),
    /// The large subscriber's group.
    SetGroupOpen(bool),
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
        4 => prop_oneof![2 => Just(0), 1 => 1u128..1 << AGENTS].prop_map(Step::PopReady),
        3 => (0..DESTINATIONS).prop_map(Step::Pop),
        2 => (0..DESTINATIONS, 0usize..9, 0usize..3).prop_map(|(destination, count, skip)| {
            Step::Return { destination, count, skip }
        }),
        1 => (0..DESTINATIONS).prop_map(Step::Settle),
        3 => prop_oneof![Just(1_000usize), 1usize..4].prop_map(Step::Age),
        8 => later.prop_map(Step::Later),
        1 => (0..DESTINATIONS, 0..=LARGE).prop_map(|(it, group)| Step::Open(it, group)),
        1 => any::<bool>().prop_map(Step::SetGroupOpen),
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
    /// Groups that may not be served.
    closed: GroupSet,
}

impl Pair {
    fn new(levels: usize, wait_ms: &[u64]) -> Self {
        let max_wait: Vec<_> = wait_ms
            .iter()
            .map(|&ms| Duration::from_millis(ms))
            .collect();
        let mut queues = Queues::new(levels, DESTINATIONS, &max_wait).served_by(AGENTS);
        assert_eq!(queues.take_group(0), Some(LARGE));
        Self {
            queues,
            model: Model::new(levels, DESTINATIONS, wait_ms),
            levels,
            now_ms: 100_000,
            floors_ms: [0; SOURCES],
            slots: TestSlots::default(),
            sequence: 0,
            in_flight: vec![Vec::new(); DESTINATIONS],
            closed: 1 << LARGE,
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
            Step::PopReady(agents) => {
                let passed_over = self.groups_of(agents);
                let mine = self.queues.pop_ready_except(passed_over, &mut self.slots);
                let naive = self.model.pop_ready(passed_over | self.closed);
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
            Step::Open(destination, group) => {
                self.queues.open(destination as u32, group);
                self.model.open[destination] = Some(group);
            }
            Step::Close(destination) => {
                self.queues.close(destination as u32);
                self.model.open[destination] = None;
            }
            Step::SetGroupOpen(open) => self.set_group_open(open),
            Step::Evict { destination, limit } => self.evict(destination, limit),
            Step::Refuse(refuses) => self.slots.refuses = refuses,
        }
        self.check();
    }

    /// The groups of these delivery agents.
    fn groups_of(&self, agents: GroupSet) -> GroupSet {
        let agents = (0..AGENTS as u16).filter(|agent| agents >> agent & 1 == 1);
        agents.fold(0, |groups, agent| groups | self.queues.groups_of(agent))
    }

    fn set_group_open(&mut self, open: bool) {
        self.queues.set_group_open(LARGE, open);
        self.closed = if open { 0 } else { 1 << LARGE };
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
        assert_eq!(queues.has_ready(), model.has_ready(self.closed));
        for level0 in 0..self.levels {
            assert_eq!(queues.len_at(level0 as Level + 1), model.len_at(level0));
        }
        for destination in 0..DESTINATIONS {
            let of = model
                .items
                .iter()
                .filter(|item| item.destination == destination);
            let mut len = [0; LEVELS_MAX];
            of.clone().for_each(|item| len[item.level0] += 1);
            assert_eq!(queues.len_by_level(destination as u32), len);
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
