//! Servers that lose what they have confirmed, and streams that are not the group's. What a living member has is
//! not lost, whoever claims first.

use crate::group::{Customer, active, assert_same_journals, ids, segments, send};
use crate::member::{ALONE, Member, command};
use crate::servers::{Servers, wait};
use crate::stream::{self, Backup, STREAM};

/// Nothing was set aside, and nothing that counts is void.
fn assert_nothing_lost(members: &[&Member]) {
    for member in members {
        let entries = std::fs::read_dir(member.data_dir()).expect("it is there");
        let mut names = entries.map(|it| it.expect("an entry").file_name());
        assert!(
            !names.any(|it| it.to_string_lossy().contains("divergent")),
            "{}",
            member.log()
        );
        assert_eq!(member.count("cluster_lost"), 0);
    }
}

fn customer_takes(members: &[&Member], all: &[String]) {
    let mut customer = Customer::default();
    customer.take(members, all);
    customer.assert_in_order(all);
}

/// The active stands still when the servers lose the end of the stream; both standbys would serve.
#[test]
fn what_servers_have_lost_is_put_back_before_one_of_two_claimants_serves() {
    let servers = Servers::start(1);
    let start = |node| Member::start(node, &servers.urls(), ALONE, "");
    let stale = start("a");
    stale.wait_for_role("active");
    let claimants = [start("b"), start("c")];
    claimants.iter().for_each(Member::wait_until_ready);
    send(&[&stale], &ids("m", 1, 20));
    let backup = Backup::of(&servers);
    for first in [21, 31, 41] {
        send(&[&stale], &ids("m", first, first + 9));
    }
    let end = stale.count("cluster_sequence");
    for claimant in &claimants {
        claimant.wait("all", |it| it["cluster_sequence"].as_u64() >= Some(end));
    }
    stale.signal("STOP");
    backup.restore(&servers);
    let now = wait("an active", || active(&claimants));
    assert!(stream::last(&servers) > end);
    send(&[&claimants[now]], &ids("m", 51, 60));
    stale.signal("CONT");
    stale.wait_until_ready();
    let all = [&stale, &claimants[0], &claimants[1]];
    customer_takes(&all, &ids("m", 1, 60));
    assert_nothing_lost(&all);
    assert_same_journals(&claimants[0], &claimants[1], 2);
    assert_same_journals(&claimants[0], &stale, 2);
}

#[test]
fn a_stream_restored_from_an_hour_ago_is_filled_up_by_who_has_the_rest() {
    let servers = Servers::start(1);
    let lease = "replicas = 1\ntake_over_after = '1h'";
    let first = Member::start("a", &servers.urls(), lease, "");
    first.wait_for_role("active");
    let second = Member::start("b", &servers.urls(), lease, "");
    second.wait_until_ready();
    send(&[&first], &ids("m", 1, 20));
    let backup = Backup::of(&servers);
    for from in [21, 31, 41] {
        send(&[&first], &ids("m", from, from + 9));
    }
    let end = first.count("cluster_sequence");
    backup.restore(&servers);
    send(&[&first], &ids("m", 51, 60));
    assert!(stream::last(&servers) > end);
    let all = [&first, &second];
    customer_takes(&all, &ids("m", 1, 60));
    second.wait_until_ready();
    second.wait("all", |it| it["cluster_sequence"].as_u64() > Some(end));
    assert_nothing_lost(&all);
    assert_eq!(first.count("cluster_epoch"), 1, "its term went on");
    assert_same_journals(&first, &second, 1);
}

#[test]
fn another_groups_stream_is_refused_and_the_files_stay_whole() {
    let servers = Servers::start(1);
    let mut member = Member::start("a", &servers.urls(), ALONE, "");
    member.wait_for_role("active");
    send(&[&member], &ids("m", 1, 20));
    let end = member.count("cluster_sequence");
    member.kill();
    let (files, backup) = (segments(&member), Backup::of(&servers));
    // Of the same name, longer, and begun by another group's first claim.
    servers.delete(STREAM);
    let mut stranger = Member::start("z", &servers.urls(), ALONE, "");
    stranger.wait_for_role("active");
    for from in [1, 11, 21, 31] {
        send(&[&stranger], &ids("z", from, from + 9));
    }
    stranger.wait("longer", |it| it["cluster_sequence"].as_u64() > Some(end));
    stranger.kill();
    member.resume();
    assert_eq!(member.ended(), Some(1));
    let log = member.log();
    assert!(log.contains("the stream is another group's"), "{log}");
    assert!(log.contains("cluster restore"), "{log}");
    let same = segments(&member);
    assert!(files == same, "{:?} {:?}", files.keys(), same.keys());
    // Its own one serves it again.
    backup.restore(&servers);
    member.resume();
    member.wait_for_role("active");
    customer_takes(&[&member], &ids("m", 1, 20));
    assert_nothing_lost(&[&member]);
}

/// All that was confirmed goes on from the files, once somebody has made the stream of them.
#[test]
fn a_stream_that_is_lost_and_has_a_strangers_message_is_refused_and_made_anew_from_the_files() {
    let servers = Servers::start(1);
    let mut members = ["a", "b"].map(|node| Member::start(node, &servers.urls(), ALONE, ""));
    wait("an active", || active(&members));
    members.iter().for_each(|it| {
        it.wait("it has joined", |it| {
            it["cluster_sequence"].as_u64() > Some(0)
        });
    });
    send(&[&members[0], &members[1]], &ids("m", 1, 20));
    let end = stream::last(&servers);
    members.iter().for_each(|it| {
        it.wait("all", |it| it["cluster_sequence"].as_u64() >= Some(end));
    });
    members.iter_mut().for_each(Member::kill);
    let files = [0, 1].map(|it| segments(&members[it]));
    Backup::of(&servers).without_messages().restore(&servers);
    stream::publish(&servers, "flb_journal.east.x", "who is there?");
    members.iter_mut().for_each(Member::resume);
    for (member, files) in members.iter_mut().zip(&files) {
        assert_eq!(member.ended(), Some(1));
        let log = member.log();
        assert!(
            log.contains("no record where this member's journal has its own"),
            "{log}"
        );
        assert!(segments(member) == *files, "{log}");
    }
    assert_eq!(stream::last(&servers), 1, "nobody claims");
    let settings = members[0].settings().display().to_string();
    let (code, _, words) = command(&["cluster", "restore", "--replace", "--config", &settings]);
    assert_eq!(code, Some(0), "{words}");
    members.iter_mut().for_each(Member::resume);
    wait("an active", || active(&members));
    let all = [&members[0], &members[1]];
    customer_takes(&all, &ids("m", 1, 20));
    assert_nothing_lost(&all);
}

/// The stranger's message has the place for good: it is told, and can be offered again.
#[test]
fn what_a_strangers_message_took_the_place_of_is_set_aside_and_counted() {
    let servers = Servers::start(1);
    let mut member = Member::start("a", &servers.urls(), ALONE, "");
    member.wait_for_role("active");
    send(&[&member], &ids("m", 1, 20));
    let backup = Backup::of(&servers);
    send(&[&member], &ids("m", 21, 30));
    member.kill();
    backup.restore(&servers);
    stream::publish(&servers, "flb_journal.east.x", "who is there?");
    member.resume();
    member.wait_for_role("active");
    assert_eq!(member.count("cluster_lost"), 10, "{}", member.log());
    customer_takes(&[&member], &ids("m", 1, 20));
    let divergent = std::fs::read_dir(member.data_dir()).expect("it is there");
    let divergent = divergent.map(|it| it.expect("an entry").path());
    let mut divergent = divergent.filter(|it| it.display().to_string().contains("divergent"));
    let folder = divergent
        .next()
        .expect("files are kept")
        .display()
        .to_string();
    let address = member.ingest.to_string();
    let again = ["publish", "--from-journal", &folder, "--address", &address];
    let (code, text, words) = command(&again);
    assert_eq!(code, Some(0), "{text} {words}");
    customer_takes(&[&member], &ids("m", 21, 30));
}
