//! What was not acknowledged comes again, announced.

use super::*;

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
