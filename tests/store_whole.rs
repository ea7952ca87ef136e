//! From the sources to the database, flat out: what was sent, what was delivered and what the rows
//! say are the same.
//!
//! `FLIPPED_LB_TEST_ROWS=1000000 cargo test --release --test store_whole -- --nocapture` is a longer
//! run.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use serde_json::{Value, json};

use at_server::{engine, home};
use mariadb::MariaDb;
use support::{Engine, PATIENCE, Subscriber};

const ROWS_DEFAULT: usize = 5_000;
const PRODUCERS: usize = 4;

fn rows() -> usize {
    let asked = std::env::var("FLIPPED_LB_TEST_ROWS").ok();
    asked.map_or(ROWS_DEFAULT, |it| it.parse().expect("a number of rows"))
}

/// A message's payload, which its number alone decides.
fn payload(number: usize) -> Value {
    const WORDS: [&str; 5] = [
        "soup",
        "it's \"hot\"",
        "back\\slash",
        "🍜 漢字",
        "tab\tnewline\n\0",
    ];
    json!({
        "number": number,
        "word": WORDS[number % WORDS.len()],
        "price": number as f64 / 8.0,
        "items": [number % 7, null, { "name": WORDS[number / 5 % WORDS.len()] }],
    })
}

fn line(number: usize) -> String {
    let message = json!({
        "messageId": format!("whole-{number}"),
        "sourceServerId": format!("server{}", number % PRODUCERS + 1),
        "destinationId": format!("table{}", number / PRODUCERS % 4 + 1),
        "messageType": "dinner",
        "priority": number % 3 + 1,
        "timestamp": 1_700_000_000_000_u64 + number as u64,
        "payload": payload(number),
    });
    format!("{message}\n")
}

/// One producer's share, as fast as it is taken.
fn produce(engine: &Engine, producer: usize) {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    let mut text = String::new();
    for number in (producer..rows()).step_by(PRODUCERS) {
        text.push_str(&line(number));
        if text.len() > 1 << 18 {
            stream.write_all(text.as_bytes()).expect("it reads");
            text.clear();
        }
    }
    stream.write_all(text.as_bytes()).expect("it reads");
}

/// How many frames a destination gets until there are enough in all.
fn consume(engine: &Engine, destination: usize) -> usize {
    let expected = (0..rows())
        .filter(|it| it / PRODUCERS % 4 == destination)
        .count();
    let mut subscriber = Subscriber::new(engine, &[&format!("table{}", destination + 1)], false);
    let mut count = 0;
    while count < expected && subscriber.line().is_some() {
        count += 1;
    }
    count
}

/// All of it through the engine; returns how many were delivered.
fn play(engine: &Engine) -> usize {
    std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..4)
            .map(|it| scope.spawn(move || consume(engine, it)))
            .collect();
        for producer in 0..PRODUCERS {
            scope.spawn(move || produce(engine, producer));
        }
        consumers
            .into_iter()
            .map(|it| it.join().expect("it counts"))
            .sum()
    })
}

/// Ends it at once, and returns how many rows there were by then: the rest comes at the next start.
fn end_at_once(mut engine: Engine) -> u64 {
    let stats = engine.wait("all is settled", |it| it["settled"] == rows());
    engine.signal("TERM");
    std::thread::sleep(Duration::from_millis(50));
    engine.signal("TERM");
    engine.ended();
    stats["stored"].as_u64().expect("a number")
}

fn assert_payloads(server: &MariaDb) {
    let mut client = server.client();
    let query = "SELECT messageId, payload FROM messages ORDER BY id";
    let found = client.query_iter(query).expect("it answers");
    let mut count = 0;
    for row in found {
        let (id, text): (String, String) = mysql::from_row(row.expect("a row"));
        let number = id.strip_prefix("whole-").and_then(|it| it.parse().ok());
        let parsed: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(parsed, payload(number.expect("our own id")), "{id}");
        count += 1;
    }
    assert_eq!(count, rows());
}

#[test]
fn all_that_was_sent_is_delivered_and_has_its_row() {
    let server = MariaDb::start_with(&["--innodb-buffer-pool-size=512M"]);
    let home = home();
    let first = engine(&server, &home, "");
    let begun = Instant::now();
    let delivered = play(&first);
    let flowed = begun.elapsed();
    assert_eq!(delivered, rows());
    let stored = end_at_once(first);
    let second = engine(&server, &home, "");
    let begun = Instant::now();
    let position = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'";
    while server.count(position) < delivered as u64 {
        assert!(begun.elapsed() < 10 * PATIENCE, "{}", second.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    println!(
        "{delivered} delivered in {flowed:.2?}, {stored} of them stored by then, all after {:.2?}",
        begun.elapsed()
    );
    assert_eq!(second.stop().code, Some(0));
    let query = "SELECT COUNT(*), COUNT(DISTINCT messageId), COUNT(DISTINCT sequence), \
                 COUNT(CASE WHEN status = 'DELIVERED' THEN 1 END) FROM messages";
    let all = delivered as u64;
    assert_eq!(
        server.ask::<(u64, u64, u64, u64)>(query),
        [(all, all, all, all)]
    );
    assert_payloads(&server);
}
