//! What a subscription gives.

use super::*;

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
