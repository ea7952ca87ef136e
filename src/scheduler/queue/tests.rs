//! What the queues promise, case by case.

use super::cold::AllHot;
use super::testing::Next;
use super::*;
use crate::limits::BUCKETS;
use proptest::prelude::*;

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
        queues.open(destination, destination as u8 % 2);
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
