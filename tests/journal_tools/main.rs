//! `flipped-lb journal`: beside a running engine, on dead directories, and on damaged ones.

mod looking;
mod repairing;
mod retained;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;

use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

/// Small segments, and producers that dial in.
const SETTINGS: &str = "source = []\nstore = { url = \"none\" }\njournal = { segment = \"4MiB\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n";
const SEGMENT: u64 = 4 * 1024 * 1024;

type Home = Arc<tempfile::TempDir>;

fn home() -> Home {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

fn journal(arguments: &[&str], directory: &Path) -> Output {
    Command::new(ENGINE)
        .arg("journal")
        .args(arguments)
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the engine's binary")
}

/// What a command says that has nothing to complain of.
fn fine(arguments: &[&str], directory: &Path) -> String {
    let output = journal(arguments, directory);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    said
}

/// What a command says on standard output, and complains of.
fn complaint(arguments: &[&str], directory: &Path) -> (String, String) {
    let output = journal(arguments, directory);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{complained}");
    (said, complained)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(parse).collect()
}

/// Sends lines and waits until all of them are recorded.
fn publish(engine: &Engine, lines: &[String]) {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("a producer");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut to = stream.try_clone().expect("a descriptor");
    let all = format!("{{\"producer\":{{\"ack\":true}}}}\n{}\n", lines.join("\n"));
    let sending = std::thread::spawn(move || to.write_all(all.as_bytes()));
    let mut answers = BufReader::new(&mut stream).lines();
    loop {
        let answer = answers.next().expect("an answer").expect("in time");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        if answer["ack"] == lines.len() {
            break;
        }
    }
    sending.join().expect("no panic").expect("it takes all");
}

fn frames(name: &str, destination: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), destination, 2))
        .collect()
}

fn ids(values: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["messageId"].as_str().expect("an id").to_owned();
    values.iter().map(id).collect()
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{name}-{at}")).collect()
}

/// Every file of a directory, with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.is_symlink() {
            found.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

/// A dead engine's directory: messages for two tables, those of `table3` settled.
fn leave_journal(home: &Home) {
    let engine = Engine::start_in(Arc::clone(home), SETTINGS);
    publish(&engine, &frames("stays", "table2", 30));
    publish(&engine, &frames("goes", "table3", 20));
    Subscriber::new(&engine, &["table3"], false).frames(20);
    engine.wait("they are settled", |it| it["settled"] == 20);
    assert_eq!(engine.stop().code, Some(0));
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[offset as usize] ^= 0x10;
    std::fs::write(path, bytes).expect("a segment");
}

/// What an engine says that does not start.
fn refusal(home: &Home) -> String {
    let output = Command::new(ENGINE)
        .args(["run", "--config"])
        .arg(home.path().join("flipped-lb.toml"))
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the engine's binary");
    assert_eq!(output.status.code(), Some(1));
    text(&output.stderr)
}

/// The messages that a directory's journal has, by sequence.
fn readable(data: &Path) -> Vec<u64> {
    let output = journal(&["dump"], data);
    let of = |it: &Value| (it["kind"] == "message").then(|| it["sequence"].as_u64());
    lines(&text(&output.stdout))
        .iter()
        .filter_map(of)
        .flatten()
        .collect()
}

/// Whatever was replaced is kept aside, byte for byte, with a report.
fn assert_aside(data: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let entries = std::fs::read_dir(data).expect("a directory");
    let paths = entries.map(|it| it.expect("an entry").path());
    let is_aside = |it: &PathBuf| it.to_string_lossy().contains("journal-damaged-");
    let aside: Vec<PathBuf> = paths.filter(is_aside).collect();
    assert_eq!(aside.len(), 1);
    let report = std::fs::read_to_string(aside[0].join("report.txt")).expect("a report");
    assert!(report.contains("Lost: "), "{report}");
    for (path, bytes) in before {
        if std::fs::read(path).ok().as_ref() != Some(bytes) {
            let kept = aside[0].join(path.file_name().expect("a name"));
            assert_eq!(std::fs::read(kept).ok().as_ref(), Some(bytes));
        }
    }
}
