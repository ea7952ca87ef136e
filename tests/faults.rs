//! Faults of the machine: what runs out, and that the engine gets over it.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use support::{Engine, PATIENCE, Subscriber, frame, lines_of};

const LISTENING: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Limits the descriptors that the engine may open from now on; those it has stay.
fn limit_descriptors(engine: &Engine, count: Option<u64>) {
    let pid = Pid::from_raw(engine.pid().cast_signed());
    let before = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: count.or(before.current),
        maximum: before.maximum,
    };
    prlimit(pid, Resource::Nofile, limit).expect("one's own process");
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it listens")).expect("the producers' address")
}

fn id(frame: Option<Value>) -> String {
    frame.expect("a frame")["messageId"]
        .as_str()
        .expect("a string")
        .to_owned()
}

#[test]
fn a_segment_that_cannot_be_read_holds_up_its_messages_and_nobody_else() {
    const COUNT: usize = 300;
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let mut source = producer(&engine);
    for number in 0..COUNT {
        writeln!(source, "{}", frame(&number.to_string(), "table2", 1)).expect("it takes a line");
    }
    engine.wait("all are journaled", |it| it["journal_recorded"] == COUNT);
    engine.kill();

    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let folder = home.path().join("data/journal");
    let segment = std::fs::read_dir(&folder)
        .expect("the journal")
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "segment"))
        .min()
        .expect("the messages' segment");
    let aside = segment.with_extension("aside");
    std::fs::rename(&segment, &aside).expect("one directory");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    engine.wait_for_log("cannot be read at offset");
    let mut other = Subscriber::new(&engine, &["table3"], false);
    writeln!(producer(&engine), "{}", frame("other", "table3", 1)).expect("it takes a line");
    assert_eq!(id(other.frame()), "other");
    assert!(engine.count("replay_failures") >= 1);

    std::fs::rename(&aside, &segment).expect("one directory");
    for number in 0..COUNT {
        assert_eq!(id(subscriber.frame()), number.to_string());
    }
    engine.wait_for_log("is read");
}

#[test]
fn without_descriptors_the_journal_waits_for_its_next_segment() {
    const COUNT: usize = 30_000;
    let engine = Engine::start(&format!(
        "{LISTENING}[journal]\nsegment = \"4MiB\"\n[store]\nurl = \"none\"\n"
    ));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut source = producer(&engine);
    writeln!(source, "{}", frame("first", "table2", 1)).expect("it takes a line");
    assert_eq!(id(subscriber.frame()), "first");

    limit_descriptors(&engine, Some(0));
    let sending = std::thread::spawn(move || {
        for number in 0..COUNT {
            writeln!(source, "{}", frame(&number.to_string(), "table2", 1))
                .expect("it takes a line");
        }
    });
    engine.wait_for_log("the journal finds no descriptor");
    limit_descriptors(&engine, None);
    for number in 0..COUNT {
        assert_eq!(id(subscriber.frame()), number.to_string());
    }
    sending.join().expect("all was taken");
    assert!(engine.count("journal_full") >= 1);
    engine.wait_for_log("has room again");
}

#[test]
fn a_journal_that_is_moved_away_ends_the_engine_in_words_that_say_so() {
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let settings = format!("{LISTENING}[journal]\nsegment = \"4MiB\"\n[store]\nurl = \"none\"\n");
    let mut engine = Engine::start_in(Arc::clone(&home), &settings);
    let mut source = producer(&engine);
    let data = home.path().join("data");
    std::fs::rename(data.join("journal"), data.join("elsewhere")).expect("one directory");
    // Until the next segment is to be made.
    let mut lines = (0..).map(|it| frame(&format!("m{it}"), "table2", 1) + "\n");
    while lines
        .next()
        .is_some_and(|it| source.write_all(it.as_bytes()).is_ok())
    {}
    let ended = engine.ended();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let words = "somebody has removed or moved them while the engine ran";
    assert!(ended.log.contains(words), "{}", ended.log);
}

#[test]
fn without_descriptors_accepting_pauses_and_those_connected_live_on() {
    let engine = Engine::start(LISTENING);
    let mut source = producer(&engine);
    let mut early = Subscriber::new(&engine, &["table2"], false);
    writeln!(source, "{}", frame("first", "table2", 1)).expect("it takes a line");
    assert_eq!(id(early.frame()), "first");

    limit_descriptors(&engine, Some(0));
    let mut late = TcpStream::connect(engine.delivery).expect("the system takes it");
    writeln!(late, r#"{{"subscribe":["table3"]}}"#).expect("the system takes it");
    let mut second_source = producer(&engine);
    writeln!(second_source, "{}", frame("waited", "table3", 1)).expect("the system takes it");
    engine.wait_for_log("a subscriber could not be accepted");
    engine.wait_for_log("a producer could not be accepted");
    for number in 0..100 {
        writeln!(source, "{}", frame(&number.to_string(), "table2", 1)).expect("it takes a line");
        assert_eq!(id(early.frame()), number.to_string());
    }

    limit_descriptors(&engine, None);
    let mut late = Subscriber::over(late);
    assert!(late.answer.contains("table3"), "{}", late.answer);
    assert_eq!(id(late.frame()), "waited");
    engine.wait_for_log("a subscriber can be accepted again");
    assert!(engine.count("accept_failures") >= 2);
    let failures = engine.log().matches("could not be accepted").count();
    assert_eq!(failures, 2, "said once each: {}", engine.log());
}

// ---- rejected lines ----

/// Bytes of the longest line that is no frame.
const WRONG_LEN: usize = 60_000;

fn hello(engine: &Engine) -> TcpStream {
    let mut source = producer(engine);
    writeln!(source, "{{\"producer\":{{\"ack\":true}}}}").expect("it takes a line");
    source
}

/// Sends so many long wrong lines, from a thread: whoever is held blocks.
fn send_wrong(source: &TcpStream, count: usize) -> std::thread::JoinHandle<()> {
    let mut source = source.try_clone().expect("a descriptor");
    let line = "x".repeat(WRONG_LEN) + "\n";
    std::thread::spawn(move || {
        for _ in 0..count {
            source.write_all(line.as_bytes()).expect("it is taken");
        }
    })
}

/// Reads acknowledgements until all of so many lines are.
fn await_acks(source: &TcpStream, count: usize) {
    source.set_read_timeout(Some(PATIENCE)).expect("an option");
    let last = format!("{{\"ack\":{count}}}");
    let lines = BufReader::new(source).lines();
    let mut lines = lines.map(|it| it.expect("it acknowledges"));
    assert!(lines.any(|it| it == last), "it ended before {last}");
}

/// The files of rejected lines.
fn rejected_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|it| it.expect("an entry").path());
    let is_one = |it: &std::path::PathBuf| {
        let name = it.file_name().expect("a name").to_string_lossy();
        name.starts_with("rejected.")
    };
    paths.filter(is_one).collect()
}

fn kept_lines(directory: &Path) -> usize {
    let files = rejected_files(directory);
    files.iter().map(|it| lines_of(it).len()).sum()
}

#[test]
fn at_the_limit_of_rejected_lines_only_their_sources_wait_and_it_heals() {
    // More than the files, the ring and a read take.
    const WRONG: usize = 120;
    let engine = Engine::start(&format!("{LISTENING}rejected_max_total = \"1MiB\"\n"));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let (mut right, wrong) = (hello(&engine), hello(&engine));
    let sending = send_wrong(&wrong, WRONG);
    engine.wait("the bad source is held", |it| {
        (&it["rejected_full"], &it["rejected_held"]) == (&1.into(), &1.into())
    });
    for number in 0..200 {
        writeln!(right, "{}", frame(&number.to_string(), "table2", 1)).expect("it takes a line");
        assert_eq!(id(subscriber.frame()), number.to_string());
    }
    await_acks(&right, 200);
    let (status, readyz) = engine.get("/readyz");
    assert!(
        status == 200 && readyz.contains("rejected_max_total"),
        "{readyz}"
    );
    assert!(engine.count("rejected_disk") <= 1024 * 1024);

    // Its own wrong line holds it, too, and what comes behind that.
    let behind = frame("behind", "table2", 1);
    writeln!(right, "{}\n{behind}", "x".repeat(WRONG_LEN)).expect("it takes lines");
    engine.wait("it is held too", |it| it["rejected_held"] == 2);
    let archive = tempfile::tempdir().expect("a directory");
    let mut moved = 0;
    let begun = Instant::now();
    while engine.count("rejected") < WRONG as u64 + 1 || engine.count("rejected_waiting") > 0 {
        for file in rejected_files(&engine.data_dir()) {
            moved += 1;
            let to = archive.path().join(format!("rejected.{moved}.ndjson"));
            // It may be gone by now: it was given a number.
            let _ =
                std::fs::copy(&file, &to).and_then(|_| match file.ends_with("rejected.ndjson") {
                    true => std::fs::remove_file(to),
                    false => std::fs::remove_file(file),
                });
        }
        assert!(begun.elapsed() < PATIENCE, "{}", engine.stats());
        std::thread::sleep(Duration::from_millis(20));
    }
    sending.join().expect("all was taken");
    await_acks(&wrong, WRONG);
    assert_eq!(id(subscriber.frame()), "behind");
    let stats = engine.wait("it is well again", |it| it["rejected_full"] == 0);
    assert_eq!(
        (&stats["rejected_held"], &stats["rejected_dropped"]),
        (&0.into(), &0.into())
    );
    let kept = kept_lines(&engine.data_dir()) + kept_lines(archive.path());
    assert_eq!(kept, WRONG + 1, "none vanishes");
    assert!(!engine.get("/readyz").1.contains("rejected"));
}

#[test]
fn the_oldest_rejected_lines_go_and_are_counted_where_that_is_set() {
    const WRONG: usize = 120;
    let engine = Engine::start(&format!(
        "{LISTENING}rejected_max_total = \"1MiB\"\nrejected_when_full = \"drop_oldest\"\n"
    ));
    let source = hello(&engine);
    let sending = send_wrong(&source, WRONG);
    await_acks(&source, WRONG);
    sending.join().expect("all was taken");
    let dropped = engine.count("rejected_dropped") as usize;
    assert_eq!(dropped + kept_lines(&engine.data_dir()), WRONG);
    assert!(dropped > WRONG / 2, "{dropped}");
    let lens = rejected_files(&engine.data_dir());
    let lens = lens.iter().map(|it| it.metadata().expect("a file").len());
    assert_eq!(lens.sum::<u64>(), engine.count("rejected_disk"));
    assert!(engine.count("rejected_disk") <= 1024 * 1024);
}

#[test]
fn without_descriptors_rejected_lines_are_synced_all_the_same() {
    const WRONG: usize = 20;
    let mut engine = Engine::start(&format!(
        "durability = \"synced\"\n{LISTENING}rejected_max_bytes = \"128KiB\"\n"
    ));
    let source = hello(&engine);
    engine.wait("it is accepted", |it| it["sources_connected"] == 1);
    // The next file cannot be opened, nor the directory.
    limit_descriptors(&engine, Some(0));
    let sending = send_wrong(&source, WRONG);
    await_acks(&source, WRONG);
    sending.join().expect("all was taken");
    limit_descriptors(&engine, None);
    assert_eq!(kept_lines(&engine.data_dir()), WRONG);
    engine.signal("TERM");
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}
