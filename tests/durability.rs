//! What survives: engines are killed, stopped, cut short and starved of room, on one data directory.
//!
//! `FLIPPED_LB_TEST_KILLS=200 cargo test --release --test durability killed` is a longer run.

mod support;

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

// ---- producers that resend what was not acknowledged ----

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

/// Sends lines and waits until the engine has taken all of them.
fn publish(engine: &Engine, lines: Vec<String>) {
    let mut producer = Producer {
        unacknowledged: lines.into(),
    };
    producer.exchange(Producer::dial(engine), &AtomicUsize::new(0));
    assert!(producer.unacknowledged.is_empty(), "{}", engine.log());
}

fn frames(name: &str, destination: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), destination, 2))
        .collect()
}

fn ids(frames: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["messageId"].as_str().expect("an id").to_owned();
    frames.iter().map(id).collect()
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{name}-{at}")).collect()
}

// ---- the database ----

fn database(home: &Path) -> Connection {
    let path = home.join("data/messages.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

fn number(database: &Connection, query: &str) -> i64 {
    database
        .query_row(query, [], |row| row.get(0))
        .expect("a number")
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

// ---- killed at random moments ----

/// What subscribers saw over all lives of the engine.
#[derive(Default)]
struct Sightings {
    seen: HashSet<String>,
    /// By source, destination and level: the number of the last first sighting.
    last: HashMap<(String, String, u64), u64>,
}

impl Sightings {
    fn note(&mut self, frame: &Value, announced: bool) {
        let text = |name: &str| frame[name].as_str().expect("text").to_owned();
        let id = text("messageId");
        if !self.seen.insert(id.clone()) {
            assert!(announced, "{id} came again without a word");
            return;
        }
        let (source, destination) = (text("sourceServerId"), text("destinationId"));
        // `table1` is a VIP.
        let level = match destination.as_str() {
            "table1" => 1,
            _ => frame["priority"].as_u64().expect("a number"),
        };
        let at = frame["payload"]["n"].as_u64();
        let last = self
            .last
            .insert((source, destination, level), at.expect("n"));
        assert!(last < at, "{id} after {last:?}: {frame}");
    }
}

/// Subscribes, acknowledges now and then, and gives back what it saw when the connection ended:
/// each frame, and whether it was announced as possibly seen.
fn watch(
    engine: &Engine,
    destinations: &[&str],
    count: &Arc<AtomicUsize>,
) -> JoinHandle<Vec<(Value, bool)>> {
    let mut subscriber = Subscriber::new(engine, destinations, true);
    let count = Arc::clone(count);
    thread::spawn(move || {
        let (mut gathered, mut again, mut line) = (Vec::new(), 0, String::new());
        let mut acknowledged = 0;
        // A line that the end cut off was not received.
        while subscriber.stream.read_line(&mut line).is_ok() && line.ends_with('\n') {
            let value: Value = serde_json::from_str(&line).expect("JSON");
            line.clear();
            if let Some(announced) = value["again"].as_u64() {
                assert_eq!(again, 0, "the last announcement is used up");
                again = announced;
                continue;
            }
            gathered.push((value, again > 0));
            again = again.saturating_sub(1);
            count.fetch_add(1, Ordering::Relaxed);
            let is_due =
                gathered.len() >= acknowledged + 16 || subscriber.stream.buffer().is_empty();
            if is_due {
                acknowledged = gathered.len();
                let ack = format!("{{\"ack\":{acknowledged}}}\n");
                // The engine may have been killed meanwhile.
                let _ = subscriber.stream.get_mut().write_all(ack.as_bytes());
            }
        }
        gathered
    })
}

fn order(source: usize, at: usize) -> String {
    let destination = ["table1", "table2", "table3"][at % 3];
    let priority = 1 + at / 3 % 3;
    // Clocks that are far behind must not carry a message past those of an earlier life.
    let time = if at.is_multiple_of(2) {
        ""
    } else {
        "\"timestamp\":1,"
    };
    format!(
        "{{\"messageId\":\"p{source}-{at}\",\"sourceServerId\":\"p{source}\",\
         \"destinationId\":\"{destination}\",\"messageType\":\"lunch\",\"priority\":{priority},\
         {time}\"payload\":{{\"n\":{at}}}}}"
    )
}

/// One life of an engine: everything is sent, and it is killed when so many frames were written to
/// it, or seen by subscribers; without `kill` it is stopped in good order when all is settled.
fn live(
    home: &Home,
    producers: &mut [Producer],
    sightings: &mut Sightings,
    kill: Option<(bool, usize)>,
) {
    let engine = Engine::start_in(Arc::clone(home), LISTENING);
    let (sent, seen) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let watchers = [
        watch(&engine, &["table1", "table2"], &seen),
        watch(&engine, &["table3"], &seen),
    ];
    thread::scope(|scope| {
        for producer in producers.iter_mut() {
            let stream = Producer::dial(&engine);
            let sent = &sent;
            scope.spawn(move || producer.exchange(stream, sent));
        }
        if let Some((by_sent, target)) = kill {
            let begun = Instant::now();
            let counted = if by_sent { &sent } else { &*seen };
            while counted.load(Ordering::Relaxed) < target {
                assert!(begun.elapsed() < PATIENCE, "{}", engine.log());
                thread::sleep(Duration::from_micros(200));
            }
            engine.signal("KILL");
        }
    });
    match kill {
        Some(_) => engine.kill(),
        None => {
            let settled = |it: &Value| it["queued"] == 0 && it["in_flight"] == 0;
            engine.wait("all is settled", settled);
            let ended = engine.stop();
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
    }
    for watcher in watchers {
        let gathered = watcher.join().expect("every line was right");
        gathered
            .iter()
            .for_each(|(frame, announced)| sightings.note(frame, *announced));
    }
}

#[test]
fn an_engine_killed_at_random_moments_loses_nothing_and_doubles_nothing() {
    let rounds = std::env::var("FLIPPED_LB_TEST_KILLS").map_or(8, |it| it.parse().expect("N"));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let home = home();
    let mut producers: [Producer; 3] = Default::default();
    let mut sightings = Sightings::default();
    let per_round = 700;
    for round in 0..rounds {
        for (source, producer) in producers.iter_mut().enumerate() {
            let new = round * per_round..(round + 1) * per_round;
            producer
                .unacknowledged
                .extend(new.map(|at| order(source, at)));
        }
        let kill = (rng.bool(), rng.usize(0..per_round * 3));
        live(&home, &mut producers, &mut sightings, Some(kill));
    }
    live(&home, &mut producers, &mut sightings, None);
    assert!(producers.iter().all(|it| it.unacknowledged.is_empty()));
    assert_eq!(sightings.seen.len(), rounds * per_round * 3);
    assert_all_delivered(home.path(), sightings.seen.len());
}

#[test]
fn a_duplicate_of_what_was_settled_before_the_crash_is_recognised() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    publish(&engine, frames("early", "table2", 100));
    assert_eq!(ids(&subscriber.frames(100)), names("early", 100));
    // What the store has seen settled stands in the journal.
    engine.wait("all is settled", |it| it["stored_settled"] == 100);
    engine.kill();
    let engine = Engine::start_in(home, LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    publish(&engine, frames("early", "table2", 100));
    publish(&engine, frames("late", "table2", 1));
    assert_eq!(ids(&subscriber.frames(1)), ["late-0"]);
    let stats = engine.stats();
    assert_eq!(stats["recovered"], 0);
    assert_eq!(stats["duplicates"], 100);
}

// ---- messages that wait ----

/// All that waited comes first, announced, and in its order; then what is new, without a word.
fn assert_again(engine: &Engine, count: usize) {
    let mut subscriber = Subscriber::new(engine, &["table2"], true);
    let (mut old, mut announced) = (Vec::new(), 0);
    while old.len() < count {
        let line = subscriber.line().expect("a line");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        match value["again"].as_u64() {
            Some(more) => announced += more,
            None => old.push(value),
        }
        // Not one at a time: that the engine goes on without waiting for it is `delivery`'s test.
        if old.len().is_multiple_of(50) || old.len() == count {
            subscriber.ack(old.len() as u64);
        }
    }
    assert_eq!(announced, count as u64);
    assert_eq!(ids(&old), names("wait", count));
    publish(engine, frames("new", "table2", 1));
    let line = subscriber.line().expect("a line");
    assert!(line.contains("new-0"), "{line}");
    subscriber.ack(count as u64 + 1);
    engine.wait("all is settled", |it| it["settled"] == count + 1);
}

#[test]
fn what_waits_for_an_absent_subscriber_survives_a_stop_and_is_announced() {
    for mode in ["shared", "dedicated"] {
        let settings = format!("threads = {{ mode = \"{mode}\" }}\n{LISTENING}");
        let home = home();
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        publish(&engine, frames("wait", "table2", 2_000));
        assert_eq!(engine.stop().code, Some(0));
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        assert_eq!(engine.count("recovered"), 2_000);
        assert_again(&engine, 2_000);
        assert_eq!(engine.stop().code, Some(0));
        assert_all_delivered(home.path(), 2_001);
    }
}

#[test]
fn a_clock_that_is_behind_carries_no_message_past_those_of_an_earlier_life() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), STORELESS);
    publish(&engine, frames("wait", "table2", 1));
    engine.kill();
    let engine = Engine::start_in(home, STORELESS);
    let behind = frame("behind", "table2", 2).replace("\"payload\"", "\"timestamp\":1,\"payload\"");
    publish(&engine, vec![behind]);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(2)), ["wait-0", "behind"]);
}

// ---- a damaged journal ----

fn segment(home: &Path, number: u64) -> PathBuf {
    home.join(format!("data/journal/{number:020}.segment"))
}

/// Leaves a journal of ten messages in one batch or more, and one message in a last batch of its
/// own; returns where that begins and ends.
fn leave_journal(home: &Home, number: u64) -> (u64, u64) {
    let engine = Engine::start_in(Arc::clone(home), STORELESS);
    let len = || written_len(&segment(home.path(), number));
    publish(&engine, frames(&format!("first{number}"), "table2", 10));
    let begin = len();
    publish(&engine, frames(&format!("last{number}"), "table2", 1));
    let end = len();
    engine.kill();
    cut(&segment(home.path(), number), end);
    (begin, end)
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[offset as usize] ^= 0x10;
    std::fs::write(path, bytes).expect("a segment");
}

/// Up to where a segment has batches: behind the last one there may be room, set aside.
fn written_len(path: &Path) -> u64 {
    let bytes = std::fs::read(path).expect("a segment");
    bytes.iter().rposition(|&it| it != 0).expect("a batch") as u64 + 1
}

fn cut(path: &Path, len: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path);
    file.expect("a segment")
        .set_len(len)
        .expect("a shorter one");
}

/// What an engine says that does not start.
fn refusal(home: &Home, settings: &str) -> String {
    let file = home.path().join("flipped-lb.toml");
    std::fs::write(&file, settings).expect("a settings file");
    let output = Command::new(ENGINE)
        .args(["run", "--config"])
        .arg(&file)
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the engine's binary");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_torn_tail_is_cut_and_told_and_the_engine_goes_on() {
    // How the tail is torn, bytes cut, and whether the last message is lost.
    type Tear = (fn(&Path, u64, u64), fn(u64) -> u64, bool);
    let tears: [Tear; 4] = [
        (|path, _, end| cut(path, end - 5), |len| len - 5, true),
        (|path, begin, _| cut(path, begin + 20), |_| 20, true),
        (
            |path, begin, _| flip(path, begin + BATCH_HEADER_LEN + 40),
            |len| len,
            true,
        ),
        (
            |path, _, _| {
                let file = std::fs::OpenOptions::new().append(true).open(path);
                let mut file = file.expect("a segment");
                file.write_all(b"FLBB and so on").expect("it is longer");
            },
            |_| 14,
            false,
        ),
    ];
    for (tear, cut_len, loses) in tears {
        let home = home();
        let (begin, end) = leave_journal(&home, 0);
        tear(&segment(home.path(), 0), begin, end);
        let engine = Engine::start_in(home, STORELESS);
        let told = format!("bytes={}", cut_len(end - begin));
        let log = engine.log();
        let line = log.lines().find(|it| it.contains("torn tail was cut"));
        assert!(line.is_some_and(|it| it.ends_with(&told)), "{told}: {log}");
        let counted = engine.count("journal_torn_bytes");
        assert_eq!(counted, cut_len(end - begin));
        publish(&engine, frames("last0", "table2", 1));
        assert_eq!(engine.count("duplicates"), u64::from(!loses));
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        let mut expected = names("first0", 10);
        expected.push("last0-0".to_owned());
        assert_eq!(ids(&subscriber.frames(11)), expected);
        assert_eq!(engine.stop().code, Some(0));
    }
}

#[test]
fn damage_in_the_middle_is_refused_and_its_place_named() {
    let first_batch = SEGMENT_HEADER_LEN;
    let home = home();
    leave_journal(&home, 0);
    // A whole batch behind it in the same segment; then later segments.
    for later in 0..2 {
        flip(&segment(home.path(), 0), first_batch + BATCH_HEADER_LEN + 7);
        let said = refusal(&home, STORELESS);
        assert!(
            said.contains(&format!(
                "damaged in segment {:020}.segment at offset {first_batch}",
                0
            )),
            "{said}"
        );
        assert!(said.contains("`flipped-lb journal verify DIR`"), "{said}");
        assert!(said.contains("`flipped-lb journal repair DIR`"), "{said}");
        // Mended, it is as good as ever.
        flip(&segment(home.path(), 0), first_batch + BATCH_HEADER_LEN + 7);
        leave_journal(&home, later + 1);
    }
    let engine = Engine::start_in(home, STORELESS);
    assert_eq!(engine.count("recovered"), 33);
}

#[test]
fn a_journal_of_another_segment_size_is_refused_with_what_to_do() {
    let home = home();
    leave_journal(&home, 0);
    let said = refusal(&home, &STORELESS.replace("4MiB", "8MiB"));
    assert!(said.contains("journal.segment"), "{said}");
    assert!(said.contains("set it back to 4194304"), "{said}");
    assert_eq!(Engine::start_in(home, STORELESS).count("recovered"), 11);
}

// ---- the store ----

#[test]
fn each_message_has_one_row_that_says_how_far_it_is() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let payload =
        json!({ "text": "a 🍜 \"quoted\" \\ back\nslash \u{1} é", "deep": [[1.5], null] });
    let frame = json!({
        "messageId": "id \"🍜\" 1", "sourceServerId": "küche", "destinationId": "table3",
        "messageType": "d\tinner", "priority": 3, "timestamp": 1_693_123_456_789_u64,
        "payload": payload,
    });
    publish(&engine, vec![frame.to_string()]);
    publish(&engine, frames("plain", "table2", 10));
    engine.wait("all have rows", |it| it["stored"] == 11);
    let rows = database(home.path());
    let count = "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED' AND delivered_at IS NULL";
    assert_eq!(number(&rows, count), 11);
    let mut subscriber = Subscriber::new(&engine, &["table2", "table3"], false);
    subscriber.frames(11);
    engine.wait("all rows are settled", |it| it["stored_settled"] == 11);
    let columns: Vec<String> = rows
        .query_row(
            "SELECT json_array(messageId, sourceServerId, messageType, priority, timestamp), payload
             FROM messages WHERE destinationId = 'table3' AND status = 'DELIVERED'",
            [],
            |row| Ok(vec![row.get(0)?, row.get(1)?]),
        )
        .expect("a row");
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(
        parse(&columns[0]),
        json!(["id \"🍜\" 1", "küche", "d\tinner", 3, 1_693_123_456_789_u64])
    );
    assert_eq!(parse(&columns[1]), payload);
    drop(rows);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 11);
}

#[test]
fn a_database_that_was_removed_is_made_anew_from_the_journal() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("gone", "table2", 300));
    Subscriber::new(&engine, &["table2"], false).frames(300);
    engine.wait("all is settled", |it| it["settled"] == 300);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 300);
    for name in ["messages.db", "messages.db-wal", "messages.db-shm"] {
        // The last two are there only while somebody has the database open.
        let _ = std::fs::remove_file(home.path().join("data").join(name));
    }
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("waits", "table2", 5));
    assert_eq!(engine.stop().code, Some(0));
    let rows = database(home.path());
    let of = |status: &str| {
        let query = format!("SELECT COUNT(*) FROM messages WHERE status = '{status}'");
        number(&rows, &query)
    };
    assert_eq!((of("DELIVERED"), of("INGESTED")), (300, 5));
}

#[test]
fn a_journal_that_lost_its_end_goes_on_behind_the_store() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("kept", "table2", 10));
    let len = written_len(&segment(home.path(), 0));
    publish(&engine, frames("lost", "table2", 5));
    engine.wait("all have rows", |it| it["stored"] == 15);
    engine.kill();
    // As after a power loss: the database has more than the journal.
    cut(&segment(home.path(), 0), len);
    for round in 0..2 {
        let engine = Engine::start_in(Arc::clone(&home), LISTENING);
        let log = engine.log();
        let told = log.contains("the store has more than the journal");
        assert_eq!(told, round == 0, "{log}");
        publish(&engine, frames(&format!("new{round}"), "table2", 3));
        let count = 3 * (round + 1);
        engine.wait("the store goes on", |it| it["stored"] == 3);
        let rows = database(home.path());
        let all = number(&rows, "SELECT COUNT(DISTINCT sequence) FROM messages");
        assert_eq!(all, 15 + count);
        engine.kill();
    }
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut expected = names("kept", 10);
    expected.extend(names("new0", 3));
    expected.extend(names("new1", 3));
    assert_eq!(ids(&subscriber.frames(16)), expected);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_journal_that_was_moved_away_is_begun_behind_the_store() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("old", "table2", 10));
    engine.wait("all have rows", |it| it["stored"] == 10);
    engine.kill();
    let journal = home.path().join("data/journal");
    std::fs::rename(&journal, home.path().join("elsewhere")).expect("moved");
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    assert!(engine.count("store_ahead_bytes") > 0);
    publish(&engine, frames("new", "table2", 10));
    engine.wait("the store goes on", |it| it["stored"] == 10);
    let rows = database(home.path());
    assert_eq!(number(&rows, "SELECT MAX(sequence) FROM messages"), 20);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn an_engine_without_a_store_delivers() {
    let home = home();
    let mut command = Command::new(ENGINE);
    command.env("FLIPPED_LB_STORE_URL", "none");
    let engine = Engine::start_by(command, Arc::clone(&home), LISTENING);
    publish(&engine, frames("bare", "table2", 10));
    Subscriber::new(&engine, &["table2"], false).frames(10);
    assert_eq!(engine.stop().code, Some(0));
    assert!(!home.path().join("data/messages.db").exists());
}

#[test]
fn every_durability_delivers_and_stops_cleanly() {
    for durability in ["memory", "written", "synced"] {
        let home = home();
        let settings = format!("durability = \"{durability}\"\n{LISTENING}");
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        publish(&engine, frames("some", "table2", 500));
        assert_eq!(ids(&subscriber.frames(500)), names("some", 500));
        engine.wait("all is settled", |it| it["settled"] == 500);
        assert_eq!(engine.count("journal_syncs") > 0, durability == "synced");
        assert_eq!(engine.stop().code, Some(0));
        assert_all_delivered(home.path(), 500);
        let engine = Engine::start_in(home, &settings);
        assert_eq!(engine.count("recovered"), 0);
    }
}

// ---- a full disk ----

/// Limits the files that the engine writes: writes beyond fail, as on a full disk.
fn limit_files(engine: &Engine, bytes: Option<u64>) {
    let pid = Pid::from_raw(engine.pid().cast_signed());
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    prlimit(pid, Resource::Fsize, limit).expect("one's own process");
}

#[test]
fn a_full_disk_stops_the_sources_but_not_delivery_and_is_got_over() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("before", "table2", 400));
    let len = written_len(&segment(home.path(), 0));
    // The next batch finds room for its beginning.
    limit_files(&engine, Some(len + 100));
    let total = 150_000;
    let mut producer = Producer {
        unacknowledged: frames("during", "table3", total).into(),
    };
    let stream = Producer::dial(&engine);
    let sending = thread::spawn(move || {
        producer.exchange(stream, &AtomicUsize::new(0));
        producer.unacknowledged.len()
    });
    engine.wait("it is full", |it| {
        it["journal_full"].as_u64() > Some(3) && it["received"].as_u64() > Some(60_000)
    });
    engine.wait_for_log("journal's disk is full");
    let log = engine.log();
    assert_eq!(log.matches("journal's disk is full").count(), 1, "{log}");
    let (status, why) = engine.get("/readyz");
    let why_and_since = why.contains("the journal's disk") && why.contains("; since 20");
    assert!(status == 503 && why_and_since, "{status} {why}");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(400)), names("before", 400));
    let stats = engine.wait("what is recorded is settled", |it| it["settled"] == 400);
    assert!(stats["accepted"].as_u64() < Some(400 + 70_000), "{stats}");
    assert!(!sending.is_finished(), "nothing more is acknowledged");
    limit_files(&engine, None);
    let mut subscriber = Subscriber::new(&engine, &["table3"], false);
    for at in 0..total {
        let line = subscriber.line().expect("a frame");
        assert!(line.contains(&format!("\"during-{at}\"")), "{line}");
    }
    assert_eq!(sending.join().expect("it is acknowledged"), 0);
    engine.wait_for_log("has room again");
    assert_eq!(engine.get("/readyz").0, 200);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 400 + total);
}

#[test]
fn where_not_even_settlements_find_room_nothing_is_handed_out_until_there_is() {
    let settings = format!("{STORELESS}[delivery]\ncredit = \"4KiB\"\n");
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    publish(&engine, frames("m", "table2", 4_000));
    // No file takes more than this, the one for settlements neither.
    limit_files(&engine, Some(100));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let stats = engine.wait("settlements wait", |it| it["journal_stuck"] == 1);
    let (status, why) = engine.get("/readyz");
    assert!(
        status == 503 && why.contains("Not even settlements"),
        "{status} {why}"
    );
    // What was in flight is written and settled, and nothing after it.
    let settled = engine.wait("nothing is in flight", |it| it["in_flight"] == 0);
    assert!(
        settled["settled"].as_u64() < Some(1_000),
        "{stats} {settled}"
    );
    assert_eq!(settled["journal_settled"], 0, "{settled}");
    limit_files(&engine, None);
    assert_eq!(ids(&subscriber.frames(4_000)), names("m", 4_000));
    engine.wait("all settlements are recorded", |it| {
        it["journal_settled"] == 4_000
    });
    engine.wait("room is set aside again", |it| it["journal_waiting"] == 0);
    assert_eq!(engine.get("/readyz").0, 200);
    engine.kill();
    assert_eq!(Engine::start_in(home, &settings).count("recovered"), 0);
}
