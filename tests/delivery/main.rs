//! The subscribers' side: subscriptions, acknowledgements, redelivery, standby, wrong words, slow
//! and dead readers.

mod deaths;
#[path = "../support/hand.rs"]
mod hand;
mod redelivery;
mod slow_readers;
mod standbys;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
mod wrong_lines;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use flipped_lb::counters::Counter;
use hand::{Hand, HandClock, Peer, narrow};
use serde_json::{Value, json};
use support::{Engine, PATIENCE, Subscriber, frame, with_sources};

/// No level ages, producers dial in, no database.
const PLAIN: &str = r#"
    [ingest]
    listen = "127.0.0.1:0"
    [scheduler]
    max_wait = ["0s", "0s", "0s"]
    [store]
    url = "none"
"#;

fn engine() -> Engine {
    engine_with("")
}

fn engine_with(rest: &str) -> Engine {
    Engine::start(&with_sources(&[], &format!("{PLAIN}{rest}")))
}

/// A producer by hand.
struct Producer(TcpStream);

impl Producer {
    fn new(engine: &Engine) -> Self {
        Self(TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens"))
    }

    fn send(&mut self, id: &str, destination: &str, priority: u8) {
        writeln!(self.0, "{}", frame(id, destination, priority)).expect("it reads");
    }

    /// Messages `prefix1` to `prefixN` of level 3 for `table2`.
    fn send_many(&mut self, prefix: &str, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            self.send(&format!("{prefix}{number}"), "table2", 3);
        }
    }
}

fn id(frame: &Value) -> String {
    frame["messageId"].as_str().expect("an id").to_owned()
}

fn ids(frames: &[Value]) -> Vec<String> {
    frames.iter().map(id).collect()
}

fn names(prefix: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|it| format!("{prefix}{it}")).collect()
}

/// The next line as the engine's own word.
fn word(subscriber: &mut Subscriber) -> Value {
    let line = subscriber.line().expect("a line");
    let word: Value = serde_json::from_str(&line).expect("JSON");
    assert!(word.get("messageId").is_none(), "a word, not {line}");
    word
}

/// The next line as a frame's id.
fn next_id(subscriber: &mut Subscriber) -> String {
    let line = subscriber.line().expect("a line");
    let frame: Value = serde_json::from_str(&line).expect("JSON");
    assert!(frame.get("messageId").is_some(), "a frame, not {line}");
    id(&frame)
}

/// Ends a connection as a dying process does: unread bytes turn into a reset.
fn kill(subscriber: Subscriber) {
    let stream = subscriber.stream.into_inner();
    let socket = socket2::SockRef::from(&stream);
    socket
        .set_linger(Some(Duration::ZERO))
        .expect("it has the option");
}

fn wait_for_subscribers(engine: &Engine, count: u64) {
    engine.wait("subscribers come and go", |it| {
        it["subscribers_connected"] == count
    });
}

/// A frame of this many bytes or a few more.
fn large_frame(id: &str, len: usize) -> String {
    let filling = "x".repeat(len - 150);
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"test\",\"destinationId\":\"table2\",\
         \"messageType\":\"lunch\",\"priority\":3,\"payload\":{{\"filling\":\"{filling}\"}}}}"
    )
}

/// What a subscriber of the storm saw.
#[derive(Default)]
struct Seen {
    ids: Vec<u32>,
    /// Messages that came without having been announced.
    fresh: std::collections::HashSet<u32>,
}

impl Seen {
    /// Reads up to `count` frames of a connection, checking what `again` promises.
    fn read(&mut self, subscriber: &mut Subscriber, count: usize) -> u64 {
        let (mut announced, mut frames, mut last) = (0, 0, 0);
        while frames < count as u64 || announced > 0 {
            let line = subscriber.line().expect("there is more");
            let value: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(again) = value["again"].as_u64() {
                assert_eq!(announced, 0, "no announcement within another");
                announced = again;
                continue;
            }
            let number: u32 = id(&value)[1..].parse().expect("a number");
            assert!(number > last, "{number} after {last} on one connection");
            last = number;
            if announced > 0 {
                announced -= 1;
            } else {
                assert!(self.fresh.insert(number), "{number} came again unannounced");
            }
            self.ids.push(number);
            frames += 1;
        }
        frames
    }
}
