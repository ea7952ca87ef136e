//! Faults of the machine: what runs out, and that the engine gets over it.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use support::{Engine, PATIENCE, Subscriber, frame};

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

fn wait_for_log(engine: &Engine, words: &str) {
    let begun = Instant::now();
    while !engine.log().contains(words) {
        assert!(begun.elapsed() < PATIENCE, "{words:?}: {}", engine.log());
        std::thread::sleep(Duration::from_millis(10));
    }
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
    wait_for_log(&engine, "cannot be read at offset");
    let mut other = Subscriber::new(&engine, &["table3"], false);
    writeln!(producer(&engine), "{}", frame("other", "table3", 1)).expect("it takes a line");
    assert_eq!(id(other.frame()), "other");
    assert!(engine.count("replay_failures") >= 1);

    std::fs::rename(&aside, &segment).expect("one directory");
    for number in 0..COUNT {
        assert_eq!(id(subscriber.frame()), number.to_string());
    }
    wait_for_log(&engine, "is read");
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
    wait_for_log(&engine, "the journal finds no descriptor");
    limit_descriptors(&engine, None);
    for number in 0..COUNT {
        assert_eq!(id(subscriber.frame()), number.to_string());
    }
    sending.join().expect("all was taken");
    assert!(engine.count("journal_full") >= 1);
    wait_for_log(&engine, "has room again");
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
    wait_for_log(&engine, "a subscriber could not be accepted");
    wait_for_log(&engine, "a producer could not be accepted");
    for number in 0..100 {
        writeln!(source, "{}", frame(&number.to_string(), "table2", 1)).expect("it takes a line");
        assert_eq!(id(early.frame()), number.to_string());
    }

    limit_descriptors(&engine, None);
    let mut late = Subscriber::over(late);
    assert!(late.answer.contains("table3"), "{}", late.answer);
    assert_eq!(id(late.frame()), "waited");
    wait_for_log(&engine, "a subscriber can be accepted again");
    assert!(engine.count("accept_failures") >= 2);
    let failures = engine.log().matches("could not be accepted").count();
    assert_eq!(failures, 2, "said once each: {}", engine.log());
}
