//! The example of two engines that share customers by a stream: the settings of the repository, run.

#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::io::Write;
use std::net::TcpStream;

use nats_server::NatsServer;
use support::{Engine, Subscriber, frame};

/// Settings of the example, at this server and on free ports.
fn settings(name: &str, server: &NatsServer) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/ops/examples/two-groups");
    let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("it is there");
    assert!(text.contains("nats://127.0.0.1:4222"));
    text.replace("nats://127.0.0.1:4222", &server.url())
        .replace("127.0.0.1:9001", "127.0.0.1:0")
}

#[test]
fn orders_reach_their_customers_wherever_they_come_in() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_stream("ORDERS", &["orders.>"]);
    let east = Engine::start(&settings("east.toml", &server));
    let west = Engine::start(&settings("west.toml", &server));
    let mut producer = TcpStream::connect(east.ingest.expect("it listens")).expect("a way in");
    for number in 0..10 {
        let line = frame(&format!("e-{number}"), "west-1", 2);
        writeln!(producer, "{line}").expect("taken");
    }
    let mut west_1 = Subscriber::new(&west, &["west-1"], false);
    let ids = |frames: Vec<serde_json::Value>| -> Vec<String> {
        let ids = frames
            .iter()
            .map(|it| it["messageId"].as_str().expect("an id"));
        ids.map(str::to_owned).collect()
    };
    let expected: Vec<_> = (0..10).map(|it| format!("e-{it}")).collect();
    assert_eq!(ids(west_1.frames(10)), expected);
    // What a producer publishes itself is for the same customers, and known if it came before.
    let order =
        |subject: &str, id: &str, customer: &str| (subject.to_owned(), frame(id, customer, 1));
    peer.publish([
        order("orders.west.direct", "e-3", "west-1"),
        order("orders.west.direct", "d-1", "west-2"),
        order("orders.east.direct", "d-2", "east-1"),
        order("orders.east.direct", "d-3", "west-1"),
    ]);
    assert_eq!(ids(west_1.frames(1)), ["d-3"]);
    let mut west_2 = Subscriber::new(&west, &["west-2"], false);
    assert_eq!(ids(west_2.frames(1)), ["d-1"]);
    let mut east_1 = Subscriber::new(&east, &["east-1"], false);
    assert_eq!(ids(east_1.frames(1)), ["d-2"]);
    let stats = west.wait("the duplicate is seen", |it| it["duplicates"] == 1);
    assert_eq!(stats["rejected"], 0, "{stats}");
    assert_eq!(east.stop().code, Some(0));
    assert_eq!(west.stop().code, Some(0));
}
