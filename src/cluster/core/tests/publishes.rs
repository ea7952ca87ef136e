//! What is heard of the record in flight.

use super::super::*;
use super::beginning::answer_all;
use super::rig::{LEASE, Rig, SECOND, stored};
use crate::cluster::addresses::successor_of;
use crate::cluster::record::{Kind, Record};
use crate::cluster::testing::Chain;

fn with_batches() -> (Rig, Chain, Publish, Message) {
    let (mut rig, chain) = Rig::active();
    let claim = rig.last_record();
    rig.offer(&[5, 6]);
    let publish = rig.published();
    rig.decided.clear();
    (rig, chain, publish, claim)
}

#[test]
fn any_hears_a_puback_with_the_place_confirmed() {
    let (mut rig, _, publish, _) = with_batches();
    assert!(
        rig.decided.is_empty(),
        "nothing is written before the PubAck"
    );
    rig.confirm(&publish);
    assert!(rig.has_to_write(3, &publish.bytes));
    let end = rig.member.tip.end();
    assert!(
        !rig.has_decided(&Decision::Open(end)),
        "not before it is written"
    );
    rig.write_all();
    assert!(rig.has_decided(&Decision::Open(end)));
}

#[test]
fn any_hears_a_puback_with_another_sequence_the_record_is_void_to_all_and_it_steps_down() {
    let (mut rig, _, publish, _) = with_batches();
    let (flight, sequence) = (publish.flight, 4);
    rig.on_event(Event::Acked { flight, sequence });
    assert!(rig.has_stepped_down(&Why::OtherSequence(4)));
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let flight = rig.claims_after(LEASE).flight;
    rig.on_event(Event::Acked { flight, sequence });
    assert!(
        rig.has_stepped_down(&Why::OtherSequence(4)),
        "a claimant too"
    );
}

#[test]
fn any_hears_a_time_out_and_knows_nothing_the_same_bytes_again_to_another_server() {
    let (mut rig, _, publish, _) = with_batches();
    for _ in 0..20 {
        rig.pass(SECOND - 1);
        assert!(rig.published_nothing());
        rig.pass(1);
        rig.decided.retain(|it| *it != Decision::Check);
        let again = Decision::Publish(publish.clone());
        let paused = rig.decided.iter().position(|it| *it == Decision::Pause);
        paused.map(|at| rig.decided.remove(at));
        assert_eq!(rig.decided, [Decision::Reconnect, again]);
        // The leader is there, and answers other questions.
        rig.found(1, rig.member.sequence());
        rig.decided.clear();
    }
}

#[test]
fn any_hears_503_or_a_connection_lost_and_knows_nothing_the_same_bytes_again() {
    for why in [
        Unknown::NoResponders,
        Unknown::ConnectionLost,
        Unknown::TimedOut,
    ] {
        let (mut rig, _, publish, _) = with_batches();
        let flight = publish.flight;
        rig.on_event(Event::Unknown { flight, why });
        assert!(rig.published_nothing(), "not in a busy loop");
        rig.pass(SECOND);
        assert_eq!(rig.published(), publish);
        assert_eq!(rig.member.role(), Role::Active);
    }
}

#[test]
fn any_hears_wrong_last_sequence_and_asks_the_leader_for_n_and_the_next() {
    let (mut rig, _, publish, _) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    assert_eq!(rig.decided, [Decision::Ask(2)]);
}

#[test]
fn wrong_last_sequence_n_is_not_its_own_it_steps_down() {
    let (mut rig, mut chain, publish, _) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    chain.sequence = 1;
    let other = chain.claim(9);
    rig.answer(Some(&other), None, 2);
    assert!(rig.has_stepped_down(&Why::Diverged));
}

#[test]
fn wrong_last_sequence_the_next_is_its_own_confirmed() {
    let (mut rig, _, publish, claim) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    rig.answer(Some(&claim), Some(&stored(&publish)), 3);
    assert_eq!(
        (rig.member.role(), rig.member.sequence()),
        (Role::Active, 3)
    );
    rig.write_all();
    assert!(rig.has_decided(&Decision::Open(rig.member.tip.end())));
}

#[test]
fn wrong_last_sequence_the_next_is_a_valid_claim_fenced_the_active_steps_down() {
    let (mut rig, mut chain, publish, claim) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    rig.answer(Some(&claim), Some(&chain.claim(9)), 3);
    assert!(rig.has_stepped_down(&Why::Fenced));
}

#[test]
fn wrong_last_sequence_the_next_is_void_the_same_batches_anew_behind_it() {
    let (mut rig, mut chain, publish, claim) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    let stranger = chain.foreign();
    rig.answer(Some(&claim), Some(&stranger), 3);
    let anew = rig.published();
    assert_ne!(anew.flight, publish.flight);
    assert_eq!(
        (anew.expected_last, &anew.expected_subject),
        (3, &stranger.subject)
    );
    let (was, now) = (Record::decode(&publish.bytes), Record::decode(&anew.bytes));
    let (was, now) = (was.expect("a record"), now.expect("a record"));
    assert_eq!(
        (was.batches, was.place.position),
        (now.batches, now.place.position)
    );
    assert_eq!(
        (now.place.sequence, now.place.before),
        (4, was.place.before)
    );
    let is_told = |it: &Decision| matches!(it, Decision::Tell(Notice::Void { sequence: 3, .. }));
    assert!(rig.decided.iter().any(is_told));
    rig.confirm(&publish);
    assert_eq!(
        rig.member.sequence(),
        3,
        "what the first attempt hears is past"
    );
    rig.confirm(&anew);
    rig.answer(Some(&claim), Some(&stranger), 4);
    assert_eq!(
        (rig.member.role(), rig.member.sequence()),
        (Role::Active, 4)
    );
}

/// Both expectations hold in a stream that lost the last record that counts and the void one behind it, and
/// grew again by two void ones: the simulation's seed 103962794059660.
#[test]
fn behind_a_void_message_a_puback_counts_once_the_leader_has_the_last_record_that_counts() {
    for is_there in [true, false] {
        let (mut rig, mut chain, publish, claim) = with_batches();
        rig.refuse(&publish, Refusal::WrongLast);
        let stranger = chain.foreign();
        rig.answer(Some(&claim), Some(&stranger), 3);
        let anew = rig.published();
        rig.confirm(&anew);
        assert_eq!(rig.member.sequence(), 3, "not confirmed yet");
        rig.answer(None, None, 4);
        rig.decided.clear();
        rig.pass(SECOND);
        assert!(rig.has_decided(&Decision::Ask(2)), "no answer is none");
        let other = Message {
            sequence: 2,
            ..stranger.clone()
        };
        rig.answer(
            Some(if is_there { &claim } else { &other }),
            Some(&stranger),
            4,
        );
        if is_there {
            assert_eq!(
                (rig.member.role(), rig.member.sequence()),
                (Role::Active, 4)
            );
        } else {
            assert!(rig.has_stepped_down(&Why::Diverged));
        }
    }
}

/// The servers lost a foreign message, and took a record in its place before this member looked: the simulation's
/// seed 527 of members that come back.
#[test]
fn a_claim_behind_void_messages_counts_once_the_leader_has_none_that_counts_there() {
    for is_void in [true, false] {
        let mut chain = Chain::new();
        let first = chain.claim(1);
        let mut behind = chain.clone();
        behind.sequence += 1;
        let voids = [chain.foreign(), chain.foreign(), chain.foreign()];
        let stream = [std::slice::from_ref(&first), &voids].concat();
        let mut rig = Rig::standby(&stream);
        rig.pass_heard(LEASE);
        answer_all(&mut rig, &stream, &stream);
        for message in &voids {
            rig.on_event(Event::Message(message.clone()));
        }
        let claim = rig.claims_after(SECOND);
        rig.confirm(&claim);
        rig.answer(Some(&first), Some(&voids[0]), 5);
        rig.answer(Some(&voids[1]), None, 5);
        assert_eq!(rig.member.role(), Role::Claiming, "no answer is none");
        rig.pass(SECOND);
        let third = if is_void {
            voids[1].clone()
        } else {
            behind.batches()
        };
        rig.answer(Some(&third), Some(&voids[2]), 5);
        if is_void {
            assert_eq!(rig.member.role(), Role::Active);
        } else {
            assert!(rig.has_stepped_down(&Why::Diverged));
        }
    }
}

/// The simulation's seed 1280 of members that come back: a claimant never came to an end.
#[test]
fn what_is_read_meanwhile_does_not_begin_the_look_at_void_messages_again() {
    let mut chain = Chain::new();
    let first = chain.claim(1);
    let voids = [chain.foreign(), chain.foreign(), chain.foreign()];
    let stream = [std::slice::from_ref(&first), &voids].concat();
    let mut rig = Rig::standby(&stream);
    rig.pass_heard(LEASE);
    answer_all(&mut rig, &stream, &stream);
    for message in &voids {
        rig.on_event(Event::Message(message.clone()));
    }
    let claim = rig.claims_after(SECOND);
    let behind = Message {
        sequence: 6,
        ..chain.foreign()
    };
    for (at, next) in [(&first, &voids[0]), (&voids[1], &voids[2])] {
        rig.confirm(&claim);
        rig.on_event(Event::Message(stored(&claim)));
        rig.on_event(Event::Message(behind.clone()));
        assert_eq!(rig.member.role(), Role::Claiming);
        rig.answer(Some(at), Some(next), 6);
    }
    assert_eq!(rig.member.role(), Role::Active);
}

#[test]
fn wrong_last_sequence_not_found_is_no_answer_the_same_bytes_again() {
    let (mut rig, _, publish, claim) = with_batches();
    for at in [None, Some(&claim)] {
        rig.refuse(&publish, Refusal::WrongLast);
        rig.answer(at, None, 2);
        rig.decided.clear();
        rig.pass(SECOND);
        assert_eq!(rig.published(), publish);
        assert_eq!(rig.member.role(), Role::Active);
    }
}

#[test]
fn wrong_last_sequence_and_no_answer_at_all_the_same_bytes_again() {
    let (mut rig, _, publish, _) = with_batches();
    rig.refuse(&publish, Refusal::WrongLast);
    rig.decided.clear();
    rig.pass(SECOND);
    assert_eq!(
        rig.decided,
        [Decision::Reconnect, Decision::Publish(publish)]
    );
}

#[test]
fn any_hears_any_other_refusal_not_fenced_the_same_again_each_second_and_readyz_names_it() {
    let (mut rig, _, publish, _) = with_batches();
    for _ in 0..30 {
        rig.refuse(&publish, Refusal::Other("no space left".into()));
        assert!(
            rig.member
                .trouble()
                .is_some_and(|it| it.contains("no space left"))
        );
        rig.decided.clear();
        rig.pass(SECOND - 1);
        assert!(rig.published_nothing());
        rig.pass_heard(1);
        assert_eq!(rig.published(), publish);
    }
    assert_eq!(
        rig.member.role(),
        Role::Paused,
        "the lease ran out, the term goes on"
    );
    rig.confirm(&publish);
    assert_eq!(rig.member.trouble(), None);
}

#[test]
fn one_record_is_in_flight_and_batches_grow_meanwhile() {
    let (mut rig, _, publish, _) = with_batches();
    assert!(!rig.member.wants_batches());
    rig.confirm(&publish);
    assert!(rig.member.wants_batches(), "the journal may be writing");
    rig.offer(&[7]);
    let next = rig.published();
    assert_eq!(next.expected_last, 3);
    rig.confirm(&next);
    assert!(
        !rig.member.wants_batches(),
        "the journal is two records behind"
    );
    rig.write_all();
    assert!(rig.member.wants_batches());
}

#[test]
fn a_goodbye_names_the_standby_that_is_to_serve() {
    let (mut rig, _, publish, _) = with_batches();
    rig.on_event(Event::HandOver("n3".into()));
    rig.on_event(Event::Finish);
    rig.confirm(&publish);
    rig.write_all();
    let goodbye = rig.published();
    let goodbye = Record::decode(&goodbye.bytes).expect("one");
    let said = goodbye.announcement.expect("it says who it is");
    assert_eq!(successor_of(&said), Some("n3"));
}

#[test]
fn a_clean_end_is_a_goodbye_behind_all_that_was_confirmed_and_nothing_is_handed_out_behind_it() {
    let (mut rig, _, publish, _) = with_batches();
    rig.on_event(Event::Finish);
    assert!(rig.published_nothing(), "a record is in flight");
    rig.confirm(&publish);
    assert!(rig.published_nothing(), "it is not written");
    rig.write_all();
    let goodbye = rig.published();
    assert_eq!(
        Record::decode(&goodbye.bytes).expect("one").place.kind,
        Kind::Goodbye
    );
    assert!(!rig.member.may_serve(rig.now));
    rig.confirm(&goodbye);
    assert_eq!(rig.member.role(), Role::Active, "until it is written");
    rig.write_all();
    assert!(rig.has_stepped_down(&Why::Finished));
    rig.decided.clear();
    rig.pass(LEASE);
    assert!(rig.decided.is_empty(), "the run is over");
}
