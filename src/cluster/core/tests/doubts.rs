//! Answers by which the stream is gone, empty or purged.

use super::super::*;
use super::rig::{LEASE, Rig, SECOND, stored};
use crate::cluster::testing::Chain;
use crate::limits::{HEARING_TO_CLAIM_US, HEARING_TO_RESUME_US};

fn found(first: u64, last: u64) -> Check {
    let wrong = Vec::new();
    Check::Found { first, last, wrong }
}

/// What servers say that have nothing, or nothing any more, where this member has messages up to `last`.
fn losses(last: u64) -> [Check; 3] {
    [Check::Missing, found(1, 0), found(last + 1, last)]
}

/// Hears this each second, for so many.
fn hear_for(rig: &mut Rig, seconds: u64, check: &Check) {
    for _ in 0..seconds {
        rig.on_event(Event::Checked(check.clone()));
        rig.pass(SECOND);
    }
}

fn trouble(rig: &Rig) -> String {
    rig.member.trouble().unwrap_or_default().to_owned()
}

#[test]
fn a_start_is_not_ended_by_the_first_answers_of_a_server_without_its_store() {
    let first = Chain::new().claim(1);
    for loss in losses(1) {
        let mut rig = Rig::new(Some(&first));
        hear_for(&mut rig, 9, &loss);
        assert_eq!(rig.member.role(), Role::Starting, "{loss:?}");
        assert!(rig.has_decided(&Decision::Reconnect), "another is asked");
        assert!(!trouble(&rig).contains("restore"), "{}", trouble(&rig));
        rig.found(1, 1);
        assert_eq!(rig.member.trouble(), None);
        let record = Some(first.bytes.clone());
        rig.on_event(Event::Fetched { asked: 1, record });
        rig.answer(Some(&first), None, 1);
        assert_eq!(rig.member.role(), Role::Standby);
    }
}

#[test]
fn a_start_is_refused_with_the_command_that_makes_the_stream_once_it_is_believed() {
    let first = Chain::new().claim(1);
    for loss in losses(1) {
        let mut rig = Rig::new(Some(&first));
        hear_for(&mut rig, 11, &loss);
        assert!(rig.refusal().contains("cluster restore"), "{loss:?}");
    }
}

#[test]
fn a_standby_waits_for_a_stream_that_is_lost_and_claims_nothing_meanwhile() {
    for loss in losses(2) {
        let mut chain = Chain::new();
        let mut rig = Rig::standby(&[chain.claim(1), chain.beat()]);
        rig.pass(LEASE);
        hear_for(&mut rig, 1, &loss);
        assert!(trouble(&rig).contains("others are asked"), "{loss:?}");
        assert!(!rig.member.is_ready());
        hear_for(&mut rig, 60, &loss);
        assert!(trouble(&rig).contains("cluster restore"), "{loss:?}");
        assert_eq!(rig.member.role(), Role::Standby);
        assert!(rig.published_nothing());
        // It is restored, message by message, and nothing is published beside it.
        rig.found(1, 1);
        assert!(rig.published_nothing() && !rig.has_decided(&Decision::Ask(1)));
        rig.pass(SECOND);
        rig.found(1, 2);
        assert_eq!(rig.member.trouble(), None);
        rig.pass_heard(HEARING_TO_CLAIM_US - SECOND);
        assert!(rig.published_nothing(), "others may have lost records");
        rig.pass_heard(SECOND);
        assert_eq!(rig.member.role(), Role::Claiming);
    }
}

#[test]
fn a_standby_mends_a_stream_that_came_back_shorter_and_grows_no_more() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1), chain.beat()]);
    rig.pass(10 * SECOND);
    hear_for(&mut rig, 3, &Check::Missing);
    hear_for(&mut rig, 2, &found(1, 1));
    assert!(rig.has_decided(&Decision::Ask(1)));
}

#[test]
fn an_active_tells_of_a_lost_stream_once_it_is_believed_and_accepts_nothing() {
    for loss in losses(2) {
        let (mut rig, _) = Rig::active();
        rig.pass(10 * SECOND);
        hear_for(&mut rig, 2, &loss);
        assert_eq!(rig.member.trouble(), None, "{loss:?}");
        assert!(rig.member.may_accept());
        hear_for(&mut rig, 10, &loss);
        assert!(trouble(&rig).contains("cluster restore"), "{loss:?}");
        assert!(!rig.member.may_accept());
        assert_ne!(rig.member.role(), Role::Ended);
    }
}

#[test]
fn doubts_begin_anew_behind_an_answer_that_has_the_stream() {
    let mut rig = Rig::new(Some(&Chain::new().claim(1)));
    for _ in 0..5 {
        hear_for(&mut rig, 5, &Check::Missing);
        hear_for(&mut rig, 1, &found(1, 1));
    }
    assert_eq!(rig.member.role(), Role::Starting);
}

/// It would claim, be refused and start anew for ever.
#[test]
fn neither_active_nor_claimant_ends_where_the_last_record_is_purged() {
    let (mut active, _) = Rig::active();
    active.offer(&[5]);
    let mut claimant = Rig::standby(&[Chain::new().claim(1)]);
    claimant.claims_after(LEASE);
    for mut rig in [active, claimant] {
        let publish = rig.published();
        let n = publish.expected_last;
        rig.refuse(&publish, Refusal::WrongLast);
        let bounds = Some((n + 1, n));
        let answer = Answer {
            bounds,
            ..Answer::default()
        };
        rig.on_event(Event::Answer { asked: n, answer });
        assert_ne!(rig.member.role(), Role::Ended);
        assert!(rig.has_decided(&Decision::Check));
        hear_for(&mut rig, 12, &found(n + 1, n));
        assert!(trouble(&rig).contains("was purged"), "{}", trouble(&rig));
        // It is made again: what is in flight is confirmed.
        rig.found(1, n);
        let publish = rig.published();
        rig.on_event(Event::Message(stored(&publish)));
        rig.confirm(&publish);
        assert!(rig.member.own_term().is_some());
    }
}

/// "Not found" is an answer, and no other server has a better one.
#[test]
fn an_active_whose_stream_is_gone_keeps_its_server_once_that_is_believed() {
    for loss in losses(2) {
        let (mut rig, _) = Rig::active();
        rig.offer(&[5]);
        let publish = rig.published();
        hear_for(&mut rig, 30, &loss);
        assert_eq!(rig.member.role(), Role::Paused);
        rig.decided.clear();
        hear_for(&mut rig, 60, &loss);
        assert!(!rig.has_decided(&Decision::Reconnect), "{loss:?}");
        assert!(trouble(&rig).contains("cluster restore"), "{loss:?}");
        rig.found(1, 2);
        rig.pass_heard(HEARING_TO_RESUME_US);
        assert_eq!(rig.published(), publish, "it is restored");
    }
}
