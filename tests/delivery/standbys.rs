//! Standbys take over.

use super::*;

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
