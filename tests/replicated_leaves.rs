//! What leaves the journals of a group, and what follows them: segments that nobody needs, new members, files
//! that the stream does not have, the stream made anew, and the database that members share.

#[allow(dead_code, reason = "another test uses the rest")]
#[path = "replicated/group.rs"]
mod group;
#[path = "support/group_peer.rs"]
mod group_peer;
#[path = "support/mariadb.rs"]
mod mariadb;
#[path = "support/member.rs"]
mod member;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::path::PathBuf;
use std::process::Command;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};

use group::{Customer, active, assert_same_journals, ids, segments, send, send_to};
use mariadb::MariaDb;
use member::{ALONE, Member, STREAM};
use servers::{Servers, wait};

/// Ids are forgotten at once, so that settled segments may go.
const FORGETFUL: &str = "[dedup]\nwindow = '1s'\nwindow_messages = 5\n";

/// Asks JetStream something.
fn ask<T>(servers: &Servers, question: impl AsyncFn(Context) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client = async_nats::connect(servers.urls()).await;
        question(jetstream::new(client.expect("it answers"))).await
    })
}

/// The stream's first and last sequence.
fn bounds(servers: &Servers) -> (u64, u64) {
    ask(servers, async |it| {
        let stream = it.get_stream(STREAM).await.expect("it is there");
        let state = &stream.cached_info().state;
        (state.first_sequence, state.last_sequence)
    })
}

/// The stream is gone, or restored from when it had its messages up to this one.
fn restore_stream(servers: &Servers, keep: u64) {
    ask(servers, async |it| {
        let stream = it.get_stream(STREAM).await.expect("it is there");
        let config = stream.cached_info().config.clone();
        let mut kept = Vec::new();
        for sequence in 1..=keep {
            kept.push(stream.get_raw_message(sequence).await.expect("it is there"));
        }
        it.delete_stream(STREAM).await.expect("it is deleted");
        if keep == 0 {
            return;
        }
        it.create_stream(config).await.expect("it is made");
        for message in kept {
            let subject = message.subject.to_string();
            let sent = it.publish_with_headers(subject, HeaderMap::new(), message.payload);
            sent.await.expect("it is sent").await.expect("it is stored");
        }
    });
}

fn command(member: &Member, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(support::ENGINE)
        .args(arguments)
        .current_dir(member.home())
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What a member has set aside.
fn divergent(member: &Member) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(member.data_dir()).expect("it is there");
    let paths = entries.map(|it| it.expect("an entry").path());
    let is_it = |it: &PathBuf| it.display().to_string().contains("journal-divergent-");
    paths.filter(is_it).collect()
}

#[test]
fn what_nobody_needs_leaves_the_journals_and_the_stream_and_a_new_member_begins_behind_it() {
    let servers = Servers::start(1);
    let mut first = Member::start("a", &servers.urls(), ALONE, FORGETFUL);
    let mut customer = Customer::default();
    // Each term begins a segment.
    for round in 0..5 {
        first.wait_for_role("active");
        let batch = ids("m", round * 20 + 1, round * 20 + 20);
        send(&[&first], &batch);
        customer.take(&[&first], &batch);
        // All is confirmed, the settlements too.
        customer.leave();
        first.signal("TERM");
        assert_eq!(first.ended(), Some(0));
        first.resume();
    }
    first.wait_for_role("active");
    wait("segments that leave", || {
        (segments(&first).len() <= 2).then_some(())
    });
    wait("a stream that is purged", || {
        (bounds(&servers).0 > 5).then_some(())
    });
    let waiting = ids("m", 101, 110);
    send(&[&first], &waiting);

    let second = Member::start("b", &servers.urls(), ALONE, FORGETFUL);
    second.wait_until_ready();
    wait("the same segments", || {
        let names = |it: &Member| segments(it).into_keys().collect::<Vec<_>>();
        (names(&first).last() == names(&second).last()).then_some(())
    });
    assert_same_journals(&first, &second, 1);
    // Its machine is gone for good.
    first.kill();
    second.wait_for_role("active");
    send(&[&second], &ids("m", 111, 120));
    customer.take(&[&second], &ids("m", 101, 120));
    customer.assert_in_order(&ids("m", 1, 120));
    // What had left did not come back.
    second.wait("20 settled", |it| {
        it["delivered"] == 20 && it["queued"] == 0
    });
}

/// Sends so many orders to the first table, some 50 KB each, and takes them.
fn flow(members: &[&Member], customer: &mut Customer, from: usize, count: usize) {
    for first in (from..from + count).step_by(50) {
        let batch = ids("m", first, first + 49);
        send_to("table1", members, &batch, 50_000);
        customer.take(members, &batch);
    }
}

/// Rows of delivered messages for the tables that wait, in a member's own database.
fn rows_of_waiting(member: &Member) -> i64 {
    let path = member.data_dir().join("messages.db");
    let database = rusqlite::Connection::open(path).expect("it is there");
    let query = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED' \
                 AND destinationId IN ('table2', 'table3')";
    database.query_row(query, [], |it| it.get(0)).unwrap_or(-1)
}

/// Waits until a journal is short again: what is settled has left it.
fn wait_until_short(member: &Member) {
    member.wait("few segments", |_| segments(member).len() <= 3);
}

#[test]
fn messages_that_wait_hold_neither_journals_nor_stream_and_whoever_takes_over_has_them() {
    let servers = Servers::start(3);
    let cluster = "replicas = 3\ntake_over_after = '4s'";
    let mut first = Member::start("a", &servers.urls(), cluster, FORGETFUL);
    first.wait_for_role("active");
    let mut second = Member::start("b", &servers.urls(), cluster, FORGETFUL);
    second.wait_until_ready();
    send_to("table2", &[&first], &ids("w", 1, 1), 0);
    send_to("table3", &[&first], &ids("v", 1, 3), 0);

    // 25 MB: six segments.
    let mut customer = Customer::default();
    flow(&[&first], &mut customer, 1, 500);
    first.wait("messages that are carried", |it| {
        it["journal_carried"].as_u64() >= Some(4)
    });
    wait_until_short(&first);
    wait_until_short(&second);
    let begin = wait("a stream that is purged", || {
        Some(bounds(&servers).0).filter(|it| *it > 20)
    });

    // One that comes while all flows, and the stream begins behind what it has to have.
    let third = Member::start("c", &servers.urls(), cluster, FORGETFUL);
    flow(&[&first], &mut customer, 501, 500);
    third.wait_until_ready();
    first.wait("messages that are carried again", |it| {
        it["journal_carried"].as_u64() >= Some(8)
    });
    wait_until_short(&first);
    wait_until_short(&third);
    wait("a stream that is purged again", || {
        (bounds(&servers).0 > begin).then_some(())
    });
    // Read again from where it is carried.
    let mut late = Customer::of("table3");
    late.take(&[&first], &ids("v", 1, 3));
    late.leave();
    // Confirmed, so that nobody brings it back.
    first.wait("all but one is settled", |it| {
        it["queued"] == 1 && it["journal_settled"] == 1_003
    });
    first.kill();

    let others = [&second, &third];
    let mut waited_for = Customer::of("table2");
    waited_for.take(&others, &ids("w", 1, 1));
    waited_for.leave();
    let active = wait("an active", || others.iter().position(|it| it.is_active()));
    others[active].wait("all is settled", |it| {
        it["queued"] == 0 && it["delivered"] == 1
    });
    assert_same_journals(&second, &third, 1);
    wait("rows of what waited before it came", || {
        (rows_of_waiting(&third) == 4).then_some(())
    });
    second.kill();
    third.wait_for_role("active");
    third.wait("nothing waits", |it| it["queued"] == 0);
    send(&[&third], &ids("m", 1_001, 1_010));
    customer.take(&[&third], &ids("m", 1_001, 1_010));
    for customer in [&customer, &late, &waited_for] {
        let ids: Vec<_> = customer.got.iter().map(|it| it.0.as_str()).collect();
        let once: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), once.len(), "each came once");
    }
}

#[test]
fn what_the_servers_lost_is_set_aside_whole_and_offered_again() {
    let servers = Servers::start(1);
    let mut first = Member::start("a", &servers.urls(), ALONE, "");
    first.wait_for_role("active");
    let mut customer = Customer::default();
    send(&[&first], &ids("m", 1, 10));
    customer.take(&[&first], &ids("m", 1, 10));
    customer.leave();
    let mut second = Member::start("b", &servers.urls(), ALONE, "");
    second.wait_until_ready();
    second.kill();
    // All that the second one has, the stream keeps.
    let kept = bounds(&servers).1;
    send(&[&first], &ids("m", 11, 30));
    first.wait("rows", |it| it["stored"] == 30);
    first.kill();
    restore_stream(&servers, kept);
    second.resume();
    second.wait_for_role("active");
    send(&[&second], &ids("n", 1, 5));
    first.resume();
    first.wait_until_ready();
    let aside = divergent(&first);
    assert_eq!(aside.len(), 1, "{aside:?}\n{}", first.log());
    assert!(
        aside[0].join("messages.db").exists(),
        "its rows are kept apart"
    );
    assert_same_journals(&first, &second, 1);
    first.wait_for_log("publish --from-journal");
    assert!(divergent(&second).is_empty());

    let directory = aside[0].display().to_string();
    let address = second.ingest.to_string();
    let offer = [
        "publish",
        "--from-journal",
        &directory,
        "--address",
        &address,
    ];
    let (code, said) = command(&first, &offer);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("sent 20 messages, 20 acknowledged: 20 accepted"),
        "{said}"
    );
    let expected = [ids("n", 1, 5), ids("m", 11, 30)].concat();
    customer.take(&[&second], &expected);
    let (code, said) = command(&first, &offer);
    assert!(code == Some(0) && said.contains("20 duplicates"), "{said}");
}

#[test]
fn members_that_share_a_database_write_one_row_a_message_whoever_serves_and_stands_still() {
    let database = MariaDb::start();
    let servers = Servers::start(1);
    let store = database.settings("password_file = 'password'");
    let start = |node| {
        let member = Member::start(node, &servers.urls(), ALONE, &store);
        let file = member.home().join("password");
        std::fs::write(file, database.password()).expect("it is written");
        member
    };
    let members = [start("a"), start("b")];
    let all = [&members[0], &members[1]];
    let mut customer = Customer::default();
    for round in 0..4 {
        let now = wait("an active", || active(&members));
        members[1 - now].wait_until_ready();
        let batch = ids("m", round * 300 + 1, round * 300 + 300);
        send(&all, &batch);
        customer.take(&all, &batch);
        // It stands still, perhaps inside a transaction, and finds another one serving when it goes on.
        members[now].signal("STOP");
        members[1 - now].wait_for_role("active");
        members[now].signal("CONT");
        members[now].wait("it follows", |it| it["cluster"]["role"] == "standby");
    }
    let rows = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'";
    // Acknowledgements that were on their way when a member stood still are asked for again.
    wait("all rows", || {
        customer.turn(&all);
        (database.count(rows) == 1_200).then_some(())
    });
    assert_eq!(
        database.count("SELECT COUNT(DISTINCT messageId) FROM messages"),
        1_200
    );
    assert_eq!(database.count("SELECT COUNT(*) FROM messages"), 1_200);
    assert_eq!(database.count("SELECT COUNT(*) FROM store_position"), 1);
    // The last one writes its term when it has looked at what is there.
    wait("its term", || {
        (database.count("SELECT epoch FROM store_position") >= 5).then_some(())
    });
}

#[test]
fn a_stream_that_is_gone_is_refused_and_made_anew_from_a_member() {
    let servers = Servers::start(1);
    let mut only = Member::start("a", &servers.urls(), ALONE, "");
    only.wait_for_role("active");
    send(&[&only], &ids("m", 1, 30));
    only.kill();
    let before = bounds(&servers);
    let (code, said) = command(
        &only,
        &["cluster", "restore", "--config", "flipped-lb.toml"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--replace removes it"), "{said}");
    restore_stream(&servers, 0);
    only.resume();
    assert_eq!(only.ended(), Some(1));
    assert!(only.log().contains("cluster restore"), "{}", only.log());
    let (code, said) = command(
        &only,
        &["cluster", "restore", "--config", "flipped-lb.toml"],
    );
    assert_eq!(code, Some(0), "{said}");
    let after = bounds(&servers);
    assert!(
        after.0 == before.0 && after.1 <= before.1,
        "{before:?} {after:?}"
    );
    only.resume();
    only.wait_for_role("active");
    send(&[&only], &ids("m", 31, 40));
    let mut customer = Customer::default();
    customer.take(&[&only], &ids("m", 1, 40));
    customer.assert_in_order(&ids("m", 1, 40));
}
