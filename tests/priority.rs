//! What goes first: urgent messages, aged messages, rules, timestamps, turns.

#[path = "support/hand.rs"]
mod hand;
mod support;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use flipped_lb::clock::Clock;
use flipped_lb::counters::Counter;
use flipped_lb::limits::{BUCKETS, NATIVE_PER_AGED};
use hand::{Hand, HandClock, Peer, id_of, narrow};
use serde_json::{Value, json};
use support::{Engine, PATIENCE, Subscriber, frame, with_sources};

/// Some Tuesday evening.
const EPOCH_US: u64 = 1_700_000_000_000_000;
/// The credit of tests that count what cannot be overtaken.
const CREDIT: usize = 256 * 1024;
/// The receive buffer that those tests ask for.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// What stands before an urgent message at most: the credit, the reader's buffer - the kernel takes
/// twice what it is asked for - and a last packet that it takes all the same. A send buffer that fills
/// up to its end would hold 128 KiB more.
const AHEAD_MAX: usize = CREDIT + 2 * RECEIVE_BUFFER + 16 * 1024;
const BACKLOG: usize = 30_000;

fn settings(max_wait: &str, rest: &str) -> String {
    format!(
        "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n\
         [scheduler]\nmax_wait = {max_wait}\n{rest}"
    )
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens")
}

/// A frame with a timestamp and a source of its own.
fn dated(id: &str, destination: &str, priority: u8, timestamp_ms: u64) -> String {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"test\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"lunch\",\"priority\":{priority},\"timestamp\":{timestamp_ms}}}"
    )
}

/// Queues a backlog of level 3 behind a reader that stands still, then an urgent message; returns
/// the bytes that were before it.
fn bytes_before_the_urgent_one(engine: &Engine, is_old: impl Fn(&Value) -> bool) -> usize {
    let mut slow = BufReader::new(narrow(engine.delivery, RECEIVE_BUFFER));
    let stream = slow.get_mut();
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    writeln!(stream, "{{\"subscribe\":[\"table2\"]}}").expect("it takes it");
    let mut line = String::new();
    slow.read_line(&mut line).expect("an answer");
    let mut other = Subscriber::new(engine, &["table3"], false);
    let mut producer = producer(engine);
    let backlog: String = (0..BACKLOG)
        .map(|it| frame(&format!("low{it}"), "table2", 3) + "\n")
        .collect();
    producer.write_all(backlog.as_bytes()).expect("it reads");
    engine.wait("the backlog is there", |it| {
        it["received"] == BACKLOG && is_old(it)
    });
    // What comes to table3 went the same way behind the urgent one: that is queued by then.
    let urgent = frame("urgent", "table2", 1);
    writeln!(producer, "{urgent}\n{}", frame("other", "table3", 3)).expect("it reads");
    assert!(other.frame().is_some());
    let mut ahead = 0;
    loop {
        line.clear();
        slow.read_line(&mut line).expect("a frame");
        if line.trim_end() == urgent {
            return ahead;
        }
        ahead += line.len();
        assert!(ahead < backlog.len(), "it comes before the end");
    }
}

#[test]
fn an_urgent_message_overtakes_all_that_still_waits() {
    let delivery = format!("[delivery]\ncredit = \"{CREDIT}B\"");
    let rest = settings("[\"0s\", \"0s\", \"0s\"]", &delivery);
    let engine = Engine::start(&with_sources(&[], &rest));
    let ahead = bytes_before_the_urgent_one(&engine, |_| true);
    println!("{ahead} bytes could not be overtaken");
    assert!(ahead <= AHEAD_MAX, "{ahead} bytes, {AHEAD_MAX} at most");
    assert_eq!(engine.count("inversions"), 1, "it could not overtake these");
}

#[test]
fn an_urgent_message_overtakes_a_backlog_that_aged_to_its_level() {
    let delivery = format!("[delivery]\ncredit = \"{CREDIT}B\"");
    let rest = settings("[\"0s\", \"20ms\", \"20ms\"]", &delivery);
    let engine = Engine::start(&with_sources(&[], &rest));
    let ahead = bytes_before_the_urgent_one(&engine, |it| {
        // Each message that waits has moved up twice.
        it["aged"].as_u64() >= it["queued"].as_u64().map(|it| 2 * it)
    });
    println!("{ahead} bytes could not be overtaken");
    assert!(ahead <= AHEAD_MAX, "{ahead} bytes, {AHEAD_MAX} at most");
}

#[test]
fn a_low_message_waits_for_its_max_wait_and_its_turn_and_no_longer() {
    let clock = HandClock::at(EPOCH_US);
    let rest = settings(
        "[\"0s\", \"300ms\", \"300ms\"]",
        "[delivery]\ncredit = \"4KiB\"",
    );
    let mut hand = Hand::new(&rest, clock.clone());
    let mut producer = hand.producer();
    let high = |number: usize| frame(&format!("high{number}"), "table2", 1);
    let mut sent = 20_000;
    hand.feed(&mut producer, (0..sent).map(high));
    hand.feed(&mut producer, [frame("low", "table2", 3)]);
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"]}"#);
    let dispatched = |hand: &Hand<HandClock>| {
        (hand.count(Counter::Accepted) - hand.count(Counter::Queued)) as usize
    };
    let (mut received, mut before) = (Vec::new(), 0);
    for _ in 0..30 {
        // It keeps up only partly: ten come for five that it takes.
        hand.feed(&mut producer, (sent..sent + 10).map(high));
        sent += 10;
        received.extend(hand.ids(&mut subscriber, 5));
        before = dispatched(&hand);
        clock.advance(Duration::from_millis(10));
    }
    // Its time has come with the last step of the clock: no frame was handed out since.
    hand.ids(&mut subscriber, 5)
        .into_iter()
        .for_each(|it| received.push(it));
    let place = loop {
        let id = hand.ids(&mut subscriber, 1).remove(0);
        received.push(id);
        if received.last().is_some_and(|it| it == "low") {
            break received.len();
        }
        assert!(
            received.len() < sent,
            "it comes before the level 1 messages end"
        );
    };
    let turn = NATIVE_PER_AGED as usize + 1;
    assert!(
        (before + 1..=before + turn).contains(&place),
        "{before} were gone before its time came, and it was number {place}"
    );
    assert!(hand.count(Counter::Queued) > 0, "level 1 never ran out");
}

#[test]
fn a_low_message_is_not_starved_by_a_flood_without_end() {
    let rest = settings(
        "[\"0s\", \"300ms\", \"300ms\"]",
        "[delivery]\ncredit = \"4KiB\"",
    );
    let engine = Engine::start(&with_sources(&[], &rest));
    let mut producer = producer(&engine);
    let high = |it: usize| frame(&format!("high{it}"), "table2", 1) + "\n";
    let ahead: String = (0..20_000).map(high).collect();
    producer.write_all(ahead.as_bytes()).expect("it reads");
    writeln!(producer, "{}", frame("low", "table2", 3)).expect("it reads");
    engine.wait("all are there", |it| it["received"] == 20_001);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let begun = std::time::Instant::now();
    // For each one that goes another comes: without ageing its turn would never be.
    for number in 20_000.. {
        if subscriber.frame().expect("there is more")["messageId"] == "low" {
            break;
        }
        producer
            .write_all(high(number).as_bytes())
            .expect("it reads");
        assert!(begun.elapsed() < PATIENCE, "it starves");
    }
    assert!(engine.count("aged") >= 2);
}

/// Rules, and a VIP.
const RULES: &str = r#"
    [[rule]]
    destination = "table2"
    message_type = "lunch"
    priority = 2
    [[rule]]
    message_type = "lunch"
    priority = 3
    [[rule]]
    source = "server1"
    priority = 1
    [[rule]]
    destination = "table4"
    hours = "00:00-12:00"
    priority = 2
    [[rule]]
    destination = "table4"
    hours = "12:00-00:00"
    priority = 2
    [[destination]]
    id = "table1"
    vip = true
    [[destination]]
    id = "table2"
    [[destination]]
    id = "table3"
    [[destination]]
    id = "table4"
"#;

/// Destination, source, type and priority of a message, and the level that it gets.
const CASES: [(&str, &str, &str, u8, usize); 9] = [
    ("table1", "server1", "lunch", 3, 1),  // VIP before all rules
    ("table2", "server1", "lunch", 1, 2),  // the first rule that fits
    ("table3", "server1", "lunch", 1, 3),  // the second, and it makes less urgent
    ("table3", "server1", "dinner", 3, 1), // the third
    ("table3", "server2", "dinner", 3, 3), // none
    ("table3", "server2", "dinner", 2, 2), // none
    ("table2", "server2", "dinner", 1, 1), // none
    ("table4", "server2", "dinner", 3, 2), // whatever the hour
    ("table4", "server1", "dinner", 3, 1), // the third, before the hours
];

#[test]
fn rules_and_vip_set_the_level() {
    let rest = settings("[\"0s\", \"0s\", \"0s\"]", RULES);
    let engine = Engine::start(&with_sources(&[], &rest));
    let mut expected: HashMap<&str, [u64; 3]> = HashMap::new();
    let mut producer = producer(&engine);
    let all = ["table1", "table2", "table3", "table4"];
    let mut subscriber = Subscriber::new(&engine, &all, false);
    for (number, (destination, source, message_type, priority, level)) in
        CASES.into_iter().enumerate()
    {
        let frame = json!({
            "messageId": format!("m{number}"), "sourceServerId": source,
            "destinationId": destination, "messageType": message_type, "priority": priority,
        });
        writeln!(producer, "{frame}").expect("it reads");
        expected.entry(destination).or_default()[level - 1] += 1;
    }
    for frame in subscriber.frames(CASES.len()) {
        let id = frame["messageId"].as_str().expect("an id");
        let number: usize = id[1..].parse().expect("a number");
        assert_eq!(
            frame["priority"], CASES[number].3,
            "the frame is as it came"
        );
    }
    // What HTTP shows of latencies lags a little.
    engine.wait("the levels", |stats| {
        expected.iter().all(|(destination, [one, two, three])| {
            let by_level = &stats["customers"][destination]["by_level"];
            *by_level == json!({"1": one, "2": two, "3": three})
        })
    });
}

#[test]
fn rules_look_at_the_local_hour() {
    // Midnight in UTC is some quarter of an hour of the local day.
    let mut clock = HandClock::at(1_700_006_400_000_000);
    let minute = |clock: &HandClock| {
        let now_us = i64::try_from(clock.now().epoch_us).expect("it is not that late");
        let now = jiff::Timestamp::from_microsecond(now_us).expect("a time");
        let local = now.to_zoned(jiff::tz::TimeZone::system());
        local.hour() as u32 * 60 + local.minute() as u32
    };
    let midnight = minute(&clock);
    let to_local = |of_day: u32| u64::from((of_day + 1440 - midnight) % 1440);
    clock = HandClock::at(1_700_006_400_000_000 + to_local(6 * 60 + 59) * 60_000_000);
    assert_eq!(minute(&clock), 6 * 60 + 59);
    let rule = "[[rule]]\nhours = \"07:00-11:00\"\nmessage_type = \"lunch\"\npriority = 1";
    let rest = settings("[\"0s\", \"0s\", \"0s\"]", rule);
    let mut hand = Hand::new(&rest, clock.clone());
    let mut producer = hand.producer();
    for (id, minutes_later) in [("early", 1), ("first", 239), ("last", 1), ("late", 0)] {
        hand.feed(&mut producer, [frame(id, "table2", 3)]);
        clock.advance(Duration::from_secs(minutes_later * 60));
    }
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"]}"#);
    let order = hand.ids(&mut subscriber, 4);
    assert_eq!(order, ["first", "last", "early", "late"]);
}

#[test]
fn one_source_destination_and_level_is_first_in_first_out() {
    const EACH: usize = 3_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    // They age while they wait, and their timestamps are nonsense.
    let rest = settings(
        "[\"0s\", \"5ms\", \"10ms\"]",
        "[delivery]\ncredit = \"4KiB\"",
    );
    let engine = Engine::start(&with_sources(&[], &rest));
    let mut subscriber = Subscriber::new(&engine, &["table2", "table3", "table4"], false);
    let mut seen: HashMap<(String, String, u64), u64> = HashMap::new();
    std::thread::scope(|scope| {
        for source in 0..3_u64 {
            let mut rng = fastrand::Rng::with_seed(seed ^ source);
            let mut producer = producer(&engine);
            scope.spawn(move || {
                for number in 1..=EACH {
                    let timestamp: u64 = *rng
                        .choice(&[0, 1, 1_700_000_000_000, 4_000_000_000_000, u64::MAX / 4])
                        .expect("there are some");
                    let frame = json!({
                        "messageId": format!("s{source}-{number}"),
                        "sourceServerId": format!("server{source}"),
                        "destinationId": format!("table{}", rng.u8(2..=4)),
                        "messageType": "lunch", "priority": rng.u8(1..=3),
                        "timestamp": timestamp, "payload": {"number": number},
                    });
                    writeln!(producer, "{frame}").expect("it reads");
                }
            });
        }
        for _ in 0..3 * EACH {
            let frame = subscriber.frame().expect("there is more");
            let text = |name: &str| frame[name].as_str().expect("text").to_owned();
            let number = frame["payload"]["number"].as_u64().expect("a number");
            let priority = frame["priority"].as_u64().expect("a number");
            let key = (text("sourceServerId"), text("destinationId"), priority);
            let before = seen.insert(key.clone(), number).unwrap_or(0);
            assert!(number > before, "{key:?}: {number} after {before}");
        }
    });
    assert_eq!(seen.len(), 27, "three sources, destinations, levels");
}

/// Reads up to `count` frames, checking that each source, destination and level is in order.
fn read_in_order(subscriber: &mut Subscriber, count: usize) -> Vec<String> {
    let mut last: HashMap<(Value, Value), u64> = HashMap::new();
    let mut ids = Vec::new();
    for frame in subscriber.frames(count) {
        let number = frame["payload"]["number"].as_u64().expect("a number");
        let key = (frame["destinationId"].clone(), frame["priority"].clone());
        let before = last.insert(key.clone(), number).unwrap_or(0);
        assert!(number > before, "{key:?}: {number} after {before}");
        ids.push(frame["messageId"].as_str().expect("an id").to_owned());
    }
    ids
}

#[test]
fn redelivery_keeps_the_order_while_messages_age() {
    const MESSAGES: u64 = 4_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let rest = settings(
        "[\"0s\", \"30ms\", \"60ms\"]",
        "[delivery]\ncredit = \"16KiB\"",
    );
    let engine = Engine::start(&with_sources(&[], &rest));
    let mut producer = producer(&engine);
    let (mut sent, mut settled) = (0, 0);
    let mut seen = HashSet::new();
    while settled < MESSAGES {
        for _ in 0..rng.u64(0..=(MESSAGES - sent).min(400)) {
            sent += 1;
            let frame = json!({
                "messageId": format!("m{sent}"), "sourceServerId": "server1",
                "destinationId": format!("table{}", rng.u8(2..=4)), "messageType": "lunch",
                "priority": rng.u8(1..=3), "payload": {"number": sent},
            });
            writeln!(producer, "{frame}").expect("it reads");
        }
        let destinations = ["table2", "table3", "table4"];
        let mut subscriber = Subscriber::new(&engine, &destinations, true);
        let count = rng.u64(0..=(sent - settled).min(300));
        seen.extend(read_in_order(&mut subscriber, count as usize));
        let acked = rng.u64(0..=count);
        subscriber.ack(acked);
        settled += acked;
        engine.wait("the acknowledgement", |it| it["settled"] == settled);
        drop(subscriber);
        engine.wait("it goes", |it| it["subscribers_connected"] == 0);
    }
    assert_eq!(seen.len() as u64, MESSAGES);
    let stats = engine.stats();
    assert!(stats["aged"].as_u64() > Some(0) && stats["redelivered"].as_u64() > Some(0));
}

#[test]
fn wrong_clocks_do_not_jump_the_queue() {
    let clock = HandClock::at(EPOCH_US);
    let mut hand = Hand::new(&settings("[\"0s\", \"0s\", \"0s\"]", ""), clock.clone());
    let now_ms = EPOCH_US / 1_000;
    let mut sources: Vec<Peer> = (0..5).map(|_| hand.producer()).collect();
    hand.feed(&mut sources[0], [dated("1 on time", "table2", 3, now_ms)]);
    hand.feed(
        &mut sources[1],
        [dated("2 far future", "table2", 3, now_ms * 2)],
    );
    clock.advance(Duration::from_millis(1));
    hand.feed(&mut sources[2], [frame("3 undated", "table2", 3)]);
    clock.advance(Duration::from_millis(BUCKETS as u64 + 50));
    hand.feed(&mut sources[3], [dated("4 ancient", "table2", 3, 0)]);
    clock.advance(Duration::from_secs(10));
    hand.feed(&mut sources[4], [dated("5 ancient", "table2", 3, 1)]);
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"]}"#);
    let order = hand.ids(&mut subscriber, 5);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn within_the_window_timestamps_of_different_sources_decide() {
    let clock = HandClock::at(EPOCH_US);
    let mut hand = Hand::new(&settings("[\"0s\", \"0s\", \"0s\"]", ""), clock.clone());
    let now_ms = EPOCH_US / 1_000;
    let mut sources: Vec<Peer> = (0..4).map(|_| hand.producer()).collect();
    let frames = [("d", 0), ("b", 100), ("c", 99), ("a", 200)];
    for (source, (id, ago_ms)) in sources.iter_mut().zip(frames) {
        hand.feed(source, [dated(id, "table2", 3, now_ms - ago_ms)]);
    }
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"]}"#);
    assert_eq!(hand.ids(&mut subscriber, 4), ["a", "b", "c", "d"]);
}

#[test]
fn destinations_of_a_level_are_served_in_turn() {
    let clock = HandClock::at(EPOCH_US);
    let mut hand = Hand::new(&settings("[\"0s\", \"0s\", \"0s\"]", ""), clock);
    let mut producer = hand.producer();
    for (destination, count) in [("table2", 500), ("table3", 10), ("table4", 100)] {
        let ids = (0..count).map(|it| format!("{destination} {it}"));
        let frames = ids.map(|id| frame(&id, destination, 3));
        hand.feed(&mut producer, frames);
    }
    hand.feed(&mut producer, [frame("urgent", "table4", 2)]);
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table4","table3","table2"]}"#);
    let order = hand.ids(&mut subscriber, 611);
    assert_eq!(order[0], "urgent");
    let destinations: Vec<&str> = order[1..].iter().map(|it| &it[..6]).collect();
    for turn in destinations[..30].chunks(3) {
        let mut turn = turn.to_vec();
        turn.sort_unstable();
        assert_eq!(turn, ["table2", "table3", "table4"]);
    }
    for turn in destinations[30..210].chunks(2) {
        assert_ne!(turn[0], turn[1], "the two that are left take turns");
    }
    assert!(destinations[210..].iter().all(|it| *it == "table2"));
}

#[test]
fn a_busy_destination_leaves_others_of_its_level_their_turn() {
    let clock = HandClock::at(EPOCH_US);
    let rest = settings("[\"0s\", \"0s\", \"0s\"]", "[delivery]\ncredit = \"4KiB\"");
    let mut hand = Hand::new(&rest, clock);
    let mut producer = hand.producer();
    let busy = (0..20_000).map(|it| frame(&format!("busy{it}"), "table2", 1));
    hand.feed(&mut producer, busy);
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"]}"#);
    let mut quiet = hand.subscriber(r#"{"subscribe":["table3"]}"#);
    hand.feed(&mut producer, [frame("quiet", "table3", 3)]);
    // The busy one's credit is used up, so even a less urgent one for another goes.
    assert_eq!(hand.ids(&mut quiet, 1), ["quiet"]);
    assert!(hand.count(Counter::Queued) > 10_000);
    let first = hand.line(&mut subscriber);
    assert_eq!(id_of(&first).as_deref(), Some("busy0"));
}
