//! Subscriptions: patterns, several lines on one connection, ten thousand destinations, and what the
//! client makes of them.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{ENGINE, Engine, Subscriber, frame};

const LISTEN: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Settings with destinations of these names.
fn with_destinations(names: &[String], rest: &str) -> String {
    let lines = names
        .iter()
        .map(|it| format!("[[destination]]\nid = \"{it}\"\n"));
    let lines: String = lines.collect();
    format!("source = []\n{lines}[ingest]\nlisten = \"127.0.0.1:0\"\n{rest}")
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it listens")).expect("a connection")
}

fn answer(active: &[&str], standby: &[&str]) -> String {
    format!(
        "{{\"subscribed\":{},\"standby\":{}}}",
        json!(active),
        json!(standby)
    )
}

#[test]
fn a_pattern_takes_what_fits_now_and_what_is_created_later() {
    let settings = format!("{LISTEN}[scheduler]\nunknown_destinations = \"create\"\n");
    let engine = Engine::start(&settings);
    let mut subscriber = Subscriber::say(engine.delivery, "{\"subscribe\":[\"ta*1\",\"room-*\"]}");
    assert_eq!(subscriber.answer, answer(&["table1"], &[]));
    let mut producer = producer(&engine);
    for name in ["table2", "room-7", "table1", "table21"] {
        writeln!(producer, "{}", frame(name, name, 1)).expect("it reads");
    }
    let mut told = Vec::new();
    let mut frames = Vec::new();
    // Those created at once may be told in one line.
    while told.len() < 2 || frames.len() < 3 {
        let line = subscriber.line().expect("a line");
        let parsed: Value = serde_json::from_str(&line).expect("JSON");
        match parsed["messageId"].as_str() {
            Some(id) => frames.push(id.to_owned()),
            None => {
                let names = parsed["subscribed"].as_array().expect("a list");
                told.extend(names.iter().map(Value::to_string));
            }
        }
    }
    frames.sort();
    assert_eq!(frames, ["room-7", "table1", "table21"]);
    told.sort();
    assert_eq!(told, ["\"room-7\"", "\"table21\""]);
}

#[test]
fn a_pattern_that_nothing_fits_is_told_so() {
    let engine = Engine::start(LISTEN);
    let mut subscriber =
        Subscriber::say(engine.delivery, "{\"subscribe\":[\"table1\",\"chair*\"]}");
    let word: Value = serde_json::from_str(&subscriber.answer).expect("JSON");
    let error = word["error"].as_str().expect("an error");
    assert!(
        error.contains("\"chair*\"") && error.contains("there are table1"),
        "{error}"
    );
    assert_eq!(subscriber.line(), None, "and it is closed");
    let next = Subscriber::new(&engine, &["table1"], false);
    assert_eq!(next.answer, answer(&["table1"], &[]), "nothing was taken");
}

#[test]
fn lines_add_up_and_what_is_asked_for_again_changes_nothing() {
    let engine = Engine::start(LISTEN);
    let other = Subscriber::new(&engine, &["table3"], true);
    let mut subscriber = Subscriber::new(&engine, &["table1", "table1"], true);
    assert_eq!(subscriber.answer, answer(&["table1"], &[]));
    // Several in one packet, each with its answer.
    let lines = [
        "{\"subscribe\":[\"table2\",\"table3\"],\"ack\":true}\n",
        "{\"subscribe\":[\"table1\",\"table2\"],\"ack\":true}\n",
        "{\"subscribe\":[\"*\"],\"ack\":true}\n",
    ];
    let stream = subscriber.stream.get_mut();
    stream
        .write_all(lines.concat().as_bytes())
        .expect("it reads");
    assert_eq!(subscriber.line(), Some(answer(&["table2"], &["table3"])));
    assert_eq!(subscriber.line(), Some(answer(&[], &[])));
    assert_eq!(subscriber.line(), Some(answer(&["table4"], &[])));
    drop(other);
    engine.wait("the other one has gone", |it| {
        it["subscribers_connected"] == 1
    });
    let mut producer = producer(&engine);
    for table in 1..=4 {
        let name = format!("table{table}");
        writeln!(producer, "{}", frame(&name, &name, 1)).expect("it reads");
    }
    let mut ids: Vec<_> = subscriber
        .frames(4)
        .iter()
        .map(|it| it["messageId"].as_str().expect("a text").to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["table1", "table2", "table3", "table4"]);
    subscriber.ack(4);
    engine.wait("all are settled once", |it| {
        it["settled"] == 4 && it["delivered"] == 4
    });
}

#[test]
fn ten_thousand_destinations_are_one_line_or_one_pattern() {
    let names: Vec<String> = (0..10_000).map(|it| format!("customer-{it:041}")).collect();
    let engine = Engine::start(&with_destinations(&names, ""));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for (at, (line, count)) in [
        (json!({"subscribe": ["*"]}), 10_000),
        (json!({"subscribe": all, "ack": true}), 10_000),
        (json!({"subscribe": ["*9", &names[9]]}), 1_000),
    ]
    .into_iter()
    .enumerate()
    {
        let mut subscriber = Subscriber::say(engine.delivery, &line.to_string());
        let word: Value = serde_json::from_str(&subscriber.answer).expect("JSON");
        assert_eq!(word["subscribed"].as_array().map(Vec::len), Some(count));
        let mut producer = producer(&engine);
        writeln!(producer, "{}", frame(&format!("m{at}"), &names[9], 1)).expect("it reads");
        if line["ack"] == true {
            subscriber.frame().expect("it comes");
            subscriber.ack(1);
            engine.wait("it is settled", |it| it["in_flight"] == 0);
        }
        drop(subscriber);
        engine.wait("it has gone", |it| it["subscribers_connected"] == 0);
    }
}

#[test]
fn a_line_that_is_too_long_is_told_the_limit() {
    let engine = Engine::start(LISTEN);
    let line = format!("{{\"subscribe\":[\"{}\"]}}", "x".repeat(1 << 20));
    let mut stream = TcpStream::connect(engine.delivery).expect("it listens");
    // It may be told, and closed, before all of it is out.
    let _ = writeln!(stream, "{line}");
    let subscriber = Subscriber::over(stream);
    assert!(
        subscriber.answer.contains("longer than 1048576 bytes"),
        "{}",
        subscriber.answer
    );
}

#[test]
fn the_client_takes_patterns_and_more_names_than_one_line_holds() {
    let names: Vec<String> = (0..3_000).map(|it| format!("customer-{it:041}")).collect();
    let engine = Engine::start(&with_destinations(&names, ""));
    let client = |wanted: &[&str]| {
        Command::new(ENGINE)
            .args(["subscribe", "--ack", "--count", "2", "--address"])
            .arg(engine.delivery.to_string())
            .args(wanted)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client")
    };
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for (at, wanted) in [&all[..], &["customer-*"]].into_iter().enumerate() {
        let client = client(wanted);
        engine.wait("it is there", |it| it["subscribers_connected"] == 1);
        let mut producer = producer(&engine);
        let sent = [&names[0], &names[2_999]].map(|it| frame(&format!("{at}-{it}"), it, 1));
        writeln!(producer, "{}\n{}", sent[0], sent[1]).expect("it reads");
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        let mut got: Vec<_> = output.stdout.split(|it| *it == b'\n').collect();
        got.sort();
        assert_eq!(got[1..], [sent[0].as_bytes(), sent[1].as_bytes()]);
        engine.wait("it has gone", |it| it["subscribers_connected"] == 0);
    }
}
