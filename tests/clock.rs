//! Engines whose wall clock is wrong, or is set while they run: `libfaketime` moves the wall clock of
//! the process, and leaves the monotonic one alone.

#[path = "support/faked_clock.rs"]
mod faked_clock;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use faked_clock::{faked, off_by};
use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

const SETTINGS: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

type Home = Arc<tempfile::TempDir>;

fn home() -> Home {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

/// An engine whose wall clock is off by this, as libfaketime writes it.
fn engine_off_by(offset: &str, home: &Home, settings: &str) -> Engine {
    let mut command = Command::new(ENGINE);
    off_by(&mut command, offset);
    Engine::start_by(command, Arc::clone(home), settings)
}

/// Sends a message and waits until the engine is responsible for it.
fn send(engine: &Engine, frame: &str) {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let lines = format!("{{\"producer\":{{\"ack\":true}}}}\n{frame}\n");
    stream.write_all(lines.as_bytes()).expect("it takes them");
    let mut acks = BufReader::new(stream).lines().map_while(Result::ok);
    assert_eq!(
        acks.next().as_deref(),
        Some("{\"ack\":1}"),
        "{}",
        engine.log()
    );
}

fn accepted(engine: &Engine) -> (u64, u64) {
    (engine.count("accepted"), engine.count("duplicates"))
}

#[test]
fn a_clock_that_was_behind_makes_no_id_forgotten() {
    let home = home();
    let engine = engine_off_by("-400d", &home, SETTINGS);
    send(&engine, &frame("a", "table1", 1));
    assert_eq!(engine.stop().code, Some(0));
    let engine = engine_off_by("+0", &home, SETTINGS);
    send(&engine, &frame("a", "table1", 1));
    assert_eq!(engine.count("duplicates"), 1);
}

#[test]
fn a_clock_that_was_ahead_makes_no_id_remembered_beyond_the_window() {
    let home = home();
    let settings = format!("{SETTINGS}[dedup]\nwindow = \"1s\"\n");
    let engine = engine_off_by("+400d", &home, &settings);
    send(&engine, &frame("a", "table1", 1));
    assert_eq!(accepted(&engine), (1, 0));
    assert_eq!(engine.stop().code, Some(0));
    let engine = engine_off_by("+0", &home, &settings);
    // What was recovered counts as accepted.
    let before = engine.count("accepted");
    let begun = Instant::now();
    while engine.count("accepted") == before {
        send(&engine, &frame("a", "table1", 1));
        assert!(begun.elapsed() < PATIENCE, "it is a duplicate for ever");
    }
}

#[test]
fn a_clock_before_1970_ends_no_engine_and_is_told_by_http() {
    let engine = engine_off_by("-30000d", &home(), SETTINGS);
    let (status, body) = engine.get("/healthz");
    assert_eq!(status, 503);
    assert!(body.contains("the wall clock"), "{body}");
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    send(&engine, &frame("a", "table1", 1));
    assert_eq!(subscriber.frame().expect("a frame")["messageId"], "a");
    assert_eq!(engine.stop().code, Some(0));
}

/// 2026-03-29 09:00 UTC.
const MORNING: u64 = 1_774_774_800;

#[test]
fn hours_and_told_times_follow_a_clock_that_is_set_either_way() {
    let home = home();
    let file = home.path().join("clock");
    let set = |at: u64| {
        // The library reads the file at any time: it must never be half written.
        let new = home.path().join("clock.new");
        std::fs::write(&new, format!("@{at}\n")).expect("a file");
        std::fs::rename(&new, &file).expect("it is there");
    };
    set(MORNING);
    let mut command = Command::new(ENGINE);
    faked(&mut command)
        .env("FAKETIME_TIMESTAMP_FILE", &file)
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_FMT", "%s")
        .env("TZ", "UTC");
    let settings = format!("{SETTINGS}[[rule]]\nhours = \"11:00-12:00\"\npriority = 1\n");
    let engine = Engine::start_by(command, Arc::clone(&home), &settings);
    send(&engine, &frame("before", "table2", 3));
    set(MORNING + 2 * 3_600 + 900);
    engine.wait("the step is noticed", |it| it["clock_steps"] == 1);
    send(&engine, &frame("within", "table2", 3));
    set(MORNING - 3_600);
    engine.wait("the other step is noticed", |it| it["clock_steps"] == 2);
    send(&engine, &frame("back", "table2", 3));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let ids = subscriber.frames(3);
    assert_eq!(ids[0]["messageId"], "within", "its hour is urgent");
    engine.wait("all is stored", |it| it["stored_settled"] == 3);
    assert_eq!(hours_of_rows(&engine), [(9, 8), (11, 8), (8, 8)]);
    engine.wait_for_log("the system's clock was set by");
}

/// At which hours each message was created and delivered, in the order of the sequences.
fn hours_of_rows(engine: &Engine) -> Vec<(u8, u8)> {
    let database = rusqlite::Connection::open(engine.data_dir().join("messages.db"));
    let database = database.expect("a database");
    let query = "SELECT substr(created_at, 12, 2), substr(delivered_at, 12, 2) FROM messages \
                 ORDER BY sequence";
    let mut query = database.prepare(query).expect("a query");
    let hour = |text: String| text.parse::<u8>().expect("an hour");
    let rows = query.query_map([], |row| Ok((hour(row.get(0)?), hour(row.get(1)?))));
    rows.expect("rows").map(|it| it.expect("a row")).collect()
}

#[test]
fn an_unknown_time_zone_is_told_at_start_and_by_check() {
    let home = home();
    let mut command = Command::new(ENGINE);
    command.env("TZ", "Europe/Berln");
    let engine = Engine::start_by(command, Arc::clone(&home), SETTINGS);
    assert_eq!(
        engine.log().matches("Europe/Berln").count(),
        1,
        "{}",
        engine.log()
    );
    let check = |zone: &str| {
        let rule = "[[rule]]\nhours = \"11:00-12:00\"\npriority = 1\n";
        let file = home.path().join("checked.toml");
        std::fs::write(&file, rule).expect("a file");
        let output = Command::new(ENGINE)
            .args(["check", "--config"])
            .arg(file)
            .env("TZ", zone)
            .output()
            .expect("the engine's binary");
        String::from_utf8(output.stdout).expect("text")
    };
    let (known, unknown) = (check("UTC"), check("Europe/Berln"));
    assert!(known.contains("Local time: UTC\n"), "{known}");
    assert!(
        unknown.contains("Europe/Berln") && unknown.contains("UTC"),
        "{unknown}"
    );
}
