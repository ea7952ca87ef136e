//! What the log says of an ordinary day: who came and went, what was recovered, what was rejected -
//! and how much of it, where peers can cause as many lines as they like.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

const SETTINGS: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";

/// The first line of the log with all these words.
fn wait_for(engine: &Engine, words: &[&str]) -> String {
    let begun = Instant::now();
    loop {
        let log = engine.log();
        let mut lines = log.lines();
        if let Some(line) = lines.find(|line| words.iter().all(|word| line.contains(word))) {
            return line.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "{words:?}: {log}");
        std::thread::yield_now();
    }
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens")
}

#[test]
fn who_comes_and_goes_is_told_with_its_destinations_and_an_orderly_end_is_no_warning() {
    let ids = (1..=100).map(|number| format!("[[destination]]\nid = \"table{number}\"\n"));
    let engine = Engine::start(&format!("{SETTINGS}{}", ids.collect::<String>()));
    let many = Subscriber::new(&engine, &["table*"], false);
    let address = |stream: &TcpStream| stream.local_addr().expect("an address").to_string();
    let subscriber = format!("subscriber={}", address(many.stream.get_ref()));
    let destinations = "destinations=\"table1, table2, table3, table4 and 96 others\"";
    wait_for(&engine, &["INFO connected", &subscriber, destinations]);
    let mut producer = producer(&engine);
    let name = format!("producer={}", address(&producer));
    wait_for(&engine, &["INFO connected", &name]);
    writeln!(producer, "{}", frame("a", "table1", 1)).expect("it reads");
    producer.shutdown(Shutdown::Write).expect("connected");
    let orderly = "why=\"it has ended its side\"";
    wait_for(&engine, &["INFO disconnected", &name, "lines=1", orderly]);
    engine.wait("it is delivered", |it| it["settled"] == 1);
    let stream = many.stream.into_inner();
    stream.shutdown(Shutdown::Write).expect("connected");
    let gone = [
        "INFO disconnected",
        &subscriber,
        destinations,
        "frames=1",
        orderly,
    ];
    wait_for(&engine, &gone);
    let ended = engine.stop();
    assert!(
        !ended.log.contains(" WARN ") && !ended.log.contains(" ERROR "),
        "{}",
        ended.log
    );
}

#[test]
fn a_standby_is_told_from_the_active_subscriber_until_it_has_taken_over() {
    let engine = Engine::start(SETTINGS);
    let active = Subscriber::new(&engine, &["table1"], false);
    let mut standby = Subscriber::new(&engine, &["table1"], false);
    let both = Subscriber::new(&engine, &["table1", "table2"], false);
    let line = |subscriber: &Subscriber, what: &str| {
        let stream = subscriber.stream.get_ref();
        let name = format!("subscriber={}", stream.local_addr().expect("an address"));
        wait_for(&engine, &[what, &name])
    };
    assert!(!line(&active, "INFO connected").contains("standby"));
    assert!(line(&standby, "INFO connected").contains("\"table1, as standby\""));
    let mixed = line(&both, "INFO connected");
    assert!(mixed.contains(", as standby for 1 of them\""), "{mixed}");
    let shut = |it: &Subscriber| it.stream.get_ref().shutdown(Shutdown::Write);
    shut(&both).expect("connected");
    assert!(line(&both, "INFO disconnected").contains("as standby"));
    shut(&active).expect("connected");
    assert!(!line(&active, "INFO disconnected").contains("standby"));
    writeln!(producer(&engine), "{}", frame("a", "table1", 1)).expect("it reads");
    assert_eq!(standby.frames(1)[0]["messageId"], "a");
    shut(&standby).expect("connected");
    assert!(!line(&standby, "INFO disconnected").contains("standby"));
}

#[test]
fn a_crowd_that_comes_and_goes_is_counted_and_does_not_flood_the_log() {
    const COUNT: usize = 300;
    let engine = Engine::start(SETTINGS);
    for _ in 0..COUNT {
        drop(producer(&engine));
    }
    let begun = Instant::now();
    loop {
        let log = engine.log();
        let (mut lines, mut told) = (0, 0);
        for line in log.lines().filter(|it| it.contains("producer")) {
            let is_connect = line.contains("INFO connected");
            if !is_connect && !line.contains("more producers have connected") {
                continue;
            }
            lines += 1;
            told += usize::from(is_connect);
            let count = line
                .split_once("(and ")
                .or_else(|| line.split_once("count="));
            let count = count.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            told += count.unwrap_or(0);
        }
        if told == COUNT {
            assert!(lines < COUNT / 2, "{lines} lines");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{told}: {log}");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_recovered_is_one_line() {
    let engine = Engine::start(SETTINGS);
    assert!(!engine.log().contains("recovered"), "there was nothing");
    let mut producer = producer(&engine);
    for (id, destination) in [("a", "table1"), ("b", "table1"), ("c", "table3")] {
        writeln!(producer, "{}", frame(id, destination, 1)).expect("it reads");
    }
    engine.wait("they are recorded", |it| it["queued"] == 3);
    let home = Arc::clone(&engine.home);
    engine.kill();
    let engine = Engine::start_in(home, SETTINGS);
    let words = [
        "INFO recovered",
        "messages=3",
        "destinations=2",
        "segments=",
        "ms=",
    ];
    wait_for(&engine, &words);
    assert_eq!(engine.log().matches("INFO recovered").count(), 1);
}

#[test]
fn a_rejected_line_is_told_with_its_reason_and_its_source() {
    let engine = Engine::start(SETTINGS);
    let mut first = producer(&engine);
    let source = |stream: &TcpStream| {
        let address = stream.local_addr().expect("an address");
        format!("source={address}")
    };
    for number in 0..100 {
        writeln!(first, "wrong {number}").expect("it reads");
    }
    let mut second = producer(&engine);
    writeln!(second, "{}", frame("a", "tabel1", 1)).expect("it reads");
    wait_for(
        &engine,
        &["WARN a line is rejected", &source(&first), "bad_json"],
    );
    let words = [
        "WARN a line is rejected",
        &source(&second),
        "unknown_destination",
    ];
    wait_for(&engine, &words);
    engine.wait("all are kept", |it| {
        it["rejected"] == 101 && it["rejected_waiting"] == 0
    });
    let log = engine.log();
    let lines = log.lines().filter(|it| it.contains("a line is rejected"));
    assert!(lines.count() < 50, "{log}");
}

#[test]
fn run_takes_its_data_dir_from_the_command_line() {
    let home = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(ENGINE)
        .args(["run", "--data-dir", "elsewhere"])
        .env("FLIPPED_LB_DATA_DIR", home.path().join("not-here"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "none")
        .env("FLIPPED_LB_STORE_URL", "none")
        .current_dir(home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    while !home.path().join("elsewhere/journal").exists() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(!home.path().join("not-here").exists());
}

/// Names between backticks in the first cells of the tables under this heading.
fn documented(heading: &str) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once(heading).expect("the section");
    let section = section.split("\n## ").next().expect("the first part");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn as_json_each_event_is_an_object_on_a_line_with_fields_that_are_documented() {
    let engine = Engine::start(&format!(
        "{SETTINGS}[log]\nformat = \"json\"\nlevel = \"debug\"\n"
    ));
    let subscriber = Subscriber::new(&engine, &["table1"], true);
    let mut first = producer(&engine);
    writeln!(first, "wrong\n{}", frame("a", "table1", 1)).expect("it reads");
    let mut second = producer(&engine);
    writeln!(second, "{{\"producer\":{{\"ack\":7}}}}").expect("it reads");
    engine.wait("all is seen", |it| {
        it["rejected"] == 1 && it["in_flight"] == 1 && it["producer_errors"] == 1
    });
    drop((subscriber, first, second));
    engine.wait("they are gone", |it| it["subscribers_connected"] == 0);
    let ended = engine.stop();
    let known = documented("## The log as JSON");
    let mut seen = Vec::new();
    for line in ended.log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        let begin = "{\"timestamp\":\"20";
        assert!(line.starts_with(begin), "{line}");
        let timestamp = event["timestamp"].as_str().expect(line);
        assert!(
            timestamp.ends_with('Z') && timestamp.contains('.'),
            "{line}"
        );
        assert!(
            event["message"].is_string() && event["level"].is_string(),
            "{line}"
        );
        seen.extend(event.as_object().expect(line).keys().cloned());
    }
    for name in &seen {
        assert!(known.contains(name), "{name} is on no page");
    }
    for name in [
        "version",
        "commit",
        "formats",
        "subscriber",
        "producer",
        "reason",
    ] {
        assert!(
            seen.iter().any(|it| it == name),
            "{name} is in no event: {}",
            ended.log
        );
    }
}

/// What stands before the words of `info!` and the like: `count = 7, %error` is two names.
fn field_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for call in ["info!(", "warn!(", "error!(", "debug!("] {
        for (at, _) in source.match_indices(call) {
            let fields = source[at + call.len()..]
                .split('"')
                .next()
                .unwrap_or_default();
            let fields = fields
                .split(',')
                .map(|it| it.trim().trim_start_matches(['%', '?']));
            let name = fields.map(|it| it.split(" = ").next().unwrap_or_default());
            let is_name = |it: &&str| {
                !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            };
            names.extend(name.filter(is_name).map(str::to_owned));
        }
    }
    names
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(std::fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn fields_of_all_events_are_documented() {
    let mut texts = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut texts,
    );
    let names: Vec<_> = texts.iter().flat_map(|it| field_names(it)).collect();
    assert!(names.len() > 40, "{names:?}");
    let known = documented("## The log as JSON");
    for name in names {
        assert!(known.contains(&name), "{name} is not in docs/monitoring.md");
    }
}
