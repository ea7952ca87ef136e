//! What people do wrong with a group, and what its members say then: servers that are not there or of no use,
//! files of another group, a name twice. Real processes, real nats-servers.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "support/member.rs"]
mod member;
#[path = "support/servers.rs"]
mod servers;
mod support;

use member::{ALONE, Member, PATIENT, command, told};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use servers::{Servers, wait};
use support::ports::free_port;

/// Ends a member in good order.
fn stop(member: &mut Member) {
    member.signal("TERM");
    member.ended();
}

/// What a member says that does not start with settings that are changed so.
fn refused(member: &mut Member, change: impl Fn(&str) -> String) -> String {
    let settings = std::fs::read_to_string(member.settings()).expect("settings");
    std::fs::write(member.settings(), change(&settings)).expect("a file");
    member.resume();
    assert_eq!(member.ended(), Some(1));
    member.log()
}

/// Under load an active sends no beats, which say who serves.
#[test]
fn a_standby_that_starts_again_under_load_knows_who_serves() {
    let servers = Servers::start(1);
    let active = Member::start("n1", &servers.urls(), PATIENT, "");
    active.wait_for_role("active");
    let mut standby = Member::start("n2", &servers.urls(), PATIENT, "");
    standby.wait_until_ready();
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = support::SetOnDrop(&ends);
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                assert_eq!(active.publish(20).0, Some(0));
            }
        });
        let load = |count| active.wait("load", |it| it["accepted"].as_u64() >= Some(count));
        load(100);
        standby.kill();
        standby.resume();
        standby.wait_for_reason("standby: n1 serves group east");
        let told = told(standby.delivery, "{\"subscribe\":[\"table1\"]}\n");
        assert_eq!(told["active"], active.delivery.to_string());
    });
}

#[test]
fn a_server_that_is_not_there_and_one_without_jetstream_are_told_apart() {
    let nowhere = format!("nats://127.0.0.1:{}", free_port());
    let alone = Member::start("n1", std::slice::from_ref(&nowhere), ALONE, "");
    let reason = alone.wait_for_reason("is not reached");
    assert!(reason.contains("Connection refused"), "{reason}");
    let found = alone.doctor().1;
    assert_eq!(
        found.matches(&format!("{nowhere} is not reached")).count(),
        2,
        "{found}"
    );
    assert!(!found.contains(&format!("{nowhere}: {nowhere}")), "{found}");
    alone.wait_for_log("no server of the group's stream is reached");
    alone.wait_for_log("Connection refused");
    drop(alone);
    let plain = Servers::start_without_jetstream();
    let alone = Member::start("n1", &plain.urls(), ALONE, "");
    alone.wait_for_reason("JetStream is not enabled there");
    assert!(alone.doctor().1.contains("JetStream is not enabled there"));
}

#[test]
fn a_stream_that_no_server_makes_is_told_in_the_servers_words() {
    let servers = Servers::start(1);
    let alone = Member::start(
        "n1",
        &servers.urls(),
        "replicas = 3\ntake_over_after = '4s'",
        "",
    );
    let reason = alone.wait_for_reason("the stream flb_journal_east cannot be made");
    assert!(reason.contains("replicas > 1"), "{reason}");
    // It stands there until it is mended, not now and then.
    let admin = alone.admin.to_string();
    for _ in 0..30 {
        let (_, text, _) = command(&["cluster", "status", "--admin", &admin]);
        assert!(
            text.contains("trouble: the stream flb_journal_east cannot be made"),
            "{text}"
        );
    }
    assert_eq!(
        alone.log().matches("cannot be made").count(),
        1,
        "{}",
        alone.log()
    );
}

#[test]
fn without_most_servers_the_one_that_is_reached_is_named() {
    let mut servers = Servers::start(3);
    let alone = Member::start(
        "n1",
        &servers.urls(),
        "replicas = 3\ntake_over_after = '4s'",
        "",
    );
    alone.wait_for_role("active");
    servers.kill(1);
    servers.kill(2);
    let here = servers.urls().remove(0);
    alone.wait_for_reason(&format!(
        "{here} is reached, and JetStream does not answer there"
    ));
    servers.resume(1);
    servers.resume(2);
    alone.wait_until_serving();
    assert_eq!(
        alone.stats().expect("it answers")["cluster"]["trouble"],
        Value::Null
    );
}

#[test]
fn files_of_another_group_are_refused_with_both_names_and_those_of_any_by_an_engine_alone() {
    let servers = Servers::start(1);
    let mut member = Member::start("n1", &servers.urls(), ALONE, "");
    member.wait_until_serving();
    let (code, words) = member.publish(3);
    assert_eq!(code, Some(0), "{words}");
    stop(&mut member);
    let of_west = |it: &str| it.replace("group = 'east'", "group = 'west'");
    let log = refused(&mut member, of_west);
    assert!(
        log.contains("are of a member of group \"east\", and [cluster] group is \"west\""),
        "{log}"
    );
    assert!(!log.contains("cluster restore"), "{log}");
    let settings = member.settings().display().to_string();
    let (code, _, words) = command(&["cluster", "restore", "--config", &settings]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("\"east\"") && words.contains("\"west\""),
        "{words}"
    );
    let of_none = |it: &str| {
        let (head, rest) = it.split_once("[cluster]").expect("the settings");
        let (_, rest) = rest.split_once("[delivery]").expect("the settings");
        head.replace("replicated", "written") + "[delivery]" + rest
    };
    let log = refused(&mut member, of_none);
    for way_out in [
        "set durability = \"replicated\"",
        "To leave the group",
        "data/group",
    ] {
        assert!(log.contains(way_out), "{log}");
    }
    // A person says that the group is over.
    std::fs::remove_file(member.data_dir().join("group")).expect("it is there");
    member.resume();
    member.wait_until_serving();
    let delivery = member.delivery.to_string();
    let (code, text, words) = command(&[
        "subscribe",
        "table1",
        "--count",
        "3",
        "--address",
        &delivery,
    ]);
    assert_eq!((code, text.lines().count()), (Some(0), 3), "{text}{words}");
}

#[test]
fn two_members_of_one_name_are_told_by_both_and_go_on() {
    let servers = Servers::start(1);
    let first = Member::start("n1", &servers.urls(), ALONE, "");
    first.wait_for_role("active");
    let mut second = Member::start("n1", &servers.urls(), ALONE, "");
    for (one, other) in [(&first, &second), (&second, &first)] {
        let admin = one.admin.to_string();
        let told = format!(
            "another member of group east calls itself n1, too (its admin address is {}): give each its own \
             [cluster] node",
            other.admin
        );
        one.wait("it is told", |it| it["cluster"]["warning"] == told.as_str());
        let (_, text, _) = command(&["cluster", "status", "--admin", &admin]);
        assert!(text.contains(&format!("warning: {told}")), "{text}");
        one.wait_for_log(&told);
    }
    let ready = first.json("/readyz").expect("it answers");
    assert_eq!(ready["ready"], true, "{ready}");
    assert!(
        ready["degraded"]
            .to_string()
            .contains("calls itself n1, too"),
        "{ready}"
    );
    second.wait_for_reason("calls itself n1, too");
    let admin = first.admin.to_string();
    let (code, _, words) = command(&["cluster", "hand-over", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(words.contains("calls itself n1, too"), "{words}");
    stop(&mut second);
    first.wait("it is gone", |it| it["cluster"]["warning"].is_null());
}

#[test]
fn a_member_tells_how_far_its_store_is() {
    let servers = Servers::start(1);
    let start = |node| Member::start(node, &servers.urls(), ALONE, "");
    let (first, second) = (start("n1"), start("n2"));
    let taken =
        || [&first, &second].map(|it| it.json("/readyz").is_some_and(|it| it["ready"] == true));
    let at = wait("one serves", || taken().iter().position(|it| *it));
    let (active, standby) = if at == 0 {
        (&first, &second)
    } else {
        (&second, &first)
    };
    assert_eq!(active.publish(50).0, Some(0));
    // Each says it of itself, and of the other.
    let stored = |it: &Value| it["cluster"]["stored"].as_u64().filter(|it| *it > 0);
    for (one, other) in [(active, standby), (standby, active)] {
        one.wait("its own", |it| stored(it).is_some());
        let theirs = other.wait("the same", |it| {
            let said = it["cluster"]["members"][0]["stored"].as_u64();
            said.is_some_and(|it| it > 0) && said == one.json("/stats").and_then(|it| stored(&it))
        });
        let admin = other.admin.to_string();
        let (_, json, _) = command(&["cluster", "status", "--json", "--admin", &admin]);
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert!(
            json["members"][1]["stored"].as_u64() > Some(0),
            "{json} {theirs}"
        );
    }
}
