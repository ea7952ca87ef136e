//! What comes late: PubAcks, and publishes that everybody has given up.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::group::{Customer, active, assert_same_journals, ids, line, send};
use crate::member::{ALONE, Member};
use crate::proxy::Proxy;
use crate::servers::{Servers, wait};
use crate::stream;
use crate::witness::Witness;

/// As late as a PubAck may be.
const LATE: Duration = Duration::from_secs(12);

#[test]
fn two_never_serve_though_pubacks_are_late_and_leases_differ() {
    let servers = Servers::start(1);
    let ways = [(); 2].map(|()| Proxy::to(servers.address(0)));
    let leases = ["4s", "6s"];
    let members = [0, 1].map(|it| {
        let cluster = format!("replicas = 1\ntake_over_after = '{}'", leases[it]);
        Member::start(["a", "b"][it], &[ways[it].url()], &cluster, "")
    });
    let all = [&members[0], &members[1]];
    let first = wait("an active", || active(&members));
    members[1 - first].wait_until_ready();
    send(&all, &ids("m", 1, 30));
    let mut witness = Witness::default();
    ways.iter().for_each(|it| it.delay_pubacks(LATE));
    let terms = || {
        let epochs = members.iter().map(|it| it.count("cluster_epoch"));
        epochs.max().unwrap_or_default()
    };
    let before = terms();
    wait("a take-over", || {
        witness.look(&all);
        (terms() > before).then_some(())
    });
    // Until who lost its term knows that: it has late answers to come.
    wait("one that follows", || {
        witness.look(&all);
        let roles = all.map(|it| it.stats().map(|it| it["cluster"]["role"].clone()));
        roles
            .iter()
            .any(|it| it.as_ref().is_some_and(|it| it == "standby"))
            .then_some(())
    });
    ways.iter().for_each(|it| it.delay_pubacks(Duration::ZERO));
    wait("an active", || active(&members));
    witness.look(&all);
    assert!(!witness.terms.is_empty(), "somebody was seen to serve");
    send(&all, &ids("m", 31, 40));
    let mut customer = Customer::default();
    customer.take(&all, &ids("m", 1, 40));
    customer.assert_in_order(&ids("m", 1, 40));
}

/// Two members, each with a way of its own; the first one serves.
struct Pair {
    servers: Servers,
    ways: [Proxy; 2],
    members: [Member; 2],
}

impl Pair {
    fn start() -> Self {
        let servers = Servers::start(1);
        let ways = [(); 2].map(|()| Proxy::to(servers.address(0)));
        let first = Member::start("a", &[ways[0].url()], ALONE, "");
        first.wait_for_role("active");
        let second = Member::start("b", &[ways[1].url()], ALONE, "");
        second.wait_until_ready();
        Self {
            servers,
            ways,
            members: [first, second],
        }
    }

    /// The member's next record is held, and nothing of it gets through any more; the other one takes over.
    fn take_over_from(&self, index: usize, unconfirmed: &str) {
        let (way, member) = (&self.ways[index], &self.members[index]);
        way.hold_next_publish();
        let mut plain = TcpStream::connect(member.ingest).expect("it listens");
        writeln!(plain, "{}", line(unconfirmed)).expect("it takes a line");
        wait("a record that is held", || way.holds().then_some(()));
        way.refuse();
        self.members[1 - index].wait_for_role("active");
    }

    /// The one that lost its term reaches the servers, and follows.
    fn rejoin(&self, index: usize) {
        self.ways[index].open();
        self.members[index].wait_until_ready();
    }
}

#[test]
fn a_first_attempt_that_arrives_much_later_counts_for_nobody() {
    let pair = Pair::start();
    let [first, second] = &pair.members;
    let all = [first, second];
    send(&[first], &ids("m", 1, 10));
    // While all is idle: a second attempt was confirmed long ago.
    pair.ways[0].hold_next_publish();
    send(&[first], &ids("m", 11, 20));
    assert!(pair.ways[0].holds());
    let before = stream::last(&pair.servers);
    pair.ways[0].release();
    wait("a beat behind it", || {
        (stream::last(&pair.servers) > before + 1).then_some(())
    });
    assert_eq!(first.count("cluster_epoch"), 1);
    // Behind the claim of another, which the first one does not know yet.
    pair.take_over_from(0, "late-1");
    send(&[second], &ids("m", 21, 30));
    pair.ways[0].release();
    send(&[second], &ids("m", 31, 40));
    pair.rejoin(0);
    // The other way round, and behind the step-down.
    pair.take_over_from(1, "late-2");
    send(&[first], &ids("m", 41, 50));
    pair.rejoin(1);
    pair.ways[1].release();
    send(&[first], &ids("m", 51, 60));
    let mut customer = Customer::default();
    customer.take(&all, &ids("m", 1, 60));
    customer.assert_in_order(&ids("m", 1, 60));
    for member in all {
        assert_eq!(member.count("cluster_void_records"), 0, "none is stored");
    }
    assert_eq!(first.count("cluster_epoch"), 3, "no term but those two");
    assert_same_journals(first, second, 3);
}
