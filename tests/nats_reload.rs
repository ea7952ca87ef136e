//! Sources and destinations at NATS come, go and change by a reload, with a real nats-server: what stays
//! keeps its link, what was acknowledged is not lost, and what waits comes when its destination is back.

#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/reloading.rs"]
mod reloading;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nats_server::{NatsServer, Peer, Stored};
use reloading::{refused, reload, write};
use serde_json::{Value, json};
use support::{Engine, Subscriber, frame, user_hash};

const PLAIN: &str = "source = []\n[[destination]]\nid = \"bar\"\n[scheduler]\nmax_wait = [\"0s\", \"0s\", \"0s\"]\n";

fn source(server: &NatsServer, subject: &str) -> String {
    format!(
        "source = [{{ nats = \"{}\", stream = \"IN\", durable = \"engine\", subject = \"{subject}\" }}]\n",
        server.url()
    )
}

fn destination(server: &NatsServer, id: &str, subject: &str) -> String {
    let url = server.url();
    format!("[[destination]]\nid = \"{id}\"\nnats = \"{url}\"\nsubject = \"{subject}\"\n")
}

/// The settings without sources, with these besides.
fn with(source: &str, destinations: &[String]) -> String {
    let plain = PLAIN.replace("source = []\n", source);
    plain.replace(
        "[scheduler]",
        &format!("{}[scheduler]", destinations.concat()),
    )
}

fn start(server: &NatsServer) -> (Engine, Peer) {
    let peer = server.peer();
    peer.make_streams();
    (Engine::start(PLAIN), peer)
}

/// Messages `from..to`, for two customers.
fn messages(from: u64, to: u64) -> impl Iterator<Item = (String, String)> {
    (from..to).map(|it| {
        let line = frame(&format!("m-{it}"), &format!("west-{}", it % 2), 1);
        (format!("in.{}", it % 2), line)
    })
}

/// Each is there once, and each customer's in their order.
fn check_whole(stored: &[Stored], count: u64) {
    let (mut seen, mut last) = (HashSet::new(), BTreeMap::new());
    for message in stored {
        let line: Value = serde_json::from_str(&message.payload).expect("a frame");
        let id = line["messageId"].as_str().expect("an id").to_owned();
        let number: u64 = id[2..].parse().expect("a number");
        let before = last.insert(line["destinationId"].to_string(), number);
        assert!(
            before.is_none_or(|it| it < number),
            "{number} behind {before:?}"
        );
        assert!(seen.insert(id), "{number} is there twice");
    }
    assert_eq!(seen.len() as u64, count);
}

fn links(stats: &Value) -> Vec<String> {
    let links = stats["links"].as_object().expect("links");
    links.keys().cloned().collect()
}

#[test]
fn an_engine_that_had_nothing_at_nats_reads_a_stream_and_publishes_behind_a_reload() {
    const COUNT: u64 = 1_000;
    let server = NatsServer::start();
    let (engine, peer) = start(&server);
    peer.publish(messages(0, COUNT / 2));
    let west = [0, 1].map(|it| destination(&server, &format!("west-{it}"), "out.{id}"));
    let settings = with(&source(&server, "in.*"), &west);
    let answer = reload(&engine, &settings);
    let name = format!("[[source]] {}/IN/engine", server.url());
    let added = [
        name.as_str(),
        "[[destination]] west-0",
        "[[destination]] west-1",
    ];
    assert_eq!(answer["added"], json!(added));
    peer.publish(messages(COUNT / 2, COUNT));
    peer.wait_for("OUT", COUNT, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    check_whole(&peer.messages("OUT"), COUNT);
    // What stays keeps its link: a durable that begins anew is made anew.
    let made = peer.consumer("IN", "engine").created;
    let more = with(
        &source(&server, "in.*"),
        &[&west[..], &[destination(&server, "east", "out.{id}")]].concat(),
    );
    reload(&engine, &more);
    let stats = engine.wait("all work", |it| it["nats_connected"] == 4);
    assert_eq!(links(&stats).len(), 4);
    assert_eq!(stats["nats_failures"], 0);
    assert_eq!(peer.consumer("IN", "engine").created, made);
    // A file that is wrong, or that a running engine cannot take, changes nothing.
    for (wrong, words) in [
        (more.replace("\"IN\"", "\"I N\""), "stream"),
        (
            more.clone() + &destination(&server, "west-*", "new.{id}"),
            "choose ids that do not overlap",
        ),
    ] {
        write(&engine, &wrong);
        let why = refused(&engine);
        assert!(why.contains(words), "{why}");
    }
    assert_eq!(peer.consumer("IN", "engine").created, made);
    assert_eq!(links(&engine.stats()).len(), 4);
    // And all of it goes again.
    reload(&engine, PLAIN);
    let stats = engine.wait("none is left", |it| it["nats_connected"] == 0);
    assert!(links(&stats).is_empty(), "{stats}");
    assert_eq!(stats["sources_connected"], 0);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_destination_that_goes_under_load_leaves_its_messages_for_when_it_is_back() {
    const COUNT: u64 = 6_000;
    let server = NatsServer::start();
    let (engine, peer) = start(&server);
    let west = [0, 1].map(|it| destination(&server, &format!("west-{it}"), "out.{id}"));
    let both = with(&source(&server, "in.*"), &west);
    reload(&engine, &both);
    peer.publish(messages(0, COUNT / 2));
    engine.wait("some are out", |it| {
        it["settled"].as_u64() > Some(COUNT / 16)
    });
    // While they flow the second one is no subscriber's but its customer's, and then goes.
    let plain = ["[[destination]]\nid = \"west-1\"\n".to_owned()];
    let one = with(&source(&server, "in.*"), &[&west[..1], &plain[..]].concat());
    let answer = reload(&engine, &one);
    let changed = json!(["[[destination]] west-1: nats, subject"]);
    assert_eq!(answer["changed"], changed);
    peer.publish(messages(COUNT / 2, COUNT));
    peer.wait_for("OUT", COUNT / 2, || engine.stats().to_string());
    let stats = engine.wait("the first one has its messages", |it| {
        it["received"] == COUNT && it["in_flight"] == 0 && it["queued"] == COUNT - peer.count("OUT")
    });
    let waiting = stats["queued"].as_u64().expect("a number");
    assert!(waiting >= COUNT / 4, "{waiting} wait");
    let only = with(&source(&server, "in.*"), &west[..1]);
    reload(&engine, &only);
    assert_eq!(engine.count("queued"), waiting);
    reload(&engine, &both);
    peer.wait_for("OUT", COUNT, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    check_whole(&peer.messages("OUT"), COUNT);
    let stats = engine.wait("all is settled", |it| it["settled"] == COUNT);
    assert_eq!(
        (&stats["queued"], &stats["rejected"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_pattern_that_goes_under_load_leaves_its_messages_for_one_that_they_fit() {
    const COUNT: u64 = 6_000;
    let server = NatsServer::start();
    let (engine, peer) = start(&server);
    let with_pattern =
        |source: &str, pattern: &str| with(source, &[destination(&server, pattern, "out.{id}")]);
    let reads = source(&server, "in.*");
    let answer = reload(&engine, &with_pattern(&reads, "west-*"));
    let name = format!("[[source]] {}/IN/engine", server.url());
    let added = json!([name, "[[destination]] west-*"]);
    assert_eq!(answer["added"], added);
    peer.publish(messages(0, COUNT / 2));
    engine.wait("all are here, and some are out", |it| {
        it["accepted"] == COUNT / 2 && it["settled"].as_u64() > Some(0)
    });
    // While they flow the pattern goes: nobody may take its names, and what is not out waits.
    reload(&engine, &with_pattern("source = []\n", "west-*"));
    let answer = reload(&engine, &with_pattern("source = []\n", "east-*"));
    assert_eq!(answer["removed"], json!(["[[destination]] west-*"]));
    let told = Subscriber::say(engine.delivery, r#"{"subscribe":["west-0"]}"#).answer;
    assert!(told.contains("unknown destination"), "{told}");
    let stats = engine.wait("what was begun is answered", |it| it["in_flight"] == 0);
    let (settled, queued) = (&stats["settled"], stats["queued"].as_u64());
    assert_eq!(
        settled.as_u64().zip(queued).map(|(it, other)| it + other),
        Some(COUNT / 2)
    );
    assert_eq!(links(&stats).len(), 1, "{stats}");
    // It stays so over a restart, and over other patterns.
    let home = Arc::clone(&engine.home);
    assert_eq!(engine.stop().code, Some(0));
    let engine = Engine::start_in(home, &with_pattern("source = []\n", "east-*"));
    let stats = engine.wait("it is read again", |it| it["queued"].as_u64() == queued);
    assert_eq!(stats["destinations"], 1, "{stats}");
    reload(&engine, &with_pattern(&reads, "*-*"));
    peer.publish(messages(COUNT / 2, COUNT));
    peer.wait_for("OUT", COUNT, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    check_whole(&peer.messages("OUT"), COUNT);
    let stats = engine.wait("all is settled", |it| {
        it["queued"] == 0 && it["in_flight"] == 0
    });
    assert_eq!(stats["rejected"], 0);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_source_that_goes_under_load_and_comes_back_goes_on_where_it_was() {
    const COUNT: u64 = 6_000;
    let server = NatsServer::start();
    let (engine, peer) = start(&server);
    let out =
        destination(&server, "west-0", "out.{id}") + &destination(&server, "west-1", "out.{id}");
    let out = [out];
    let (with_it, without) = (
        with(&source(&server, "in.*"), &out),
        with("source = []\n", &out),
    );
    for round in 0..4 {
        reload(&engine, &with_it);
        peer.publish(messages(round * COUNT / 4, (round + 1) * COUNT / 4));
        reload(&engine, &without);
        // All that the engine has is the engine's, and only that; the durable stays.
        let stats = engine.wait("it is closed", |it| it["sources_connected"] == 0);
        let floor = || json!(peer.consumer("IN", "engine").ack_floor.stream_sequence);
        // The server takes acknowledgements one behind the other.
        engine.wait("it is told", |_| floor() == stats["accepted"]);
    }
    // Read otherwise: it is the same durable, made anew.
    let answer = reload(&engine, &with(&source(&server, "in.>"), &out));
    assert_eq!(answer["added"].as_array().map(Vec::len), Some(1));
    let answer = reload(&engine, &with_it);
    let changed = format!("[[source]] {}/IN/engine: subject", server.url());
    assert_eq!(answer["changed"], json!([changed]));
    peer.wait_for("OUT", COUNT, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    check_whole(&peer.messages("OUT"), COUNT);
    assert_eq!(engine.stats()["rejected"], 0);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn with_users_the_engine_s_own_follows_what_is_at_nats() {
    let server = NatsServer::start();
    let (engine, peer) = start(&server);
    let user = format!(
        "[[user]]\nname = \"admin\"\n{}may_admin = true\nmay_receive = [\"*\"]\n",
        user_hash("admin-token")
    );
    let west = [0, 1].map(|it| destination(&server, &format!("west-{it}"), "out.{id}"));
    reload(&engine, &with(&source(&server, "in.*"), &west[..1]));
    // With the first user all show who they are; then one more destination is at NATS.
    for many in [1, 2] {
        write(
            &engine,
            &(with(&source(&server, "in.*"), &west[..many]) + &user),
        );
        let token = (many == 2).then_some("admin-token");
        let (status, body) = reloading::post(&engine, token);
        assert_eq!(status, 200, "{body}");
    }
    peer.publish(messages(0, 100));
    peer.wait_for("OUT", 100, || engine.log());
    // Nobody else gets in by that.
    let answer = Subscriber::say(engine.delivery, r#"{"subscribe":["west-0"]}"#).answer;
    assert!(answer.contains("a token is wanted"), "{answer}");
}
