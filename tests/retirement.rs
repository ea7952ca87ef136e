//! Names that messages create go again when nothing is left of them, and come again.

#[path = "support/hand.rs"]
mod hand;
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;

use flipped_lb::clock::SystemClock;
use flipped_lb::counters::Counter;
use hand::{Hand, id_of};
use serde_json::Value;
use support::{Engine, Subscriber, frame};

const MAX: u64 = 100;

const SETTINGS: &str = "destination = [{ id = \"table1\" }]\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
    [store]\nurl = \"none\"\n[scheduler]\nunknown_destinations = \"create\"\nmax_destinations = 100\n";

#[test]
fn a_thousand_names_come_and_go_where_there_is_room_for_a_hundred() {
    const NAMES: usize = 1_000;
    const AT_ONCE: usize = 10;
    let mut hand = Hand::new(SETTINGS, SystemClock::start());
    let mut all = hand.subscriber("{\"subscribe\":[\"x-*\"],\"ack\":true}");
    let mut named = hand.subscriber("{\"subscribe\":[\"stays\",\"x-7\"]}");
    let mut producer = hand.producer();
    let mut ids = BTreeSet::new();
    for first in (0..NAMES).step_by(AT_ONCE) {
        // Above half they go; a name that found no room would be rejected.
        hand.turn_until("names go", |it| {
            it.count(Counter::Destinations) <= MAX - AT_ONCE as u64
        });
        let numbers = first..first + AT_ONCE;
        let lines = numbers.map(|it| frame(&it.to_string(), &format!("x-{it}"), 2));
        hand.feed(&mut producer, lines);
        let of_another = usize::from(first == 0);
        ids.extend(hand.ids(&mut all, AT_ONCE - of_another));
        all.say(&format!("{{\"ack\":{}}}", ids.len()));
    }
    assert_eq!(ids.len(), NAMES - 1, "one has a subscriber by its name");
    assert_eq!(hand.ids(&mut named, 1), ["7"]);
    assert_eq!(hand.count(Counter::DestinationsFull), 0);
    assert_eq!(hand.count(Counter::Accepted), NAMES as u64);
    assert!(hand.count(Counter::Destinations) <= MAX);
    hand.turn_until("all but half of them go", |it| {
        it.count(Counter::Destinations) <= MAX / 2
    });
    hand.turn_until("all is settled", |it| {
        it.count(Counter::Settled) == NAMES as u64
    });
    let gone = hand.count(Counter::DestinationsRetired);
    // One is configured, one is never used.
    let created = NAMES as u64 + 2;
    assert_eq!(gone + hand.count(Counter::Destinations), created);
    // Names that went come again, by their pattern and by name.
    let mut again = hand.subscriber("{\"subscribe\":[\"x-1\"]}");
    let lines = ["x-1", "x-2", "stays", "table1"].map(|it| frame(&format!("again {it}"), it, 2));
    hand.feed(&mut producer, lines);
    assert_eq!(hand.ids(&mut all, 1), ["again x-2"]);
    assert_eq!(hand.ids(&mut again, 1), ["again x-1"]);
    assert_eq!(hand.ids(&mut named, 1), ["again stays"]);
}

#[test]
fn lines_and_subscribers_of_a_name_that_is_going_get_it_anew() {
    const ROUNDS: usize = 2_000;
    let settings = SETTINGS.replace("= 100", "= 3");
    let mut hand = Hand::new(&settings, SystemClock::start());
    let mut producer = hand.producer();
    let mut expected = Vec::new();
    let mut delivered = Vec::new();
    // The name is asked for in all its states, for it goes as soon as it was not used for a moment.
    for number in 0..ROUNDS {
        if number % 200 == 0 {
            let gone = hand.count(Counter::DestinationsRetired);
            hand.turn_until("it goes", |it| {
                it.count(Counter::DestinationsRetired) > gone || number == 0
            });
        }
        let id = format!("m{number}");
        producer.say(&frame(&id, "comes", 2));
        expected.push(id);
        for _ in 0..number % 7 {
            hand.turn();
        }
        let mut subscriber = hand.subscriber("{\"subscribe\":[\"comes\"],\"ack\":true}");
        let id = hand.ids(&mut subscriber, 1).remove(0);
        delivered.push(id);
        subscriber.say("{\"ack\":1}");
        hand.turn_until("it is settled", |it| {
            it.count(Counter::Settled) == number as u64 + 1
        });
        if number % 3 == 0 {
            let mut other = hand.subscriber("{\"subscribe\":[\"*\"],\"ack\":true}");
            assert_eq!(other.line().and_then(|it| id_of(&it)), None);
        }
    }
    assert_eq!(delivered, expected);
    assert_eq!(hand.count(Counter::Rejected), 0);
    assert!(hand.count(Counter::DestinationsRetired) >= 9);
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it listens")).expect("a connection")
}

#[test]
fn what_has_gone_is_shown_no_more_and_the_sums_have_it() {
    const NAMES: u64 = 240;
    let engine = Engine::start(&format!("source = []\n{SETTINGS}"));
    let mut all = Subscriber::say(engine.delivery, "{\"subscribe\":[\"x-*\"]}");
    let mut producer = producer(&engine);
    for number in 0..NAMES {
        if number % 40 == 39 {
            engine.wait("names go", |it| it["destinations"].as_u64() <= Some(60));
        }
        let line = frame(
            &format!("{number}"),
            &format!("x-{number}"),
            1 + number as u8 % 3,
        );
        writeln!(producer, "{line}").expect("it reads");
        assert_eq!(all.frames(1)[0]["messageId"], number.to_string());
    }
    let sum = |stats: &Value| {
        let levels = stats["levels"].as_object().expect("an object");
        let counts = levels.values().map(|it| it["delivered"].as_u64());
        counts.flatten().sum::<u64>()
    };
    let stats = engine.wait("half of the room is free", |it| {
        it["destinations"].as_u64() <= Some(MAX / 2) && sum(it) == NAMES
    });
    let of = |name: &str| stats[name].as_u64().expect(name);
    assert_eq!((of("accepted"), of("delivered")), (NAMES, NAMES));
    assert_eq!(of("destinations_full"), 0);
    assert_eq!(of("destinations_retired") + of("destinations"), NAMES + 1);
    assert_eq!(stats["latency"]["total"]["count"], NAMES);
    let list = || -> Value {
        let (_, list) = engine.get("/destinations?limit=1000");
        serde_json::from_str(&list).expect("JSON")
    };
    let stats = engine.wait("what is shown is what there is", |it| {
        list()["total"] == it["destinations"]
    });
    let of = |name: &str| stats[name].as_u64().expect(name);
    let list = list();
    let shown: BTreeSet<_> = (list["destinations"].as_array().expect("a list").iter())
        .map(|it| it["id"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(shown.len(), of("destinations") as usize, "each once");
    assert!(shown.contains("table1") && !shown.contains("x-0"));
    assert_eq!(engine.get("/destinations/x-0").0, 404);
    engine.wait("customers are those that are shown", |it| {
        let customers = it["customers"].as_object().expect("an object");
        customers.keys().all(|it| shown.contains(it))
    });
    // It is another's by then, or its own again: what was counted for it is gone with it.
    writeln!(producer, "{}", frame("again", "x-0", 1)).expect("it reads");
    assert_eq!(all.frames(1)[0]["messageId"], "again");
    let stats = engine.wait("it is shown", |it| {
        let customer = &it["customers"]["x-0"];
        customer["settled"] == 1 && customer["delivered"] == 1
    });
    assert_eq!(sum(&stats), NAMES + 1);
}

#[test]
fn names_of_a_subscription_that_was_refused_go_and_others_have_their_room() {
    let engine = Engine::start(&format!("source = []\n{SETTINGS}"));
    for round in 0..3 {
        let names: Vec<String> = (0..2 * MAX).map(|it| format!("q-{round}-{it}")).collect();
        let line = serde_json::json!({ "subscribe": names }).to_string();
        let refused = Subscriber::say(engine.delivery, &line).answer;
        assert!(refused.contains("unknown destination"), "{refused}");
        engine.wait("half of the room is free", |it| {
            it["destinations"].as_u64() <= Some(MAX / 2)
        });
    }
    let mut producer = producer(&engine);
    writeln!(producer, "{}", frame("1", "another", 1)).expect("it reads");
    engine.wait("it has found room", |it| it["accepted"] == 1);
}
