//! Servers that refuse records: no reason to step down. Sources wait, and all goes on by itself once it is mended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::group::{Customer, assert_same_journals, line_to};
use crate::member::Member;
use crate::proxy::Proxy;
use crate::servers::{PATIENCE, Servers, wait};
use crate::stream;

/// No lease ends meanwhile.
const LEASE: &str = "replicas = 1\ntake_over_after = '1h'";

/// An active, and what was sent to it and acknowledged by it.
struct Active {
    member: Member,
    sent: Vec<String>,
}

impl Active {
    fn start(servers: &Servers) -> Self {
        Self::start_at(&servers.urls(), LEASE)
    }

    fn start_at(servers: &[String], lease: &str) -> Self {
        let member = Member::start("a", servers, lease, "");
        member.wait_until_serving();
        let mut this = Self {
            member,
            sent: Vec::new(),
        };
        acknowledged(this.send("before", 0));
        this
    }

    /// Sends an order with so many bytes of remarks, and does not wait for it.
    fn send(&mut self, id: &str, remarks: usize) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.member.ingest).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let order = line_to("table1", id, remarks);
        let words = format!("{{\"producer\":{{\"ack\":true}}}}\n{order}\n");
        stream.write_all(words.as_bytes()).expect("it takes them");
        self.sent.push(id.to_owned());
        BufReader::new(stream)
    }

    fn is_told(&self, words: &str) {
        self.member.wait(words, |it| {
            let trouble = it["cluster"]["trouble"].as_str().unwrap_or_default();
            trouble.contains(words)
        });
    }

    fn is_well(&self) -> Value {
        self.member.wait("it is well", |it| {
            it["cluster"]["trouble"].is_null() && it["cluster"]["role"] == "active"
        })
    }

    /// Its term went on, nothing is wrong any more, and nothing is lost or comes twice.
    fn assert_whole(&self) {
        let stats = self.is_well();
        assert_eq!(stats["cluster_take_overs"], 1, "{stats}");
        assert_eq!(stats["cluster"]["epoch"], 1, "{stats}");
        let mut customer = Customer::default();
        customer.take(&[&self.member], &self.sent);
        customer.assert_in_order(&self.sent);
    }
}

fn acknowledged(mut producer: BufReader<TcpStream>) {
    let mut said = String::new();
    producer.read_line(&mut said).expect("it is acknowledged");
    assert_eq!(said, "{\"ack\":1}\n");
}

/// The trouble is told in these words while an order of 20 KB waits, and is mended then.
fn refused(
    servers: &mut Servers,
    make: impl Fn(&mut Servers),
    words: &str,
    mend: impl Fn(&mut Servers),
) {
    let mut active = Active::start(servers);
    make(servers);
    let producer = active.send("refused", 20_000);
    active.is_told(words);
    mend(servers);
    acknowledged(producer);
    acknowledged(active.send("behind", 0));
    active.assert_whole();
}

#[test]
fn an_account_without_room_holds_records_up_until_it_has_some() {
    const LIMIT: &str = "max_file: 16000";
    let accounts = format!(
        "accounts {{ A {{ jetstream {{ {LIMIT} }}, users: [ {{ user: engine, password: s3cret }} ] }} }}\n\
         no_auth_user: engine\n"
    );
    let mut servers = Servers::start_with(1, &accounts);
    let more = |servers: &mut Servers| {
        servers.reload(0, |it| it.replace(LIMIT, "max_file: 1000000000"));
    };
    refused(&mut servers, |_| (), "refuses records", more);
}

#[test]
fn a_server_that_is_asked_too_much_holds_records_up_until_it_takes_them() {
    const LIMIT: &str = "max_buffered_size: 10000, ";
    let mut servers = Servers::start(1);
    let restarted = |servers: &mut Servers, change: fn(&str) -> String| {
        servers.kill(0);
        servers.reconfigure(0, change);
        servers.resume(0);
    };
    refused(
        &mut servers,
        |it| {
            restarted(it, |conf| {
                conf.replace("store_dir", &format!("{LIMIT}store_dir"))
            })
        },
        "too many requests",
        |it| restarted(it, |conf| conf.replace(LIMIT, "")),
    );
}

#[test]
fn rights_that_are_taken_away_hold_records_up_until_they_are_given_back() {
    const ALL: &str = "publish: { allow: \">\" }";
    const LESS: &str = "publish: { allow: \">\", deny: \"flb_journal.>\" }";
    let users = format!(
        "authorization {{ users: [ {{ user: engine, password: s3cret, permissions: {{ {ALL} }} }} ] }}\n\
         no_auth_user: engine\n"
    );
    let mut servers = Servers::start_with(1, &users);
    refused(
        &mut servers,
        |it| it.reload(0, |conf| conf.replace(ALL, LESS)),
        "Permissions Violation",
        |it| it.reload(0, |conf| conf.replace(LESS, ALL)),
    );
}

#[test]
fn a_max_payload_that_is_lowered_holds_records_up_until_it_is_raised() {
    const USUAL: &str = "max_payload: 1048576";
    const LESS: &str = "max_payload: 8000";
    let mut servers = Servers::start_with(1, &format!("{USUAL}\n"));
    refused(
        &mut servers,
        |it| it.reload(0, |conf| conf.replace(USUAL, LESS)),
        "max_payload",
        |it| it.reload(0, |conf| conf.replace(LESS, USUAL)),
    );
}

#[test]
fn a_full_stream_holds_records_up_until_it_takes_more() {
    let mut servers = Servers::start(1);
    refused(
        &mut servers,
        |it| {
            it.edit(stream::STREAM, |config| config["max_msgs"] = 1.into());
        },
        "refuses records",
        |it| {
            it.edit(stream::STREAM, |config| config["max_msgs"] = (-1).into());
        },
    );
}

#[test]
fn no_stream_that_takes_records_holds_them_up_until_there_is_one() {
    let mut servers = Servers::start(1);
    let active = &mut Active::start(&servers);
    let backup = stream::Backup::of(&servers);
    servers.delete(stream::STREAM);
    let producer = active.send("refused", 20_000);
    active.is_told("the group's stream is gone");
    // What is known of it may be old.
    servers.kill(0);
    active.is_told("is not reached");
    servers.resume(0);
    active.member.wait("the stream alone is told", |it| {
        let trouble = it["cluster"]["trouble"].as_str().unwrap_or_default();
        trouble.starts_with("the group's stream is gone")
    });
    backup.restore(&servers);
    acknowledged(producer);
    active.is_well();
    // The same without any server.
    servers.kill(0);
    let producer = active.send("unreached", 20_000);
    active.is_told("is not reached");
    servers.resume(0);
    acknowledged(producer);
    active.assert_whole();
}

/// The one server that is left is reached, and answers each record with a 503: the stream has no leader. One
/// that led it still answers questions; one that did not may be silent.
fn no_leader(led: bool) {
    let mut servers = Servers::start(3);
    let way = Proxy::to(servers.address(0));
    let lease = "replicas = 3\ntake_over_after = '1h'";
    let mut active = Active::start_at(&[way.url()], lease);
    wait("who leads", || {
        let leads = servers.leader(stream::STREAM) == 0;
        (leads == led).then_some(()).or_else(|| {
            servers.ask(
                &format!("$JS.API.STREAM.LEADER.STEPDOWN.{}", stream::STREAM),
                &serde_json::json!({}),
            );
            std::thread::sleep(std::time::Duration::from_secs(1));
            None
        })
    });
    servers.wait_for_replicas(stream::STREAM);
    servers.kill(1);
    servers.kill(2);
    let producer = active.send("refused", 20_000);
    wait("a record that is answered with a 503", || {
        (way.no_responders() > 0).then_some(())
    });
    active.is_told("JetStream does not answer");
    assert!(active.member.is_active(), "its term goes on");
    servers.resume(1);
    servers.resume(2);
    acknowledged(producer);
    acknowledged(active.send("behind", 0));
    active.assert_whole();
}

#[test]
fn a_stream_without_a_leader_holds_records_up_until_it_has_one() {
    no_leader(false);
}

#[test]
fn a_server_that_led_and_has_lost_the_others_holds_records_up_until_they_are_back() {
    no_leader(true);
}

#[test]
fn what_others_publish_there_is_void_and_records_go_on_behind_it() {
    let servers = Servers::start(1);
    let mut active = Active::start(&servers);
    let standby = Member::start("b", &servers.urls(), LEASE, "");
    standby.wait_until_ready();
    for round in 0..5 {
        stream::publish(&servers, "flb_journal.east.x", "who is there?");
        acknowledged(active.send(&format!("behind-{round}"), 0));
    }
    active.assert_whole();
    for member in [&active.member, &standby] {
        member.wait("all are void", |it| it["cluster_void_records"] == 5);
    }
    assert_same_journals(&active.member, &standby, 1);
}
