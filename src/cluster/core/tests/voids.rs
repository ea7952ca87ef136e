//! Which messages count, to all members alike.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::tip::{Classified, Tip};
use super::super::*;
use super::rig::Rig;
use crate::cluster::record::{Kind, Term};
use crate::cluster::testing::{Chain, GROUP, SEGMENT};

/// A standby that hears this message behind its claim; whether it counts.
fn counts(change: impl FnOnce(&mut Chain) -> Message) -> bool {
    let mut chain = Chain::new();
    let mut rig = Rig::standby(&[chain.claim(1), chain.batches()]);
    let mut message = change(&mut chain);
    message.sequence = 3;
    rig.on_event(Event::Message(message));
    let is_void = rig
        .decided
        .iter()
        .any(|it| matches!(it, Decision::Tell(Notice::Void { .. })));
    let is_written = rig
        .decided
        .iter()
        .any(|it| matches!(it, Decision::Write { .. }));
    assert_ne!(is_void, is_written);
    assert_eq!(rig.member.sequence(), 3, "it is passed over either way");
    is_written
}

#[test]
fn a_record_of_the_present_term_behind_the_last_one_counts() {
    assert!(counts(Chain::batches));
    assert!(counts(Chain::beat));
    assert!(counts(Chain::goodbye));
}

#[test]
fn a_claim_of_the_next_epoch_counts_and_no_other() {
    assert!(counts(|it| it.claim(9)));
    assert!(!counts(|it| {
        it.term.epoch = 0;
        it.claim(9)
    }));
    assert!(!counts(|it| {
        it.term.epoch = 2;
        it.claim(9)
    }));
}

#[test]
fn a_record_of_another_process_of_the_same_epoch_is_void() {
    assert!(!counts(|it| {
        it.term.random = 2;
        it.batches()
    }));
}

#[test]
fn a_record_for_another_sequence_is_void() {
    assert!(!counts(|it| {
        it.sequence += 1;
        it.batches()
    }));
}

#[test]
fn a_record_with_another_predecessor_is_void() {
    assert!(!counts(|it| {
        it.before.sequence = 1;
        it.batches()
    }));
}

#[test]
fn a_record_of_another_group_is_void() {
    assert!(!counts(|it| {
        it.group = 5;
        it.batches()
    }));
}

#[test]
fn a_record_on_another_subject_is_void() {
    assert!(!counts(|it| Message {
        subject: "flb_journal.east.other".into(),
        ..it.batches()
    }));
}

#[test]
fn a_damaged_record_is_void() {
    assert!(!counts(|it| {
        let message = it.batches();
        let mut bytes = message.bytes.to_vec();
        bytes[100] ^= 1;
        Message {
            bytes: bytes.into(),
            ..message
        }
    }));
}

#[test]
fn behind_a_goodbye_nothing_of_its_term_counts_but_a_claim() {
    let mut chain = Chain::new();
    let first = chain.claim(1);
    let goodbye = chain.goodbye();
    for (next, epoch) in [(chain.peek(Kind::Batches), 1), (chain.claim(2), 2)] {
        let mut rig = Rig::standby(std::slice::from_ref(&first));
        rig.on_event(Event::Message(goodbye.clone()));
        rig.on_event(Event::Message(next));
        let is_void = |it: &Decision| matches!(it, Decision::Tell(Notice::Void { .. }));
        assert_eq!(rig.decided.iter().any(is_void), epoch == 1);
        assert_eq!(
            rig.member.term(),
            Term {
                epoch,
                random: epoch
            }
        );
    }
}

/// A stream with all that can go wrong in it: each message is made behind any earlier record.
fn streams() -> impl Strategy<Value = Vec<Message>> {
    let step = (any::<prop::sample::Index>(), 0..6_u8, 0..4_u64, 0..8_u8);
    proptest::collection::vec(step, 1..60).prop_map(|steps| {
        let mut chains = vec![Chain::new()];
        let mut messages = Vec::new();
        for (from, kind, random, latest) in steps {
            let sequence = messages.len() as u64;
            let at = match latest {
                0 => from.index(chains.len()),
                _ => chains.len() - 1,
            };
            let mut chain = chains[at].clone();
            // Most are made for the end of the stream, some for another place.
            if latest != 1 {
                chain.sequence = sequence;
            }
            let message = match kind {
                0 => chain.claim(random),
                1 => chain.goodbye(),
                2 => chain.foreign(),
                3 => chain.beat(),
                _ => chain.batches(),
            };
            chains.push(chain);
            messages.push(Message {
                sequence: sequence + 1,
                ..message
            });
        }
        messages
    })
}

/// The records that count for a member that begins with this tip.
fn taken(tip: &mut Tip, messages: &[Message]) -> Vec<u64> {
    let mut counted = Vec::new();
    for message in messages {
        match tip.classify(message) {
            Classified::Record(place, said) => {
                tip.take(place, said, &message.bytes);
                counted.push(message.sequence);
            }
            Classified::Void(_) => tip.pass(message),
            Classified::Refused(_) => break,
        }
    }
    counted
}

proptest! {
    #[test]
    fn who_starts_anew_anywhere_finds_the_same_records_as_who_has_read_all(
        messages in streams(),
        cut in any::<prop::sample::Index>(),
    ) {
        let empty = || Tip::new(Arc::from(GROUP), SEGMENT);
        let mut tip = empty();
        let all = taken(&mut tip, &messages);
        let cut = cut.index(messages.len());
        let mut first = empty();
        let mut counted = taken(&mut first, &messages[..cut]);
        let mut second = match &first.last {
            Some(last) => empty().behind(&last.bytes).expect("it counted"),
            None => empty(),
        };
        let behind = second.sequence as usize;
        counted.extend(taken(&mut second, &messages[behind..]));
        prop_assert_eq!(&counted, &all);
        // And they name each other: no two claims follow one record, no term speaks behind its successor.
        for pair in all.windows(2) {
            prop_assert!(pair[0] < pair[1]);
        }
    }
}
