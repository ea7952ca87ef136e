use proptest::prelude::*;

use super::model::{Model, SECOND_NS};
use super::*;

const PLENTY: usize = usize::MAX / 2;

fn subscribe(destination: &str, ack: bool) -> String {
    format!("{{\"subscribe\":[\"{destination}\"],\"ack\":{ack}}}\n")
}

#[test]
fn a_second_subscriber_stands_by_and_takes_over_what_was_not_settled() {
    let mut model = Model::new(PLENTY);
    let first = model.connect(&subscribe("a", true), true, PLENTY);
    model.settle_down();
    let second = model.connect(&subscribe("a", true), true, PLENTY);
    (0..4).for_each(|_| model.publish(0));
    model.settle_down();
    assert_eq!(
        model.peers[first].frames(),
        [0, 1, 2],
        "as its credit allows"
    );
    let standby = serde_json::json!({ "subscribed": [], "standby": ["a"] });
    assert_eq!(model.peers[second].lines().first(), Some(&standby));
    model.say(first, "{\"ack\":1}\n");
    model.settle_down();
    assert_eq!(model.peers[first].frames(), [0, 1, 2, 3]);
    model.peers[first].has_ended = true;
    model.core.on_ready(first, true, false);
    model.settle_down();
    assert!(model.peers[first].is_shut && model.peers[first].is_closed);
    let again = serde_json::json!({ "again": 3 });
    let frame = |n: u64| serde_json::json!({ "n": n, "d": 0 });
    let expected = [standby, again, frame(1), frame(2), frame(3)];
    assert_eq!(model.peers[second].lines(), expected);
    model.finish();
}

#[test]
fn a_last_acknowledgement_without_a_newline_counts() {
    let mut model = Model::new(PLENTY);
    let peer = model.connect(&subscribe("b", true), true, PLENTY);
    model.publish(1);
    model.settle_down();
    model.say(peer, "{\"ack\":1}");
    model.peers[peer].has_ended = true;
    model.settle_down();
    let next = model.connect(&subscribe("b", true), true, PLENTY);
    model.settle_down();
    assert!(model.peers[next].frames().is_empty());
    model.finish();
}

#[test]
fn what_is_wrong_is_told_and_the_frames_go_to_the_next() {
    let mut model = Model::new(PLENTY);
    let wrong = model.connect(&subscribe("a", true), true, PLENTY);
    model.publish(0);
    model.settle_down();
    model.say(wrong, "{\"ack\":7}\n{\"ack\":1}\n");
    model.settle_down();
    let told = model.peers[wrong].lines().pop().expect("a line");
    assert!(
        told["error"]
            .as_str()
            .is_some_and(|it| it.contains("only 1"))
    );
    assert!(model.peers[wrong].is_shut && !model.peers[wrong].is_closed);
    let next = model.connect(&subscribe("a", false), false, PLENTY);
    model.settle_down();
    assert_eq!(model.peers[next].frames(), [0]);
    assert!(!model.peers[wrong].is_closed, "it has time to read that");
    model.pass(10 * SECOND_NS);
    model.settle_down();
    assert!(model.peers[wrong].is_closed);
    assert_eq!(model.count(Counter::SubscriberErrors), 1);
    model.finish();
}

#[test]
fn who_is_sent_away_leaves_its_destinations_at_once_though_it_holds_its_socket() {
    for ack in [true, false] {
        let mut model = Model::new(PLENTY);
        let first = model.connect(&subscribe("a", ack), ack, PLENTY);
        model.settle_down();
        let second = model.connect(&subscribe("a", false), false, PLENTY);
        model.publish(0);
        model.settle_down();
        model.say(first, "nonsense\n");
        model.settle_down();
        model.publish(0);
        model.settle_down();
        let frames: &[u64] = if ack { &[0, 1] } else { &[1] };
        assert_eq!(model.peers[second].frames(), frames);
        assert!(!model.peers[first].is_closed);
        model.finish();
    }
}

#[test]
fn a_frame_that_is_half_written_to_who_is_sent_away_is_one_subscribers_alone() {
    for rest in [0, PLENTY / 2] {
        let mut model = Model::new(PLENTY);
        let line = serde_json::json!({ "subscribed": ["a"], "standby": [] });
        let first = model.connect(&subscribe("a", false), false, line.to_string().len() + 5);
        model.settle_down();
        let second = model.connect(&subscribe("a", false), false, PLENTY);
        (0..2).for_each(|_| model.publish(0));
        model.settle_down();
        model.say(first, "nonsense\n");
        model.settle_down();
        assert!(
            model.peers[second].frames().is_empty(),
            "it may be delivered yet"
        );
        match rest {
            0 => model.pass(SECOND_NS / 10),
            rest => model.make_room(first, rest),
        }
        model.settle_down();
        let (before, after): (&[u64], &[u64]) = if rest == 0 {
            (&[], &[0, 1])
        } else {
            (&[0], &[1])
        };
        assert_eq!(model.peers[first].frames(), before);
        assert_eq!(model.peers[second].frames(), after);
        model.finish();
    }
}

#[test]
fn who_says_nothing_reads_nothing_or_owes_too_long_is_disconnected() {
    let mut model = Model::new(PLENTY);
    let silent = model.connect("", false, PLENTY);
    let unread = model.connect(&subscribe("a", false), false, 40);
    let owing = model.connect(&subscribe("b", true), true, PLENTY);
    (0..2).for_each(|it| model.publish(it));
    model.settle_down();
    for _ in 0..3 {
        model.pass(SECOND_NS / 2);
        model.settle_down();
    }
    let error = |model: &Model, key: Key| {
        let last = model.peers[key].lines().pop().expect("a line");
        last["error"].as_str().unwrap_or_default().to_owned()
    };
    assert!(error(&model, silent).contains("nothing was asked for in 1 s"));
    assert!(error(&model, owing).contains("1 frame(s) are owed"));
    assert!(model.peers[unread].is_closed && model.peers[unread].frames().is_empty());
    for counter in [
        Counter::GreetingTimeouts,
        Counter::UnreadTimeouts,
        Counter::AckTimeouts,
    ] {
        assert_eq!(model.count(counter), 1);
    }
    model.finish();
}

#[test]
fn a_name_that_was_asked_for_stays_and_one_that_fits_a_pattern_may_go() {
    let mut model = Model::new(PLENTY);
    let by_name = model.connect(&subscribe("a", false), false, PLENTY);
    let by_pattern = model.connect(&subscribe("*", false), false, PLENTY);
    model.settle_down();
    let keys = [by_name, by_pattern].map(|it| it as SubscriberKey);
    let retire = |model: &mut Model, destination, keys: &[SubscriberKey]| {
        model.core.on_command(ToDelivery::Retire {
            destination,
            subscribers: keys.to_vec(),
        });
        model.settle_down();
        model.released.pop()
    };
    assert_eq!(retire(&mut model, 0, &keys), Some((0, Consent::Refused)));
    assert_eq!(retire(&mut model, 1, &keys[1..]), Some((1, Consent::Given)));
    model.core.lookups.push_back(by_pattern);
    let while_looking_up = retire(&mut model, 1, &keys[1..]);
    assert_eq!(while_looking_up, Some((1, Consent::NotNow)));
    let count = |model: &mut Model| {
        let subscriber = model.core.get_mut(by_pattern).expect("it is there");
        subscriber.requested.len()
    };
    assert_eq!(count(&mut model), 2);
    model.core.on_command(ToDelivery::Retired {
        destination: 1,
        subscribers: keys[1..].to_vec(),
    });
    model.settle_down();
    assert_eq!(model.released.pop(), Some((1, Consent::Given)));
    assert_eq!(count(&mut model), 1);
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Connect { both: bool, ack: bool, room: usize },
    Publish(DestinationIndex),
    MakeRoom(usize, usize),
    Acknowledge(usize),
    SayNonsense(usize),
    End(usize),
    Break(usize),
    Pass(u64),
    Cycle,
}

fn op() -> impl Strategy<Value = Op> {
    let peer = 0..8_usize;
    prop_oneof![
        2 => (any::<bool>(), any::<bool>(), prop_oneof![Just(PLENTY), 0..90_usize])
            .prop_map(|(both, ack, room)| Op::Connect { both, ack, room }),
        8 => (0..2_u32).prop_map(Op::Publish),
        3 => (peer.clone(), 1..200_usize).prop_map(|(peer, room)| Op::MakeRoom(peer, room)),
        4 => peer.clone().prop_map(Op::Acknowledge),
        1 => peer.clone().prop_map(Op::SayNonsense),
        1 => peer.clone().prop_map(Op::End),
        1 => peer.prop_map(Op::Break),
        2 => prop_oneof![Just(SECOND_NS / 10), Just(SECOND_NS), Just(6 * SECOND_NS)]
            .prop_map(Op::Pass),
        10 => Just(Op::Cycle),
    ]
}

fn run(model: &mut Model, op: Op) {
    let count = model.peers.len();
    let peer = |it: usize| it % count.max(1);
    match op {
        Op::Connect { both, ack, room } => {
            let destinations = if both { "*" } else { "a" };
            model.connect(&subscribe(destinations, ack), ack, room);
        }
        Op::Publish(destination) => model.publish(destination),
        Op::Pass(ns) => model.pass(ns),
        Op::Cycle => {
            model.cycle();
        }
        _ if count == 0 => {}
        Op::MakeRoom(it, room) if model.peers[peer(it)].room < PLENTY => {
            model.make_room(peer(it), room);
        }
        Op::Acknowledge(it) => model.acknowledge(peer(it)),
        Op::SayNonsense(it) => model.say(peer(it), "nonsense\n"),
        Op::End(it) => {
            model.peers[peer(it)].has_ended = true;
            model.core.on_ready(peer(it), true, false);
        }
        Op::Break(it) => {
            model.peers[peer(it)].is_broken = true;
            model.core.on_ready(peer(it), true, true);
        }
        Op::MakeRoom(..) => {}
    }
}

proptest! {
    #[test]
    fn whatever_peers_do_each_message_is_settled_once_in_order_and_announced(
        step in prop_oneof![1..30_usize, Just(PLENTY)],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut model = Model::new(step);
        for op in ops {
            run(&mut model, op);
        }
        model.finish();
    }
}
