//! What survives: engines are killed, stopped, cut short and starved of room, on one data directory.
//!
//! `FLIPPED_LB_TEST_KILLS=200 cargo test --release --test durability killed` is a longer run.

mod damage;
mod full_disk;
mod killed;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

/// An engine that only listens for producers.
const LISTENING: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
/// The same without a store.
const STORELESS: &str = "source = []\nstore = { url = \"none\" }\njournal = { segment = \"4MiB\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n";

const SEGMENT_HEADER_LEN: u64 = 64;
const BATCH_HEADER_LEN: u64 = 48;

type Home = Arc<tempfile::TempDir>;

fn home() -> Home {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

/// One row a message, and all of them delivered.
fn assert_all_delivered(home: &Path, count: usize) {
    let database = database(home);
    let expected = count as i64;
    let ask = |query| number(&database, query);
    assert_eq!(ask("SELECT COUNT(*) FROM messages"), expected);
    assert_eq!(
        ask("SELECT COUNT(DISTINCT messageId) FROM messages"),
        expected
    );
    let delivered = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'
        AND delivered_at >= created_at";
    assert_eq!(ask(delivered), expected);
}

fn ids(frames: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["messageId"].as_str().expect("an id").to_owned();
    frames.iter().map(id).collect()
}

fn frames(name: &str, destination: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), destination, 2))
        .collect()
}

fn database(home: &Path) -> Connection {
    let path = home.join("data/messages.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{name}-{at}")).collect()
}

fn number(database: &Connection, query: &str) -> i64 {
    database
        .query_row(query, [], |row| row.get(0))
        .expect("a number")
}

fn cut(path: &Path, len: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path);
    file.expect("a segment")
        .set_len(len)
        .expect("a shorter one");
}

/// A producer: what it has to send, and what the engine has not taken responsibility for.
#[derive(Default)]
struct Producer {
    unacknowledged: VecDeque<String>,
}

impl Producer {
    fn dial(engine: &Engine) -> TcpStream {
        let address = engine.ingest.expect("it listens");
        let mut stream = TcpStream::connect(address).expect("the producers' address");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let hello = b"{\"producer\":{\"ack\":true}}\n";
        stream.write_all(hello).expect("it takes a line");
        stream
    }

    /// Sends everything, on a new connection, and returns when all of it is acknowledged or the
    /// connection is gone; `sent` is told how many lines were written.
    fn exchange(&mut self, stream: TcpStream, sent: &AtomicUsize) {
        let lines: Vec<String> = self.unacknowledged.iter().cloned().collect();
        let (mut to, count) = (stream.try_clone().expect("a descriptor"), lines.len());
        thread::scope(|scope| {
            scope.spawn(move || {
                for burst in lines.chunks(16) {
                    // An engine that is gone is no error here: it is what the tests are about.
                    if to.write_all((burst.join("\n") + "\n").as_bytes()).is_err() {
                        return;
                    }
                    sent.fetch_add(burst.len(), Ordering::Relaxed);
                }
            });
            let acknowledged = read_acks(&stream, count);
            self.unacknowledged.drain(..acknowledged);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Up to where a segment has batches: behind the last one there may be room, set aside.
fn written_len(path: &Path) -> u64 {
    let bytes = std::fs::read(path).expect("a segment");
    bytes.iter().rposition(|&it| it != 0).expect("a batch") as u64 + 1
}

fn segment(home: &Path, number: u64) -> PathBuf {
    home.join(format!("data/journal/{number:020}.segment"))
}

/// Sends lines and waits until the engine has taken all of them.
fn publish(engine: &Engine, lines: Vec<String>) {
    let mut producer = Producer {
        unacknowledged: lines.into(),
    };
    producer.exchange(Producer::dial(engine), &AtomicUsize::new(0));
    assert!(producer.unacknowledged.is_empty(), "{}", engine.log());
}

/// How many lines were acknowledged when all of them were, or the connection ended.
fn read_acks(stream: &TcpStream, count: usize) -> usize {
    let mut acknowledged = 0;
    for line in BufReader::new(stream).lines() {
        let Ok(Ok(line)) = line.map(|it| serde_json::from_str::<Value>(&it)) else {
            break;
        };
        acknowledged = line["ack"].as_u64().expect("an acknowledgement") as usize;
        assert!(acknowledged <= count, "{acknowledged} of {count}");
        if acknowledged == count {
            break;
        }
    }
    acknowledged
}
