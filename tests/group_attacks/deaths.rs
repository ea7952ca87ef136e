//! Members that die or stand still where it is worst, and one whose clock is wrong.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use mysql::prelude::Queryable as _;

use crate::faked_clock::off_by;
use crate::group::{Customer, active, assert_same_journals, ids, line, segments, send};
use crate::mariadb::MariaDb;
use crate::member::{ALONE, Member};
use crate::proxy::Proxy;
use crate::servers::{Servers, wait};
use crate::stream;
use crate::support::ENGINE;

/// Take-overs of the suite; the variable says how many more are wanted.
const TAKE_OVERS: usize = 3;

fn take_overs() -> usize {
    let set = std::env::var("FLIPPED_LB_TEST_TAKE_OVERS").ok();
    set.map_or(TAKE_OVERS, |it| it.parse().expect("a number"))
}

/// The stream confirms a record, its member does not hear that, and dies.
fn die_behind_the_puback(servers: &Servers, way: &Proxy, member: &mut Member, id: &str) {
    way.swallow_behind(id);
    let mut plain = TcpStream::connect(member.ingest).expect("it listens");
    writeln!(plain, "{}", line(id)).expect("it takes a line");
    // The stream has the order, and the files do not.
    let has_it = |bytes: &[u8]| bytes.windows(id.len()).any(|it| it == id.as_bytes());
    wait("a record of it in the stream", || {
        let last = stream::last(servers);
        let latest = (last.saturating_sub(4)..=last).rev();
        let mut messages = latest.filter_map(|it| stream::message(servers, it));
        messages.any(|it| has_it(&it)).then_some(())
    });
    member.kill();
    way.cut();
    let files = segments(member);
    assert!(!files.values().any(|it| has_it(it)), "it was not written");
}

/// As a write that a kill cuts leaves a journal: its last bytes are not there.
fn tear(member: &Member, bytes: u64) {
    let (name, found) = segments(member).pop_last().expect("there is one");
    let path = member.data_dir().join("journal").join(name);
    let file = std::fs::File::options().write(true).open(path);
    let len = (found.len() as u64).saturating_sub(bytes);
    file.expect("it is there").set_len(len).expect("it is cut");
}

#[test]
fn journals_are_byte_identical_though_members_die_between_puback_and_write() {
    let servers = Servers::start(1);
    let ways = [(); 2].map(|()| Proxy::to(servers.address(0)));
    let mut members = [0, 1].map(|it| {
        let node = ["a", "b"][it];
        Member::start(node, &[ways[it].url()], ALONE, "")
    });
    let mut expected = Vec::new();
    let mut customer = Customer::default();
    for round in 0..take_overs() {
        let now = wait("an active", || active(&members));
        members[1 - now].wait_until_ready();
        let all: Vec<&Member> = members.iter().collect();
        let batch = ids("m", round * 10 + 1, round * 10 + 10);
        send(&all, &batch);
        expected.extend(batch);
        if round % 2 == 0 {
            customer.take(&all, &expected);
        }
        // Not a prefix of another one.
        let last = format!("confirmed-{round}-");
        die_behind_the_puback(&servers, &ways[now], &mut members[now], &last);
        expected.push(last);
        // One or both writes of the journal's end are cut, in the middle or as a whole.
        tear(&members[now], [0, 7, 150, 1_000][round % 4]);
        members[now].resume();
        if round % 3 == 2 {
            let now = wait("an active", || active(&members));
            members[1 - now].wait_until_ready();
            // Those of long ago may have left.
            assert_same_journals(&members[0], &members[1], (round + 2).min(10));
        }
    }
    let now = wait("an active", || active(&members));
    members[1 - now].wait_until_ready();
    let all: Vec<&Member> = members.iter().collect();
    customer.take(&all, &expected);
    customer.assert_in_order(&expected);
    assert_same_journals(&members[0], &members[1], (take_overs() + 1).min(10));
    assert!(members[now].count("cluster_epoch") > take_overs() as u64);
}

/// Stopped where it has locked its position and its rows: its successor writes on once the session has been
/// silent for the lease.
#[test]
fn a_member_that_is_stopped_inside_a_store_transaction_does_not_hold_up_its_successors_rows() {
    let database = MariaDb::start();
    let servers = Servers::start(1);
    let store = database.settings("password_file = 'password'");
    let start = |node| {
        let member = Member::start(node, &servers.urls(), ALONE, &store);
        let file = member.home().join("password");
        std::fs::write(file, database.password()).expect("it is written");
        member
    };
    let first = start("a");
    first.wait_for_role("active");
    let second = start("b");
    second.wait_until_ready();
    send(&[&first], &ids("m", 1, 10));
    first.wait("rows", |it| it["stored"] == 10);
    // Somebody holds the table, so that the first one waits inside its transaction.
    let (mut other, mut looks) = (database.client(), database.client());
    other
        .query_drop("LOCK TABLES messages WRITE")
        .expect("it is locked");
    send(&[&first], &ids("m", 11, 20));
    let is_inside = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";
    wait("a transaction", || {
        // The server looks at its transactions anew only if nobody asked for a tenth of a second.
        std::thread::sleep(Duration::from_millis(150));
        let inside: Option<u64> = looks.query_first(is_inside).expect(is_inside);
        (inside == Some(1)).then_some(())
    });
    first.signal("STOP");
    other.query_drop("UNLOCK TABLES").expect("it is unlocked");
    second.wait_for_role("active");
    send(&[&second], &ids("m", 21, 30));
    let rows = || database.count("SELECT COUNT(*) FROM messages");
    wait("the successor's rows", || (rows() == 30).then_some(()));
    first.signal("CONT");
    first.wait_until_ready();
    let mut customer = Customer::default();
    customer.take(&[&second], &ids("m", 1, 30));
    customer.assert_in_order(&ids("m", 1, 30));
    customer.leave();
    second.wait("all is stored", |it| it["stored_settled"] == 30);
    let distinct = "SELECT COUNT(DISTINCT messageId) FROM messages";
    assert_eq!((rows(), database.count(distinct)), (30, 30));
}

#[test]
fn a_new_active_whose_clock_is_wrong_by_twenty_minutes_knows_what_came_within_the_window() {
    let servers = Servers::start(1);
    let start = |node| Member::start(node, &servers.urls(), ALONE, "[dedup]\nwindow = '10m'\n");
    let mut members = [start("a"), start("b")];
    let first = wait("an active", || active(&members));
    let mut customer = Customer::default();
    send(&[&members[first]], &ids("m", 1, 20));
    customer.take(&[&members[first]], &ids("m", 1, 20));
    customer.leave();
    // The one that takes over has another clock than the one before.
    let mut now = first;
    for (round, offset) in ["+20m", "-20m"].into_iter().enumerate() {
        let next = 1 - now;
        members[next].kill();
        let mut command = Command::new(ENGINE);
        off_by(&mut command, offset);
        members[next].resume_by(command);
        members[next].wait_until_ready();
        members[now].kill();
        members[next].wait_for_role("active");
        let from = 21 + round * 10;
        send(&[&members[next]], &ids("m", 1, from + 9));
        customer.take(&[&members[next]], &ids("m", 1, from + 9));
        customer.leave();
        let duplicates = members[next].count("duplicates");
        assert!(duplicates >= from as u64 - 1, "{offset}: {duplicates}");
        members[now].resume();
        members[now].wait_until_ready();
        now = next;
    }
    customer.assert_in_order(&ids("m", 1, 40));
    assert_same_journals(&members[0], &members[1], 3);
}
