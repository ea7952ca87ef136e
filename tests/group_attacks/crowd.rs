//! A member that is built from nothing beside a group in which a million messages wait: how long that takes, and
//! the memory that it takes.

use std::time::{Duration, Instant};

use crate::group::active;
use crate::member::{Member, command};
use crate::servers::{Servers, wait};
use crate::stream;

const CLUSTER: &str = "replicas = 3\ntake_over_after = '15s'";
const MESSAGES: u64 = 1_000_000;

/// A value of `/proc/PID/status`, in MiB.
fn memory(member: &Member, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", member.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find(|it| it.starts_with(name));
    let kib = line.and_then(|it| it.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("it is there") / 1024
}

fn told(what: &str, member: &Member, begun: Instant) {
    println!(
        "{what}: {:.1} s; resident {} MiB, at most {} MiB, of it anonymous {} MiB",
        begun.elapsed().as_secs_f64(),
        memory(member, "VmRSS"),
        memory(member, "VmHWM"),
        memory(member, "RssAnon")
    );
}

fn publish_all(member: &Member) {
    let (address, count) = (member.ingest.to_string(), MESSAGES.to_string());
    let at = ["publish", "--address", &address, "--destination", "table1"];
    let (code, _, words) = command(&[&at[..], &["--count", &count]].concat());
    assert_eq!(code, Some(0), "{words}");
}

#[test]
#[ignore = "a million messages take minutes: see the module"]
fn a_million_messages_that_wait_are_a_new_members_too() {
    let servers = Servers::start(3);
    let start = |node| Member::start_with_http(node, &servers.urls(), CLUSTER, "");
    let mut members = vec![start("a")];
    members[0].wait_for_role("active");
    let begun = Instant::now();
    publish_all(&members[0]);
    told("a million are sent, the active", &members[0], begun);
    println!("records in the stream: {}", stream::last(&servers));

    let begun = Instant::now();
    members.push(start("b"));
    let new = &members[1];
    wait("a ready standby", || {
        let stats = new.stats()?;
        (stats["cluster"]["ready"] == true).then_some(())
    });
    told("a member from nothing is ready", new, begun);
    let begun = Instant::now();
    members[0].kill();
    wait("an active", || active(&members));
    told("it has the term (15 s are the lease)", &members[1], begun);
    let stats = members[1].wait("all that waits", |it| it["queued"] == MESSAGES);
    assert_eq!(stats["cluster"]["epoch"], 2, "{stats}");
    told("it has read its journal, and serves", &members[1], begun);
    // What came of them is what was sent.
    let delivery = members[1].delivery.to_string();
    let begun = Instant::now();
    let at = ["subscribe", "table1", "--ack", "--address", &delivery];
    let count = MESSAGES.to_string();
    let (code, out, words) = command(&[&at[..], &["--count", &count]].concat());
    assert_eq!(code, Some(0), "{words}");
    let frames = out.lines().filter(|it| it.contains("messageId")).count();
    assert_eq!(frames as u64, MESSAGES);
    told("all of them are taken", &members[1], begun);
    std::thread::sleep(Duration::from_secs(1));
    assert!(members[1].is_active());
}
