//! An active whose lease is over hands out nothing, and closes its peers, at TCP and HTTP, or waits with NATS. Real
//! processes, real nats-servers.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "support/member.rs"]
mod member;
#[path = "support/nats.rs"]
mod nats;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use member::{ALONE, Member, command};
use nats::NatsServer;
use servers::{PATIENCE, Servers};
use support::frame;

/// A connection, and what was said there first.
fn open(at: SocketAddr, words: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(words.as_bytes()).expect("it takes a line");
    BufReader::new(stream)
}

/// Reads until a line has these words.
fn read_until(stream: &mut BufReader<TcpStream>, words: &str) -> String {
    let mut all = String::new();
    while !all.contains(words) {
        assert_ne!(stream.read_line(&mut all).expect("a line"), 0, "{all}");
    }
    all
}

/// All that is said until the connection ends.
fn rest(stream: &mut BufReader<TcpStream>) -> String {
    let mut all = Vec::new();
    stream
        .read_to_end(&mut all)
        .expect("it is closed in good order");
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_paused_active_closes_its_peers_and_serves_on_when_the_stream_confirms_again() {
    let outside = NatsServer::start();
    let peer = outside.peer();
    peer.make_stream("KITCHEN", &["kitchen"]);
    let mut servers = Servers::start(1);
    let url = outside.url();
    let more = format!(
        "[[destination]]\nid = 'kitchen'\nnats = '{url}'\nsubject = 'kitchen'\n\
         [[destination]]\nid = 'table1'\n[[destination]]\nid = 'table2'\n[[destination]]\nid = 'table3'\n"
    );
    let member = Member::start_with_http("n1", &servers.urls(), ALONE, &more);
    member.wait_until_serving();
    let http = member.http.expect("it was given");
    let mut keeps = open(member.ingest, "{\"producer\":{\"ack\":true}}\n");
    writeln!(keeps.get_mut(), "{}", frame("k-1", "kitchen", 1)).expect("it takes a line");
    read_until(&mut keeps, "\"ack\":1");
    peer.wait_for("KITCHEN", 1, || member.log());
    let mut plain = open(member.ingest, &(frame("p-1", "table1", 1) + "\n"));
    let mut tcp = open(member.delivery, "{\"subscribe\":[\"table2\"]}\n");
    read_until(&mut tcp, "\"subscribed\"");
    let get = "GET /subscribe/table3 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut events = open(http, get);
    read_until(&mut events, "event: subscribed");
    servers.kill(0);
    // Both were accepted before the pause, and are confirmed behind it.
    writeln!(keeps.get_mut(), "{}", frame("k-2", "kitchen", 1)).expect("it takes a line");
    let told = rest(&mut keeps);
    assert!(told.contains("{\"error\":\"paused: "), "{told}");
    assert_eq!(rest(&mut tcp), "");
    let told = rest(&mut events);
    assert!(
        told.contains("event: closed\ndata: {\"error\":\"paused: "),
        "{told}"
    );
    member.wait_for_role("paused");
    let offered = frame("h-1", "table1", 1);
    for request in [
        get.to_owned(),
        format!(
            "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{}",
            offered.len(),
            offered
        ),
    ] {
        let mut refused = open(http, &request);
        let told = read_until(&mut refused, "\"error\"");
        assert!(
            told.starts_with("HTTP/1.1 503") && told.contains("paused: "),
            "{told}"
        );
        assert!(told.contains("retry-after"), "{told}");
    }
    // What it sends nobody else keeps.
    writeln!(plain.get_mut(), "{}", frame("p-2", "table1", 1)).expect("it takes a line");
    member.wait("it is read", |it| it["accepted"] == 4);
    assert_eq!(peer.count("KITCHEN"), 1, "nothing is handed out");
    servers.resume(0);
    member.wait_until_serving();
    peer.wait_for("KITCHEN", 2, || member.log());
    let delivery = member.delivery.to_string();
    let (code, text, words) = command(&[
        "subscribe",
        "table1",
        "--count",
        "2",
        "--address",
        &delivery,
    ]);
    assert_eq!((code, text.lines().count()), (Some(0), 2), "{text}{words}");
    let mut events = open(http, get);
    read_until(&mut events, "event: subscribed");
    assert_eq!(member.stats().expect("it answers")["cluster_take_overs"], 1);
}
