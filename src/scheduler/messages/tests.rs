//! The table of messages beside a naive one.

use proptest::prelude::*;

use super::*;
use crate::arena::Returned;
use crate::scheduler::queue::cold::{ColdMessage, SlotStore};
use crate::scheduler::testing::{Frames, messages, now_at};

const CHUNKS: usize = 16;

/// What the naive table knows of a message.
#[derive(Debug, Clone)]
struct Item {
    sequence: Sequence,
    at: At,
    was_seen: bool,
}

#[derive(Debug, Clone)]
enum At {
    Slot(SlotIndex, Stage),
    Cold(ColdMessage),
}

struct Pair {
    messages: Messages,
    frames: Frames,
    items: Vec<Item>,
    accepted: u64,
    settled: u64,
}

impl Pair {
    fn new() -> Self {
        Self {
            messages: messages(1_000),
            frames: Frames::default(),
            items: Vec::new(),
            accepted: 0,
            settled: 0,
        }
    }

    fn accept(&mut self) {
        self.accepted += 1;
        let frame = self.frames.commit(&mut self.messages);
        let new = New {
            sequence: self.accepted,
            frame,
            read_ns: 1,
            bucket_ms: 7,
            line: Line::NONE,
            destination: 3,
            message_type: 2,
            level: 2,
        };
        let index = self.messages.accept(new, now_at(1));
        self.items.push(Item {
            sequence: self.accepted,
            at: At::Slot(index, Stage::Unrecorded),
            was_seen: false,
        });
    }

    /// Moves a message one stage on; the last one is settled.
    fn advance(&mut self, at: usize) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        let messages = &mut self.messages;
        let At::Slot(index, stage) = &mut item.at else {
            return;
        };
        let index = *index;
        match stage {
            Stage::Unrecorded => {
                assert!(messages.record_at(index, item.sequence, 100 + item.sequence, now_at(2)));
                messages.queue(index);
                *stage = Stage::Queued;
            }
            Stage::Queued => {
                messages.pop(index, 1);
                *stage = Stage::Popped;
            }
            Stage::Popped => {
                if !messages.is_resident(index) {
                    messages.begin_fetch(index);
                    let frame = self.frames.commit(messages);
                    messages.end_fetch(index, frame, now_at(3), |_| None);
                }
                let dispatched = messages.dispatch(index, now_at(3));
                let dispatched = dispatched.expect("its record is in memory");
                assert_eq!(dispatched.redelivered, item.was_seen);
                messages.take_back(Returned::one(dispatched.lease));
                *stage = Stage::InFlight;
            }
            Stage::InFlight => {
                assert_eq!(messages.write(index, 4), 1);
                *stage = Stage::Written;
                item.was_seen = true;
            }
            Stage::Written => {
                assert_eq!(messages.settle(index, now_at(5)).sequence, item.sequence);
                self.items.remove(at);
                self.settled += 1;
            }
            Stage::Free => unreachable!("a message has a slot in use"),
        }
    }

    /// Its subscriber goes.
    fn requeue(&mut self, at: usize) {
        if let Some(item) = self.items.get_mut(at)
            && let At::Slot(index, stage) = &mut item.at
            && matches!(stage, Stage::Popped | Stage::InFlight | Stage::Written)
        {
            let message = self.messages.requeue(*index);
            assert_eq!(message.redelivered, item.was_seen);
            *stage = Stage::Queued;
        }
    }

    /// A queued message goes cold, or a cold one gets a slot.
    fn evict_or_restore(&mut self, at: usize) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        item.at = match item.at {
            At::Slot(index, Stage::Queued) => {
                let cold = self.messages.evict(index).expect("it is recorded");
                assert_eq!(cold.sequence, item.sequence);
                assert_eq!(cold.position, 100 + item.sequence);
                assert_eq!(cold.redelivered, item.was_seen);
                At::Cold(cold)
            }
            At::Slot(index, Stage::Unrecorded) => {
                assert_eq!(self.messages.evict(index), None);
                return;
            }
            At::Slot(..) => return,
            At::Cold(message) => At::Slot(self.messages.restore(3, &message), Stage::Queued),
        };
    }

    fn check(&self) {
        let is_in = |stages: &[Stage]| {
            let count = self
                .items
                .iter()
                .filter(|item| matches!(&item.at, At::Slot(_, stage) if stages.contains(stage)));
            count.count() as u64
        };
        let expected = Counts {
            accepted: self.accepted,
            unrecorded: is_in(&[Stage::Unrecorded]),
            in_flight: is_in(&[Stage::Popped, Stage::InFlight, Stage::Written]),
            settled: self.settled,
        };
        assert_eq!(self.messages.counts(), expected);
        let slots = self.items.iter().filter_map(|item| match item.at {
            At::Slot(index, stage) => Some((item.sequence, index, stage)),
            At::Cold(_) => None,
        });
        let mut used = 0;
        for (sequence, index, stage) in slots {
            used += 1;
            let message = self.messages.get(index);
            assert_eq!((message.sequence, message.stage), (sequence, stage));
        }
        assert_eq!(self.messages.used(), used);
        let mut query = UnsettledQuery::new();
        query.to = self.accepted + 1;
        self.messages.answer(&mut query, self.accepted + 1);
        let unsettled: Vec<_> = query.words.iter().flat_map(|it| it.sequences()).collect();
        let expected: Vec<_> = self.items.iter().map(|it| it.sequence).collect();
        assert_eq!(unsettled, expected);
        let first = expected.first().copied().unwrap_or(self.accepted + 1);
        assert_eq!(query.first_unsettled, first);
    }
}

proptest! {
    #[test]
    fn every_message_is_counted_in_one_stage_and_leaves_no_memory_behind(
        steps in prop::collection::vec((0..12_u8, any::<prop::sample::Index>()), 1..300),
    ) {
        let mut pair = Pair::new();
        for (what, at) in steps {
            let at = at.index(pair.items.len().max(1));
            match what {
                0..=2 => pair.accept(),
                3..=8 => pair.advance(at),
                9 => pair.requeue(at),
                10 => pair.evict_or_restore(at),
                _ => {
                    pair.frames.end(&mut pair.messages);
                    pair.messages.evict_chunk();
                }
            }
            pair.check();
        }
        while !pair.items.is_empty() {
            if matches!(pair.items[0].at, At::Cold(_)) {
                pair.evict_or_restore(0);
            }
            pair.advance(0);
        }
        pair.check();
        pair.frames.end(&mut pair.messages);
        prop_assert_eq!(pair.messages.free_chunks(), CHUNKS);
    }
}

#[test]
fn a_position_that_comes_late_reaches_its_own_message_only() {
    let mut messages = messages(10);
    let mut frames = Frames::default();
    let first = frames.queued(&mut messages, 1, 0, 1);
    messages.pop(first, 1);
    let dispatched = messages.dispatch(first, now_at(2)).expect("in memory");
    messages.take_back(Returned::one(dispatched.lease));
    messages.write(first, 3);
    messages.settle(first, now_at(3));
    let second = frames.queued(&mut messages, 2, 0, 1);
    assert_eq!(first, second, "the slot is in use again");
    assert!(!messages.record_at(first, 1, 999, now_at(4)));
    assert_eq!(messages.get(second).position, 2);
    assert!(
        !messages.record_at(second, 2, 777, now_at(4)),
        "it is queued"
    );
    assert_eq!(messages.get(second).position, 777);
}

#[test]
fn slots_are_bounded() {
    let mut messages = messages(3);
    let mut frames = Frames::default();
    (1..=2).for_each(|sequence| {
        frames.queued(&mut messages, sequence, 0, 1);
    });
    assert!(messages.has_room(1) && !messages.has_room(2));
}
