//! Crowds: many sources and subscribers at once, connections that come and go by the thousand, and
//! messages that wait for a subscriber who does not come.

mod support;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Engine, PATIENCE, Server, Subscriber, allow_descriptors, frame, with_sources};

fn number(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().expect("a counter")
}

#[test]
fn two_hundred_sources_reach_a_thousand_subscribers() {
    const SOURCES: usize = 200;
    const EACH: usize = 300;
    const TABLES: usize = 1_000;
    allow_descriptors(4_096);
    let servers: Vec<Server> = (0..SOURCES).map(|_| Server::listen()).collect();
    let addresses: Vec<SocketAddr> = servers.iter().map(Server::address).collect();
    let tables: String = (0..TABLES)
        .map(|at| format!("[[destination]]\nid = \"t{at}\"\n"))
        .collect();
    let engine = Engine::start(&with_sources(&addresses, &tables));
    let mut subscribers: Vec<Subscriber> = (0..TABLES)
        .map(|at| Subscriber::new(&engine, &[&format!("t{at}")], false))
        .collect();
    let mut streams: Vec<TcpStream> = servers.iter().map(Server::accept).collect();
    for at in 0..EACH {
        for (source, stream) in streams.iter_mut().enumerate() {
            // Three in a row for each of a hundred tables.
            let table = format!("t{}", (source * EACH + at) / 3 % TABLES);
            let line = frame(&format!("{source}-{at}"), &table, (source % 3 + 1) as u8);
            writeln!(stream, "{line}").expect("it reads");
        }
    }
    let mut ids = HashSet::new();
    for subscriber in &mut subscribers {
        let mut last: HashMap<usize, usize> = HashMap::new();
        for frame in subscriber.frames(SOURCES * EACH / TABLES) {
            let id = frame["messageId"].as_str().expect("text");
            let (source, at) = id.split_once('-').expect("two numbers");
            let at = at.parse().expect("a number");
            let before = last.insert(source.parse().expect("a number"), at);
            assert!(before < Some(at), "{id} after {before:?}");
            assert!(ids.insert(id.to_owned()), "{id} came twice");
        }
    }
    assert_eq!(ids.len(), SOURCES * EACH);
    let stats = engine.wait("all is settled", |it| {
        number(it, "settled") == (SOURCES * EACH) as u64
    });
    assert_eq!(number(&stats, "sources_connected"), SOURCES as u64);
    assert_eq!(number(&stats, "subscribers_connected"), TABLES as u64);
}

/// How many connections the engine has accepted.
fn seen(stats: &Value) -> u64 {
    number(stats, "subscriber_connects") + number(stats, "source_connects")
}

fn nobody(stats: &Value) -> bool {
    number(stats, "subscribers_connected") + number(stats, "sources_connected") == 0
}

/// How a batch of connections goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Closed,
    ClosedUnseen,
    Reset,
    ResetUnseen,
}

/// Opens connections to both ports, says a little on some, and drops them; those that are unseen
/// before the engine had a chance to accept them. Returns when all have gone.
fn come_and_go(engine: &Engine, each: usize, way: Way) {
    let producers = engine.ingest.expect("it listens");
    let words = [
        "",
        "{\"subscr",
        "{\"subscribe\":[\"table2\"]}\n",
        "{\"messageId\":\"half",
    ];
    let open = |address: SocketAddr, at: usize| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let word = words[at % words.len()];
        stream.write_all(word.as_bytes()).expect("it fits");
        if matches!(way, Way::Reset | Way::ResetUnseen) {
            let linger = Some(Duration::ZERO);
            socket2::SockRef::from(&stream)
                .set_linger(linger)
                .expect("an option");
        }
        stream
    };
    let before = seen(&engine.stats());
    let are_seen = |stats: &Value| seen(stats) >= before + 2 * each as u64;
    let streams: Vec<TcpStream> = (0..each)
        .flat_map(|at| [open(engine.delivery, at), open(producers, at)])
        .collect();
    if matches!(way, Way::Closed | Way::Reset) {
        engine.wait("all are accepted", are_seen);
    }
    drop(streams);
    // Some systems do not even show a connection that was reset before it was accepted.
    engine.wait("all have gone", |it| {
        nobody(it) && (way == Way::ResetUnseen || are_seen(it))
    });
}

/// A message from a new producer to a new subscriber.
fn assert_it_flows(engine: &Engine, id: &str) {
    let mut subscriber = Subscriber::new(engine, &["table2"], false);
    assert_eq!(
        subscriber.answer,
        r#"{"subscribed":["table2"],"standby":[]}"#
    );
    let address = engine.ingest.expect("it listens");
    let mut producer = TcpStream::connect(address).expect("a connection");
    let line = frame(id, "table2", 1);
    writeln!(producer, "{line}").expect("it reads");
    assert_eq!(subscriber.line(), Some(line));
}

#[test]
fn ten_thousand_connections_that_come_and_go_leave_nothing_behind() {
    const ROUNDS: usize = 10;
    const EACH: usize = 125;
    allow_descriptors(4_096);
    let engine = Engine::start("source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n");
    // The last way of each round is one that leaves none to be accepted later.
    let ways = [Way::Closed, Way::ResetUnseen, Way::Reset, Way::ClosedUnseen];
    let mut early = None;
    for round in 0..ROUNDS {
        for way in ways {
            come_and_go(&engine, EACH, way);
        }
        if round == 2 {
            assert_it_flows(&engine, "early");
            engine.wait("all have gone", nobody);
            early = Some((engine.descriptors(), engine.resident_kib()));
        }
    }
    assert_it_flows(&engine, "late");
    let (descriptors, resident_kib) = early.expect("it was measured");
    engine.wait("descriptors are closed", |it| {
        nobody(it) && engine.descriptors() <= descriptors + 8
    });
    let grown_kib = engine.resident_kib().saturating_sub(resident_kib);
    println!(
        "{} connections; grown by {grown_kib} KiB",
        seen(&engine.stats())
    );
    assert!(grown_kib < 8 * 1024, "grown by {grown_kib} KiB");
    assert_eq!(
        number(&engine.stats(), "accepted"),
        2,
        "half lines are nothing"
    );
}

// ---- a subscriber that does not come ----

/// For table2, in frames of 60,000 bytes: five times what the engine's frame memory holds.
const WAITING: usize = 5_600;

fn long_frame(at: usize) -> String {
    let short = frame(&format!("long-{at}"), "table2", 2);
    format!("{}{}", short, " ".repeat(60_000 - short.len()))
}

#[test]
fn more_than_memory_holds_waits_for_its_subscriber_and_holds_up_nobody() {
    let (flooding, other) = (Server::listen(), Server::listen());
    let engine = Engine::start(&with_sources(&[flooding.address(), other.address()], ""));
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let (mut stream, mut other) = (flooding.accept(), other.accept());
    let writer = thread::spawn(move || {
        for at in 0..WAITING {
            writeln!(stream, "{}", long_frame(at)).expect("it reads");
        }
    });
    let mut others = 0;
    let mut resident_kib = 0;
    let begun = Instant::now();
    while number(&engine.stats(), "queued") < WAITING as u64 {
        assert!(begun.elapsed() < PATIENCE, "the flood is held up");
        let line = frame(&format!("other-{others}"), "table1", 3);
        writeln!(other, "{line}").expect("it reads");
        assert_eq!(table1.line(), Some(line), "others are not held up");
        others += 1;
        resident_kib = resident_kib.max(engine.resident_kib());
    }
    assert!(resident_kib < 160 * 1024, "{resident_kib} KiB");
    writer.join().expect("all was read");
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    for at in 0..WAITING {
        assert!(table2.line() == Some(long_frame(at)), "frame {at}");
    }
    let all = WAITING as u64 + others;
    let stats = engine.wait("all is settled", |it| number(it, "settled") == all);
    assert_eq!(number(&stats, "accepted"), all);
    println!(
        "{others} messages of others meanwhile; at most {resident_kib} KiB; {} frames read again",
        number(&stats, "fetched")
    );
}
