//! Who reads slowly, never, or comes and goes.

use super::*;

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
