//! Servers that were not heard: what may take a lost record's place waits.

use super::super::*;
use super::rig::{LEASE, Rig, SECOND, stored};
use crate::cluster::testing::Chain;
use crate::limits::{CHECK_US, HEARING_TO_CLAIM_US, HEARING_TO_RESUME_US};

fn looks(rig: &mut Rig) -> usize {
    let count = (rig.decided.iter())
        .filter(|it| **it == Decision::Check)
        .count();
    rig.decided.clear();
    count
}

#[test]
fn a_standby_that_was_cut_off_hears_the_servers_for_a_while_before_it_claims() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.pass(4 * LEASE);
    rig.found(1, 1);
    rig.pass_heard(HEARING_TO_CLAIM_US - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn a_standby_that_was_cut_off_takes_what_is_put_back_meanwhile() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.pass(4 * LEASE);
    rig.found(1, 1);
    rig.pass_heard(2 * SECOND);
    rig.on_event(Event::Message(chain.batches()));
    rig.write_all();
    rig.pass_heard(LEASE - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    assert_eq!(rig.claims_after(1).expected_last, 2);
}

#[test]
fn a_standby_that_heard_the_active_fall_silent_claims_behind_its_lease() {
    let mut chain = Chain::new();
    chain.lease_ms = 4_000;
    let mut rig = Rig::standby(&[chain.claim(1)]);
    for _ in 0..60 {
        rig.pass(SECOND);
        rig.on_event(Event::Message(chain.beat()));
        rig.write_all();
        rig.found(1, rig.member.sequence());
    }
    rig.pass_heard(4 * SECOND - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn one_question_without_an_answer_is_no_gap() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.pass_heard(LEASE - 3 * SECOND);
    rig.pass(SECOND);
    rig.pass(SECOND);
    rig.found(1, 1);
    rig.claims_after(SECOND);
}

#[test]
fn servers_that_are_seen_to_lose_something_are_heard_anew() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.pass_heard(LEASE - 2 * SECOND);
    rig.pass(SECOND);
    rig.found(1, 3);
    rig.pass(SECOND);
    rig.found(1, 1);
    rig.pass_heard(HEARING_TO_CLAIM_US - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn a_quiet_member_looks_each_second_whether_the_servers_have_lost_something() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    for _ in 0..10 {
        rig.pass(SECOND);
        rig.on_event(Event::Message(chain.beat()));
        rig.write_all();
    }
    let heard = rig.now - SECOND;
    rig.found(1, rig.member.sequence());
    let all = CHECK_US / SECOND;
    assert!(looks(&mut rig) <= 1, "at {heard}: one in {all} s");
    rig.pass_heard(11 * SECOND);
    assert_eq!(looks(&mut rig), 10);
}

#[test]
fn behind_an_old_goodbye_another_term_may_be_lost() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.pass(4 * LEASE);
    rig.on_event(Event::Message(chain.goodbye()));
    rig.write_all();
    rig.found(1, 2);
    rig.pass_heard(HEARING_TO_CLAIM_US - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn a_claim_is_not_sent_again_before_the_servers_are_heard_for_a_while() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let claim = rig.claims_after(LEASE);
    assert_unsent_until_heard(&mut rig, &claim, HEARING_TO_CLAIM_US);
    rig.confirm(&claim);
    assert!(rig.member.own_term().is_some());
}

#[test]
fn an_active_without_lease_sends_nothing_before_the_servers_are_heard_for_a_while() {
    let (mut rig, _) = Rig::active();
    rig.offer(&[5]);
    let publish = rig.published();
    rig.pass(LEASE);
    assert_eq!(rig.member.role(), Role::Paused);
    assert_unsent_until_heard(&mut rig, &publish, HEARING_TO_RESUME_US);
    rig.confirm(&publish);
    let beat = rig.published();
    rig.confirm(&beat);
    assert_eq!(rig.member.role(), Role::Active);
}

/// No server answers for a while, and others are tried; once one does, the same bytes go out behind so much time.
fn assert_unsent_until_heard(rig: &mut Rig, publish: &Publish, heard_us: u64) {
    for _ in 0..6 {
        rig.pass(SECOND);
    }
    for _ in 0..6 {
        rig.decided.clear();
        rig.pass(SECOND);
        assert!(rig.published_nothing());
        assert!(rig.has_decided(&Decision::Reconnect));
    }
    rig.decided.clear();
    rig.found(1, rig.member.sequence());
    rig.pass_heard(heard_us - 1);
    assert!(rig.published_nothing());
    rig.pass_heard(SECOND);
    assert_eq!(rig.published(), *publish);
}

#[test]
fn an_active_that_comes_back_asks_at_once_what_stands_in_the_place_of_its_record() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let claim = rig.claims_after(LEASE);
    rig.confirm(&claim);
    rig.write_all();
    rig.offer(&[5]);
    rig.pass(LEASE);
    rig.pass(LEASE);
    rig.decided.clear();
    rig.found(1, 3);
    rig.pass(SECOND / 2);
    assert!(rig.published_nothing());
    let other = Chain::behind(&claim.bytes).claim(9);
    rig.answer(Some(&stored(&claim)), Some(&other), 3);
    assert!(rig.has_stepped_down(&Why::Fenced));
}

/// It may reach its server, and the server none of the others.
#[test]
fn a_standby_and_a_start_that_hear_nothing_take_another_server() {
    let claim = Chain::new().claim(1);
    let standby = Rig::standby(std::slice::from_ref(&claim));
    for mut rig in [standby, Rig::new(Some(&claim))] {
        for _ in 0..10 {
            rig.decided.clear();
            for _ in 0..4 {
                rig.pass(SECOND);
            }
            let all = rig.decided.iter();
            let count = all.filter(|it| **it == Decision::Reconnect).count();
            assert_eq!(count, 1, "and gives each some time: {:?}", rig.decided);
        }
    }
}

#[test]
fn a_standby_whose_questions_are_answered_keeps_its_server() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.member.can_write = false;
    rig.pass_heard(10 * LEASE);
    assert!(!rig.has_decided(&Decision::Reconnect));
}

/// Behind the void message another member's claim may have stood, which the servers have lost and get back.
#[test]
fn what_an_active_without_lease_makes_anew_behind_a_void_message_waits_too() {
    let (mut rig, mut chain) = Rig::active();
    let claim = rig.last_record();
    rig.offer(&[5]);
    rig.pass(2 * LEASE);
    rig.decided.clear();
    rig.found(1, 3);
    rig.pass(SECOND / 2);
    let void = chain.foreign();
    rig.answer(Some(&claim), Some(&void), 3);
    rig.pass_heard(HEARING_TO_RESUME_US - SECOND);
    assert!(rig.published_nothing());
    rig.pass_heard(SECOND);
    let anew = rig.published();
    assert_eq!(anew.expected_last, 3);
    rig.confirm(&anew);
    rig.answer(Some(&claim), Some(&void), 4);
    assert_eq!(rig.member.role(), Role::Active, "it was sent just now");
}

#[test]
fn a_claim_that_is_made_anew_behind_a_void_message_waits_too() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.claims_after(LEASE);
    for _ in 0..6 {
        rig.pass(SECOND);
    }
    rig.decided.clear();
    rig.found(1, 2);
    rig.on_event(Event::Message(chain.foreign()));
    rig.pass_heard(HEARING_TO_CLAIM_US - 1);
    assert!(rig.published_nothing());
    rig.pass_heard(SECOND);
    assert_eq!(rig.published().expected_last, 2);
}

#[test]
fn an_active_that_wakes_behind_its_lease_makes_nothing_anew_at_once() {
    let (mut rig, mut chain) = Rig::active();
    rig.offer(&[5]);
    let publish = rig.published();
    rig.refuse(&publish, Refusal::WrongLast);
    rig.decided.retain(|it| *it == Decision::Ask(2));
    rig.now += 4 * LEASE;
    let claim = rig.last_record();
    rig.answer(Some(&claim), Some(&chain.foreign()), 3);
    assert_eq!(rig.member.sequence(), 3);
    assert!(rig.published_nothing());
}
