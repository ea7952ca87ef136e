//! Isolation: who stands still delays nobody else.

#[path = "support/hand.rs"]
mod hand;
mod support;

use flipped_lb::clock::SystemClock;
use flipped_lb::counters::Counter;
use flipped_lb::limits::{CREATED_PER_TURN, READS_PER_CYCLE, SCHEDULER_RING};
use hand::{Hand, Peer};
use support::frame;

/// The first delivery agent, as the crank counts.
const DELIVERY_0: usize = 6;

const SETTINGS: &str = "destination = [{ id = \"table1\" }, { id = \"table2\" }]\n\
    [ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n\
    [delivery]\nagents = 2\ncredit = \"8MiB\"";

fn feed(hand: &mut Hand<SystemClock>, producer: &mut Peer, destination: &str, count: usize) {
    let id = |number| format!("{destination}-{number}");
    let lines: Vec<_> = (0..count)
        .map(|number| frame(&id(number), destination, 2))
        .collect();
    hand.feed(producer, lines);
}

#[test]
fn a_delivery_agent_that_stands_still_delays_no_other_ones_destinations() {
    let mut hand = Hand::new(SETTINGS, SystemClock::start());
    let [first, second] = hand.deliveries[..] else {
        panic!("two agents");
    };
    let mut still = hand.subscriber_at(first, "{\"subscribe\":[\"table1\"]}");
    let mut other = hand.subscriber_at(second, "{\"subscribe\":[\"table2\"]}");
    let mut producer = hand.producer();
    hand.crank.stand_still(DELIVERY_0, true);
    // More than the ring of the agent that stands still takes.
    feed(&mut hand, &mut producer, "table1", SCHEDULER_RING + 1_000);
    hand.turn_until("its ring is full", |it| {
        it.count(Counter::DeliveryBackPressure) > 0
    });
    feed(&mut hand, &mut producer, "table2", 3_000);
    assert_eq!(
        hand.ids(&mut other, 3_000).last().map(String::as_str),
        Some("table2-2999")
    );
    assert_eq!(still.line(), None);
    hand.crank.stand_still(DELIVERY_0, false);
    let ids = hand.ids(&mut still, SCHEDULER_RING + 1_000);
    let expected = (0..SCHEDULER_RING + 1_000).map(|number| format!("table1-{number}"));
    assert!(ids.into_iter().eq(expected), "in their order, none missing");
}

/// A message passes the real agents in so many turns of them all: read, accepted, recorded, queued,
/// handed over, written; and the two sources take turns.
const TURNS_MAX: usize = 12;

#[test]
fn a_source_of_new_names_takes_turns_with_the_others() {
    const NAMES: u64 = 20_000;
    let settings = format!(
        "destination = [{{ id = \"table1\" }}]\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
         [store]\nurl = \"none\"\n[scheduler]\nunknown_destinations = \"create\"\n\
         max_destinations = {NAMES}"
    );
    let mut hand = Hand::new(&settings, SystemClock::start());
    let mut subscriber = hand.subscriber("{\"subscribe\":[\"table1\"]}");
    let (mut flood, mut other) = (hand.producer(), hand.producer());
    for number in 0..NAMES {
        let line = frame(&format!("new-{number}"), &format!("guest{number}"), 2);
        flood.out.extend(line.as_bytes());
        flood.out.push(b'\n');
    }
    let mut sent = 0;
    while hand.count(Counter::Received) < NAMES + sent {
        let id = format!("m{sent}");
        other.say(&frame(&id, "table1", 2));
        sent += 1;
        let mut turns = 0;
        while subscriber.line().and_then(|it| hand::id_of(&it)).as_ref() != Some(&id) {
            flood.push();
            let before = hand.count(Counter::Destinations);
            hand.turn();
            turns += 1;
            let created = hand
                .count(Counter::Destinations)
                .saturating_sub(before.max(1));
            assert!(created <= (READS_PER_CYCLE * CREATED_PER_TURN) as u64);
            assert!(turns <= TURNS_MAX, "{id} is not delivered");
        }
    }
    // One is configured: the last name finds no room, is rejected, and counted.
    assert_eq!(hand.count(Counter::Destinations), NAMES);
    assert_eq!(hand.count(Counter::DestinationsFull), 1);
    assert_eq!(hand.count(Counter::Rejected), 1);
    assert_eq!(hand.count(Counter::Accepted), NAMES - 1 + sent);
}
