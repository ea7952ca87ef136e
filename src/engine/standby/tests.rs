use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::cluster::core::Role;
use crate::cluster::record::Announcement;
use crate::cluster::status::{HandOver, Status};
use crate::config::parse;
use crate::limits::STANDBY_ANSWERS_MAX;

const SETTINGS: &str = "durability = 'replicated'\n[cluster]\nservers = ['nats://127.0.0.1:1']\n\
    group = 'east'\nnode = 'n2'\n[delivery]\nlisten = '127.0.0.1:0'\n[ingest]\nlisten = '127.0.0.1:0'\n\
    [http]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n";

fn member() -> Handle {
    let status = Status::new("n2", "east");
    status.update(|it| {
        it.role = Role::Standby;
        it.is_ready = true;
        (it.epoch, it.sequence, it.stream_last) = (7, 40, 42);
        it.active = Some(Announcement {
            node: "n1".to_owned(),
            segment_len: 1,
            addresses: ["delivery=h:1", "ingest=h:2", "http=h:3", "admin=h:4"]
                .map(str::to_owned)
                .into(),
        });
    });
    Handle {
        status,
        hand_over: HandOver::default(),
    }
}

fn open(more: &str) -> (StandbyListeners, Handle) {
    let member = member();
    let config = parse("f", &format!("{SETTINGS}{more}"), &[]).expect("right");
    (
        StandbyListeners::open(&config, &member).expect("listeners"),
        member,
    )
}

fn said(address: SocketAddr, words: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a socket");
    // It may have been answered and closed already.
    let _ = stream.write_all(words.as_bytes());
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an orderly end");
    text
}

fn ask(address: Option<SocketAddr>, path: &str, more: &str) -> (u16, String) {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}\r\n",
        "127.0.0.1"
    );
    let text = said(address.expect("it is set"), &request);
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn peers_are_told_in_one_line_where_their_door_of_the_active_is() {
    let (listeners, member) = open("");
    let at = listeners.addresses();
    let error = "standby: n1 serves group east";
    for (address, words, active) in [
        (at.delivery, "{\"subscribe\":[\"table1\"]}\n", "h:1"),
        (at.delivery, "", "h:1"),
        (
            at.ingest.expect("set"),
            "{\"producer\":{\"ack\":true}}\n{\"messageId\":\"1\"}\n",
            "h:2",
        ),
    ] {
        let text = said(address, words);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(json(&text)["error"], error);
        assert_eq!(json(&text)["active"], active);
    }
    let (status, body) = ask(at.http, "/subscribe/table1", "");
    assert_eq!((status, &json(&body)["active"]), (503, &"h:3".into()));
    // It is told anew when another one serves.
    member.status.update(|it| it.active = None);
    let told = json(&said(at.delivery, ""));
    assert!(
        told.get("active").is_none()
            && told["error"]
                .as_str()
                .is_some_and(|it| it.contains("no member"))
    );
}

#[test]
fn the_admin_address_is_alive_and_not_ready_and_has_the_groups_figures() {
    let (listeners, _member) = open("");
    let at = listeners.addresses().admin;
    assert_eq!(ask(at, "/healthz", ""), (200, "ok\n".to_owned()));
    let (status, body) = ask(at, "/readyz", "");
    let ready = json(&body);
    assert_eq!((status, &ready["ready"]), (503, &false.into()));
    let reason = ready["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("n1 serves group east") && reason.contains("n2, follows"),
        "{reason}"
    );
    assert_eq!(
        (&ready["active"], &ready["active_node"]),
        (&"h:4".into(), &"n1".into())
    );
    let stats = json(&ask(at, "/stats", "").1);
    assert_eq!(
        (&stats["cluster_epoch"], &stats["cluster_lag"]),
        (&7.into(), &2.into())
    );
    assert_eq!(
        (
            &stats["cluster"]["role"],
            &stats["cluster"]["active"]["node"]
        ),
        (&"standby".into(), &"n1".into())
    );
    assert_eq!(stats["readiness"]["ready"], false);
    let metrics = ask(at, "/metrics", "").1;
    for line in [
        "flipped_lb_cluster_active 0",
        "flipped_lb_cluster_ready 1",
        "flipped_lb_cluster_sequence 40",
        "flipped_lb_ready 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}");
    }
    assert!(
        metrics.contains("flipped_lb_cluster_info{group=\"east\",node=\"n2\",active=\"n1\""),
        "{metrics}"
    );
    let page = ask(at, "/", "Accept: text/html\r\n").1;
    assert!(page.contains("Standby") && page.contains("n1 serves group east"));
    assert!(page.contains("Could take over") && page.contains("n2, standby"));
}

#[test]
fn users_are_asked_as_on_the_active_and_probes_are_not() {
    let hash = crate::access::TokenHash::of("t0ken").hex();
    let (listeners, _member) = open(&format!(
        "[[user]]\nname = 'u'\ntoken_sha256 = '{hash}'\nmay_admin = true\n"
    ));
    let at = listeners.addresses().admin;
    assert_eq!(ask(at, "/stats", "").0, 401);
    assert_eq!(ask(at, "/stats", "Authorization: Bearer t0ken\r\n").0, 200);
    assert_eq!(ask(at, "/readyz", "").0, 503);
}

#[test]
fn dropped_doors_leave_their_addresses_free_at_once() {
    let (listeners, _member) = open("");
    let at = listeners.addresses();
    let _told = said(at.delivery, "");
    let mut idle = TcpStream::connect(at.http.expect("set")).expect("it listens");
    drop(listeners);
    for address in [Some(at.delivery), at.ingest, at.http, at.admin]
        .into_iter()
        .flatten()
    {
        TcpListener::bind(address).expect("free");
    }
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn peers_that_say_nothing_keep_others_waiting_for_a_while_only() {
    let (listeners, _member) = open("");
    let http = listeners.addresses().http.expect("set");
    // As many as are answered at once, none of which sends its request.
    let idle: Vec<_> = (0..STANDBY_ANSWERS_MAX)
        .map(|_| TcpStream::connect(http).expect("it listens"))
        .collect();
    assert_eq!(ask(Some(http), "/subscribe/table1", "").0, 503);
    drop(idle);
}
