//! Limits of connections and descriptors: who is let in, who is told why not, and what goes on
//! beside them.

#[path = "support/reloading.rs"]
mod reloading;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use reloading::reload;
use serde_json::Value;
use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

/// Producers may dial in.
const LISTEN: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// An engine that may open so many files, and may not raise that.
fn with_descriptors(count: usize, settings: &str) -> Engine {
    let mut command = Command::new("prlimit");
    command.args([&format!("--nofile={count}:{count}"), ENGINE]);
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    Engine::start_by(command, home, settings)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// All that is said on a connection until its end.
fn rest_of(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an orderly end");
    text
}

fn number(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().unwrap_or_else(|| panic!("no {name}"))
}

/// What a connection hears first: a line, or nothing before its end.
fn first_line(stream: &TcpStream) -> String {
    let mut line = String::new();
    let mut stream = BufReader::new(stream);
    stream.read_line(&mut line).expect("a line, or the end");
    line
}

// ---- descriptors ----

/// For table1: a hundred of them fill a segment.
fn long_frame(at: usize) -> String {
    let short = frame(&format!("long-{at}"), "table1", 2);
    format!("{short}{}", " ".repeat(50_000 - short.len()))
}

#[test]
fn idle_subscribers_do_not_take_the_descriptors_of_the_journal() {
    let settings = format!("durability = \"synced\"\n{LISTEN}[journal]\nsegment = \"4MiB\"\n");
    let engine = with_descriptors(128, &settings);
    let mut first = Subscriber::new(&engine, &["table1"], false);
    let mut standbys = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let mut standby = connect(engine.delivery);
        // A refused one may be closed before it has said anything.
        let _ = standby.write_all(b"{\"subscribe\":[\"table1\"]}\n");
        let answer = first_line(&standby);
        match answer.contains("max_connections") {
            true => refused += 1,
            false => assert!(answer.contains("standby"), "{answer:?}"),
        }
        standbys.push(standby);
    }
    assert!(refused > 100, "{refused}");
    engine.wait_for_log("may open 128 files");
    let mut producer = connect(engine.ingest.expect("it listens"));
    let sender = std::thread::spawn(move || {
        for at in 0..500 {
            writeln!(producer, "{}", long_frame(at)).expect("it reads");
        }
        writeln!(producer, "wrong").expect("it reads");
        producer
    });
    for at in 0..500 {
        assert!(first.line() == Some(long_frame(at)), "frame {at}");
    }
    let _producer = sender.join().expect("all was read");
    let stats = engine.wait("the wrong line is kept", |it| number(it, "rejected") == 1);
    assert_eq!(number(&stats, "journal_full"), 0);
    assert_eq!(number(&stats, "accept_failures"), 0);
    assert_eq!(number(&stats, "connections_refused_full"), refused);
    assert!(engine.get("/readyz").1.contains("max_connections"));
    drop(standbys);
    engine.wait("the standbys have gone", |it| {
        number(it, "subscribers_connected") == 1
    });
    let second = Subscriber::new(&engine, &["table2"], false);
    assert!(second.answer.contains("subscribed"), "{}", second.answer);
    assert!(!engine.get("/readyz").1.contains("max_connections"));
    assert_eq!(engine.stop().code, Some(0));
}

// ---- connections ----

#[test]
fn whoever_comes_on_top_is_told_and_counted_and_gets_in_when_one_leaves() {
    let settings = format!("{LISTEN}max_connections = 2\n[delivery]\nmax_connections = 2\n");
    let engine = Engine::start(&settings);
    let addresses = [engine.ingest.expect("it listens"), engine.delivery];
    for (address, section) in addresses.into_iter().zip(["ingest", "delivery"]) {
        let held = [connect(address), connect(address)];
        let gauge = ["sources_connected", "subscribers_connected"];
        let gauge = gauge[usize::from(section == "delivery")];
        engine.wait("two are in", |it| number(it, gauge) == 2);
        let before = engine.count("connections_refused");
        for _ in 0..20 {
            let mut stream = connect(address);
            let _ = stream.write_all(b"{\"subscribe\":[\"table1\"]}\n");
            let said = rest_of(stream);
            let word: Value = serde_json::from_str(&said).expect("one line");
            let error = word["error"].as_str().expect("a text");
            assert!(
                error.contains(&format!("[{section}] max_connections")),
                "{error}"
            );
        }
        assert_eq!(engine.count("connections_refused"), before + 20);
        assert_eq!(engine.count("listeners_full"), 1);
        assert!(engine.get("/readyz").1.contains("refused"));
        drop(held);
        engine.wait("they have gone", |it| number(it, gauge) == 0);
        let again = connect(address);
        engine.wait("there is room", |it| {
            number(it, gauge) == 1 && number(it, "listeners_full") == 0
        });
        drop(again);
    }
}

#[test]
fn one_address_has_a_limit_of_its_own() {
    let settings = format!("{LISTEN}max_connections_per_address = 1\n");
    let engine = Engine::start(&settings);
    let address = engine.ingest.expect("it listens");
    let held = connect(address);
    engine.wait("it is in", |it| number(it, "sources_connected") == 1);
    let said = rest_of(connect(address));
    assert!(said.contains("max_connections_per_address"), "{said}");
    assert_eq!(engine.count("connections_refused_address"), 1);
    assert_eq!(engine.count("listeners_full"), 0, "others may come");
    drop(held);
    engine.wait("it has gone", |it| number(it, "sources_connected") == 0);
    let _again = connect(address);
    engine.wait("it is in", |it| number(it, "sources_connected") == 1);
}

#[test]
fn producers_that_never_sent_a_line_make_room_and_others_stay() {
    let settings = format!("{LISTEN}max_connections = 3\ngreeting_timeout = \"100ms\"\n");
    let engine = Engine::start(&settings);
    let address = engine.ingest.expect("it listens");
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // The engine finds its first line with it.
    engine.signal("STOP");
    let mut known = connect(address);
    writeln!(known, "{}", frame("a", "table1", 1)).expect("it is sent");
    engine.signal("CONT");
    assert_eq!(subscriber.line(), Some(frame("a", "table1", 1)));
    let silent = [connect(address), connect(address)];
    for stream in silent {
        let said = rest_of(stream);
        assert!(said.contains("no line was sent"), "{said}");
    }
    writeln!(known, "{}", frame("b", "table1", 1)).expect("it is still there");
    assert_eq!(subscriber.line(), Some(frame("b", "table1", 1)));
    assert_eq!(engine.count("greeting_timeouts"), 2);
}

#[test]
fn a_producer_that_is_silent_for_idle_timeout_is_told_and_closed() {
    let engine = Engine::start(&format!("{LISTEN}idle_timeout = \"200ms\"\n"));
    // The engine finds its line with it.
    engine.signal("STOP");
    let mut producer = connect(engine.ingest.expect("it listens"));
    writeln!(producer, "{}", frame("a", "table1", 1)).expect("it is sent");
    engine.signal("CONT");
    let said = rest_of(producer);
    assert!(said.contains("idle_timeout"), "{said}");
    engine.wait("both are counted", |it| {
        it["idle_timeouts"] == 1 && it["accepted"] == 1
    });
}

#[test]
fn a_subscriber_that_says_nothing_is_closed_after_its_greeting_time() {
    let engine = Engine::start(&format!(
        "{LISTEN}[delivery]\ngreeting_timeout = \"100ms\"\n"
    ));
    let said = rest_of(connect(engine.delivery));
    assert!(said.contains("nothing was asked for in 0.1 s"), "{said}");
    assert_eq!(engine.count("greeting_timeouts"), 1);
}

#[test]
fn a_subscriber_that_reads_nothing_for_unread_timeout_is_cut_and_its_messages_go_on() {
    let settings = |time: &str| format!("{LISTEN}[delivery]\nunread_timeout = \"{time}\"\n");
    let engine = Engine::start(&settings("300ms"));
    let unread = Subscriber::new(&engine, &["table1"], true);
    let mut producer = connect(engine.ingest.expect("it listens"));
    let sender = std::thread::spawn(move || {
        for at in 0..500 {
            writeln!(producer, "{}", long_frame(at)).expect("it reads");
        }
        producer
    });
    engine.wait("it is cut", |it| number(it, "unread_timeouts") == 1);
    drop(unread);
    reload(&engine, &settings("10m"));
    let mut next = Subscriber::new(&engine, &["table1"], true);
    let mut ids = std::collections::HashSet::new();
    while ids.len() < 500 {
        let got = next.frame().expect("a frame");
        ids.insert(got["messageId"].as_str().expect("a text").to_owned());
        next.ack(ids.len() as u64);
    }
    sender.join().expect("all was read");
    engine.wait("all are settled", |it| number(it, "settled") == 500);
    engine.wait_until_logged("it is told", |log| {
        log.contains("table1") && log.contains("nothing was read")
    });
}

// ---- HTTP ----

#[test]
fn http_clients_on_top_are_answered_503_and_idle_ones_do_not_keep_their_places() {
    let engine = Engine::start(&format!("{LISTEN}[admin]\nmax_connections = 3\n"));
    let mut idle = [
        connect(engine.admin),
        connect(engine.admin),
        connect(engine.admin),
    ];
    // One has sent half a head, one a whole request and rests.
    write!(idle[0], "GET /stats HTTP/1.1\r\nhost: x\r\n").expect("it reads");
    write!(idle[1], "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    assert!(first_line(&idle[1]).contains("200"));
    let begun = Instant::now();
    let refused = loop {
        let mut stream = connect(engine.admin);
        let _ = write!(
            stream,
            "GET /stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        );
        let said = rest_of(stream);
        if said.contains(" 503 ") {
            break said;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}");
    };
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("[admin] max_connections"), "{refused}");
    for mut stream in idle {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(engine.get("/healthz").0, 200);
    assert!(engine.count("connections_refused_full") >= 1);
}

#[test]
fn a_producer_is_read_no_faster_than_max_rate_and_loses_nothing() {
    const LINES: usize = 600;
    let settings = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\nmax_rate = \"1000/s\"\n";
    let engine = Engine::start(settings);
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    let lines = (0..LINES).map(|it| frame(&format!("m{it}"), "table1", 1) + "\n");
    let lines: String = lines.collect();
    stream.write_all(lines.as_bytes()).expect("it reads");
    let stats = engine.wait("all lines", |it| it["accepted"] == LINES);
    assert!(stats["rate_paced"].as_u64() > Some(0), "{stats}");
}

#[test]
fn a_source_of_duplicates_is_paced_and_others_and_its_own_new_lines_go_on() {
    const AGAIN: usize = 50_000;
    let settings = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
    let engine = Engine::start(settings);
    let ingest = engine.ingest.expect("it listens");
    let mut again = TcpStream::connect(ingest).expect("it listens");
    let mut good = TcpStream::connect(ingest).expect("it listens");
    let line = frame("again", "table1", 1) + "\n";
    let bad = std::thread::spawn(move || {
        (again.write_all(line.repeat(AGAIN).as_bytes())).expect("it reads");
        let new = frame("new", "table1", 1) + "\n";
        again.write_all(new.as_bytes()).expect("it reads");
        again
    });
    engine.wait("it is paced", |it| {
        it["duplicates_paced"].as_u64() > Some(0)
    });
    for number in 0..100 {
        let line = frame(&format!("good{number}"), "table2", 1) + "\n";
        good.write_all(line.as_bytes()).expect("it reads");
    }
    let _open = bad.join().expect("it sends");
    let stats = engine.wait("all lines", |it| it["accepted"] == 102);
    assert_eq!(stats["duplicates"], AGAIN - 1, "{stats}");
}
