//! What the journal lets go, and what it must not.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use support::{Engine, PATIENCE, Subscriber, frame};

/// Bytes of a segment: the smallest there are.
const SEGMENT: u64 = 4 << 20;
/// Bytes of payload that make a segment of some seventy frames.
const FAT: usize = 60_000;

fn settings(rest: &str) -> String {
    format!(
        "source = []\nstats = {{ interval = \"0s\" }}\n[ingest]\nlisten = \"127.0.0.1:0\"\n{rest}\n"
    )
}

/// Few ids are remembered, nothing is stored: settled segments go at once.
const BRIEF: &str = "store = { url = \"none\" }\ndedup = { window_messages = 100 }\n\
     journal = { segment = \"4MiB\" }";

/// Settings as above with `head` before the tables.
fn with(head: &str) -> String {
    format!("{head}\n{}", settings(""))
}

fn fat(id: &str, destination: &str) -> String {
    let text = frame(id, destination, 2);
    text.replace(
        "\"payload\":{\"n\":1}",
        &format!("\"payload\":{{\"n\":\"{}\"}}", "x".repeat(FAT)),
    )
}

/// Sends lines and waits until the engine has taken responsibility for all of them.
fn publish(engine: &Engine, lines: &[String]) {
    let stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut to = stream.try_clone().expect("a descriptor");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            to.write_all(b"{\"producer\":{\"ack\":true}}\n")
                .expect("it takes a line");
            for line in lines {
                to.write_all(line.as_bytes()).expect("it takes bytes");
                to.write_all(b"\n").expect("it takes bytes");
            }
        });
        let wanted = lines.len() as u64;
        for answer in BufReader::new(&stream).lines() {
            let answer: Value = serde_json::from_str(&answer.expect("an answer")).expect("JSON");
            if answer["ack"].as_u64() == Some(wanted) {
                break;
            }
        }
    });
    let _ = stream.shutdown(Shutdown::Both);
}

/// Names of files in the journal's folder that end so, in order.
fn files(home: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(home.join("data/journal"))
        .expect("a folder")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|it| it.ends_with(ending))
        .collect();
    names.sort();
    names
}

fn ids(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|it| it["messageId"].as_str().expect("an id"))
        .collect()
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}-{at}")).collect()
}

/// Publishes fat messages and takes each of them, a handful at a time.
fn pass_through(engine: &Engine, subscriber: &mut Subscriber, prefix: &str, count: usize) {
    for part in names(prefix, count).chunks(50) {
        let lines: Vec<String> = part.iter().map(|it| fat(it, "table1")).collect();
        publish(engine, &lines);
        assert_eq!(ids(&subscriber.frames(part.len())), *part);
    }
}

#[test]
fn a_long_run_takes_little_disk_writes_segments_over_and_restarts_whole() {
    let engine = Engine::start(&with(BRIEF));
    let home = Arc::clone(&engine.home);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    for round in 0..6 {
        pass_through(&engine, &mut subscriber, &format!("r{round}"), 200);
        // 100 ids, 6 MB, are remembered: that is three segments and the one that is being filled.
        let stats = engine.wait("old segments go", |it| {
            it["journal_segments"].as_u64() <= Some(5)
        });
        assert!(
            stats["journal_disk"].as_u64() <= Some(9 * SEGMENT),
            "{stats}"
        );
    }
    assert!(engine.count("journal_recycled") >= 8, "{}", engine.stats());
    assert!(files(home.path(), ".segment").len() <= 5);
    // One of them is set aside for a kept file.
    assert!(files(home.path(), ".free").len() <= 5);
    assert!(!files(home.path(), ".segment")[0].starts_with("00000000000000000000"));
    drop(subscriber);
    engine.kill();

    let engine = Engine::start_in(home, &with(BRIEF));
    assert_eq!(engine.count("queued"), 0, "all of it was settled");
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut lines: Vec<String> = names("r5", 200).split_off(101);
    lines.push("new".to_owned());
    let lines: Vec<String> = lines.iter().map(|it| fat(it, "table1")).collect();
    publish(&engine, &lines);
    assert_eq!(ids(&subscriber.frames(1)), ["new"], "the others are known");
    assert_eq!(engine.count("duplicates"), 99);
}

#[test]
fn a_message_for_an_absent_subscriber_does_not_hold_the_disk_and_is_delivered_once_after_a_kill() {
    let engine = Engine::start(&with(BRIEF));
    let home = Arc::clone(&engine.home);
    let held: Vec<String> = names("held", 3)
        .iter()
        .map(|it| fat(it, "table2"))
        .collect();
    publish(&engine, &held[..1]);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    for round in 0..4 {
        pass_through(&engine, &mut subscriber, &format!("r{round}"), 200);
        if round < 2 {
            publish(&engine, &held[round + 1..round + 2]);
        }
    }
    let stats = engine.wait("what holds the segments is carried forward", |it| {
        it["journal_segments"].as_u64() <= Some(6)
            && it["journal_carried"].as_u64() >= Some(3)
            && files(home.path(), ".segment").len() <= 6
    });
    assert!(
        stats["journal_disk"].as_u64() <= Some(10 * SEGMENT),
        "{stats}"
    );
    assert_eq!(stats["queued"], 3);
    assert!(!files(home.path(), ".kept").is_empty());
    drop(subscriber);
    engine.kill();

    let engine = Engine::start_in(Arc::clone(&home), &with(BRIEF));
    assert_eq!(engine.count("queued"), 3);
    let mut absent = Subscriber::new(&engine, &["table2"], true);
    let frames = absent.frames(3);
    assert_eq!(ids(&frames), ["held-0", "held-1", "held-2"]);
    assert_eq!(
        frames[0].to_string().len(),
        serde_json::from_str::<Value>(&held[0])
            .expect("JSON")
            .to_string()
            .len()
    );
    absent.ack(3);
    engine.wait("they are settled", |it| {
        it["queued"] == 0 && it["in_flight"] == 0
    });
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    pass_through(&engine, &mut subscriber, "later", 300);
    engine.wait(
        "the kept file goes as well, and all settlements are recorded",
        |it| {
            files(home.path(), ".kept").is_empty()
                && it["in_flight"] == 0
                && it["journal_settled"] == it["settled"]
        },
    );
    engine.kill();

    let engine = Engine::start_in(home, &with(BRIEF));
    assert_eq!(engine.count("queued"), 0, "nothing comes twice");
}

#[test]
fn a_message_that_was_carried_forward_is_read_back_while_the_engine_runs() {
    let engine = Engine::start(&with(BRIEF));
    let fats = |prefix: &str, destination: &str, count| -> Vec<String> {
        let names = names(prefix, count);
        names.iter().map(|it| fat(it, destination)).collect()
    };
    publish(&engine, &fats("held", "table2", 3));
    // More than the frame memory waits, so that the held ones can only come from the journal.
    publish(&engine, &fats("crowd", "table3", 1_300));
    engine.wait("the oldest leave memory", |it| {
        it["chunks_evicted"].as_u64() > Some(0)
    });
    let mut crowd = Subscriber::new(&engine, &["table3"], false);
    assert_eq!(ids(&crowd.frames(1_300)), names("crowd", 1_300));
    engine.wait("the held ones are carried forward", |it| {
        it["journal_carried"].as_u64() >= Some(3) && it["journal_segments"].as_u64() <= Some(6)
    });
    let fetched = engine.count("fetched");
    let mut absent = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&absent.frames(3)), names("held", 3));
    assert_eq!(engine.count("fetched"), fetched + 3);
}

#[test]
fn at_max_bytes_sources_wait_delivery_goes_on_and_room_lets_them_in_again() {
    let settings = with(
        "store = { url = \"none\" }\ndedup = { window_messages = 100 }\n\
         journal = { segment = \"4MiB\", max_bytes = \"32MiB\" }",
    );
    let engine = Engine::start(&settings);
    let count = 1_000;
    let all = names("m", count);
    let lines: Vec<String> = all.iter().map(|it| fat(it, "table1")).collect();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&engine, &lines));
        let stats = engine.wait("the limit is reached", |it| {
            it["journal_limit"].as_u64() > Some(0)
        });
        assert!(
            stats["accepted"].as_u64() < Some(700),
            "60 MB do not fit: {stats}"
        );
        let (status, body) = engine.get("/readyz");
        assert_eq!(status, 503);
        assert!(body.contains("journal.max_bytes"), "{body}");
        assert!(
            body.contains("absent or slow") && body.contains("; since 20"),
            "{body}"
        );
        assert_eq!(engine.get("/healthz").0, 200, "it is well");
        engine.wait_until_logged("it is told", |log| {
            log.contains("absent or slow") && log.contains("max_bytes")
        });
        let mut subscriber = Subscriber::new(&engine, &["table1"], false);
        assert_eq!(ids(&subscriber.frames(count)), all);
        publisher.join().expect("all of it was accepted");
    });
    let stats = engine.wait("room", |it| {
        it["journal_disk"].as_u64() <= Some(8 * SEGMENT)
    });
    assert_eq!(stats["accepted"], count);
    engine.wait("it is ready again", |_| engine.get("/readyz").0 == 200);
}

#[test]
fn segments_stay_until_the_store_has_followed() {
    let settings = with("dedup = { window_messages = 100 }\njournal = { segment = \"4MiB\" }");
    let engine = Engine::start(&settings);
    let home = Arc::clone(&engine.home);
    engine.wait("the database is there", |_| {
        home.path().join("data/messages.db").exists()
    });
    let lock = rusqlite::Connection::open(home.path().join("data/messages.db")).expect("it opens");
    lock.busy_timeout(PATIENCE).expect("an option");
    lock.execute_batch("BEGIN IMMEDIATE")
        .expect("nobody holds it for long");
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    pass_through(&engine, &mut subscriber, "r", 600);
    engine.wait("the store fails", |it| {
        it["store_retries"].as_u64() > Some(0)
    });
    assert!(engine.count("journal_segments") >= 8);
    assert_eq!(engine.count("journal_recycled"), 0);
    lock.execute_batch("ROLLBACK").expect("it lets go");
    engine.wait("they go", |it| it["journal_segments"].as_u64() <= Some(5));
    engine.wait("all is stored", |it| it["stored"] == 600);
}
