//! An upgrade as `docs/more-than-one-machine.md` has it: three nats-servers and two members, restarted one after
//! the other, while a producer sends and a customer takes.

use crate::load::Load;
use crate::member::{Member, command};
use crate::servers::{Servers, wait};
use crate::stream::STREAM;

/// Messages a second: what an unoptimised engine does beside other tests.
const RATE: u64 = 200;

fn restart(member: &mut Member) {
    member.signal("TERM");
    assert_eq!(member.ended(), Some(0), "{}", member.log());
    member.resume();
    member.wait_until_ready();
}

#[test]
fn a_rolling_restart_of_all_loses_nothing_and_repeats_nothing() {
    let mut servers = Servers::start(3);
    let cluster = "replicas = 3\ntake_over_after = '15s'";
    let start = |node| Member::start_with_http(node, &servers.urls(), cluster, "");
    let mut members = [start("a"), start("b")];
    let active = wait("an active", || members.iter().position(Member::is_active));
    members[1 - active].wait_until_ready();
    let load = Load::start(&members, RATE);
    for server in 0..3 {
        load.wait_for_more();
        servers.signal(server, "TERM");
        servers.wait_until_ended(server);
        servers.resume(server);
        servers.wait_for_replicas(STREAM);
    }
    load.wait_for_more();
    restart(&mut members[1 - active]);
    load.wait_for_more();
    let admin = members[active].admin.to_string();
    let (code, _, words) = command(&["cluster", "hand-over", "--admin", &admin]);
    assert_eq!(code, Some(0), "{words}");
    members[1 - active].wait_for_role("active");
    load.wait_for_more();
    restart(&mut members[active]);
    load.wait_for_more();
    let ended = load.finish();
    assert!(ended.acknowledged >= 7 * 100, "{ended:?}");
    assert_eq!(ended.repeated, 0, "all was handed over in good order");
    let taken = members[1 - active].count("cluster_epoch");
    assert_eq!(taken, 2, "one take-over, which was asked for");
}
