//! Who dies, or owes acknowledgements.

use super::*;

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
