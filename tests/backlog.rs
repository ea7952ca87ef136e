//! Backlogs: what waits for a subscriber who does not come is on disk, small in memory, and comes
//! in its order; and what happens where a destination has as many messages as may wait.
//!
//! `FLIPPED_LB_TEST_BACKLOG=10000000 cargo test --release --test backlog waits -- --nocapture` is
//! the long run; it needs 5 GB of disk.

mod support;

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Engine, PATIENCE, Server, Subscriber, frame, with_sources};

/// Bytes of a frame of the backlog.
const FRAME_LEN: usize = 390;
const SOURCES: usize = 2;

/// What a backlog may cost, whatever its length up to ten million.
const RESIDENT_KIB_MAX: u64 = 256 * 1024;

/// Settings without a store, whose messages never age.
const AGELESS: &str = "source = []\nstore = { url = \"none\" }\n\
     scheduler = { max_wait = [\"0s\", \"0s\", \"0s\"] }\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
/// The same, with the usual ageing.
const AGEING: &str =
    "source = []\nstore = { url = \"none\" }\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Messages of a backlog: more than keep their slots.
fn backlog_len() -> usize {
    let set = std::env::var("FLIPPED_LB_TEST_BACKLOG").ok();
    set.map_or(300_000, |it| it.parse().expect("a number"))
}

/// How long a step of the whole backlog may take.
fn patience() -> Duration {
    PATIENCE * (1 + backlog_len() as u32 / 500_000)
}

fn number(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().expect("a counter")
}

fn level_of(at: usize) -> u8 {
    // Neither regular nor random: levels come in runs of one to three.
    (at * 7 / 5 % 3 + 1) as u8
}

/// Message `at` of a source: as long as all others.
fn long_frame(source: usize, at: usize) -> String {
    let short = frame(&format!("{source}-{at}"), "table2", level_of(at));
    format!("{short}{:pad$}", "", pad = FRAME_LEN - short.len())
}

fn dial(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it listens")).expect("the producers' address")
}

/// Sends the backlog from all sources at once, and waits until all of it is queued.
fn fill(engine: &Engine) {
    let each = backlog_len() / SOURCES;
    thread::scope(|scope| {
        for source in 0..SOURCES {
            let mut stream = BufWriter::with_capacity(1 << 18, dial(engine));
            scope.spawn(move || {
                for at in 0..each {
                    writeln!(stream, "{}", long_frame(source, at)).expect("it reads");
                }
                stream.flush().expect("it reads");
            });
        }
    });
    let begun = Instant::now();
    while number(&engine.stats(), "queued") < (each * SOURCES) as u64 {
        assert!(begun.elapsed() < patience(), "{}", engine.stats());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until so many messages are where `kill -9` does not reach.
fn wait_recorded(engine: &Engine, count: u64) {
    engine.wait("all is recorded", |it| {
        number(it, "journal_recorded") == count
    });
}

/// Takes the whole backlog: each message once, whole, and after its predecessors of its source and
/// level. Returns how often a message was followed by one of a more urgent level.
fn drain(engine: &Engine) -> usize {
    let each = backlog_len() / SOURCES;
    let mut table2 = Subscriber::new(engine, &["table2"], false);
    let mut next = [[0; 3]; SOURCES];
    let (mut rises, mut last) = (0, 1);
    let begun = Instant::now();
    let mut line = String::with_capacity(FRAME_LEN + 1);
    for count in 0..each * SOURCES {
        line.clear();
        let len = table2.stream.read_line(&mut line).expect("a frame");
        assert_eq!(len, FRAME_LEN + 1, "frame {count}: {line}");
        let id = line.split('"').nth(3).expect("a messageId");
        let (source, at) = id.split_once('-').expect("two numbers");
        let source: usize = source.parse().expect("a number");
        let at: usize = at.parse().expect("a number");
        assert_eq!(line.trim_end_matches('\n'), long_frame(source, at));
        let level = level_of(at);
        let expected = &mut next[source][usize::from(level) - 1];
        while level_of(*expected) != level {
            *expected += 1;
        }
        assert_eq!(at, *expected, "of source {source} and level {level}");
        *expected += 1;
        rises += usize::from(level < last);
        last = level;
    }
    let rate = (each * SOURCES) as f64 / begun.elapsed().as_secs_f64();
    println!("drained at {rate:.0} messages a second");
    rises
}

/// One message after the other for table1, until it is told to stop; returns how long the slowest
/// took, and how many there were.
fn ping(engine: &Engine, name: &str, stop: &AtomicBool) -> (Duration, usize) {
    let mut table1 = Subscriber::new(engine, &["table1"], false);
    let mut producer = dial(engine);
    let (mut worst, mut count) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        let line = frame(&format!("{name}-{count}"), "table1", 1);
        let begun = Instant::now();
        writeln!(producer, "{line}").expect("it reads");
        assert_eq!(table1.line(), Some(line), "others are not held up");
        worst = worst.max(begun.elapsed());
        count += 1;
        thread::sleep(Duration::from_millis(1));
    }
    (worst, count)
}

/// Does it while messages for another destination flow, and says how they fared.
fn beside_others<T>(engine: &Engine, what: &str, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| ping(engine, what, &stop));
        let stopped = support::SetOnDrop(&stop);
        let done = work();
        drop(stopped);
        let (worst, count) = others.join().expect("they flow");
        println!("{what}: {count} messages of others, the slowest took {worst:?}");
        assert!(count > 0);
        done
    })
}

/// Resident memory now and at its peak, in KiB.
fn resident_kib(engine: &Engine) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.pid()));
    let status = status.expect("it runs");
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|it| it.strip_prefix(name));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB"));
        kib.and_then(|it| it.parse().ok()).expect("it has memory")
    })
}

fn assert_small(engine: &Engine, what: &str) {
    let [now, peak] = resident_kib(engine);
    println!("{what}: resident {now} KiB, at its peak {peak} KiB");
    assert!(peak < RESIDENT_KIB_MAX, "{what}: {peak} KiB");
}

#[test]
fn a_long_backlog_waits_on_disk_and_comes_level_by_level_while_others_flow() {
    let engine = Engine::start(AGELESS);
    beside_others(&engine, "filling", || fill(&engine));
    let stats = engine.wait("what waits long is cold", |it| {
        number(it, "queued_cold") + 150_000 > number(it, "queued")
    });
    assert!(number(&stats, "queued_cold") > 0);
    assert_small(&engine, "filled");
    let rises = beside_others(&engine, "draining", || drain(&engine));
    assert_eq!(rises, 0, "all of a level comes before what is less urgent");
    let stats = engine.wait("all is settled", |it| {
        number(it, "queued") + number(it, "in_flight") == 0
    });
    assert_eq!(number(&stats, "settled"), number(&stats, "accepted"));
    assert_eq!(number(&stats, "queued_cold"), 0);
    assert_small(&engine, "drained");
}

#[test]
fn a_long_backlog_waits_through_kill_9_and_its_recovery_is_as_small() {
    let engine = Engine::start(AGEING);
    let home = Arc::clone(&engine.home);
    fill(&engine);
    assert_small(&engine, "filled");
    let count = (backlog_len() / SOURCES * SOURCES) as u64;
    wait_recorded(&engine, count);
    engine.kill();
    let begun = Instant::now();
    let engine = Engine::start_in(home, AGEING);
    println!("recovered in {:?}", begun.elapsed());
    let stats = engine.wait("it is taken over", |it| number(it, "recovered") > 0);
    for name in ["recovered", "received", "accepted", "queued"] {
        assert_eq!(number(&stats, name), count, "{name}");
    }
    assert_small(&engine, "recovered");
    beside_others(&engine, "draining", || drain(&engine));
    engine.wait("all is settled", |it| number(it, "settled") >= count);
    assert_small(&engine, "drained");
}

// ---- as many as may wait ----

/// As many messages as may wait for table2.
const MAX: usize = 100;

fn bounded(when_full: &str) -> String {
    format!(
        "store = {{ url = \"none\" }}\n[scheduler]\nwhen_full = \"{when_full}\"\n\
         [[destination]]\nid = \"table1\"\n\
         [[destination]]\nid = \"table2\"\nmax_queued = {MAX}\n"
    )
}

fn send(stream: &mut TcpStream, name: &str, destination: &str, count: usize) {
    let lines = (0..count).map(|at| frame(&format!("{name}-{at}"), destination, 2) + "\n");
    stream
        .write_all(lines.collect::<String>().as_bytes())
        .expect("it reads");
}

fn ids(frames: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["messageId"].as_str().expect("an id").to_owned();
    frames.iter().map(id).collect()
}

fn names(name: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|at| format!("{name}-{at}")).collect()
}

#[test]
fn a_source_whose_next_message_finds_no_room_waits_and_others_flow() {
    let (held, other) = (Server::listen(), Server::listen());
    let sources = [held.address(), other.address()];
    let engine = Engine::start(&with_sources(&sources, &bounded("wait")));
    let (mut held, mut other) = (held.accept(), other.accept());
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    send(&mut held, "a", "table2", 3 * MAX);
    send(&mut held, "behind", "table1", 1);
    let stats = engine.wait("the source waits", |it| number(it, "sources_held") == 1);
    assert_eq!(number(&stats, "queue_full_waits"), 1);
    engine.wait("as many wait as may", |it| {
        number(it, "queued") == MAX as u64
    });
    send(&mut other, "b", "table1", 1_000);
    assert_eq!(ids(&table1.frames(1_000)), names("b", 0..1_000));
    let stats = engine.stats();
    assert_eq!(number(&stats, "queued"), MAX as u64, "and not one more");
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&table2.frames(3 * MAX)), names("a", 0..3 * MAX));
    assert_eq!(ids(&table1.frames(1)), names("behind", 0..1));
    let stats = engine.wait("all is settled", |it| {
        number(it, "settled") == (3 * MAX + 1_001) as u64
    });
    assert_eq!(number(&stats, "sources_held"), 0);
    assert_eq!(number(&stats, "received"), (3 * MAX + 1_001) as u64);
}

#[test]
fn a_held_source_that_goes_is_forgotten_and_sends_the_rest_again() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], &bounded("wait")));
    let mut stream = server.accept();
    send(&mut stream, "a", "table2", MAX + 50);
    engine.wait("the source waits", |it| number(it, "sources_held") == 1);
    drop(stream);
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&table2.frames(MAX + 50)), names("a", 0..MAX + 50));
    let mut stream = server.accept();
    send(&mut stream, "a", "table2", MAX + 60);
    let last = names("a", MAX + 50..MAX + 60);
    assert_eq!(ids(&table2.frames(10)), last, "the others were duplicates");
    engine.wait("nobody waits", |it| {
        number(it, "sources_held") == 0 && number(it, "settled") == (MAX + 60) as u64
    });
}

#[test]
fn a_message_that_finds_no_room_is_rejected_where_the_settings_say_so() {
    let settings = format!(
        "source = []\n{}[ingest]\nlisten = \"127.0.0.1:0\"\n",
        bounded("reject")
    );
    let engine = Engine::start(&settings);
    let mut producer = dial(&engine);
    producer
        .set_read_timeout(Some(PATIENCE))
        .expect("an option");
    writeln!(producer, "{{\"producer\":{{\"ack\":true}}}}").expect("it reads");
    send(&mut producer, "a", "table2", MAX + 50);
    let mut acks = BufReader::new(producer.try_clone().expect("a descriptor")).lines();
    let all = format!("{{\"ack\":{}}}", MAX + 50);
    assert!(acks.any(|line| line.expect("a line") == all));
    let stats = engine.wait("all is judged", |it| {
        number(it, "received") == (MAX + 50) as u64
    });
    assert_eq!(number(&stats, "accepted"), MAX as u64);
    assert_eq!(stats["rejected_by_reason"]["queue_full"], 50);
    let kept = engine.rejected_lines();
    assert_eq!(kept.len(), 50);
    for (at, line) in (MAX..).zip(kept) {
        let entry: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(entry["reason"], "queue_full");
        let frame = frame(&format!("a-{at}"), "table2", 2);
        assert_eq!(entry["line"].as_str(), Some(&*frame), "whole");
    }
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&table2.frames(MAX)), names("a", 0..MAX));
    // The window moves on in steps; how many it takes now depends on how far it has come.
    engine.wait("all is settled", |it| number(it, "settled") == MAX as u64);
    send(&mut producer, "b", "table2", 1);
    assert_eq!(ids(&table2.frames(1)), names("b", 0..1));
}

#[test]
fn what_waits_after_a_restart_takes_its_room() {
    let settings = format!(
        "source = []\n{}[ingest]\nlisten = \"127.0.0.1:0\"\n",
        bounded("wait")
    );
    let engine = Engine::start(&settings);
    let home = Arc::clone(&engine.home);
    send(&mut dial(&engine), "a", "table2", MAX - 10);
    wait_recorded(&engine, (MAX - 10) as u64);
    engine.kill();
    let engine = Engine::start_in(home, &settings);
    let mut producer = dial(&engine);
    send(&mut producer, "b", "table2", 30);
    engine.wait("the source waits", |it| number(it, "sources_held") == 1);
    engine.wait("as many wait as may", |it| {
        number(it, "queued") == MAX as u64
    });
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    let expected = [names("a", 0..MAX - 10), names("b", 0..30)].concat();
    assert_eq!(ids(&table2.frames(MAX + 20)), expected);
}
