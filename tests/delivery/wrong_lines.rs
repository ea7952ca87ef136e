//! What is said wrongly is answered in words.

use super::*;

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
