//! Alerts of a group of engines: its members are processes, its servers real or gone.

use std::time::{Duration, Instant};

use super::member::{Member, PATIENT};
use super::metrics::Scrape;
use super::support::ports::free_port;
use super::{assert_fires, has, servers};

pub(crate) const NO_ACTIVE: &[&str] = &[
    "FlippedLbClusterMemberBehind",
    "FlippedLbClusterNoActive",
    "FlippedLbClusterTrouble",
];
pub(crate) const NO_STANDBY: &[&str] = &["FlippedLbClusterNoStandby"];

/// As [`scraped`], of a member of a group.
fn scraped_member(member: &Member, shows: impl Fn(&Scrape) -> bool) -> Vec<Scrape> {
    let scrape = || {
        let at = Instant::now();
        let (_, text) = member.get("/metrics").filter(|it| it.0 == 200)?;
        Some(Scrape::read(at, &text))
    };
    let first = servers::wait("figures", || scrape().filter(&shows));
    std::thread::sleep(Duration::from_secs(3));
    vec![first, servers::wait("figures", scrape)]
}

#[test]
fn a_group_whose_servers_are_gone_has_no_active() {
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let member = Member::start_with_http("n1", &[nobody], "take_over_after = '4s'", "");
    let scrapes = scraped_member(&member, has("cluster_trouble", 1.0));
    assert_fires(NO_ACTIVE, &scrapes);
}

#[test]
fn an_active_without_a_standby_is_told_and_a_ready_standby_is_quiet() {
    let servers = servers::Servers::start(1);
    let active = Member::start_with_http("n1", &servers.urls(), PATIENT, "");
    active.wait_for_role("active");
    let alone = scraped_member(&active, has("cluster_lease_left_ms", 1.0));
    assert_fires(NO_STANDBY, &alone);
    let standby = Member::start_with_http("n2", &servers.urls(), PATIENT, "");
    standby.wait_until_ready();
    let active = scraped_member(&active, has("cluster_members_ready", 1.0));
    assert_fires(&[], &active);
    // Of the standby's figures alone nobody serves, and nothing else is wrong.
    let standby = scraped_member(&standby, has("cluster_ready", 1.0));
    assert_fires(&["FlippedLbClusterNoActive"], &standby);
}
