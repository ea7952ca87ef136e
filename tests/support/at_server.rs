//! What the tests of a store at a server share: engines that write to it, and what must be there.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;

use super::mariadb::MariaDb;
use super::support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

pub type Home = Arc<tempfile::TempDir>;

pub fn home() -> Home {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

/// An engine that listens for producers and keeps its rows at the server.
pub fn engine(server: &MariaDb, home: &Home, rest: &str) -> Engine {
    engine_by(server, home, &server.settings(rest))
}

/// The same with a `[store]` of its own.
pub fn engine_by(server: &MariaDb, home: &Home, store: &str) -> Engine {
    let settings = format!("source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n{store}");
    let mut command = Command::new(ENGINE);
    command.env("FLIPPED_LB_STORE_PASSWORD", server.password());
    Engine::start_by(command, Arc::clone(home), &settings)
}

/// `flipped-lb schema ACTION` for the server's database.
pub fn schema(server: &MariaDb, home: &Home, action: &str) -> Output {
    schema_by(server, home, action, &server.url())
}

/// The same by another address.
pub fn schema_by(server: &MariaDb, home: &Home, action: &str, url: &str) -> Output {
    Command::new(ENGINE)
        .args(["schema", action])
        .env("FLIPPED_LB_STORE_URL", url)
        .env("FLIPPED_LB_STORE_PASSWORD", server.password())
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .current_dir(home.path())
        .output()
        .expect("the engine's binary")
}

pub fn words(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

/// Sends the lines, and returns when all are acknowledged; false: the engine went meanwhile.
pub fn send(engine: &Engine, lines: &[String]) -> bool {
    let address = engine.ingest.expect("it listens");
    let mut stream = TcpStream::connect(address).expect("the producers' address");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let all = format!("{{\"producer\":{{\"ack\":true}}}}\n{}\n", lines.join("\n"));
    if stream.write_all(all.as_bytes()).is_err() {
        return false;
    }
    let mut acks = BufReader::new(stream).lines().map_while(Result::ok);
    let last = |it: &String| {
        let ack: Value = serde_json::from_str(it).expect("JSON");
        ack["ack"] == lines.len()
    };
    acks.any(|it| last(&it))
}

pub fn frames(name: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), "table2", 2))
        .collect()
}

/// One row a message, and all of them delivered.
pub fn assert_all_delivered(server: &MariaDb, count: u64) {
    let query = "SELECT COUNT(*), COUNT(DISTINCT messageId), COUNT(DISTINCT sequence), \
                 CAST(SUM(status = 'DELIVERED' AND delivered_at >= created_at) AS UNSIGNED) \
                 FROM messages";
    let counts = server.ask::<(u64, u64, u64, u64)>(query);
    assert_eq!(counts, [(count, count, count, count)]);
}

/// Waits until the server has so many delivered rows.
pub fn wait_for_rows(engine: &Engine, count: u64) {
    engine.wait("all is stored", |it| it["stored_settled"] == count);
}

/// A subscriber that takes everything, in a thread of its own, until the engine goes.
pub fn take_all(engine: &Engine, destinations: &[&str]) {
    let mut subscriber = Subscriber::new(engine, destinations, false);
    std::thread::spawn(move || while subscriber.line().is_some() {});
}
