//! What a standby hears, and when it claims.

use super::super::*;
use super::beginning::answer_all;
use super::rig::{LEASE, Rig, SECOND, stored};
use crate::cluster::record::{Kind, Record, Term};
use crate::cluster::testing::Chain;
use crate::limits::{CHECK_US, HEARING_TO_CLAIM_US};

#[test]
fn standby_hears_a_valid_record_and_writes_it_silence_counts_from_its_arrival() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.pass(LEASE - 1);
    let beat = chain.beat();
    rig.on_event(Event::Message(beat.clone()));
    assert!(rig.has_to_write(2, &beat.bytes));
    rig.write_all();
    rig.pass_heard(LEASE - 1);
    assert_eq!(rig.member.role(), Role::Standby, "silence began anew");
    rig.claims_after(1);
}

#[test]
fn standby_silence_counts_from_the_own_start() {
    let claim = Chain::new().claim(1);
    let mut rig = Rig::new(Some(&claim));
    rig.found(1, 1);
    rig.on_event(Event::Fetched {
        asked: 1,
        record: Some(claim.bytes.clone()),
    });
    rig.answer(Some(&claim), None, 1);
    rig.pass_heard(LEASE - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn standby_hears_silence_for_the_lease_of_the_last_record_not_its_own_and_claims() {
    let mut chain = Chain::new();
    chain.lease_ms = 5_000;
    let mut rig = Rig::standby(&[chain.claim(1)]);
    let publish = rig.claims_after(5 * SECOND);
    let record = Record::decode(&publish.bytes).expect("it is one").place;
    let term = Term {
        epoch: 2,
        random: 0xaa,
    };
    assert_eq!(
        (record.kind, record.term, record.sequence),
        (Kind::Claim, term, 2)
    );
    assert_eq!(
        record.lease_ms, 15_000,
        "the next standby waits for the own lease"
    );
}

#[test]
fn standby_hears_a_goodbye_and_claims_at_once() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.on_event(Event::Message(chain.goodbye()));
    rig.write_all();
    rig.claims_after(0);
}

#[test]
fn who_said_goodbye_waits_a_lease_before_it_claims() {
    let mut chain = Chain::new();
    chain.node = "own";
    let mut rig = Rig::standby(&[chain.claim(1), chain.goodbye()]);
    rig.pass_heard(LEASE - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn a_standby_that_a_goodbye_names_claims_at_once_and_another_one_behind_a_lease() {
    let mut chain = Chain::new();
    let claim = chain.claim(1);
    chain.successor = Some("own");
    let mut rig = Rig::standby(std::slice::from_ref(&claim));
    rig.on_event(Event::Message(chain.peek(Kind::Goodbye)));
    rig.write_all();
    rig.claims_after(0);
    chain.successor = Some("third");
    let mut rig = Rig::standby(&[claim, chain.goodbye()]);
    rig.pass_heard(LEASE - 1);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.claims_after(1);
}

#[test]
fn standby_hears_an_empty_stream_its_files_empty_too_and_claims() {
    let mut rig = Rig::new(None);
    rig.found(1, 0);
    let publish = rig.published();
    assert_eq!(publish.expected_last, 0);
    assert_eq!(&*publish.subject, "flb_journal.east.1-00000000000000aa");
    assert_eq!(publish.subject, publish.expected_subject);
    let place = Record::decode(&publish.bytes).expect("it is one").place;
    assert_eq!((place.group, place.position), (77, 64));
}

#[test]
fn standby_does_not_claim_unless_it_is_at_the_end_and_can_write() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.pass_heard(LEASE - 1);
    rig.pass(1);
    rig.found(1, 2);
    assert_eq!(
        rig.member.role(),
        Role::Standby,
        "a message is not read yet"
    );
    rig.on_event(Event::CanWrite(false));
    rig.pass_heard(6 * SECOND);
    assert_eq!(rig.member.role(), Role::Standby, "it cannot write");
    rig.on_event(Event::CanWrite(true));
    rig.on_event(Event::Message(chain.beat()));
    rig.pass_heard(LEASE);
    assert_eq!(
        rig.member.role(),
        Role::Standby,
        "the last record is not written yet"
    );
    rig.write_all();
    rig.claims_after(2 * SECOND);
}

#[test]
fn wrong_settings_are_told_with_the_command_that_mends_them_and_no_standby_claims() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.pass_heard(LEASE - 1);
    rig.pass(1);
    let wrong = vec!["replicas: nats stream edit flb_journal_east --replicas 3".to_owned()];
    rig.on_event(Event::Checked(Check::Found {
        first: 1,
        last: 1,
        wrong,
    }));
    assert!(
        rig.member
            .trouble()
            .is_some_and(|it| it.contains("nats stream edit"))
    );
    rig.pass(LEASE);
    assert_eq!(rig.member.role(), Role::Standby);
    rig.decided.clear();
    rig.claims_after(SECOND + HEARING_TO_CLAIM_US);
    assert_eq!(rig.member.trouble(), None);
}

#[test]
fn a_claim_expects_the_claimants_own_last_record_by_both_numbers() {
    let mut chain = Chain::new();
    let stream = [chain.claim(1), chain.batches(), chain.foreign()];
    let mut rig = Rig::standby(&stream);
    rig.pass_heard(LEASE);
    assert!(rig.published_nothing(), "the servers may have lost it");
    answer_all(&mut rig, &stream, &stream);
    let publish = rig.claims_after(SECOND);
    assert_eq!(publish.expected_last, 3, "a void message is a message");
    assert_eq!(&*publish.expected_subject, "flb_journal.east.stranger");
    let place = Record::decode(&publish.bytes).expect("it is one").place;
    assert_eq!(place.before.sequence, 2, "and no predecessor");
}

#[test]
fn a_claim_that_another_one_was_faster_than_is_given_up() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    let publish = rig.claims_after(LEASE);
    rig.refuse(&publish, Refusal::WrongLast);
    let at = stored_first();
    let other = chain.claim(2);
    rig.decided.retain(|it| *it == Decision::Ask(1));
    rig.answer(Some(&at), Some(&other), 2);
    assert_eq!(rig.member.role(), Role::Standby);
    // A server that does not have it yet.
    rig.pass(SECOND);
    rig.found(1, 1);
    rig.pass(SECOND);
    rig.found(1, 2);
    assert!(rig.published_nothing(), "the other's record is to come");
    assert!(!rig.has_decided(&Decision::Reconnect), "from this server");
    rig.on_event(Event::Message(other));
    assert_eq!(rig.member.term().random, 2);
    rig.write_all();
    rig.pass(LEASE - 1);
    assert_eq!(
        rig.member.role(),
        Role::Standby,
        "silence counts from the other's claim"
    );
}

fn stored_first() -> Message {
    Chain::new().claim(1)
}

#[test]
fn a_claim_is_given_up_when_the_active_shows_that_it_lives() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    rig.claims_after(LEASE);
    rig.on_event(Event::Message(chain.batches()));
    assert_eq!(rig.member.role(), Role::Standby);
}

#[test]
fn a_claim_that_is_read_before_its_puback_came_counts() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    let publish = rig.claims_after(LEASE);
    rig.on_event(Event::Message(stored(&publish)));
    assert_eq!(rig.member.role(), Role::Active);
    rig.confirm(&publish);
    assert_eq!(rig.member.role(), Role::Active, "once");
}

#[test]
fn a_claim_that_was_given_up_is_not_served_by_whoever_made_it() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    let publish = rig.claims_after(LEASE);
    rig.on_event(Event::Message(chain.beat()));
    rig.confirm(&publish);
    assert_eq!(rig.member.role(), Role::Standby, "its place was taken");
}

#[test]
fn a_sequence_missing_in_the_middle_is_asked_of_the_leader() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    let (missing, behind) = (chain.batches(), chain.beat());
    rig.on_event(Event::Message(behind));
    assert!(rig.has_decided(&Decision::Ask(1)));
    rig.answer(Some(&stored_first()), Some(&missing), 3);
    assert_eq!(rig.member.sequence(), 2);
    assert!(
        rig.has_decided(&Decision::Read(3)),
        "and reading goes on behind it"
    );
}

#[test]
fn if_a_missing_sequence_is_gone_reading_stops_and_says_so() {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1)]);
    chain.batches();
    let behind = chain.beat();
    rig.on_event(Event::Message(behind));
    rig.answer(Some(&stored_first()), None, 3);
    assert!(
        rig.member
            .trouble()
            .is_some_and(|it| it.contains("message 2 is missing"))
    );
    rig.pass(LEASE);
    rig.found(1, 3);
    assert_eq!(
        (rig.member.role(), rig.member.sequence()),
        (Role::Standby, 1)
    );
}

#[test]
fn what_was_published_and_never_came_is_read_again() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.pass(10 * SECOND);
    rig.found(1, 2);
    assert!(rig.has_decided(&Decision::Read(2)));
}

/// A consumer is made and the first record comes: where that takes seconds, it never came.
#[test]
fn what_is_read_again_has_time_to_come() {
    let mut rig = Rig::standby(&[Chain::new().claim(1)]);
    rig.pass(CHECK_US);
    let mut reads = |seconds: u64| {
        for _ in 0..seconds {
            rig.pass(SECOND);
            rig.found(1, 3);
        }
        let all = rig.decided.iter();
        all.filter(|it| **it == Decision::Read(2)).count()
    };
    assert_eq!(reads(CHECK_US / SECOND), 1);
    assert_eq!(reads(CHECK_US / SECOND), 2);
}

/// Servers lose a message that counts for nobody, and take a record in its place, before this member looks.
#[test]
fn what_was_void_is_read_again_where_records_are_made_behind_another_one() {
    let mut chain = Chain::new();
    let first = chain.claim(1);
    let void = chain.clone().foreign();
    let mut rig = Rig::standby(&[first.clone(), void]);
    let behind = [chain.batches(), chain.foreign(), chain.batches()];
    rig.on_event(Event::Message(behind[1].clone()));
    rig.on_event(Event::Message(behind[2].clone()));
    assert!(rig.has_decided(&Decision::Fetch(1)));
    let record = Some(first.bytes.clone());
    rig.on_event(Event::Fetched { asked: 1, record });
    rig.answer(Some(&first), Some(&behind[0]), 4);
    assert!(rig.has_decided(&Decision::Read(2)));
    for message in &behind {
        rig.on_event(Event::Message(message.clone()));
    }
    assert!(rig.has_to_write(2, &behind[0].bytes) && rig.has_to_write(4, &behind[2].bytes));
}
