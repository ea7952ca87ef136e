//! Isolation: who stands still delays nobody else.

#[path = "support/hand.rs"]
mod hand;
mod support;

use flipped_lb::clock::SystemClock;
use flipped_lb::counters::Counter;
use flipped_lb::limits::HOP_RING;
use hand::{Hand, Peer};
use support::frame;

/// The first delivery agent, as the crank counts.
const DELIVERY_0: usize = 5;

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
    feed(&mut hand, &mut producer, "table1", HOP_RING + 1_000);
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
    let ids = hand.ids(&mut still, HOP_RING + 1_000);
    let expected = (0..HOP_RING + 1_000).map(|number| format!("table1-{number}"));
    assert!(ids.into_iter().eq(expected), "in their order, none missing");
}
