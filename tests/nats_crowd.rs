//! Many messages from a stream through the engine to another stream, while the server dies in the middle and
//! its answers are lost: each is there exactly once by its messageId, in order per source, destination and
//! level.
//!
//! A million are for hands: `cargo test --release --test nats_crowd -- --ignored --nocapture`.

#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::collections::HashMap;
use std::time::Instant;

use nats_server::{NatsServer, settings};
use proxy::Proxy;
use serde::Deserialize;
use support::Engine;

const SOURCES: u64 = 5;
const DESTINATIONS: u64 = 64;
const LEVELS: u64 = 3;

/// Message `number`: each source sends to each destination on each level.
fn message(number: u64) -> (String, String) {
    let (source, destination) = (number % SOURCES, number % DESTINATIONS);
    let level = 1 + number / DESTINATIONS % LEVELS;
    let line = format!(
        "{{\"messageId\":\"m-{number}\",\"sourceServerId\":\"server{source}\",\
         \"destinationId\":\"west-{destination}\",\"messageType\":\"lunch\",\"priority\":{level}}}"
    );
    (format!("in.{source}"), line)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    message_id: &'a str,
    source_server_id: &'a str,
    destination_id: &'a str,
    priority: u64,
}

/// What came out: which numbers, and the last one of each source, destination and level.
#[derive(Default)]
struct Seen {
    numbers: Vec<bool>,
    last: HashMap<(String, String, u64), u64>,
}

impl Seen {
    fn take(&mut self, subject: &str, payload: &[u8]) {
        let line: Line<'_> = serde_json::from_slice(payload).expect("a frame");
        assert_eq!(subject, format!("out.{}", line.destination_id));
        let number: u64 = line.message_id[2..].parse().expect("a number");
        let at = number as usize;
        if self.numbers.len() <= at {
            self.numbers.resize(at + 1, false);
        }
        assert!(!self.numbers[at], "{number} is there twice");
        self.numbers[at] = true;
        let (source, destination) = (line.source_server_id, line.destination_id);
        let key = (source.to_owned(), destination.to_owned(), line.priority);
        let before = self.last.insert(key, number);
        assert!(before < Some(number), "{number} behind {before:?}");
    }
}

/// So many go through, and the server dies so often in the middle.
fn run(count: u64, deaths: u64) {
    let mut server = NatsServer::start();
    let [from, to] = [(); 2].map(|()| Proxy::to(server.address()));
    let peer = server.peer();
    peer.make_streams();
    drop(peer);
    let engine = Engine::start(&format!(
        "{}[scheduler]\nmax_wait = [\"0s\", \"0s\", \"0s\"]\n",
        settings(&from.url(), &to.url(), "")
    ));
    let begun = Instant::now();
    let part = count / (deaths + 1);
    for round in 0..=deaths {
        let peer = server.peer();
        let end = if round == deaths {
            count
        } else {
            (round + 1) * part
        };
        let middle = (round * part).midpoint(end);
        let what = || format!("{}\n{}", engine.stats(), engine.log());
        peer.publish((round * part..middle).map(message));
        if round < deaths {
            peer.wait_for("OUT", middle, what);
            engine.wait("all is heard of", |it| it["in_flight"] == 0);
            // What the stream stores from here on, the engine does not hear of.
            to.swallow_from_next_publish();
            peer.publish((middle..end).map(message));
            peer.wait_for("OUT", middle + 1, what);
            drop(peer);
            from.swallow();
            server.kill();
            from.cut();
            to.cut();
            server.resume();
        } else {
            peer.publish((middle..end).map(message));
        }
    }
    let peer = server.peer();
    // As long as it goes on.
    let mut before = 0;
    while peer.count("OUT") < count {
        peer.wait_for("OUT", (before + 1).min(count), || {
            format!("{}\n{}", engine.stats(), engine.log())
        });
        before = peer.count("OUT");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut seen = Seen::default();
    peer.each("OUT", count, |subject, payload| seen.take(subject, payload));
    assert_eq!(
        peer.count("OUT"),
        count,
        "nothing comes behind the last one"
    );
    assert!(seen.numbers.iter().all(|it| *it) && seen.numbers.len() as u64 == count);
    let groups = SOURCES * DESTINATIONS * LEVELS;
    assert_eq!(seen.last.len() as u64, groups.min(count));
    let stats = engine.wait("all is settled", |it| {
        it["in_flight"] == 0 && it["queued"] == 0
    });
    assert!(
        stats["nats_duplicates"].as_u64() > Some(0),
        "published again: {stats}"
    );
    println!(
        "{count} messages in {seconds:.1} s, {:.0} a second; published again and known: {}; came again: {}",
        count as f64 / seconds,
        stats["nats_duplicates"],
        stats["duplicates"]
    );
    assert_eq!(engine.stop().code, Some(0));
    peer.wait_for_acknowledged("IN", "engine");
}

#[test]
fn twenty_thousand_are_there_once_and_in_order_though_the_server_dies() {
    run(20_000, 1);
}

#[test]
#[ignore = "a million take minutes: see the module"]
fn a_million_are_there_once_and_in_order_though_the_server_dies() {
    run(1_000_000, 3);
}
