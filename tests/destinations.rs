//! What is told of each destination: what waits, for what, since when, and who takes it.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{Engine, Subscriber, frame};

const SETTINGS: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[delivery]\nack_timeout = \"10m\"\n\
    [scheduler]\nmax_wait = [\"0s\", \"0s\", \"0s\"]\n";

fn send(engine: &Engine, destination: &str, count: usize) {
    let address = engine.ingest.expect("it listens");
    let mut producer = TcpStream::connect(address).expect("a connection");
    for number in 0..count {
        let id = format!("{destination}-{number}");
        writeln!(producer, "{}", frame(&id, destination, 2)).expect("it reads");
    }
}

fn customer(engine: &Engine, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let stats = engine.wait(id, |it| is_so(&it["customers"][id]));
    stats["customers"][id].clone()
}

fn destination(engine: &Engine, id: &str) -> Value {
    let (status, body) = engine.get(&format!("/destinations/{id}"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn a_customer_without_subscriber_is_seen_everywhere() {
    let engine = Engine::start(SETTINGS);
    send(&engine, "table2", 7);
    let seen = customer(&engine, "table2", |it| it["waits_for"] == "subscriber");
    assert_eq!(seen["queued"], 7);
    assert_eq!(seen["queued_by_level"], json!({ "1": 0, "2": 7, "3": 0 }));
    assert_eq!(
        (&seen["delivered"], &seen["accepted"]),
        (&json!(0), &json!(7))
    );
    assert!(seen["oldest_wait_seconds"].is_f64(), "{seen}");
    assert_eq!(
        destination(&engine, "table2")["waits_since"],
        seen["waits_since"]
    );
    let (_, metrics) = engine.get("/metrics");
    for sample in [
        "destination_queued{destination=\"table2\",level=\"2\"} 7",
        "destination_waits{destination=\"table2\",for=\"subscriber\"} 1",
    ] {
        let line = format!("flipped_lb_{sample}");
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    let (_, list) = engine.get("/destinations?limit=1&after=1");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["destinations"][0]["id"], "table2");
    assert_eq!(list["next"], 2);
    assert_eq!(engine.get("/destinations/table9").0, 404);
    let ended = engine.stop();
    let told = ended
        .stdout
        .lines()
        .find(|it| it.starts_with("Customer table2:"));
    let told = told.expect("a line in the statistics");
    assert!(told.contains("7 queued, 0 in flight"), "{told}");
    assert!(told.contains("no subscriber since 20"), "{told}");
}

#[test]
fn who_takes_messages_and_never_acknowledges_is_told_from_who_works() {
    let engine = Engine::start(SETTINGS);
    let mut works = Subscriber::new(&engine, &["table1"], true);
    let mut owes = Subscriber::new(&engine, &["table2"], true);
    let _standby = Subscriber::new(&engine, &["table2"], true);
    send(&engine, "table1", 5);
    send(&engine, "table2", 5);
    assert_eq!(works.frames(5).len(), 5);
    assert_eq!(owes.frames(5).len(), 5);
    works.ack(5);
    let seen = customer(&engine, "table2", |it| it["waits_for"] == "acknowledgement");
    assert_eq!(
        (&seen["in_flight"], &seen["standbys"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(seen["subscriber"]["unacknowledged"], 5);
    let address = owes.stream.get_ref().local_addr().expect("an address");
    let address = json!(address.to_string());
    assert_eq!(seen["subscriber"]["address"], address);
    let alone = destination(&engine, "table2");
    assert_eq!(alone["subscriber"]["address"], address);
    let (_, list) = engine.get("/destinations?limit=1&after=1");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["destinations"][0]["subscriber"]["address"], address);
    let well = customer(&engine, "table1", |it| it["settled"] == 5);
    assert_eq!(well["waits_for"], Value::Null);
    owes.ack(5);
    customer(&engine, "table2", |it| {
        it["waits_for"].is_null() && it["settled"] == 5
    });
    drop(owes);
    send(&engine, "table2", 1);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn who_does_not_read_is_told_and_what_it_did_not_take_is_told_again() {
    let engine = Engine::start(SETTINGS);
    let subscriber = Subscriber::new(&engine, &["table3"], true);
    let address = engine.ingest.expect("it listens");
    let mut producer = TcpStream::connect(address).expect("a connection");
    let fill = "x".repeat(60_000);
    for number in 0..400 {
        let line = format!(
            "{{\"messageId\":\"m{number}\",\"sourceServerId\":\"s\",\"destinationId\":\"table3\",\
             \"messageType\":\"order\",\"priority\":2,\"payload\":{{\"fill\":\"{fill}\"}}}}"
        );
        writeln!(producer, "{line}").expect("it reads");
    }
    let seen = customer(&engine, "table3", |it| it["waits_for"] == "reading");
    assert!(seen["subscriber"]["unwritten"].as_u64() > Some(0), "{seen}");
    drop(subscriber);
    let seen = customer(&engine, "table3", |it| {
        it["waits_for"] == "subscriber" && it["queued"] == 400
    });
    assert!(seen["redelivered"].as_u64() > Some(0), "{seen}");
    engine.kill();
}

#[test]
fn trouble_is_told_by_readyz_and_the_log_with_its_destination_and_its_beginning() {
    let settings = format!("{SETTINGS}max_queued = 5\n");
    let engine = Engine::start(&settings);
    let _owes = Subscriber::new(&engine, &["table2"], true);
    send(&engine, "table2", 3);
    let address = engine.ingest.expect("it listens");
    let mut held = TcpStream::connect(address).expect("a connection");
    for number in 0..7 {
        let line = frame(&format!("held-{number}"), "table3", 2);
        writeln!(held, "{line}").expect("it reads");
    }
    let told = |words: &str| {
        engine.wait(words, |_| {
            let (status, body) = engine.get("/readyz");
            assert_eq!(status, 200, "{body}");
            body.contains(words)
        })
    };
    told("1 source waits for table3 (5 of max_queued 5), since 20");
    told("table2: its subscriber does not acknowledge, while 0 messages wait and 3 are in flight");
    let mut takes = Subscriber::new(&engine, &["table3"], false);
    assert_eq!(takes.frames(7).len(), 7);
    engine.wait("it is over", |_| {
        !engine.get("/readyz").1.contains("table3")
    });
    for words in [
        "WARN 1 source waits for table3",
        "INFO over: 1 source waits for table3",
    ] {
        engine.wait_for_log(words);
    }
    engine.kill();
}

/// Sends one message to each, and restarts with other settings once they are recorded.
fn restart_with(before: &str, names: &[&str], after: &str) -> Engine {
    let engine = Engine::start(before);
    let home = Arc::clone(&engine.home);
    for name in names {
        send(&engine, name, 1);
    }
    engine.wait("they are recorded", |it| {
        it["journal_recorded"] == names.len()
    });
    engine.kill();
    Engine::start_in(home, after)
}

/// A message goes through, and its latency is added up.
fn serves(engine: &Engine, name: &str, waiting: usize) {
    let mut subscriber = Subscriber::new(engine, &[name], false);
    subscriber.frames(waiting);
    let address = engine.ingest.expect("it listens");
    let mut producer = TcpStream::connect(address).expect("a connection");
    writeln!(producer, "{}", frame(&format!("after {name}"), name, 2)).expect("it reads");
    subscriber.frames(1);
    engine.wait("its latency", |it| it["latency"]["total"]["count"] != 0);
}

#[test]
fn messages_of_a_destination_that_left_the_settings_wait_until_it_comes_back() {
    let few = format!("destination = [{{ id = \"table1\" }}]\n{SETTINGS}");
    let engine = restart_with(SETTINGS, &["table1", "table2", "table4"], &few);
    serves(&engine, "table1", 1);
    let told = Subscriber::new(&engine, &["table4"], false).answer;
    assert!(told.contains("unknown destination"), "{told}");
    let log = engine.log();
    assert!(
        log.contains(r#"destinations that the settings do not name ("table2", "table4")"#),
        "{log}"
    );
    let home = Arc::clone(&engine.home);
    assert_eq!(engine.stop().code, Some(0));
    let engine = Engine::start_in(home, SETTINGS);
    Subscriber::new(&engine, &["table2", "table4"], false).frames(2);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn more_created_names_than_may_be_now_are_served_after_a_restart() {
    let settings = |max| {
        format!(
            "destination = [{{ id = \"table1\" }}]\n{SETTINGS}unknown_destinations = \"create\"\n\
             max_destinations = {max}\n"
        )
    };
    let names = ["new1", "new2", "new3"];
    let engine = restart_with(&settings(20), &names, &settings(2));
    for name in names {
        serves(&engine, name, 1);
    }
    let told = Subscriber::new(&engine, &["new4"], false).answer;
    assert!(told.contains("max_destinations is reached"), "{told}");
    assert_eq!(engine.stop().code, Some(0));
}
