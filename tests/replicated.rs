//! Engines of one group on real nats-servers: `durability = "replicated"`, over deaths, pauses and partitions.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "replicated/group.rs"]
mod group;
#[path = "support/group_peer.rs"]
mod group_peer;
#[path = "support/member.rs"]
mod member;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::io::Write;
use std::net::TcpStream;

use group::{Customer, active, assert_same_journals, ids, line, segments, send};
use member::{ALONE, Member, OF_THREE, STREAM, said};
use proxy::Proxy;
use servers::{Servers, wait};

/// Who waits for this lease waits too long.
const AN_HOUR: &str = "replicas = 1\ntake_over_after = '1h'";

#[test]
fn an_engine_alone_in_its_group_survives_a_kill_and_goes_on() {
    let servers = Servers::start(1);
    let mut only = Member::start("a", &servers.urls(), ALONE, "");
    only.wait_for_role("active");
    send(&[&only], &ids("m", 1, 100));
    let mut customer = Customer::default();
    customer.take(&[&only], &ids("m", 1, 100));
    customer.leave();
    send(&[&only], &ids("m", 101, 150));
    only.kill();
    only.resume();
    only.wait_for_role("active");
    send(&[&only], &ids("m", 140, 200));
    customer.take(&[&only], &ids("m", 1, 200));
    customer.assert_in_order(&ids("m", 1, 200));
    only.signal("TERM");
    assert_eq!(only.ended(), Some(0));
}

#[test]
fn a_standby_takes_over_from_an_active_that_was_killed_and_journals_stay_the_same() {
    let servers = Servers::start(1);
    let mut members = [
        Member::start("a", &servers.urls(), ALONE, ""),
        Member::start("b", &servers.urls(), ALONE, ""),
    ];
    wait("an active", || active(&members));
    let mut customer = Customer::default();
    for round in 0..4 {
        let first = round * 50 + 1;
        let now = wait("an active", || active(&members));
        members[1 - now].wait_until_ready();
        let all: Vec<&Member> = members.iter().collect();
        send(&all, &ids("m", first, first + 49));
        if round % 2 == 0 {
            customer.take(&all, &ids("m", 1, first + 24));
        }
        members[now].kill();
        if round % 2 == 1 {
            tear(&members[now]);
        }
        members[now].resume();
    }
    let all: Vec<&Member> = members.iter().collect();
    send(&all, &ids("m", 190, 210));
    customer.take(&all, &ids("m", 1, 210));
    customer.assert_in_order(&ids("m", 1, 210));
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    assert_same_journals(&members[0], &members[1], 4);
}

/// As a kill in the middle of a write leaves a journal: its last bytes are not there.
fn tear(member: &Member) {
    let (name, bytes) = segments(member).pop_last().expect("there is one");
    let path = member.data_dir().join("journal").join(name);
    let file = std::fs::File::options().write(true).open(path);
    file.expect("it is there")
        .set_len(bytes.len() as u64 - 7)
        .expect("it is cut");
}

#[test]
fn an_active_that_was_stopped_beyond_its_lease_hands_out_nothing_and_follows() {
    let servers = Servers::start(1);
    let zombie = Member::start("a", &servers.urls(), ALONE, "");
    zombie.wait_for_role("active");
    let other = Member::start("b", &servers.urls(), ALONE, "");
    other.wait_until_ready();
    send(&[&zombie], &ids("m", 1, 10));
    let mut at_zombie = Customer::default();
    at_zombie.take(&[&zombie], &ids("m", 1, 10));
    send(&[&zombie], &ids("m", 11, 11));
    at_zombie.take(&[&zombie], &ids("m", 11, 11));
    zombie.signal("STOP");
    other.wait_for_role("active");
    send(&[&other], &ids("m", 12, 20));
    zombie.signal("CONT");
    zombie.wait_until_ready();
    at_zombie.turn(&[&zombie]);
    assert_eq!(at_zombie.got.len(), 11, "{:?}", at_zombie.got);
    let mut customer = Customer::default();
    customer.take(&[&other], &ids("m", 12, 20));
    let last = &customer.got[customer.got.len() - 9..];
    let last: Vec<String> = last.iter().map(|it| it.0.clone()).collect();
    assert_eq!(last, ids("m", 12, 20));
    assert_same_journals(&zombie, &other, 2);
}

#[test]
fn a_stop_in_good_order_hands_over_by_a_goodbye() {
    let servers = Servers::start(1);
    let mut first = Member::start("a", &servers.urls(), AN_HOUR, "");
    first.wait_for_role("active");
    let second = Member::start("b", &servers.urls(), AN_HOUR, "");
    second.wait_until_ready();
    send(&[&first], &ids("m", 1, 30));
    first.signal("TERM");
    assert_eq!(first.ended(), Some(0), "{}", first.log());
    second.wait_for_role("active");
    let mut customer = Customer::default();
    customer.take(&[&second], &ids("m", 1, 30));
    customer.assert_in_order(&ids("m", 1, 30));
}

#[test]
fn a_standby_says_who_serves_and_stops_at_once() {
    let servers = Servers::start(1);
    let first = Member::start("a", &servers.urls(), AN_HOUR, "");
    first.wait_for_role("active");
    let mut second = Member::start("b", &servers.urls(), AN_HOUR, "");
    second.wait_until_ready();
    let answer = wait("an answer", || {
        said(second.delivery, "{\"subscribe\":[\"table1\"]}\n")
    });
    let active = format!("\"active\":\"{}\"", first.delivery);
    assert!(
        answer.contains("standby") && answer.contains(&active),
        "{answer}"
    );
    second.signal("TERM");
    assert_eq!(second.ended(), Some(0));
}

#[test]
fn what_was_not_confirmed_when_a_term_ended_is_kept_and_taken_when_it_comes_again() {
    let servers = Servers::start(1);
    let proxy = Proxy::to(servers.address(0));
    let cut_off = Member::start("a", &[proxy.url()], ALONE, "");
    cut_off.wait_for_role("active");
    let mut other = Member::start("b", &servers.urls(), ALONE, "");
    other.wait_until_ready();
    send(&[&cut_off], &ids("m", 1, 5));
    proxy.close();
    let mut plain = TcpStream::connect(cut_off.ingest).expect("it listens");
    for id in ids("u", 1, 5) {
        writeln!(plain, "{}", line(&id)).expect("it takes a line");
    }
    cut_off.wait("they are accepted", |it| it["accepted"] == 10);
    other.wait_for_role("active");
    proxy.open();
    cut_off.wait_until_ready();
    let kept = std::fs::read_to_string(cut_off.data_dir().join("unconfirmed.ndjson"));
    let kept = kept.expect("it is kept");
    assert_eq!(kept.lines().count(), 5, "{kept}");
    assert!(
        kept.contains("u-5") && kept.contains("\"unconfirmed\""),
        "{kept}"
    );
    assert_eq!(cut_off.count("unconfirmed"), 5);
    other.signal("TERM");
    assert_eq!(other.ended(), Some(0));
    cut_off.wait_for_role("active");
    send(&[&cut_off], &ids("u", 1, 5));
    let mut customer = Customer::default();
    let all = [ids("m", 1, 5), ids("u", 1, 5)].concat();
    customer.take(&[&cut_off], &all);
    customer.assert_in_order(&all);
}

#[test]
fn without_servers_nothing_is_acknowledged_and_all_goes_on_by_itself() {
    let mut servers = Servers::start(1);
    let only = Member::start("a", &servers.urls(), ALONE, "");
    only.wait_for_role("active");
    send(&[&only], &ids("m", 1, 20));
    servers.kill(0);
    only.wait_for_role("paused");
    for at in [only.delivery, only.ingest] {
        let words = wait("its words", || said(at, ""));
        assert!(words.starts_with("{\"error\":\"paused: "), "{words}");
    }
    servers.resume(0);
    only.wait_for_role("active");
    send(&[&only], &ids("m", 15, 40));
    let mut customer = Customer::default();
    customer.take(&[&only], &ids("m", 1, 40));
    customer.assert_in_order(&ids("m", 1, 40));
    assert_eq!(only.count("cluster_take_overs"), 1, "its term went on");
}

#[test]
fn a_stop_without_servers_keeps_what_no_source_sends_again() {
    let mut servers = Servers::start(1);
    let mut only = Member::start("a", &servers.urls(), ALONE, "");
    only.wait_for_role("active");
    send(&[&only], &ids("m", 1, 5));
    servers.kill(0);
    let mut plain = TcpStream::connect(only.ingest).expect("it listens");
    for id in ids("u", 1, 5) {
        writeln!(plain, "{}", line(&id)).expect("it takes a line");
    }
    only.wait("they are accepted", |it| it["accepted"] == 10);
    only.signal("TERM");
    assert_eq!(only.ended(), Some(1), "it says that something is left");
    let kept = std::fs::read_to_string(only.data_dir().join("unconfirmed.ndjson"));
    assert_eq!(kept.expect("it is kept").lines().count(), 5);
    servers.resume(0);
    only.resume();
    only.wait_for_role("active");
    let mut customer = Customer::default();
    customer.take(&[&only], &ids("m", 1, 5));
    customer.assert_in_order(&ids("m", 1, 5));
}

#[test]
fn three_servers_lose_the_streams_leader_and_nothing_that_was_acknowledged() {
    let mut servers = Servers::start(3);
    let members = [
        Member::start("a", &servers.urls(), OF_THREE, ""),
        Member::start("b", &servers.urls(), OF_THREE, ""),
    ];
    wait("an active", || active(&members));
    let all: Vec<&Member> = members.iter().collect();
    let mut customer = Customer::default();
    for round in 0..3 {
        let first = round * 40 + 1;
        send(&all, &ids("m", first, first + 19));
        let leader = servers.leader(STREAM);
        servers.kill(leader);
        send(&all, &ids("m", first + 20, first + 39));
        servers.resume(leader);
        servers.wait_for_replicas(STREAM);
    }
    customer.take(&all, &ids("m", 1, 120));
    customer.assert_in_order(&ids("m", 1, 120));
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    assert_same_journals(&members[0], &members[1], 2);
}

#[test]
fn servers_that_lose_their_store_one_after_the_other_end_no_member() {
    let mut servers = Servers::start(3);
    let mut members = [
        Member::start("a", &servers.urls(), OF_THREE, ""),
        Member::start("b", &servers.urls(), OF_THREE, ""),
    ];
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    for round in 0..3 {
        let all: Vec<&Member> = members.iter().collect();
        send(&all, &ids("m", round * 20 + 1, round * 20 + 20));
        let leader = servers.leader(STREAM);
        servers.kill(leader);
        servers.lose_store(leader);
        servers.resume(leader);
        send(&all, &ids("n", round * 20 + 1, round * 20 + 20));
        servers.wait_for_replicas(STREAM);
    }
    assert!(members.iter_mut().all(|it| it.runs()), "both wait");
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    assert_same_journals(&members[0], &members[1], 2);
}

/// The active waits, and so does the standby: one of them makes the stream again.
#[test]
fn a_stream_that_is_purged_or_deleted_by_hand_is_told_by_all_with_what_mends_it() {
    let servers = Servers::start(1);
    let mut members = [
        Member::start("a", &servers.urls(), ALONE, ""),
        Member::start("b", &servers.urls(), ALONE, ""),
    ];
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    send(&[&members[now]], &ids("m", 1, 20));
    servers.purge(STREAM);
    told_by(&members, "the group's stream was purged");
    servers.delete(STREAM);
    told_by(&members, "the group's stream is gone");
    assert!(members.iter_mut().all(|it| it.runs()), "both wait");
    assert_eq!(members[now].count("cluster_take_overs"), 1);
}

/// Each says so, and that `cluster restore` mends it; none is ready.
fn told_by(members: &[Member], words: &str) {
    for member in members {
        member.wait(words, |it| {
            let trouble = it["cluster"]["trouble"].as_str().unwrap_or_default();
            trouble.contains(words) && trouble.contains("cluster restore")
        });
        member.wait("not ready", |it| {
            it["cluster"]["role"] != "standby" || it["cluster"]["ready"] == false
        });
    }
}
