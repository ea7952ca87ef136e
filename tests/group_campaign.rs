//! A campaign against a group under load: three nats-servers, two engines, one MariaDB; each kind of death in
//! turn, many times. It prints how long nobody was acknowledged and nobody was delivered to, and checks at the
//! end that all that was acknowledged was delivered, in order, twice only where it was announced, and has one
//! row.
//!
//! ```text
//! cargo test --test group_campaign -- --ignored --nocapture
//! FLIPPED_LB_TEST_HARMS=kill,zombie FLIPPED_LB_TEST_ROUNDS=20 FLIPPED_LB_TEST_RATE=5000 cargo test --test group_campaign -- --ignored --nocapture
//! ```

#[path = "support/group_peer.rs"]
mod group_peer;
#[path = "group_campaign/load.rs"]
mod load;
#[path = "support/mariadb.rs"]
mod mariadb;
#[path = "support/member.rs"]
mod member;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::time::{Duration, Instant};

use load::Load;
use mariadb::MariaDb;
use member::{Member, STREAM};
use proxy::Proxy;
use servers::{Servers, wait};

const SETTINGS: &str = "replicas = 3\ntake_over_after = '4s'";
/// A stopped process is one for longer than the lease.
const STOPPED: Duration = Duration::from_secs(6);

/// What happens to the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// `kill -9` of the active.
    Kill,
    /// SIGSTOP of the active beyond its lease, then SIGCONT.
    Zombie,
    /// The active reaches no server.
    Partition,
    /// `kill -9` of the stream's leader.
    Leader,
    /// SIGSTOP of the stream's leader, then SIGCONT.
    Stopped,
    /// `kill -9` of one server after the other.
    Server,
    /// The stream's leader dies and has lost its disk.
    Disk,
}

const ALL: [(&str, Harm); 7] = [
    ("kill", Harm::Kill),
    ("zombie", Harm::Zombie),
    ("partition", Harm::Partition),
    ("leader", Harm::Leader),
    ("stopped", Harm::Stopped),
    ("server", Harm::Server),
    ("disk", Harm::Disk),
];

fn variable(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |it| it.parse().expect("a number"))
}

struct Group {
    servers: Servers,
    members: [Member; 2],
    /// Each member's way to the servers.
    ways: [Vec<Proxy>; 2],
}

impl Group {
    fn start(database: &MariaDb) -> Self {
        let servers = Servers::start(3);
        let way = || -> Vec<Proxy> { (0..3).map(|it| Proxy::to(servers.address(it))).collect() };
        let ways = [way(), way()];
        let members = [0, 1].map(|it| {
            let urls: Vec<String> = ways[it].iter().map(Proxy::url).collect();
            let node = ["a", "b"][it];
            let store = database.settings("password_file = 'password'");
            let member = Member::start(node, &urls, SETTINGS, &store);
            let file = member.home().join("password");
            std::fs::write(file, database.password()).expect("it is written");
            member
        });
        let this = Self {
            servers,
            members,
            ways,
        };
        this.wait_until_well();
        this
    }

    fn active(&self) -> Option<usize> {
        self.members.iter().position(Member::is_active)
    }

    /// One serves, the other is ready, and all servers have all.
    fn wait_until_well(&self) -> usize {
        self.servers.wait_for_replicas(STREAM);
        wait("a well group", || {
            let active = self.active()?;
            let stats = self.members[1 - active].stats()?;
            (stats["cluster"]["ready"] == true).then_some(active)
        })
    }

    fn harm(&mut self, harm: Harm, round: usize) {
        let active = self.wait_until_well();
        match harm {
            Harm::Kill => {
                self.members[active].kill();
                self.members[1 - active].wait_for_role("active");
                self.members[active].resume();
            }
            Harm::Zombie => {
                self.members[active].signal("STOP");
                self.members[1 - active].wait_for_role("active");
                std::thread::sleep(STOPPED);
                self.members[active].signal("CONT");
            }
            Harm::Partition => {
                self.ways[active].iter().for_each(Proxy::close);
                self.members[1 - active].wait_for_role("active");
                self.ways[active].iter().for_each(Proxy::open);
            }
            Harm::Leader => self.kill_server(self.servers.leader(STREAM), false),
            Harm::Server => self.kill_server(round % 3, false),
            Harm::Disk => self.kill_server(self.servers.leader(STREAM), true),
            Harm::Stopped => {
                let leader = self.servers.leader(STREAM);
                self.servers.signal(leader, "STOP");
                std::thread::sleep(2 * STOPPED);
                self.servers.signal(leader, "CONT");
            }
        }
    }

    fn kill_server(&mut self, index: usize, loses_disk: bool) {
        self.servers.kill(index);
        std::thread::sleep(STOPPED);
        if loses_disk {
            self.servers.lose_store(index);
        }
        self.servers.resume(index);
    }

    fn take_overs(&self) -> u64 {
        let epoch = |it: &Member| it.stats()?["cluster"]["epoch"].as_u64();
        let known = self.members.iter().filter_map(epoch);
        known.max().unwrap_or_default()
    }
}

/// As long as there are more and more: where all share two cores, the store is minutes behind at the end.
fn wait_for_rows(database: &MariaDb, wanted: u64) {
    let count = || database.count("SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'");
    let mut rows = count();
    while rows < wanted {
        rows = wait("more rows", || Some(count()).filter(|it| *it > rows));
    }
}

/// `0.12 / 4.31 / 6.02`: least, median, most, in seconds.
fn spread(gaps: &mut [Duration]) -> String {
    gaps.sort_unstable();
    let at = |it: usize| gaps[it].as_secs_f64();
    format!(
        "{:5.2} / {:5.2} / {:5.2}",
        at(0),
        at(gaps.len() / 2),
        at(gaps.len() - 1)
    )
}

#[test]
#[ignore = "half an hour: a campaign, not a check"]
fn each_death_many_times_and_nothing_that_was_acknowledged_is_lost() {
    let (rounds, rate) = (
        variable("FLIPPED_LB_TEST_ROUNDS", 20),
        variable("FLIPPED_LB_TEST_RATE", 1_000),
    );
    let chosen = std::env::var("FLIPPED_LB_TEST_HARMS").unwrap_or_default();
    let chosen: Vec<_> = (ALL.iter())
        .filter(|it| chosen.is_empty() || chosen.split(',').any(|name| name == it.0))
        .collect();
    let database = MariaDb::start();
    let mut group = Group::start(&database);
    let begun = Instant::now();
    let load = Load::start(&group.members, rate);
    load.wait_for_more();
    println!("{rounds} rounds each at {rate} msg/s; seconds: least / median / most");
    for (name, harm) in chosen {
        let before = group.take_overs();
        let mut gaps = [Vec::new(), Vec::new()];
        for round in 0..rounds as usize {
            load.wait_for_more();
            load.take_gaps();
            group.harm(*harm, round);
            group.wait_until_well();
            load.wait_for_more();
            for (all, gap) in gaps.iter_mut().zip(load.take_gaps()) {
                all.push(gap);
            }
        }
        let [mut acks, mut frames] = gaps;
        println!(
            "{name:9}  no acknowledgement {}   no delivery {}   terms {}",
            spread(&mut acks),
            spread(&mut frames),
            group.take_overs() - before
        );
    }
    let seconds = begun.elapsed().as_secs();
    let ended = load.finish();
    let sent = ended.acknowledged;
    wait_for_rows(&database, sent);
    let distinct = database.count("SELECT COUNT(DISTINCT messageId) FROM messages");
    let rows = database.count("SELECT COUNT(*) FROM messages");
    assert_eq!(rows, distinct, "one row each");
    println!(
        "{sent} messages in {seconds} s: each delivered, in order, with one row; {} came again, announced",
        ended.repeated
    );
}
