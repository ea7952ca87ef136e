//! Servers that lost what they had confirmed: published again as it was.

use std::sync::Arc;

use super::super::*;
use super::rig::{LEASE, Rig, SECOND, stored};
use crate::cluster::testing::Chain;

fn fetch_of(rig: &Rig) -> u64 {
    let found = rig.decided.iter().rev().find_map(|it| match it {
        Decision::Fetch(n) => Some(*n),
        _ => None,
    });
    found.expect("a record is read from the journal")
}

fn fetched(rig: &mut Rig, own: &[Message]) {
    let asked = fetch_of(rig);
    let found = own.iter().rev().find(|it| it.sequence <= asked);
    let record = found.map(|it| Arc::clone(&it.bytes));
    rig.on_event(Event::Fetched { asked, record });
}

/// The stream ends behind the first of these; the second one, published again, is refused.
fn refused_while_it_mends(own: &[Message]) -> Rig {
    let mut rig = Rig::new(own.last());
    rig.found(1, 1);
    fetched(&mut rig, own);
    rig.answer(Some(&own[0]), None, 1);
    fetched(&mut rig, own);
    let publish = rig.published();
    rig.refuse(&publish, Refusal::WrongLast);
    rig
}

#[test]
fn a_member_whose_files_go_on_where_the_stream_ends_publishes_those_records_again_as_they_were() {
    let mut chain = Chain::new();
    let own = vec![
        chain.claim(1),
        chain.batches(),
        chain.foreign(),
        chain.beat(),
    ];
    let mut rig = Rig::new(own.last());
    rig.found(1, 1);
    fetched(&mut rig, &own);
    rig.answer(Some(&own[0]), None, 1);
    for lost in &own[1..] {
        rig.pass(LEASE / 2);
        fetched(&mut rig, &own);
        let publish = rig.published();
        assert_eq!(publish.expected_last, lost.sequence - 1);
        if lost.sequence == 3 {
            assert_eq!(&*publish.bytes, b"void", "in the place of a void message");
        } else {
            assert_eq!(stored(&publish), *lost);
        }
        assert_eq!(rig.member.role(), Role::Starting, "before anybody claims");
        rig.confirm(&publish);
    }
    assert_eq!(rig.member.role(), Role::Standby);
    rig.pass_heard(LEASE - 1);
    assert_eq!(
        rig.member.role(),
        Role::Standby,
        "silence counts from what was put back"
    );
    rig.claims_after(1);
}

#[test]
fn an_active_that_finds_an_end_below_n_mends_it_and_goes_on_with_the_record_in_flight() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let claim = rig.claims_after(LEASE);
    rig.confirm(&claim);
    rig.write_all();
    let first = Chain::new().claim(1);
    let own = [first.clone(), stored(&claim)];
    rig.offer(&[5]);
    let publish = rig.published();
    rig.refuse(&publish, Refusal::WrongLast);
    rig.answer(None, None, 1);
    fetched(&mut rig, &own);
    rig.answer(Some(&first), None, 1);
    fetched(&mut rig, &own);
    let again = rig.published();
    assert_eq!((stored(&again), again.expected_last), (own[1].clone(), 1));
    assert!(!rig.member.wants_batches());
    rig.confirm(&again);
    assert_eq!(rig.published(), publish, "the same bytes, and both numbers");
    rig.confirm(&publish);
    assert_eq!(
        (rig.member.role(), rig.member.sequence()),
        (Role::Active, 3)
    );
}

#[test]
fn an_active_whose_stream_went_on_otherwise_steps_down() {
    let (mut rig, _) = Rig::active();
    rig.pass(10 * SECOND);
    rig.found(1, 1);
    let other = {
        let mut chain = Chain::new();
        chain.claim(2)
    };
    rig.on_event(Event::Fetched {
        asked: 1,
        record: Some(Chain::new().claim(1).bytes),
    });
    rig.answer(Some(&other), None, 1);
    assert!(rig.has_stepped_down(&Why::Diverged));
}

#[test]
fn what_another_member_has_put_back_meanwhile_is_taken_as_put_back() {
    let mut chain = Chain::new();
    let own = vec![chain.claim(1), chain.batches(), chain.batches()];
    let mut rig = refused_while_it_mends(&own);
    rig.answer(Some(&own[0]), Some(&own[1]), 2);
    fetched(&mut rig, &own);
    assert_eq!(stored(&rig.published()), own[2]);
}

#[test]
fn where_another_has_claimed_before_it_was_put_back_the_files_diverge() {
    let mut chain = Chain::new();
    let own = [chain.claim(1), chain.batches()];
    let mut rig = refused_while_it_mends(&own);
    let claim = Chain::behind(&own[0].bytes).claim(9);
    rig.answer(Some(&own[0]), Some(&claim), 2);
    assert!(
        rig.has_stepped_down(&Why::Diverged),
        "and sets them aside when it starts anew"
    );
}

#[test]
fn a_standby_that_finds_the_end_below_its_own_mends_it() {
    let mut chain = Chain::new();
    let own = vec![chain.claim(1), chain.batches()];
    let mut rig = Rig::standby(&own);
    rig.pass(10 * SECOND);
    rig.found(1, 1);
    fetched(&mut rig, &own);
    rig.answer(Some(&own[0]), None, 1);
    fetched(&mut rig, &own);
    assert_eq!(stored(&rig.published()), own[1]);
    assert!(rig.has_decided(&Decision::Tell(Notice::Republishing { from: 2, to: 2 })));
}

#[test]
fn where_another_has_gone_on_and_purged_the_stream_before_it_was_put_back_the_files_diverge() {
    let mut chain = Chain::new();
    let own = [chain.claim(1), chain.batches()];
    let mut rig = refused_while_it_mends(&own);
    let answer = Answer {
        bounds: Some((20, 30)),
        ..Answer::default()
    };
    rig.on_event(Event::Answer { asked: 1, answer });
    assert!(rig.has_stepped_down(&Why::Diverged));
}
