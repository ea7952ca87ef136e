//! What goes wrong at NATS and nobody else would tell: acknowledgements that are refused, streams that a source
//! cannot read, messages that a stream does not store. A real nats-server.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/servers.rs"]
mod servers;
mod support;

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use nats_server::{NatsServer, settings, wait_for_words};
use serde_json::Value;
use support::{Engine, frame};

fn orders(count: u64) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|it| ("in.a".to_owned(), frame(&format!("m-{it}"), "west-1", 1)))
}

#[test]
fn acknowledgements_that_the_server_refuses_are_told() {
    let server = NatsServer::start_with(
        "authorization { users: [ { user: \"a\", password: \"b\" }, { user: \"e\", password: \"f\", \
         permissions: { publish: { deny: [\"$JS.ACK.>\"] } } } ] }",
    );
    let login = ConnectOptions::with_user_and_password("a".to_owned(), "b".to_owned());
    let peer = server.peer_with(login);
    peer.make_streams();
    let at = |login: &str| format!("nats://{login}@{}", server.address());
    let engine = Engine::start(&settings(&at("e:f"), &at("a:b"), ""));
    peer.publish(orders(10));
    let why = wait_for_words(&engine, "source ", "no message can be acknowledged");
    assert!(
        why.contains("$JS.ACK.IN.engine.") && why.contains("needs the rights to"),
        "{why}"
    );
    engine.wait_for_log("no message can be acknowledged");
    // They were taken all the same, each once.
    peer.wait_for("OUT", 10, || engine.log());
    assert_eq!(engine.stats()["accepted"], 10);
}

#[test]
fn a_work_queue_is_no_source_and_what_to_do_is_told() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_stream("OUT", &["out.*"]);
    peer.make(Config {
        name: "IN".to_owned(),
        subjects: vec!["in.*".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        ..Config::default()
    });
    let engine = Engine::start(&settings(&server.url(), &server.url(), ""));
    let why = wait_for_words(&engine, "source ", "work queue");
    assert!(why.contains("--retention limits or interest"), "{why}");
}

/// The stream remembers ids for two minutes, the engine one message.
#[test]
fn a_message_that_a_stream_does_not_store_is_told_and_counted() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let more = "[dedup]\nwindow_messages = 1\nwindow = \"1s\"\n";
    let settings = settings(&server.url(), &server.url(), "");
    let engine = Engine::start(&format!("{settings}{more}"));
    peer.publish(orders(1));
    peer.wait_for("OUT", 1, || engine.log());
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    peer.publish(orders(1));
    let stats = engine.wait("it is there already", |it| it["nats_duplicates"] == 1);
    assert_eq!(stats["duplicates"], 0);
    engine.wait_for_log("a stream had a message of its id");
    assert_eq!(peer.count("OUT"), 1);
}

#[test]
fn a_line_break_within_a_string_is_no_json_and_between_its_parts_it_is() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let engine = Engine::start(&settings(&server.url(), &server.url(), ""));
    let line = frame("m-1", "west-1", 1);
    let within = line.replace("m-1", "m\n1");
    let between = line.replacen(',', ",\r\n  ", 1);
    peer.publish([("in.a".to_owned(), within), ("in.a".to_owned(), between)]);
    peer.wait_for("OUT", 1, || engine.log());
    let stats = engine.wait("both are read", |it| it["received"] == 2);
    assert_eq!(stats["rejected_by_reason"]["bad_json"], 1);
    let stored = &peer.messages("OUT")[0].payload;
    let stored: Value = serde_json::from_str(stored).expect("JSON");
    assert_eq!(stored["messageId"], "m-1");
}
