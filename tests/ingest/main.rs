//! The sources' side over real sockets: servers that die and come back, hostile lines, destinations
//! that messages create.
//!
//! Acknowledgements are in `producers`, load is in `flood` and `crowds`.

mod created;
mod endings;
#[path = "../support/hand.rs"]
mod hand;
mod hostile;
mod reconnecting;
#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flipped_lb::counters::Counter;
use flipped_lb::limits::{CONNECT_NS_MAX, LOG_LINES_PER_WINDOW, LOG_WINDOW_NS};
use hand::{Hand, HandClock};
use serde_json::{Value, json};

use support::ports::free_port;
use support::{Engine, Server, Subscriber, frame, with_sources};

const MAX_LINE: usize = 64 * 1024;

/// The kept line of an entry of `rejected.ndjson`.
fn kept(entry: &Value) -> Vec<u8> {
    match (&entry["line"], &entry["line_base64"]) {
        (Value::String(line), Value::Null) => line.clone().into_bytes(),
        (Value::Null, Value::String(line)) => STANDARD.decode(line).expect("base64"),
        _ => panic!("one of line and line_base64: {entry}"),
    }
}

fn rejected(engine: &Engine) -> Vec<Value> {
    engine
        .rejected_lines()
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
