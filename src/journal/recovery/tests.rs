//! Recovery of journals whose segments had a former life, cut at every byte.

mod ends;

use std::time::Duration;

use super::*;
use crate::clock::Now;
use crate::journal::compacted::{CompactedHeader, CompactedReader};
use crate::journal::retention::compaction::{Compaction, Needed, Step};
use crate::journal::retention::query::Word;
use crate::journal::retention::window::{Remembered, Window};
use crate::journal::segment::{Claim, Segments};
use crate::journal::testing::{Memory, TIME_US, TestMessage, TestWriter};
use crate::ring::{Sender, Wake, ring};

const SEGMENT: u64 = 4_096;
const NOW_US: u64 = TIME_US + 5_000_000;

/// What recovery told: messages and settlements, by sequence.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    messages: Vec<Sequence>,
    /// Ids whose records are gone, with the time of each.
    ids: Vec<(String, u64)>,
    settled: Vec<Sequence>,
}

impl Sink for Told {
    fn message(&mut self, record: &JournalRecord<'_>, _recorded_us: u64) {
        self.messages.push(record.sequence);
    }

    fn id(&mut self, id: &CompactId<'_>, recorded_us: u64) {
        let CompactId::Whole(id) = id else {
            panic!("tests have short ones")
        };
        let id = String::from_utf8_lossy(id).into_owned();
        self.ids.push((id, recorded_us));
    }

    fn settled(&mut self, settlement: &Settlement) {
        self.settled.push(settlement.sequence);
    }
}

fn recovered(memory: &Memory) -> (Recovered, Told) {
    let mut told = Told::default();
    let recovered = recover(&mut memory.clone(), SEGMENT, NOW_US, &mut told);
    (recovered.expect("it is whole, or torn at its end"), told)
}

/// Segments of a few messages each; what the writer of the next one would go on with.
fn journal(segments: u64) -> (Memory, TestWriter<Memory>) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for number in 0..segments {
        for at in 0..4 {
            let first = 12 * number + 3 * at + 1;
            writer.plain(first..first + 3);
        }
        writer.close();
    }
    (memory, writer)
}

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

/// Carries forward what is needed of these segments of [`journal`]; their files stay.
fn compact(memory: &Memory, segments: Range<u64>, needed: &[Sequence]) {
    let nothing = Remembered {
        window: Window::new(0, Duration::ZERO),
        next_sequence: 0,
        now_ms: 0,
    };
    compact_with_ids(memory, segments, needed, nothing);
}

/// The same, with the ids that are remembered.
fn compact_with_ids(
    memory: &Memory,
    segments: Range<u64>,
    needed: &[Sequence],
    remembered: Remembered,
) {
    let mut words: Vec<Word> = Vec::new();
    for &sequence in needed {
        let (number, bit) = (sequence / 64, 1 << (sequence % 64));
        match words.last_mut() {
            Some(last) if last.number == number => last.bits |= bit,
            _ => words.push(Word { number, bits: bit }),
        }
    }
    let mut wanted = Needed::default();
    wanted.extend(&words);
    let header = CompactedHeader {
        sequences: 12 * segments.start + 1..12 * segments.end + 1,
        segments,
        segment_len: SEGMENT,
        end_ms: NOW_US / 1_000,
    };
    let before = std::iter::once(1..header.sequences.start).collect();
    let mut storage = memory.clone();
    let started = Compaction::begin(&mut storage, header, wanted, (remembered, before), None);
    let mut compaction = started.expect("memory");
    loop {
        match compaction.step(&mut storage).expect("it is whole") {
            Step::More(more) => compaction = more,
            Step::Done(_) => return,
        }
    }
}

/// Six segments; all but these messages were settled.
fn with_survivors(survivors: &[Sequence]) -> Memory {
    let (memory, mut writer) = journal(6);
    for sequence in (1..=72).filter(|it| !survivors.contains(it)) {
        writer.settle(sequence..=sequence);
    }
    memory
}

/// What is left when a journal has been read.
fn left(memory: &Memory) -> Vec<Sequence> {
    let (_, mut told) = recovered(memory);
    told.messages.retain(|it| !told.settled.contains(it));
    told.messages
}

#[test]
fn a_kept_file_holds_what_is_needed_and_a_crash_at_any_step_changes_nothing() {
    let survivors = [2, 13, 30, 31, 71];
    let memory = with_survivors(&survivors);
    let next = recovered(&memory.copy()).0.origin.next_sequence;
    let mut states = vec![memory.copy()];
    compact(&memory, 0..3, &survivors);
    let compacted = memory.files()[&Name::Compacted(0, 3)].clone();
    // Killed while it was written, at any byte.
    for cut in 0..compacted.len() {
        let killed = states[0].copy();
        let unfinished = compacted[..cut].to_vec();
        killed.files().insert(Name::Unfinished(0, 3), unfinished);
        states.push(killed);
    }
    // Killed while the segments went, in their order.
    for number in 0..=3 {
        states.push(memory.copy());
        memory.files().remove(&Name::Segment(number % 3));
    }
    for (at, state) in states.iter().enumerate() {
        assert_eq!(left(state), survivors, "state {at}");
        assert_eq!(recovered(state).0.origin.next_sequence, next, "state {at}");
        assert!(!state.files().contains_key(&Name::Unfinished(0, 3)));
        assert_eq!(left(state), survivors, "state {at}, read again");
    }
    let (found, _) = recovered(&memory);
    let numbers: Vec<_> = found.segments.iter().map(|it| it.number).collect();
    assert_eq!(numbers[0], 3);
    assert_eq!(found.compacted[0].header.segments, 0..3);
    assert_eq!(found.compacted[0].entries, 4);
}

#[test]
fn kept_files_are_merged_with_what_follows_and_the_older_one_counts_no_more() {
    let survivors = [2, 13, 30, 31, 71];
    let memory = with_survivors(&survivors);
    compact(&memory, 0..2, &survivors);
    for number in 0..2 {
        memory.files().remove(&Name::Segment(number));
    }
    let before = memory.copy();
    compact(&memory, 0..4, &[2, 30]);
    let both = memory.copy();
    memory.files().remove(&Name::Compacted(0, 2));
    for number in 2..4 {
        memory.files().remove(&Name::Segment(number));
    }
    assert_eq!(left(&before), survivors);
    for state in [both, memory] {
        assert_eq!(
            left(&state),
            [2, 30, 71],
            "13 and 31 were settled meanwhile"
        );
        assert!(!state.files().contains_key(&Name::Compacted(0, 2)));
    }
}

#[test]
fn a_kept_file_in_the_middle_keeps_settlements_of_what_stands_before_it() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for number in 0..4 {
        writer.plain(12 * number + 1..12 * number + 13);
        // The last message of the segment before, and all but two of this one.
        writer.settle((12 * number).max(1)..12 * number + 11);
        writer.close();
    }
    let expected = left(&memory.copy());
    compact(&memory, 1..3, &expected);
    for number in 1..3 {
        memory.files().remove(&Name::Segment(number));
    }
    assert_eq!(left(&memory), expected);
}

#[test]
fn positions_stay_and_lead_to_the_batch_of_a_kept_file() {
    let survivors = [2, 13, 30, 31];
    let memory = with_survivors(&survivors);
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let mut places = Vec::new();
    while let Some(batch) = reader.next(3 * SEGMENT).expect("whole") {
        places.extend(batch.records().map(|it| (it.sequence, it.position)));
    }
    places.retain(|it| survivors.contains(&it.0));
    compact(&memory, 0..3, &survivors);
    let index = CompactedIndex::load(&memory, 0..3).expect("it is whole");
    let mut reader = CompactedReader::open(&memory, 0..3).expect("it is there");
    for (sequence, position) in places {
        reader.seek(index.batch_of(position).expect("it is behind the first"));
        let header = reader.advance(&memory).expect("whole").expect("there");
        let mut records = Batch::new(header, reader.body(), 0).records();
        let record = records.find(|it| it.position == position);
        assert_eq!(record.map(|it| it.sequence), Some(sequence));
    }
    assert_eq!(index.batch_of(0), None);
}

#[test]
fn a_damaged_kept_file_is_refused_with_its_name() {
    let memory = with_survivors(&[2, 13]);
    compact(&memory, 0..3, &[2, 13]);
    let len = memory.files()[&Name::Compacted(0, 3)].len();
    for at in 0..len {
        let damaged = memory.copy();
        damaged
            .files()
            .get_mut(&Name::Compacted(0, 3))
            .expect("there")[at] ^= 1;
        let error = recover(&mut damaged.clone(), SEGMENT, NOW_US, &mut Told::default());
        let error = error.expect_err("no byte may change").to_string();
        assert!(
            error.contains("-00000000000000000003.kept"),
            "{at}: {error}"
        );
    }
    let short = memory.copy();
    let mut files = short.files();
    files
        .get_mut(&Name::Compacted(0, 3))
        .expect("there")
        .truncate(len - 48);
    drop(files);
    recover(&mut short.clone(), SEGMENT, NOW_US, &mut Told::default())
        .expect_err("its end is gone");
}

/// Remembers the last so many of 72 messages.
fn last(messages: usize) -> Remembered {
    Remembered {
        window: Window::new(messages, Duration::from_secs(3_600)),
        next_sequence: 73,
        now_ms: TIME_US / 1_000,
    }
}

/// All ids of messages whose records are gone, and of those that are there, in the order in which
/// recovery tells of them.
fn ids_in_order(told: &Told) -> Vec<String> {
    let records = told.messages.iter().map(|&it| TestMessage::new(it).id);
    let mut ids: Vec<_> = told
        .ids
        .iter()
        .map(|it| it.0.clone())
        .chain(records)
        .collect();
    ids.sort_by_key(|it| sequence_of(it));
    ids
}

fn sequence_of(id: &str) -> Sequence {
    let number = id.split('-').nth(1).expect("`TestMessage` makes them so");
    number.parse().expect("a number")
}

#[test]
fn ids_that_are_remembered_outlive_their_records_and_a_crash_at_any_step_changes_nothing() {
    let survivors = [2, 13, 30, 31, 71];
    let memory = with_survivors(&survivors);
    let mut states = vec![memory.copy()];
    compact_with_ids(&memory, 0..4, &survivors, last(40));
    let compacted = memory.files()[&Name::Compacted(0, 4)].clone();
    for cut in (0..compacted.len()).step_by(7) {
        let killed = states[0].copy();
        let unfinished = compacted[..cut].to_vec();
        killed.files().insert(Name::Unfinished(0, 4), unfinished);
        states.push(killed);
    }
    for number in 0..=4 {
        states.push(memory.copy());
        memory.files().remove(&Name::Segment(number % 4));
    }
    let all: Vec<_> = (33..=72).map(|it| TestMessage::new(it).id).collect();
    for (at, state) in states.iter().enumerate() {
        let (found, told) = recovered(&state.copy());
        assert_eq!(found.origin.next_sequence, 73, "state {at}");
        let ids = ids_in_order(&told);
        assert!(ids.ends_with(&all), "state {at}: {ids:?}");
        assert_eq!(left(state), survivors, "state {at}");
    }
    let (found, told) = recovered(&memory);
    let sequences: Vec<_> = told.ids.iter().map(|it| sequence_of(&it.0)).collect();
    assert_eq!(sequences, (33..=48).collect::<Vec<_>>());
    assert!(told.ids.iter().all(|it| it.1 == TIME_US + 1_000_000));
    assert_eq!(found.compacted[0].entries, 4);
    assert!(found.compacted[0].ids_len > 16 * 15 && found.compacted[0].ids_len < 500);
}

#[test]
fn ids_are_carried_on_until_they_are_forgotten() {
    let memory = with_survivors(&[50]);
    compact_with_ids(&memory, 0..2, &[50], last(72));
    compact_with_ids(&memory, 0..6, &[50], last(60));
    for name in [Name::Compacted(0, 2)]
        .into_iter()
        .chain((0..6).map(Name::Segment))
    {
        memory.files().remove(&name);
    }
    let (_, told) = recovered(&memory);
    let sequences: Vec<_> = told.ids.iter().map(|it| sequence_of(&it.0)).collect();
    let expected: Vec<_> = (13..=72).filter(|&it| it != 50).collect();
    assert_eq!(sequences, expected);
    assert_eq!(left(&memory), [50]);
}

#[test]
fn a_compaction_that_fails_gives_back_the_file_it_wrote_over() {
    let memory = with_survivors(&[50]);
    let mut storage = memory.clone();
    storage.create(Name::Free(7)).expect("memory");
    memory.files().get_mut(&Name::Segment(1)).expect("there")[100] ^= 1;
    let header = CompactedHeader {
        sequences: 1..25,
        segments: 0..2,
        segment_len: SEGMENT,
        end_ms: NOW_US / 1_000,
    };
    let needed = Needed::default();
    let started = Compaction::begin(
        &mut storage,
        header,
        needed,
        (last(72), vec![]),
        Some(Name::Free(7)),
    );
    let mut compaction = started.expect("memory");
    assert!(!memory.files().contains_key(&Name::Free(7)));
    let error = loop {
        match compaction.step(&mut storage) {
            Ok(Step::More(more)) => compaction = more,
            Ok(Step::Done(_)) => panic!("a segment is damaged"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(memory.files().contains_key(&Name::Free(7)));
    assert!(!memory.files().contains_key(&Name::Unfinished(0, 2)));
}

#[test]
fn a_segment_before_a_compacted_file_begins_with_its_own_messages() {
    let (memory, _) = journal(4);
    compact(&memory, 1..3, &[14]);
    for number in 1..3 {
        memory.files().remove(&Name::Segment(number));
    }
    let (found, _) = recovered(&memory);
    let begin = |it: &SegmentStarted| (it.number, it.first_sequence);
    let begins: Vec<_> = found.segments.iter().map(begin).collect();
    assert_eq!(begins, [(0, 1), (3, 37)]);
    assert_eq!(found.origin.next_sequence, 49);
    memory.files().remove(&Name::Segment(3));
    assert_eq!(recovered(&memory).0.origin.next_sequence, 37);
}
