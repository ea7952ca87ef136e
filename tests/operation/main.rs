//! Running it: signals, start and restart, HTTP, threads, and what it costs to do nothing.

mod idle;
mod running;
mod starting;
mod stopping;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use flipped_lb::counters::Counter;
use flipped_lb::limits::STOP_DRAIN_STALL;
use serde_json::{Value, json};
use support::{Engine, PATIENCE, Server, Subscriber, frame, with_sources};

/// Producers dial in, and there is no database.
const PLAIN: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";

fn settings(rest: &str) -> String {
    with_sources(&[], &format!("{PLAIN}{rest}"))
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens")
}

fn send(producer: &mut TcpStream, id: &str, destination: &str, priority: u8) {
    let line = frame(id, destination, priority) + "\n";
    producer.write_all(line.as_bytes()).expect("it reads");
}

/// The value behind a label of the printed statistics.
fn figure<'a>(stdout: &'a str, label: &str) -> &'a str {
    let (_, last) = stdout
        .rsplit_once("=== DELIVERY STATISTICS ===")
        .expect("the statistics");
    let line = last.lines().find_map(|it| it.strip_prefix(label));
    let value = line.and_then(|it| it.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("{label} in {last}")).trim()
}
