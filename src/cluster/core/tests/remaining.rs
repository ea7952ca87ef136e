//! A stream that has nothing but void messages where the own files have confirmed records.

use super::super::*;
use super::beginning::{answer_all, started, stream};
use super::rig::{LEASE, Rig, SECOND};
use crate::cluster::testing::Chain;

/// The stream loses all behind `kept`, and strangers take so many places.
fn taken(messages: &[Message], kept: usize, strangers: usize) -> Vec<Message> {
    let mut chain = Chain::new();
    chain.sequence = kept as u64;
    let mut stream = messages[..kept].to_vec();
    stream.extend((0..strangers).map(|_| chain.foreign()));
    stream
}

fn sets_aside(rig: &Rig) -> Option<u64> {
    rig.decided.iter().find_map(|it| match it {
        Decision::SetAside { behind } => Some(*behind),
        _ => None,
    })
}

/// Each second the stream is looked at, and all that is asked gets its answer.
fn hear_for(rig: &mut Rig, seconds: u64, own: &[Message], stream: &[Message]) {
    for _ in 0..seconds {
        rig.pass(SECOND);
        rig.found(stream[0].sequence, stream[stream.len() - 1].sequence);
        answer_all(rig, own, stream);
    }
}

fn trouble(rig: &Rig) -> &str {
    rig.member.trouble().unwrap_or_default()
}

#[test]
fn a_record_whose_place_is_taken_goes_to_the_files_that_are_set_aside_with_all_behind_it() {
    let (own, _) = stream(10);
    for (kept, strangers) in [(1, 1), (4, 1), (4, 3), (4, 6), (4, 12), (9, 1)] {
        let rig = started(&own, &taken(&own, kept, strangers));
        assert_eq!(sets_aside(&rig), Some(kept as u64), "{kept}, {strangers}");
        assert!(rig.has_stepped_down(&Why::Diverged));
    }
}

#[test]
fn a_start_beside_nothing_but_void_messages_is_refused_and_all_files_stay() {
    let (own, _) = stream(10);
    for strangers in [1, 3, 10, 20] {
        let stream = taken(&own, 0, strangers);
        let mut rig = started(&own, &stream);
        hear_for(&mut rig, 9, &own, &stream);
        assert_eq!(
            rig.member.role(),
            Role::Starting,
            "one answer proves nothing"
        );
        hear_for(&mut rig, 4, &own, &stream);
        assert!(rig.refusal().contains("cluster restore --replace"));
        assert_eq!(sets_aside(&rig), None, "{strangers}");
    }
}

/// Segments that nobody needs have left the journals, and not yet the stream.
#[test]
fn what_a_stream_has_before_the_first_own_record_is_no_reason_to_set_files_aside() {
    let (all, _) = stream(20);
    let own = &all[11..];
    for strangers in [0, 1, 4, 12] {
        let stream = taken(&all, 8, strangers);
        let mut rig = started(own, &stream);
        hear_for(&mut rig, 12, own, &stream);
        assert!(rig.refusal().contains("cluster restore --replace"));
        assert_eq!(sets_aside(&rig), None, "{strangers}");
    }
}

#[test]
fn what_another_member_puts_back_before_the_first_own_record_is_gone_on_with() {
    let (all, _) = stream(20);
    let own = &all[11..];
    let mut rig = started(own, &all[..8]);
    for last in 9..=11 {
        hear_for(&mut rig, 3, own, &all[..last]);
        assert!(rig.published_nothing(), "{last}");
    }
    hear_for(&mut rig, 2, own, &all[..12]);
    let refills = Decision::Tell(Notice::Republishing { from: 13, to: 20 });
    assert!(rig.has_decided(&refills), "{:?}", rig.decided);
    assert_eq!(sets_aside(&rig), None);
}

#[test]
fn a_standby_beside_nothing_but_void_messages_waits_and_follows_the_stream_that_is_made_anew() {
    let (all, _) = stream(10);
    for strangers in [1, 3, 9] {
        let mut rig = Rig::standby(&all);
        rig.pass(LEASE);
        let lost = taken(&all, 0, strangers);
        hear_for(&mut rig, 60, &all, &lost);
        assert!(trouble(&rig).contains("cluster restore --replace"));
        assert_eq!(rig.member.role(), Role::Standby, "{strangers}");
        assert!(rig.published_nothing() && sets_aside(&rig).is_none());
        hear_for(&mut rig, 3, &all, &all);
        assert_eq!(rig.member.trouble(), None, "{strangers}");
        assert_eq!(rig.member.role(), Role::Standby, "{strangers}");
    }
}

/// What it has been told of so far does not hide that the stream was made anew, of the same length.
#[test]
fn a_stream_that_was_made_anew_with_as_many_messages_is_noticed() {
    let (all, _) = stream(10);
    let own = &all[4..];
    let mut rig = Rig::standby(&all);
    rig.pass(LEASE);
    let lost = taken(&all, 0, 9);
    hear_for(&mut rig, 30, own, &lost);
    assert!(trouble(&rig).contains("cluster restore --replace"));
    hear_for(&mut rig, 2, own, &all[..9]);
    let refills = Decision::Tell(Notice::Republishing { from: 10, to: 10 });
    assert!(rig.has_decided(&refills), "{:?}", rig.decided);
}

#[test]
fn a_record_of_the_group_behind_the_one_before_it_is_what_all_files_are_set_aside_for() {
    let (all, _) = stream(10);
    let own = &all[4..];
    // The servers lost what was behind message 3, where the own files do not reach; another member went on.
    let mut lost = taken(&all, 3, 4);
    let mut other = Chain::behind(&all[2].bytes);
    other.sequence = 7;
    lost.extend([other.claim(9), other.foreign(), other.foreign()]);
    let rig = started(own, &lost);
    assert_eq!(sets_aside(&rig), Some(0));
    assert!(rig.has_stepped_down(&Why::Diverged));
}

#[test]
fn a_member_whose_place_is_purged_sets_nothing_aside_for_void_messages() {
    let (own, _) = stream(5);
    let mut chain = Chain::new();
    chain.sequence = 7;
    let voids = [chain.foreign(), chain.foreign()];
    let mut rig = started(&own, &voids);
    hear_for(&mut rig, 12, &own, &voids);
    assert!(rig.refusal().contains("cluster restore --replace"));
    assert_eq!(sets_aside(&rig), None);
    // The same behind which the group goes on.
    let mut chain = Chain::behind(&own[4].bytes);
    chain.sequence = 6;
    chain.beat();
    let goes_on = [chain.beat(), chain.foreign()];
    let rig = started(&own, &goes_on);
    assert_eq!(sets_aside(&rig), Some(0));
    assert!(rig.has_stepped_down(&Why::Purged));
}

/// It would count for whoever has the lost record, and for no new member.
#[test]
fn a_standby_whose_last_record_gave_way_to_void_messages_claims_nothing_behind_them() {
    let (all, _) = stream(3);
    for (kept, strangers) in [(0, 5), (2, 4)] {
        let mut rig = Rig::standby(&all);
        let lost = taken(&all, kept, strangers);
        for message in &lost[3..] {
            rig.on_event(Event::Message(message.clone()));
        }
        hear_for(&mut rig, 20, &all, &lost);
        assert!(rig.published_nothing(), "{kept}");
        assert_eq!(sets_aside(&rig), (kept > 0).then_some(kept as u64));
    }
}

/// The simulation's seed 1379 of servers that forget: a claim that was on its way came to stand behind void messages,
/// members that had what was lost before them took it, others could not, and two served.
#[test]
fn a_record_behind_void_messages_is_taken_once_the_last_record_is_known_to_be_there() {
    let (all, _) = stream(3);
    for kept in [2, 3] {
        let mut rig = Rig::standby(&all);
        let mut lost = taken(&all, kept, 5 - kept);
        for message in &lost[3..] {
            rig.on_event(Event::Message(message.clone()));
        }
        let mut late = Chain::behind(&all[2].bytes);
        late.sequence = 5;
        lost.push(late.claim(9));
        rig.on_event(Event::Message(lost[5].clone()));
        assert_eq!(rig.member.sequence(), 5, "it is asked first");
        answer_all(&mut rig, &all, &lost);
        if kept == 2 {
            assert_eq!(sets_aside(&rig), Some(2));
            continue;
        }
        assert_eq!(rig.decided.last(), Some(&Decision::Read(4)));
        for message in &lost[3..] {
            rig.on_event(Event::Message(message.clone()));
        }
        assert_eq!(rig.member.term().random, 9);
    }
}

/// What a member that had not noticed has put behind the void messages is no beginning.
#[test]
fn a_record_without_the_one_before_is_no_reason_to_set_files_aside() {
    let (own, _) = stream(3);
    let mut lost = taken(&own, 0, 5);
    let mut late = Chain::behind(&own[2].bytes);
    late.sequence = 5;
    lost.push(late.claim(9));
    let mut rig = started(&own, &lost);
    hear_for(&mut rig, 12, &own, &lost);
    assert!(rig.refusal().contains("cluster restore --replace"));
    assert_eq!(sets_aside(&rig), None);
}

#[test]
fn a_purged_stream_of_another_group_is_refused() {
    let (own, _) = stream(5);
    let mut chain = Chain::new();
    (chain.group, chain.sequence) = (78, 7);
    let rig = started(&own, &[chain.claim(1), chain.batches()]);
    assert!(rig.refusal().contains("another group"));
    assert_eq!(sets_aside(&rig), None);
}

/// The answer was on its way while a consumer brought what had not been purged yet.
#[test]
fn what_was_read_since_it_was_asked_is_not_missing() {
    let (all, _) = stream(10);
    let mut rig = Rig::standby(&all[..5]);
    rig.pass(11 * SECOND);
    for message in &all[5..9] {
        rig.on_event(Event::Message(message.clone()));
    }
    rig.found(8, 10);
    answer_all(&mut rig, &all, &all[7..]);
    assert_eq!(sets_aside(&rig), None);
    assert_eq!(rig.member.role(), Role::Standby);
}
