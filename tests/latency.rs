//! Latencies that can be looked at: interval logs while an engine runs and after it was killed, the
//! same over HTTP, and the command that reads both.

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipped_lb::latency::log_reader::HistogramLog;
use support::{Engine, PATIENCE, Subscriber, frame, with_sources};

fn settings() -> String {
    let plain = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";
    with_sources(
        &[],
        &format!("{plain}[latency]\nlog_interval = \"100ms\"\n"),
    )
}

/// Sends so many messages to table2 and waits until they were taken.
fn deliver(engine: &Engine, count: usize, life: &str) {
    let mut subscriber = Subscriber::new(engine, &["table2"], false);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    for number in 0..count {
        let line = frame(&format!("{life} {number}"), "table2", 3) + "\n";
        producer.write_all(line.as_bytes()).expect("it reads");
    }
    subscriber.frames(count);
}

fn logs(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data_dir.join("histograms")) else {
        return Vec::new();
    };
    let paths = entries.map(|it| it.expect("an entry").path());
    let mut logs: Vec<_> = paths
        .filter(|it| it.extension().is_some_and(|it| it == "hlog"))
        .collect();
    logs.sort();
    logs
}

/// How many latencies of a tag all logs have.
fn logged(data_dir: &Path, tag: &str) -> u64 {
    let counts = logs(data_dir).into_iter().map(|path| {
        let text = std::fs::read_to_string(path).expect("a log");
        let log = HistogramLog::parse(&text).expect("whole lines");
        log.histogram(tag).map_or(0, |it| it.len())
    });
    counts.sum()
}

fn wait_for_log(data_dir: &Path, count: u64) {
    let begun = Instant::now();
    while logged(data_dir, "total-level3-table2") < count {
        assert!(begun.elapsed() < PATIENCE, "{:?}", logs(data_dir));
        std::thread::yield_now();
    }
}

/// The count that `flipped-lb histogram` shows for each curve.
fn shown(arguments: &[&str], files: &[PathBuf]) -> Vec<(String, u64)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb"));
    let output = command
        .arg("histogram")
        .args(arguments)
        .args(files)
        .output();
    let output = output.expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{output:?}");
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<_> = line.split_whitespace().collect();
        let count = cells[cells.len() - 1].parse().expect("a count");
        (cells[0].to_owned(), count)
    });
    rows.collect()
}

#[test]
fn latencies_are_logged_while_it_runs_and_survive_a_kill() {
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let engine = Engine::start_in(Arc::clone(&home), &settings());
    let data_dir = engine.data_dir();
    deliver(&engine, 5, "first");
    wait_for_log(&data_dir, 5);
    engine.kill();
    let left = logs(&data_dir);
    assert_eq!(left.len(), 1);

    let engine = Engine::start_in(Arc::clone(&home), &settings());
    deliver(&engine, 7, "second");
    assert_eq!(engine.stop().code, Some(0));
    let files = logs(&data_dir);
    assert_eq!((files.len(), &files[0]), (2, &left[0]), "a file of its own");
    for tag in ["total", "ingest", "delivery-level3", "total-level3-table2"] {
        assert_eq!(logged(&data_dir, tag), 12, "{tag}");
    }
    let tops = ["ingest", "journal", "queue", "delivery", "total"];
    let mut rows = shown(&[], &files);
    // There is one where the monitor looked while a message waited.
    rows.retain(|(tag, _)| tag != "waiting");
    assert_eq!(rows, tops.map(|it| (it.to_owned(), 12)));
    let rows = shown(&["--tag", "total-*table2"], &files[1..]);
    let table2 = ["total-level3-table2", "total-table2"];
    assert_eq!(rows, table2.map(|it| (it.to_owned(), 7)));
}

/// The longest step of a tag over time, in seconds; `None`: there is no such tag yet.
fn longest_step(data_dir: &Path, tag: &str) -> Option<f64> {
    let output = Command::new(env!("CARGO_BIN_EXE_flipped-lb"))
        .arg("histogram")
        .arg(data_dir.join("histograms"))
        .args([
            "--over-time",
            "--format",
            "json",
            "--unit",
            "s",
            "--tag",
            tag,
        ])
        .output()
        .expect("it starts");
    if !output.status.success() {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let steps = json["over_time"][0]["steps"].as_array().expect("steps");
    let longest = steps.iter().filter_map(|it| it["max"].as_f64());
    Some(longest.fold(0.0, f64::max))
}

#[test]
fn a_customer_that_is_frozen_is_seen_over_time_while_it_is() {
    let engine = Engine::start(&settings());
    let data_dir = engine.data_dir();
    let mut frozen = Subscriber::new(&engine, &["table1"], true);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    let line = frame("never acknowledged", "table1", 3) + "\n";
    producer.write_all(line.as_bytes()).expect("it reads");
    frozen.frames(1);
    deliver(&engine, 4, "beside it");
    let begun = Instant::now();
    while longest_step(&data_dir, "waiting-table1").is_none_or(|it| it < 5.0) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", logs(&data_dir));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        logged(&data_dir, "total-table1"),
        0,
        "nothing of it is settled"
    );
    assert_eq!(logged(&data_dir, "total-table2"), 4);
    let (_, metrics) = engine.get("/metrics");
    let gauge = "flipped_lb_destination_oldest_wait_seconds{destination=\"table1\"} ";
    let line = metrics
        .lines()
        .find(|it| it.starts_with(gauge))
        .expect("it");
    let seconds: f64 = line[gauge.len()..].parse().expect("a number");
    assert!(seconds >= 5.0, "{line}");
}

#[test]
fn the_same_is_served_while_it_runs() {
    let engine = Engine::start(&settings());
    deliver(&engine, 3, "only");
    engine.wait("the latencies", |it| it["latency"]["total"]["count"] == 3);
    let (status, index) = engine.get("/histograms");
    assert_eq!(status, 200);
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    let list = index["histograms"].as_array().expect("a list");
    let total = list
        .iter()
        .find(|it| it["name"] == "total.hgrm")
        .expect("it");
    assert_eq!(total["count"], 3);
    for served in [&total["svg"], &index["svg"]] {
        let name = served.as_str().expect("a name");
        let (status, picture) = engine.get(&format!("/histograms/{name}"));
        assert_eq!(status, 200);
        assert!(
            picture.starts_with("<svg") && picture.contains("total"),
            "{picture}"
        );
    }
    let (status, log) = engine.get("/histograms/latency.hlog");
    assert_eq!(status, 200);
    let log = HistogramLog::parse(&log).expect("an interval log");
    assert_eq!(log.histogram("total").map(|it| it.len()), Some(3));
    assert_eq!(
        log.histogram("total-level3-table2").map(|it| it.len()),
        Some(3)
    );
}
