//! The lease: from the first sending of what was confirmed, by the own clock.

use super::super::*;
use super::rig::{LEASE, Rig, SECOND};
use crate::cluster::testing::Chain;

const PAUSE: u64 = LEASE / 4 * 3;

#[test]
fn active_no_confirmed_record_was_first_sent_within_three_quarters_of_the_lease_pauses() {
    let (mut rig, _) = Rig::active();
    rig.offer(&[5]);
    let publish = rig.published();
    assert!(rig.member.may_serve(rig.now + PAUSE - 1));
    assert!(
        !rig.member.may_serve(rig.now + PAUSE),
        "also before a tick says so"
    );
    rig.pass_heard(PAUSE - 1);
    rig.decided.clear();
    rig.pass_heard(1);
    assert_eq!(rig.decided[0], Decision::Pause);
    assert_eq!(rig.member.role(), Role::Paused);
    rig.pass_heard(SECOND);
    assert_eq!(rig.published(), publish, "term and record in flight stay");
}

#[test]
fn paused_hears_that_a_record_sent_since_is_confirmed_and_serves_on() {
    let (mut rig, _) = Rig::active();
    rig.offer(&[5]);
    let late = rig.published();
    rig.pass_heard(PAUSE);
    rig.confirm(&late);
    assert_eq!(
        rig.member.role(),
        Role::Paused,
        "its sending is too long ago"
    );
    rig.write_all();
    let beat = rig.published();
    assert_ne!(beat.flight, late.flight, "so that one follows at once");
    rig.confirm(&beat);
    assert!(rig.has_decided(&Decision::Resume));
    assert!(rig.member.may_serve(rig.now));
}

#[test]
fn a_pubacks_arrival_proves_nothing_the_lease_is_that_of_the_first_attempt() {
    let (mut rig, _) = Rig::active();
    rig.offer(&[5]);
    let publish = rig.published();
    for _ in 0..9 {
        rig.pass(SECOND);
    }
    rig.confirm(&publish);
    let first_sent = rig.now - 9 * SECOND;
    assert!(rig.member.may_serve(first_sent + PAUSE - 1));
    assert!(!rig.member.may_serve(first_sent + PAUSE));
}

#[test]
fn a_claim_that_was_confirmed_late_serves_nothing_before_a_beat_is_confirmed() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let claim = rig.claims_after(LEASE);
    rig.pass_heard(PAUSE);
    rig.confirm(&claim);
    assert_eq!(rig.member.role(), Role::Paused);
    assert!(!rig.member.may_serve(rig.now));
    let beat = rig.published();
    rig.confirm(&beat);
    assert!(rig.member.may_serve(rig.now));
}

#[test]
fn an_idle_active_beats_each_second_from_the_claim_on() {
    let (mut rig, _) = Rig::active();
    for _ in 0..60 {
        rig.pass(SECOND);
        let beat = rig.published();
        rig.confirm(&beat);
        rig.write_all();
        rig.decided.clear();
        assert!(rig.member.may_serve(rig.now));
    }
}

#[test]
fn two_never_serve_while_clocks_differ_in_pace_by_less_than_a_fifth() {
    // The slow one's seconds are a fifth longer; what it sent arrives at once.
    let slow_pause_by_fast_clock = PAUSE * 6 / 5;
    assert!(slow_pause_by_fast_clock < LEASE);
}

#[test]
fn a_process_that_was_frozen_asks_the_lease_before_it_hands_out() {
    let (rig, _) = Rig::active();
    let woken = rig.now + 3_600 * SECOND;
    assert!(!rig.member.may_serve(woken));
}

#[test]
fn a_path_that_stands_still_sends_no_beat_and_loses_the_lease_until_it_turns_again() {
    let (mut rig, _) = Rig::active();
    rig.on_event(Event::Path(rig.now));
    rig.pass(SECOND - 1);
    assert!(rig.published_nothing(), "a beat is not due");
    for _ in 0..11 {
        rig.pass_heard(SECOND);
        assert!(rig.published_nothing(), "nobody turns the path");
    }
    assert_eq!(rig.member.role(), Role::Paused);
    rig.on_event(Event::Path(rig.now));
    let beat = rig.published();
    rig.confirm(&beat);
    assert_eq!(rig.member.role(), Role::Active);
}
