//! Segments over a former life, cut at every byte; free files; where the next one begins.

use super::*;
use crate::clock::Now;
use crate::journal::segment::{Claim, Segments};
use crate::ring::{Sender, Wake, ring};

#[test]
fn a_segment_over_a_former_life_reads_up_to_its_last_whole_batch_wherever_it_is_cut() {
    let (memory, mut writer) = journal(2);
    let former = memory
        .files()
        .remove(&Name::Segment(0))
        .expect("the oldest one");
    let mut ends = vec![64];
    for first in [25, 28, 31] {
        writer.plain(first..first + 3);
        ends.push((writer.position() % SEGMENT) as usize);
    }
    let new = memory.files()[&Name::Segment(2)].clone();
    for cut in 0..=new.len() {
        let torn = memory.copy();
        let bytes = [&new[..cut], former.get(cut..).unwrap_or_default()].concat();
        torn.files().insert(Name::Segment(2), bytes);
        let whole = ends.iter().skip(1).filter(|&&it| it <= cut).count() as u64;
        let expected: Vec<_> = (13..25 + 3 * whole).collect();
        let (first, told) = recovered(&torn);
        assert_eq!(told.messages, expected, "cut at {cut}");
        assert_eq!(first.origin.next_sequence, 25 + 3 * whole);
        assert!(first.origin.position >= 2 * SEGMENT && first.origin.position <= 3 * SEGMENT);
        let (second, told) = recovered(&torn);
        assert_eq!(told.messages, expected, "read again after a cut at {cut}");
        assert_eq!(second.origin, first.origin);
    }
}

#[test]
fn damage_in_the_middle_is_seen_in_front_of_a_former_life_too() {
    let (memory, mut writer) = journal(2);
    let former = memory
        .files()
        .remove(&Name::Segment(0))
        .expect("the oldest one");
    writer.plain(25..28);
    writer.plain(28..31);
    let mut files = memory.files();
    let new = files.get_mut(&Name::Segment(2)).expect("there");
    let len = new.len();
    new.extend_from_slice(&former[len..]);
    new[100] ^= 1;
    drop(files);
    let error = recover(&mut memory.clone(), SEGMENT, NOW_US, &mut Told::default());
    let error = error
        .expect_err("a whole batch stands behind it")
        .to_string();
    assert!(error.contains("at offset 64"), "{error}");
}

#[test]
fn a_free_file_is_no_part_of_the_journal() {
    let (memory, _) = journal(3);
    let mut storage = memory.clone();
    let freed = storage.rename(Name::Segment(0), Name::Free(0));
    freed.expect("it is there");
    let (recovered, told) = recovered(&memory);
    assert_eq!(told.messages, (13..37).collect::<Vec<_>>());
    let numbers: Vec<_> = recovered.segments.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(memory.files().contains_key(&Name::Free(0)));
}

#[test]
fn sequences_go_on_where_only_settlements_are_left() {
    let (memory, mut writer) = journal(1);
    let mut body = [0; 12];
    let settlement = Settlement {
        sequence: 12,
        settled_us: TIME_US,
    };
    settlement.encode(TIME_US, &mut body);
    writer.batch(crate::journal::format::BatchKind::Settlements, 1, 13, &body);
    memory.files().remove(&Name::Segment(0));
    let (recovered, told) = recovered(&memory);
    assert_eq!((told.messages, told.settled), (vec![], vec![12]));
    assert_eq!(recovered.origin.next_sequence, 13);
}

#[test]
fn a_segment_without_a_batch_is_listed_like_any_other() {
    let (memory, mut writer) = journal(2);
    let (_, told) = recovered(&memory);
    assert_eq!(told.messages.len(), 24);
    writer.plain(25..26);
    memory
        .files()
        .get_mut(&Name::Segment(2))
        .expect("there")
        .truncate(64);
    let (first, _) = recovered(&memory);
    let numbers: Vec<_> = first.segments.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let sequences: Vec<_> = first.segments.iter().map(|it| it.first_sequence).collect();
    assert_eq!(sequences, [1, 13, 25]);
    assert_eq!(first.origin.position, 3 * SEGMENT);
}

fn now(ms: u64) -> Now {
    Now {
        ns: ms * 1_000_000,
        steady_us: NOW_US + ms * 1_000,
        epoch_us: NOW_US + ms * 1_000,
    }
}

fn segments(memory: &Memory, position: Position) -> (Segments<Memory>, Sender<u64>) {
    let (free, freed) = ring(4, &Wake::new().expect("a descriptor"));
    let tie = BootTie::default();
    let segments = Segments::new(memory.clone(), SEGMENT, position, false, freed, tie);
    (segments, free)
}

#[test]
fn a_free_file_becomes_the_next_segment_and_one_that_is_gone_is_passed_over() {
    let (memory, _) = journal(2);
    let mut storage = memory.clone();
    for (number, free) in [(0, Name::Free(0)), (1, Name::Free(1))] {
        let freed = storage.rename(Name::Segment(number), free);
        freed.expect("it is there");
    }
    let former = memory.files()[&Name::Free(0)].clone();
    let (mut segments, mut free) = segments(&memory, 2 * SEGMENT);
    let mut permit = free.claim(3).expect("there is room");
    // The first one is set aside for settlements.
    [1, 77, 0].into_iter().for_each(|it| permit.send(it));
    let started = segments
        .make_room(100, Claim::Spare, 25, now(0))
        .expect("memory");
    let started = started.expect("there was none");
    assert_eq!(
        (started.number, started.first_sequence, started.taken),
        (2, 25, 2)
    );
    assert!(!memory.files().contains_key(&Name::Free(0)));
    assert!(memory.files().contains_key(&Name::Free(1)));
    assert_eq!(memory.files()[&Name::Segment(2)][64..], former[64..]);
    assert!(
        segments
            .make_room(100, Claim::Spare, 25, now(0))
            .expect("memory")
            .is_none()
    );
    segments.advance(SEGMENT - 64);
    let started = segments
        .make_room(100, Claim::Spare, 40, now(1))
        .expect("memory");
    assert_eq!(started.map(|it| (it.number, it.taken)), Some((3, 0)));
    assert_eq!(memory.files()[&Name::Segment(3)].len(), 64, "a new file");
}

#[test]
fn a_segment_that_is_left_is_marked_where_there_is_room() {
    let (memory, _) = journal(0);
    for left in [47, 48, 100] {
        memory.files().clear();
        let (mut segments, _free) = segments(&memory, 0);
        segments
            .make_room(10, Claim::Spare, 1, now(0))
            .expect("memory");
        segments.advance(SEGMENT - 64 - left);
        segments
            .make_room(left + 1, Claim::Spare, 1, now(0))
            .expect("memory");
        let marked = memory.files()[&Name::Segment(0)].len() > 64;
        assert_eq!(marked, left >= 48, "{left}");
    }
}
