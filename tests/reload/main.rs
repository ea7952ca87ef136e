//! Reloading a running engine: all of it takes effect or nothing does, and nothing that stays is
//! disturbed.

mod commands;
mod destinations;
mod file;
#[path = "../support/reloading.rs"]
mod reloading;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod users;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use reloading::{file, post, refused, reload, write};
use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, Server, Subscriber, frame, user_hash, with_sources};

const TABLES: &str = "[[destination]]\nid = \"table1\"\n[[destination]]\nid = \"table2\"\n";
const INGEST: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Settings of two tables and a port for producers, and whatever else.
fn settings(rest: &str) -> String {
    format!("source = []\n{TABLES}{INGEST}{rest}")
}
/// A producer that wants acknowledgements.
struct Producer {
    stream: BufReader<TcpStream>,
    sent: u64,
}

impl Producer {
    fn new(engine: &Engine, token: Option<&str>) -> Self {
        let address = engine.ingest.expect("it listens");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut greeting = json!({ "producer": { "ack": true } });
        if let Some(token) = token {
            greeting["producer"]["token"] = token.into();
        }
        writeln!(stream, "{greeting}").expect("it reads");
        let stream = BufReader::new(stream);
        Self { stream, sent: 0 }
    }

    /// Sends a message and waits until it is acknowledged.
    #[track_caller]
    fn send(&mut self, id: &str, destination: &str, priority: u8) {
        let line = frame(id, destination, priority);
        writeln!(self.stream.get_mut(), "{line}").expect("it reads");
        self.sent += 1;
        let mut said = String::new();
        self.stream.read_line(&mut said).expect("a line");
        assert_eq!(said.trim(), format!("{{\"ack\":{}}}", self.sent));
    }

    /// What it is told, until it is closed.
    fn rest(mut self) -> String {
        let mut said = String::new();
        self.stream
            .read_to_string(&mut said)
            .expect("an orderly end");
        said
    }
}

fn ids(frames: &[Value]) -> Vec<&str> {
    let ids = frames.iter().map(|it| it["messageId"].as_str());
    ids.map(|it| it.expect("an id")).collect()
}
