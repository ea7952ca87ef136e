//! A disk that is full, for real: a small file system of the test's own that the journal, or
//! somebody else, fills. Delivery and settling go on, what is settled makes room, and nothing that was
//! settled comes again.

#[path = "support/small_disk.rs"]
mod small_disk;
mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use small_disk::SmallDisk;
use support::{Engine, PATIENCE, Subscriber, frame};

/// The store and the dedup window hold no segment.
const SETTINGS: &str = "source = []\nstore = { url = \"none\" }\njournal = { segment = \"4MiB\" }\n\
     dedup = { window_messages = 100 }\nstats = { interval = \"0s\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Sends frames of some 500 bytes on a connection of its own; ends when all are acknowledged.
fn publish(engine: &Engine, name: &'static str, count: usize) -> JoinHandle<()> {
    publish_filled(engine, name, count, 360)
}

fn publish_filled(
    engine: &Engine,
    name: &'static str,
    count: usize,
    fill_len: usize,
) -> JoinHandle<()> {
    let stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut to = stream.try_clone().expect("a descriptor");
    thread::spawn(move || {
        thread::scope(|scope| {
            scope.spawn(move || {
                to.write_all(b"{\"producer\":{\"ack\":true}}\n")
                    .expect("it takes a line");
                for at in 0..count {
                    let line = frame(&format!("{name}-{at}"), "table1", 2);
                    let fill = format!("\"n\":\"{}\"", "x".repeat(fill_len));
                    let line = line.replace("\"n\":1", &fill) + "\n";
                    // An engine that stops takes no more.
                    if to.write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
            });
            for answer in BufReader::new(&stream).lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&answer).expect("JSON");
                if answer["ack"].as_u64() == Some(count as u64) {
                    break;
                }
            }
        });
    })
}

/// What is remembered, carried and stored as it is by default, on a disk that holds few segments.
/// The store may take its time on a machine that does other things: nobody is cut for that.
const DEFAULTS: &str = "source = []\nstats = { interval = \"0s\" }\n\
     delivery = { ack_timeout = \"10m\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n";

/// The same with small segments, for a small disk, and without a store.
const SMALL: &str = "source = []\nstore = { url = \"none\" }\njournal = { segment = \"4MiB\" }\n\
     stats = { interval = \"0s\" }\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Takes so many messages, each once; with acknowledgements where `ack` says so.
fn take_all(engine: &Engine, count: usize, ack: bool) {
    let mut subscriber = Subscriber::new(engine, &["table1"], ack);
    let mut seen = HashSet::new();
    let mut unacknowledged = 0;
    for at in 1..=count {
        let frame = subscriber.frame().expect("a frame");
        let id = frame["messageId"].as_str().expect("an id").to_owned();
        assert!(seen.insert(id), "once each: {frame}");
        unacknowledged += 1;
        if ack && (unacknowledged == 100 || at == count) {
            subscriber.ack(at as u64);
            unacknowledged = 0;
        }
    }
    wait_for_settlements(engine, count as u64);
}

/// The disk fills, the subscriber takes all, the sources go on at once, whatever the dedup window
/// remembers; after a kill nothing comes again, and what is sent again is known.
fn heals(mib: u32, settings: &str, count: usize, ack: bool) {
    let disk = SmallDisk::new(mib);
    let engine = disk.start(settings);
    let publisher = publish(&engine, "m", count);
    engine.wait("the disk is full", |it| it["journal_waiting"] == 1);
    take_all(&engine, count, ack);
    publisher.join().expect("all of it was acknowledged");
    engine.wait("there is room", |it| it["journal_waiting"] == 0);
    assert_eq!(engine.get("/readyz").0, 200, "{}", engine.get("/readyz").1);
    engine.kill();

    let engine = disk.start(settings);
    assert_eq!(engine.count("recovered"), 0, "all of it was settled");
    publish(&engine, "m", count)
        .join()
        .expect("all of it was acknowledged");
    let stats = engine.stats();
    assert_eq!(stats["duplicates"], count, "{stats}");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_full_disk_heals_while_the_dedup_window_remembers_all_of_it() {
    heals(40, SMALL, 200_000, false);
}

#[test]
fn a_full_disk_heals_by_what_is_acknowledged_while_all_of_it_is_remembered() {
    heals(40, SMALL, 100_000, true);
}

#[test]
fn a_full_disk_heals_with_default_settings_and_the_database_on_it() {
    heals(192, DEFAULTS, 120_000, true);
}

fn wait_for_settlements(engine: &Engine, count: u64) {
    engine.wait("all settlements are recorded", |it| {
        it["settled"] == count && it["journal_settled"] == count
    });
}

#[test]
fn a_full_disk_heals_by_what_is_delivered_and_nothing_of_it_comes_again() {
    const COUNT: usize = 150_000;
    let disk = SmallDisk::new(40);
    let engine = disk.start(SETTINGS);
    let publisher = publish(&engine, "m", COUNT);
    engine.wait("the disk is full", |it| it["journal_waiting"] == 1);
    let (status, why) = engine.get("/readyz");
    let why_and_since = why.contains("the journal's disk") && why.contains("; since 20");
    assert!(status == 503 && why_and_since, "{status} {why}");
    engine.wait("what takes the disk is told", |_| {
        let why = engine.get("/readyz").1;
        why.contains("MiB there, ") && why.contains("([journal] max_bytes)")
    });
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut seen = HashSet::new();
    for _ in 0..COUNT {
        let frame = subscriber.frame().expect("a frame");
        let id = frame["messageId"].as_str().expect("an id").to_owned();
        assert!(seen.insert(id), "once each: {frame}");
    }
    publisher.join().expect("all of it was acknowledged");
    wait_for_settlements(&engine, COUNT as u64);
    assert_eq!(engine.get("/readyz").0, 200);
    engine.wait_for_log("has room again");
    engine.kill();

    let engine = disk.start(SETTINGS);
    assert_eq!(engine.count("recovered"), 0, "all of it was settled");
    assert_eq!(engine.stop().code, Some(0));
}

/// Some 6,000 of these fill the frame memory, less than the journal's gate would hold.
#[test]
fn what_waits_on_a_full_disk_is_delivered_while_accepted_frames_fill_the_memory() {
    const COUNT: usize = 16_000;
    let disk = SmallDisk::new(48);
    let engine = disk.start(SETTINGS);
    let publisher = publish_filled(&engine, "m", COUNT, 10_000);
    engine.wait("the disk is full", |it| it["journal_waiting"] == 1);
    let before = Cell::new(0);
    engine.wait("no more is accepted", |it| {
        let accepted = it["accepted"].as_u64().expect("a count");
        before.replace(accepted) == accepted && it["journal_recorded"] != it["accepted"]
    });
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    subscriber.frames(COUNT);
    publisher.join().expect("all of it was acknowledged");
    wait_for_settlements(&engine, COUNT as u64);
}

/// Sends wrong lines until the engine reads no more, or is gone.
fn flood(engine: &Engine) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("a connection");
    thread::spawn(move || {
        let wrong = "[".repeat(60_000) + "\n";
        while stream.write_all(wrong.as_bytes()).is_ok() {}
    })
}

#[test]
fn a_flood_of_wrong_lines_leaves_the_disk_to_messages_and_goes_on_when_there_is_room() {
    const COUNT: usize = 10_000;
    let disk = SmallDisk::new(64);
    let engine = disk.start(SETTINGS);
    let flooder = flood(&engine);
    engine.wait("the flood is held", |it| it["rejected_held"] == 1);
    let held = engine.wait("it is told", |it| it["rejected_full"] == 1);
    assert_eq!(held["rejected_unwritable"], 0, "no write has failed");
    let (status, why) = engine.get("/readyz");
    assert!(
        status == 200 && why.contains("room on its disk"),
        "{status} {why}"
    );

    let publisher = publish(&engine, "m", COUNT);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    for _ in 0..COUNT {
        subscriber.frame().expect("a frame");
    }
    publisher.join().expect("all of it was acknowledged");
    assert_eq!(engine.count("journal_full"), 0);

    let kept = engine.count("rejected");
    disk.shell(&format!("rm {}/data/rejected*", disk.home.path().display()));
    engine.wait("more is kept", |it| {
        it["rejected"].as_u64() > Some(kept + 100)
    });
    engine.wait_for_log("rejected.ndjson takes lines again");
    drop(engine);
    flooder.join().expect("the engine is gone");
}

/// An engine that has accepted messages on a full disk, and told their source so.
fn full_with_memory(disk: &SmallDisk, count: usize) -> Engine {
    let engine = disk.start(&format!("durability = \"memory\"\n{SETTINGS}"));
    publish(&engine, "first", 10).join().expect("they fit");
    disk.fill();
    publish(&engine, "m", count)
        .join()
        .expect("they are accepted");
    engine.wait("the disk is full", |it| it["journal_waiting"] == 1);
    engine
}

#[test]
fn a_stop_waits_for_room_and_loses_nothing() {
    let disk = SmallDisk::new(48);
    let mut engine = full_with_memory(&disk, 30_000);
    engine.signal("TERM");
    thread::sleep(std::time::Duration::from_secs(7));
    disk.give_back();
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let engine = disk.start(SETTINGS);
    assert_eq!(engine.count("recovered"), 30_010);
}

#[test]
fn a_hurried_stop_on_a_full_disk_says_how_much_it_leaves_behind() {
    let disk = SmallDisk::new(48);
    let mut engine = full_with_memory(&disk, 30_000);
    let left = 30_010 - engine.count("journal_recorded");
    assert!(left > 0);
    engine.signal("TERM");
    engine.wait_for_log("not recorded: ");
    engine.signal("TERM");
    let ended = engine.ended();
    let words = format!("left={left}: messages accepted and not recorded: {left};");
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains(&words), "{words}: {}", ended.log);
    assert!(ended.stdout.contains(&words), "{words}: {}", ended.stdout);
}

#[test]
fn what_is_settled_on_a_full_disk_is_known_after_a_kill_on_the_full_disk() {
    const COUNT: usize = 20_000;
    let disk = SmallDisk::new(64);
    let engine = disk.start(SETTINGS);
    publish(&engine, "m", COUNT).join().expect("they fit");
    disk.fill();
    let late = publish(&engine, "late", 3 * COUNT);
    engine.wait("the disk is full", |it| it["journal_waiting"] == 1);
    let mut subscriber = Subscriber::new(&engine, &["table1"], true);
    let recorded = engine.count("journal_recorded");
    subscriber.frames(recorded as usize);
    subscriber.ack(recorded);
    engine.wait("they are settled", |it| {
        it["settled"].as_u64() >= Some(recorded) && it["settled"] == it["journal_settled"]
    });
    drop(subscriber);
    engine.kill();
    let _ = late.join();

    // Still full, but for what was settled.
    let engine = disk.start(SETTINGS);
    // What was settled made room for some more, which nobody has settled.
    let stats = engine.stats();
    let unsettled = stats["recovered"].as_u64().expect("a count");
    let last = stats["last_sequence"].as_u64().expect("a count");
    assert_eq!(
        unsettled,
        last - recorded,
        "those of before were settled: {stats}"
    );
    disk.give_back();
    publish(&engine, "more", 100).join().expect("there is room");
    engine.wait("there is room", |it| it["journal_waiting"] == 0);
}
