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
    assert!(files(home.path(), ".free").len() <= 4);
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
