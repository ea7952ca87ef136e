//! The subscribers' side: subscriptions, acknowledgements, redelivery, standby, wrong words, slow
//! and dead readers.

#[path = "support/hand.rs"]
mod hand;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use flipped_lb::counters::Counter;
use hand::{Hand, HandClock, Peer, narrow};
use serde_json::{Value, json};
use support::{Engine, PATIENCE, Subscriber, frame, with_sources};

/// No level ages, producers dial in, no database.
const PLAIN: &str = r#"
    [ingest]
    listen = "127.0.0.1:0"
    [scheduler]
    max_wait = ["0s", "0s", "0s"]
    [store]
    url = "none"
"#;

fn engine() -> Engine {
    engine_with("")
}

fn engine_with(rest: &str) -> Engine {
    Engine::start(&with_sources(&[], &format!("{PLAIN}{rest}")))
}

/// A producer by hand.
struct Producer(TcpStream);

impl Producer {
    fn new(engine: &Engine) -> Self {
        Self(TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens"))
    }

    fn send(&mut self, id: &str, destination: &str, priority: u8) {
        writeln!(self.0, "{}", frame(id, destination, priority)).expect("it reads");
    }

    /// Messages `prefix1` to `prefixN` of level 3 for `table2`.
    fn send_many(&mut self, prefix: &str, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            self.send(&format!("{prefix}{number}"), "table2", 3);
        }
    }
}

fn id(frame: &Value) -> String {
    frame["messageId"].as_str().expect("an id").to_owned()
}

fn ids(frames: &[Value]) -> Vec<String> {
    frames.iter().map(id).collect()
}

fn names(prefix: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|it| format!("{prefix}{it}")).collect()
}

/// The next line as the engine's own word.
fn word(subscriber: &mut Subscriber) -> Value {
    let line = subscriber.line().expect("a line");
    let word: Value = serde_json::from_str(&line).expect("JSON");
    assert!(word.get("messageId").is_none(), "a word, not {line}");
    word
}

/// The next line as a frame's id.
fn next_id(subscriber: &mut Subscriber) -> String {
    let line = subscriber.line().expect("a line");
    let frame: Value = serde_json::from_str(&line).expect("JSON");
    assert!(frame.get("messageId").is_some(), "a frame, not {line}");
    id(&frame)
}

/// Ends a connection as a dying process does: unread bytes turn into a reset.
fn kill(subscriber: Subscriber) {
    let stream = subscriber.stream.into_inner();
    let socket = socket2::SockRef::from(&stream);
    socket
        .set_linger(Some(Duration::ZERO))
        .expect("it has the option");
}

fn wait_for_subscribers(engine: &Engine, count: u64) {
    engine.wait("subscribers come and go", |it| {
        it["subscribers_connected"] == count
    });
}

#[test]
fn many_destinations_share_a_connection() {
    let engine = engine();
    let mut subscriber = Subscriber::new(&engine, &["table3", "table1", "table2"], false);
    assert_eq!(
        subscriber.answer,
        r#"{"subscribed":["table3","table1","table2"],"standby":[]}"#
    );
    let mut producer = Producer::new(&engine);
    for number in 1..=300 {
        let destination = format!("table{}", number % 3 + 1);
        producer.send(&format!("m{number}"), &destination, 3);
    }
    let frames = subscriber.frames(300);
    for destination in ["table1", "table2", "table3"] {
        let of_it: Vec<u32> = frames
            .iter()
            .filter(|it| it["destinationId"] == destination)
            .map(|it| id(it)[1..].parse().expect("a number"))
            .collect();
        assert_eq!(of_it.len(), 100);
        assert!(of_it.is_sorted(), "{destination}: {of_it:?}");
    }
}

#[test]
fn a_destination_named_twice_is_one_subscription() {
    let engine = engine();
    let mut subscriber = Subscriber::new(&engine, &["table2", "table2"], false);
    assert_eq!(
        subscriber.answer,
        r#"{"subscribed":["table2"],"standby":[]}"#
    );
    let mut producer = Producer::new(&engine);
    producer.send_many("m", 1..=2);
    assert_eq!(ids(&subscriber.frames(2)), ["m1", "m2"]);
    drop(subscriber);
    wait_for_subscribers(&engine, 0);
    let mut next = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(next.answer, r#"{"subscribed":["table2"],"standby":[]}"#);
    producer.send_many("m", 3..=3);
    assert_eq!(next_id(&mut next), "m3");
}

#[test]
fn a_subscriber_that_left_comes_back_as_often_as_it_likes() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    for number in 1..=50 {
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        producer.send_many("m", number..=number);
        // It may have been on its way to the earlier life: then it is announced.
        assert_eq!(
            subscriber.frame().map(|it| id(&it)),
            Some(format!("m{number}"))
        );
        subscriber.ack(1);
        engine.wait("the acknowledgement", |it| it["settled"] == number);
    }
    assert_eq!(engine.count("subscriber_connects"), 50);
}

#[test]
fn what_was_not_acknowledged_comes_again_in_order_and_first() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let mut first = Subscriber::new(&engine, &["table2"], true);
    producer.send_many("m", 1..=5);
    assert_eq!(ids(&first.frames(5)), names("m", 1..=5));
    first.ack(2);
    engine.wait("two are settled", |it| it["settled"] == 2);
    drop(first);
    wait_for_subscribers(&engine, 0);
    producer.send_many("m", 6..=8);
    producer.send("urgent", "table2", 1);
    engine.wait("all are queued", |it| it["queued"] == 7);

    let mut next = Subscriber::new(&engine, &["table2"], true);
    assert_eq!(next_id(&mut next), "urgent", "it is of another level");
    assert_eq!(word(&mut next), json!({"again": 3}));
    for number in 3..=8 {
        assert_eq!(next_id(&mut next), format!("m{number}"));
    }
    next.ack(7);
    let stats = engine.wait("all is settled", |it| it["settled"] == 9);
    assert_eq!(
        (&stats["redelivered"], &stats["in_flight"]),
        (&json!(3), &json!(0))
    );
}

#[test]
fn again_stands_before_frames_of_each_life_until_they_are_acknowledged() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    producer.send_many("m", 1..=4);
    for life in 0..3 {
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        if life > 0 {
            assert_eq!(word(&mut subscriber), json!({"again": 4}));
        }
        for number in 1..=4 {
            assert_eq!(next_id(&mut subscriber), format!("m{number}"));
        }
        drop(subscriber);
        engine.wait("it has gone", |it| it["redelivered"] == 4 * (life + 1));
    }
}

#[test]
fn again_is_never_said_to_who_does_not_acknowledge() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let mut first = Subscriber::new(&engine, &["table2"], true);
    producer.send_many("m", 1..=3);
    first.frames(3);
    drop(first);
    wait_for_subscribers(&engine, 0);
    let mut next = Subscriber::new(&engine, &["table2"], false);
    producer.send_many("m", 4..=4);
    for number in 1..=4 {
        assert_eq!(next_id(&mut next), format!("m{number}"));
    }
    engine.wait("all is settled", |it| it["settled"] == 4);
}

#[test]
fn acknowledgements_are_cumulative_and_may_repeat() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let mut subscriber = Subscriber::new(&engine, &["table2"], true);
    producer.send_many("m", 1..=10);
    subscriber.frames(10);
    let stream = subscriber.stream.get_mut();
    // Several in one packet, one that goes back, one in two pieces.
    stream
        .write_all(b"{\"ack\":0}\n{\"ack\":3}\r\n\n {\"ack\" : 2}\n{\"ack\":3}\n{\"ac")
        .expect("it takes them");
    engine.wait("three are settled", |it| it["settled"] == 3);
    let stream = subscriber.stream.get_mut();
    stream.write_all(b"k\":10}\n").expect("it takes them");
    engine.wait("ten are settled", |it| it["settled"] == 10);
    assert_eq!(engine.count("subscriber_errors"), 0);
}

#[test]
fn a_standby_takes_over_at_once() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let mut first = Subscriber::new(&engine, &["table2", "table3"], true);
    let mut second = Subscriber::new(&engine, &["table2", "table4"], true);
    assert_eq!(
        second.answer,
        r#"{"subscribed":["table4"],"standby":["table2"]}"#
    );
    let mut third = Subscriber::new(&engine, &["table2"], true);
    assert_eq!(third.answer, r#"{"subscribed":[],"standby":["table2"]}"#);
    producer.send_many("m", 1..=2);
    producer.send("other", "table4", 3);
    assert_eq!(ids(&first.frames(2)), names("m", 1..=2));
    assert_eq!(next_id(&mut second), "other");
    first.ack(1);
    engine.wait("it is settled", |it| it["settled"] == 1);
    // Between frame and acknowledgement.
    kill(first);
    assert_eq!(word(&mut second), json!({"again": 1}));
    assert_eq!(next_id(&mut second), "m2");
    producer.send_many("m", 3..=3);
    assert_eq!(next_id(&mut second), "m3");
    second.ack(2);
    engine.wait("it is settled", |it| it["settled"] == 3);
    drop(second);
    assert_eq!(word(&mut third), json!({"again": 1}));
    assert_eq!(next_id(&mut third), "m3");
}

#[test]
fn a_standby_takes_over_from_one_that_never_read() {
    for ack in [false, true] {
        let engine = engine();
        let mut producer = Producer::new(&engine);
        let mut stuck = narrow(engine.delivery, 4096);
        let line = json!({"subscribe": ["table2"], "ack": ack});
        writeln!(stuck, "{line}").expect("it takes it");
        wait_for_subscribers(&engine, 1);
        let mut standby = Subscriber::new(&engine, &["table2"], ack);
        assert_eq!(standby.answer, r#"{"subscribed":[],"standby":["table2"]}"#);
        for number in 1..=40 {
            let frame = large_frame(&format!("m{number}"), 60_000);
            writeln!(producer.0, "{frame}").expect("it reads");
        }
        // Its credit is used up: nothing more is handed out for the destination.
        engine.wait("it is full", |it| {
            it["queued"].as_u64() > Some(0) && it["received"] == 40
        });
        drop(stuck);
        // With acknowledgements nothing was settled; without, what was in the socket is gone.
        let first = id(&standby.frame().expect("it takes over"));
        let first: u32 = first[1..].parse().expect("a number");
        assert!(
            (first == 1) == ack && first <= 40,
            "it begins with m{first}"
        );
        let frames = standby.frames(40 - first as usize);
        assert_eq!(ids(&frames), names("m", first + 1..=40));
    }
}

#[test]
fn a_standby_that_left_is_passed_over() {
    let engine = engine();
    let first = Subscriber::new(&engine, &["table2"], false);
    let second = Subscriber::new(&engine, &["table2"], false);
    let mut third = Subscriber::new(&engine, &["table2"], false);
    drop(second);
    wait_for_subscribers(&engine, 2);
    drop(first);
    Producer::new(&engine).send_many("m", 1..=1);
    // The first one may have been written to before the engine saw that it left.
    wait_for_subscribers(&engine, 1);
    Producer::new(&engine).send_many("m", 2..=2);
    assert!(["m1", "m2"].contains(&next_id(&mut third).as_str()));
}

#[test]
fn a_row_of_standbys_is_served_in_its_order_across_agents() {
    let engine = engine_with("[delivery]\nagents = 3\n[threads]\nmode = \"dedicated\"");
    let mut producer = Producer::new(&engine);
    let mut row: Vec<Subscriber> = Vec::new();
    for _ in 0..20 {
        row.push(Subscriber::new(&engine, &["table2"], true));
    }
    producer.send_many("m", 1..=1);
    for (place, mut subscriber) in row.into_iter().enumerate() {
        if place > 0 {
            assert_eq!(word(&mut subscriber), json!({"again": 1}));
        }
        assert_eq!(next_id(&mut subscriber), "m1");
    }
    wait_for_subscribers(&engine, 0);
}

/// A frame of this many bytes or a few more.
fn large_frame(id: &str, len: usize) -> String {
    let filling = "x".repeat(len - 150);
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"test\",\"destinationId\":\"table2\",\
         \"messageType\":\"lunch\",\"priority\":3,\"payload\":{{\"filling\":\"{filling}\"}}}}"
    )
}

/// Subscribes through a narrow socket, reads a little, dies in the middle of a frame; returns how
/// many frames were wholly written.
fn die_in_a_frame(engine: &Engine, producer: &mut Producer, ack: bool) -> u64 {
    let mut stream = BufReader::new(narrow(engine.delivery, 4096));
    let line = json!({"subscribe": ["table2"], "ack": ack});
    writeln!(stream.get_mut(), "{line}").expect("it takes it");
    let mut answer = String::new();
    stream.read_line(&mut answer).expect("an answer");
    for number in 1..=40 {
        let frame = large_frame(&format!("m{number}"), 60_000);
        writeln!(producer.0, "{frame}").expect("it reads");
    }
    engine.wait("it is full", |it| {
        it["queued"].as_u64() > Some(0) && it["received"] == 40
    });
    let mut some = vec![0; 90_000];
    stream.read_exact(&mut some).expect("a frame and a half");
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(stream.get_ref())
        .set_linger(linger)
        .expect("an option");
    drop(stream);
    wait_for_subscribers(engine, 0);
    engine.count("written")
}

#[test]
fn who_dies_in_the_middle_of_a_frame_leaves_the_rest_to_the_next() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let written = die_in_a_frame(&engine, &mut producer, false);
    assert!((1..40).contains(&written), "{written}");
    assert_eq!(engine.count("settled"), written, "delivered is settled");
    let mut next = Subscriber::new(&engine, &["table2"], false);
    let rest = next.frames(40 - written as usize);
    assert_eq!(ids(&rest), names("m", written as u32 + 1..=40));
}

#[test]
fn who_dies_in_the_middle_of_a_frame_unacknowledged_leaves_everything_to_the_next() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let written = die_in_a_frame(&engine, &mut producer, true);
    assert!((1..40).contains(&written), "{written}");
    assert_eq!(engine.count("settled"), 0);
    let mut next = Subscriber::new(&engine, &["table2"], true);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut next, 40), 40);
    let numbers: Vec<u32> = (1..=40).collect();
    assert_eq!(seen.ids, numbers, "in order");
    assert_eq!(
        seen.fresh.len() as u64,
        40 - written,
        "the rest was announced"
    );
}

#[test]
fn who_owes_acknowledgements_too_long_is_cut() {
    let clock = HandClock::at(1_700_000_000_000_000);
    let mut hand = Hand::new("[delivery]\nack_timeout = \"10s\"", clock.clone());
    let line = r#"{"subscribe":["table2"],"ack":true}"#;
    let (mut first, mut second) = (hand.subscriber(line), hand.subscriber(line));
    let mut producer = hand.producer();
    hand.feed(&mut producer, [frame("m1", "table2", 3)]);
    assert_eq!(hand.ids(&mut first, 1), ["m1"]);
    clock.advance(Duration::from_millis(10_100));
    let why = hand.line(&mut first);
    assert!(
        why.contains("1 frame(s) are owed") && why.contains("ack_timeout"),
        "{why}"
    );
    assert_eq!(hand.line(&mut second), r#"{"again":1}"#);
    assert_eq!(hand.ids(&mut second, 1), ["m1"]);
    second.say(r#"{"ack":1}"#);
    hand.turn_until("it is settled", |it| it.count(Counter::Settled) == 1);
    clock.advance(Duration::from_secs(5));
    hand.turn_until("it is cut", |_| first.line().is_none() && first.ended);
    assert_eq!(hand.count(Counter::AckTimeouts), 1);
}

#[test]
fn who_acknowledges_in_time_is_never_cut() {
    let clock = HandClock::at(1_700_000_000_000_000);
    let mut hand = Hand::new("[delivery]\nack_timeout = \"10s\"", clock.clone());
    let mut subscriber = hand.subscriber(r#"{"subscribe":["table2"],"ack":true}"#);
    let mut producer = hand.producer();
    for number in 1..=10 {
        // Nothing is owed while nothing is sent.
        clock.advance(Duration::from_secs(60));
        let id = format!("m{number}");
        hand.feed(&mut producer, [frame(&id, "table2", 3)]);
        assert_eq!(hand.ids(&mut subscriber, 1), [id]);
        clock.advance(Duration::from_millis(9_900));
        hand.turn();
        subscriber.say(&format!("{{\"ack\":{number}}}"));
        hand.turn_until("the acknowledgement", |it| {
            it.count(Counter::Settled) == number
        });
    }
    hand.feed(&mut producer, [frame("last", "table2", 3)]);
    clock.advance(Duration::from_millis(10_100));
    hand.turn_until("it is cut", |it| it.count(Counter::AckTimeouts) == 1);
}

#[test]
fn wrong_lines_are_answered_with_what_to_send_instead() {
    let engine = engine();
    let greeting = r#"{"subscribe":["table1"]}"#;
    let long_name = "x".repeat(51);
    let wrong: &[(&str, &str)] = &[
        ("hello", greeting),
        ("{}", greeting),
        ("[]", greeting),
        ("null", greeting),
        (r#"{"subscribe":[]}"#, greeting),
        (r#"{"subscribe":"table1"}"#, greeting),
        (r#"{"subscribe":[1]}"#, greeting),
        (r#"{"subscribe":["table1"],"ack":3}"#, greeting),
        (r#"{"subscribe":["table1"],"ack":"yes"}"#, greeting),
        (r#"{"subscribe":["table1"],"acks":true}"#, greeting),
        (r#"{"subscribe":["table1"]"#, greeting),
        (r#"{"ack":1}"#, greeting),
        ("GET /stats HTTP/1.1", greeting),
        (
            r#"{"subscribe":["table9"]}"#,
            "table1, table2, table3, table4",
        ),
        (r#"{"subscribe":["table1","table9"]}"#, "\\\"table9\\\""),
        (r#"{"subscribe":[""]}"#, "table1, table2"),
        (
            &format!(r#"{{"subscribe":["{long_name}"]}}"#),
            "table1, table2",
        ),
    ];
    for (line, expected) in wrong {
        let mut subscriber = Subscriber::say(engine.delivery, line);
        let answer: Value = serde_json::from_str(&subscriber.answer).expect("JSON");
        let error = answer["error"].as_str().unwrap_or_else(|| {
            panic!("{line} was answered with {}", subscriber.answer);
        });
        let expected = expected.replace("\\\"", "\"");
        assert!(error.contains(&expected), "{line}: {error}");
        assert_eq!(subscriber.line(), None, "{line}: then it is closed");
    }
    wait_for_subscribers(&engine, 0);
    assert_eq!(engine.count("subscriber_errors"), wrong.len() as u64);
}

#[test]
fn a_subscriber_that_says_something_wrong_later_is_told_and_closed() {
    let engine = engine();
    let cases = [
        (true, r#"{"ack":1}"#, "only 0 were sent"),
        (true, r#"{"ack":-1}"#, r#"{"ack":N}"#),
        (true, r#"{"ack":true}"#, r#"{"ack":N}"#),
        (true, r#"{"subscribe":["table1"]}"#, r#"{"ack":N}"#),
        (true, r#"{"ack":18446744073709551616}"#, r#"{"ack":N}"#),
        (false, r#"{"ack":0}"#, r#""ack":true"#),
        (false, "more please", "nothing is expected"),
    ];
    for (ack, line, expected) in cases {
        let mut subscriber = Subscriber::new(&engine, &["table2"], ack);
        writeln!(subscriber.stream.get_mut(), "{line}").expect("it takes it");
        let error = word(&mut subscriber)["error"].to_string();
        let error = error.replace("\\\"", "\"");
        assert!(error.contains(expected), "{line}: {error}");
        assert_eq!(subscriber.line(), None, "{line}: then it is closed");
    }
    // Its destination is free again, and nobody else was disturbed.
    wait_for_subscribers(&engine, 0);
    let mut subscriber = Subscriber::new(&engine, &["table2"], true);
    Producer::new(&engine).send_many("m", 1..=1);
    assert_eq!(next_id(&mut subscriber), "m1");
}

#[test]
fn too_large_an_acknowledgement_settles_nothing() {
    let engine = engine();
    let mut producer = Producer::new(&engine);
    let mut first = Subscriber::new(&engine, &["table2"], true);
    producer.send_many("m", 1..=3);
    first.frames(3);
    first.ack(4);
    let error = word(&mut first)["error"].to_string();
    assert!(
        error.contains("acknowledged 4 frames, but only 3"),
        "{error}"
    );
    assert_eq!(first.line(), None);
    drop(first);
    let mut next = Subscriber::new(&engine, &["table2"], true);
    assert_eq!(word(&mut next), json!({"again": 3}));
    assert_eq!(next_id(&mut next), "m1");
    assert_eq!(engine.count("settled"), 0);
}

#[test]
fn garbage_and_endless_lines_are_told_and_closed() {
    let engine = engine();
    let noise: Vec<u8> = (0..255_u8).cycle().take(5_000).collect();
    let endless = vec![b'x'; 200_000];
    for (bytes, expected) in [
        (noise, "not understood"),
        (endless, "longer than 65536 bytes"),
    ] {
        let stream = TcpStream::connect(engine.delivery).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut writer = stream.try_clone().expect("a descriptor");
        writer.write_all(&bytes).expect("it is read");
        let mut answer = String::new();
        BufReader::new(stream)
            .read_to_string(&mut answer)
            .expect("words, then the end");
        assert!(answer.starts_with("{\"error\":"), "{answer}");
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(answer.matches("\"error\"").count(), 1, "{answer}");
    }
}

#[test]
fn a_subscription_may_come_a_byte_at_a_time() {
    let engine = engine();
    let mut stream = TcpStream::connect(engine.delivery).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    for byte in b"\r\n \n{\"subscribe\":[\"table2\"],\"ack\":true}\n" {
        stream.write_all(&[*byte]).expect("it is read");
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a line");
    assert_eq!(line, "{\"subscribed\":[\"table2\"],\"standby\":[]}\n");
}

#[test]
fn who_says_nothing_is_told_what_to_send_and_closed() {
    let clock = HandClock::at(1_700_000_000_000_000);
    let mut hand = Hand::new("", clock.clone());
    let mut silent = Peer::connect(hand.delivery);
    let mut half = Peer::connect(hand.delivery);
    half.out.extend(b"{\"subscribe\":");
    half.push();
    hand.turn_until("they connect", |it| {
        it.count(Counter::SubscribersConnected) == 2
    });
    clock.advance(Duration::from_secs(29));
    for _ in 0..10 {
        hand.turn();
    }
    assert_eq!(hand.count(Counter::SubscribersConnected), 2);
    clock.advance(Duration::from_secs(2));
    for peer in [&mut silent, &mut half] {
        let line = hand.line(peer);
        let word: Value = serde_json::from_str(&line).expect("JSON");
        let error = word["error"].as_str().expect("an error");
        assert!(error.contains(r#"{"subscribe":["table1"]}"#), "{error}");
    }
    clock.advance(Duration::from_secs(2));
    hand.turn_until("they are closed", |it| {
        it.count(Counter::SubscribersConnected) == 0
    });
}

#[test]
fn a_slow_reader_gets_every_byte_right() {
    let engine = engine();
    let mut stream = narrow(engine.delivery, 16 * 1024);
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    writeln!(stream, "{{\"subscribe\":[\"table2\"]}}").expect("it takes it");
    let mut expected = b"{\"subscribed\":[\"table2\"],\"standby\":[]}\n".to_vec();
    let mut sent = Vec::new();
    for number in 0..120_usize {
        let len = 200 + number * 7919 % 64_000;
        writeln!(sent, "{}", large_frame(&format!("m{number}"), len)).expect("memory");
    }
    expected.extend(&sent);
    let mut producer = Producer::new(&engine);
    std::thread::scope(|scope| {
        scope.spawn(move || producer.0.write_all(&sent).expect("it reads"));
        let mut received = vec![0; expected.len()];
        let (mut at, mut step) = (0, 1);
        while at < expected.len() {
            step = step * 31 % 20_011;
            let end = (at + step).min(expected.len());
            at += stream.read(&mut received[at..end]).expect("bytes");
        }
        assert!(received == expected, "bytes differ");
    });
    engine.wait("all is settled", |it| it["settled"] == 120);
}

#[test]
fn a_subscriber_that_never_reads_hurts_nobody_else() {
    let engine = engine();
    let mut stuck = narrow(engine.delivery, 4096);
    writeln!(stuck, "{{\"subscribe\":[\"table2\"],\"ack\":true}}").expect("it takes it");
    wait_for_subscribers(&engine, 1);
    let mut producer = Producer::new(&engine);
    for number in 1..=100 {
        let frame = large_frame(&format!("stuck{number}"), 60_000);
        writeln!(producer.0, "{frame}").expect("it reads");
    }
    let mut well = Subscriber::new(&engine, &["table3"], true);
    for number in 1..=200 {
        producer.send(&format!("m{number}"), "table3", 3);
        assert_eq!(next_id(&mut well), format!("m{number}"));
        well.ack(number);
    }
    let stats = engine.wait("all is settled", |it| it["settled"] == 200);
    let waiting = stats["queued"].as_u64().zip(stats["in_flight"].as_u64());
    assert_eq!(
        waiting.map(|(queued, in_flight)| queued + in_flight),
        Some(100)
    );
    assert!(
        stats["queued"].as_u64() > Some(50),
        "credit is small: {stats}"
    );
}

#[test]
fn a_subscriber_that_ends_its_side_has_gone() {
    let engine = engine();
    let mut first = Subscriber::new(&engine, &["table2"], false);
    let mut second = Subscriber::new(&engine, &["table2"], false);
    let stream = first.stream.get_mut();
    stream.shutdown(Shutdown::Write).expect("it can be ended");
    assert_eq!(first.line(), None);
    Producer::new(&engine).send_many("m", 1..=1);
    assert_eq!(next_id(&mut second), "m1");
}

/// What a subscriber of the storm saw.
#[derive(Default)]
struct Seen {
    ids: Vec<u32>,
    /// Messages that came without having been announced.
    fresh: std::collections::HashSet<u32>,
}

impl Seen {
    /// Reads up to `count` frames of a connection, checking what `again` promises.
    fn read(&mut self, subscriber: &mut Subscriber, count: usize) -> u64 {
        let (mut announced, mut frames, mut last) = (0, 0, 0);
        while frames < count as u64 || announced > 0 {
            let line = subscriber.line().expect("there is more");
            let value: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(again) = value["again"].as_u64() {
                assert_eq!(announced, 0, "no announcement within another");
                announced = again;
                continue;
            }
            let number: u32 = id(&value)[1..].parse().expect("a number");
            assert!(number > last, "{number} after {last} on one connection");
            last = number;
            if announced > 0 {
                announced -= 1;
            } else {
                assert!(self.fresh.insert(number), "{number} came again unannounced");
            }
            self.ids.push(number);
            frames += 1;
        }
        frames
    }
}

#[test]
fn subscribers_that_come_and_go_lose_nothing_and_are_told_of_repetitions() {
    const MESSAGES: u32 = 2_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let engine = engine();
    let mut producer = Producer::new(&engine);
    producer.send_many("m", 1..=MESSAGES);
    engine.wait("all are queued", |it| it["queued"] == MESSAGES);
    let (mut seen, mut settled) = (Seen::default(), 0);
    while settled < u64::from(MESSAGES) {
        let left = u64::from(MESSAGES) - settled;
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        let read = seen.read(&mut subscriber, rng.u64(0..=left.min(300)) as usize);
        let acked = rng.u64(0..=read);
        subscriber.ack(acked);
        settled += acked;
        engine.wait("the acknowledgement", |it| it["settled"] == settled);
        if rng.bool() {
            kill(subscriber);
        } else {
            drop(subscriber);
        }
        wait_for_subscribers(&engine, 0);
    }
    let different: std::collections::BTreeSet<u32> = seen.ids.iter().copied().collect();
    assert!(different.into_iter().eq(1..=MESSAGES));
    let stats = engine.stats();
    assert_eq!(
        (&stats["queued"], &stats["in_flight"]),
        (&json!(0), &json!(0))
    );
}
