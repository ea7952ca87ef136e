//! The start: files beside the stream.

use std::sync::Arc;

use super::super::*;
use super::rig::{LEASE, Rig, SECOND};
use crate::cluster::testing::{Chain, SEGMENT};

/// Answers each question from a journal and a stream until none is left.
pub(super) fn answer_all(rig: &mut Rig, own: &[Message], stream: &[Message]) {
    for _ in 0..100 {
        let decided = std::mem::take(&mut rig.decided);
        let (mut fetches, mut asks) = (Vec::new(), Vec::new());
        for decision in decided {
            match decision {
                Decision::Fetch(n) => fetches.push(n),
                Decision::Ask(n) => asks.push(n),
                other => rig.decided.push(other),
            }
        }
        if fetches.is_empty() && asks.is_empty() {
            return;
        }
        for asked in fetches {
            let found = own.iter().rev().find(|it| it.sequence <= asked);
            let record = found.map(|it| Arc::clone(&it.bytes));
            rig.on_event(Event::Fetched { asked, record });
        }
        for asked in asks {
            let find = |n: u64| stream.iter().find(|it| it.sequence == n).cloned();
            let bounds = stream.first().zip(stream.last());
            let answer = Answer {
                bounds: bounds.map(|(first, last)| (first.sequence, last.sequence)),
                at: find(asked),
                next: find(asked + 1),
            };
            rig.on_event(Event::Answer { asked, answer });
        }
    }
    panic!("it asks without end");
}

pub(super) fn started(own: &[Message], stream: &[Message]) -> Rig {
    let mut rig = Rig::new(own.last());
    let bounds = stream.first().zip(stream.last());
    let (first, last) = bounds.map_or((1, 0), |it| (it.0.sequence, it.1.sequence));
    rig.found(first, last);
    answer_all(&mut rig, own, stream);
    rig
}

pub(super) fn stream(len: usize) -> (Vec<Message>, Chain) {
    let mut chain = Chain::new();
    let mut messages = vec![chain.claim(1)];
    messages.extend((1..len).map(|_| chain.batches()));
    (messages, chain)
}

#[test]
fn a_member_whose_files_are_the_streams_goes_on_behind_them() {
    let (messages, _) = stream(5);
    let rig = started(&messages[..3], &messages);
    assert_eq!(rig.decided.last(), Some(&Decision::Read(4)));
    assert_eq!(rig.member.role(), Role::Standby);
}

#[test]
fn where_the_stream_went_on_otherwise_it_goes_back_to_the_last_record_that_both_have() {
    for common in 1..40 {
        let (mut own, mut chain) = stream(common);
        let mut other = own.clone();
        let mut fork = chain.clone();
        own.extend((common..40).map(|_| chain.batches()));
        other.push(fork.claim(9));
        other.extend((0..7).map(|_| fork.batches()));
        let rig = started(&own, &other);
        let behind = common as u64;
        assert!(
            rig.has_decided(&Decision::SetAside { behind }),
            "{common}: {:?}",
            rig.decided
        );
        assert!(rig.has_stepped_down(&Why::Diverged));
    }
}

/// A void message at the stream's end is void in both, and proves nothing of the record before it.
#[test]
fn where_the_stream_ends_with_a_void_message_the_record_before_it_is_compared() {
    let (mut own, mut chain) = stream(5);
    let mut lost = own[..4].to_vec();
    chain.foreign();
    own.push(chain.batches());
    let mut stranger = Chain::behind(&own[3].bytes);
    lost.extend([stranger.foreign(), stranger.foreign()]);
    let rig = started(&own, &lost);
    assert!(
        rig.has_decided(&Decision::SetAside { behind: 4 }),
        "{:?}",
        rig.decided
    );
    let whole = [&own[..5], &lost[5..]].concat();
    let mut rig = started(&own, &whole);
    assert_eq!(
        rig.published().expected_last,
        6,
        "what is lost is published again"
    );
}

#[test]
fn another_group_is_refused() {
    let (own, _) = stream(5);
    let mut chain = Chain::new();
    chain.group = 78;
    let other = vec![chain.claim(1), chain.batches()];
    let rig = started(&own, &other);
    assert!(rig.refusal().contains("another group"));
}

#[test]
fn a_missing_stream_is_made_by_a_member_whose_files_are_empty() {
    let mut rig = Rig::new(None);
    rig.on_event(Event::Checked(Check::Missing));
    assert!(rig.has_decided(&Decision::Create));
    rig.pass(SECOND);
    rig.found(1, 0);
    assert_eq!(rig.member.role(), Role::Claiming);
}

#[test]
fn a_new_member_begins_where_the_stream_does() {
    let (messages, mut chain) = stream(10);
    let mut rig = Rig::new(None);
    rig.found(7, 10);
    assert!(rig.has_decided(&Decision::Read(7)));
    assert!(!rig.member.is_ready(), "it has nothing yet");
    for message in &messages[6..] {
        rig.on_event(Event::Message(message.clone()));
    }
    rig.write_all();
    rig.on_event(Event::Message(chain.beat()));
    rig.write_all();
    assert_eq!(rig.member.sequence(), 11);
    assert_eq!(rig.member.trouble(), None);
    rig.claims_after(LEASE);
}

#[test]
fn a_member_whose_place_is_purged_sets_its_files_aside_and_begins_where_the_stream_does() {
    let (messages, _) = stream(10);
    let rig = started(&messages[..3], &messages[6..]);
    assert!(rig.has_decided(&Decision::SetAside { behind: 0 }));
    assert!(rig.has_stepped_down(&Why::Purged));
}

#[test]
fn a_member_whose_last_record_is_just_purged_goes_on_behind_it() {
    let (messages, _) = stream(10);
    let mut rig = started(&messages[..6], &messages[6..]);
    assert_eq!(rig.decided.last(), Some(&Decision::Read(7)));
    rig.on_event(Event::Message(messages[6].clone()));
    assert_eq!(rig.member.sequence(), 7);
}

/// Files of a group that has lost nothing do not count as lost.
#[test]
fn a_member_whose_last_record_is_purged_while_it_is_compared_begins_where_the_stream_does() {
    let (messages, _) = stream(10);
    let mut rig = Rig::new(messages[..5].last());
    rig.found(1, 10);
    answer_all(&mut rig, &messages[..5], &messages[6..]);
    assert!(
        rig.has_decided(&Decision::SetAside { behind: 0 }),
        "{:?}",
        rig.decided
    );
    assert!(rig.has_stepped_down(&Why::Purged));
}

#[test]
fn divergent_files_are_found_while_following_too() {
    let (own, _) = stream(5);
    let mut rig = Rig::standby(&own);
    // The stream lost message 5, and another one, which had read up to 4, claimed.
    let mut chain = Chain::behind(&own[3].bytes);
    let mut other = own[..4].to_vec();
    other.extend([chain.claim(9), chain.beat()]);
    rig.on_event(Event::Message(other[5].clone()));
    answer_all(&mut rig, &own, &other);
    assert!(
        rig.has_decided(&Decision::SetAside { behind: 4 }),
        "{:?}",
        rig.decided
    );
}

#[test]
fn another_segment_length_is_refused() {
    let mut settings = super::rig::settings(1);
    settings.announcement.segment_len = 2 * SEGMENT;
    let mut member = Member::new(settings, None, 0);
    let wrong = Vec::new();
    member.on_event(
        Event::Checked(Check::Found {
            first: 1,
            last: 1,
            wrong,
        }),
        1,
    );
    member.on_event(Event::Message(Chain::new().claim(1)), 2);
    let refused = std::iter::from_fn(|| member.decision()).find_map(|it| match it {
        Decision::Refuse(words) => Some(words),
        _ => None,
    });
    assert!(refused.is_some_and(|it| it.contains("journal.segment")));
}

#[test]
fn files_that_end_with_something_else_are_refused() {
    let message = Chain::new().foreign();
    let rig = Rig::new(Some(&message));
    assert!(rig.refusal().contains("no record"));
}
