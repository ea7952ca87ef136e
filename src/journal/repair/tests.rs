//! Repair over segments in memory: whatever is damaged, what is whole is kept where it stood.

use proptest::prelude::*;

use super::rebuild::void_len;
use super::*;
use crate::clock::BootTie;
use crate::journal::compacted::{CompactedHeader, CompactedReader, CompactedWriter};
use crate::journal::format::{Position, SegmentHeader};
use crate::journal::reader::Reader;
use crate::journal::testing::{Memory, TIME_US, TestWriter};
use crate::limits::BATCH_LEN_MAX;

const SEGMENT: u64 = 4_096;

/// A journal of some segments: pairs of messages, each followed by a settlement.
fn some_segments() -> (Memory, Position) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for sequence in (1..60).step_by(2) {
        writer.plain(sequence..sequence + 2);
        writer.settle(sequence..sequence + 1);
    }
    (memory, writer.position())
}

fn planned(memory: &Memory) -> Plan {
    plan(Scan::new(memory.clone(), SEGMENT), SEGMENT).expect("memory can be read")
}

/// Repairs as the command does: the new segments take the place of the old ones.
fn repair(memory: &Memory) -> Plan {
    let (plan, mut target) = (planned(memory), Memory::default());
    let scan = Scan::new(memory.clone(), SEGMENT);
    rebuild(scan, SEGMENT, &plan, &mut target, TIME_US).expect("memory has room");
    let made: BTreeSet<Name> = target.files().keys().copied().collect();
    assert_eq!(made, plan.names().collect());
    memory.files().extend(target.files().clone());
    plan
}

#[test]
fn a_gap_that_no_journal_has_is_refused_and_not_filled() {
    let (memory, end) = some_segments();
    for (number, is_refused) in [(40, false), (9_999_999, true)] {
        let header = SegmentHeader {
            number,
            segment_len: SEGMENT,
            created_ms: 0,
            tie: BootTie::default(),
        };
        let bytes = header.encode().to_vec();
        memory.files().insert(Name::Segment(number), bytes);
        match plan(Scan::new(memory.clone(), SEGMENT), SEGMENT) {
            Ok(plan) => {
                assert!(!is_refused);
                let missing = end / SEGMENT + 1..number;
                assert!(missing.into_iter().all(|it| plan.segments.contains(&it)));
            }
            Err(error) => {
                assert!(is_refused);
                let words = "00000000000000000041.segment to 00000000000009999998.segment";
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}

/// Each entry with where it stands: messages by record, settlements by batch.
type Entries = Vec<(Position, u64)>;

/// What can be read of a damaged journal.
fn readable(memory: &Memory) -> Entries {
    let mut scan = Scan::new(memory.clone(), SEGMENT);
    let mut entries = Vec::new();
    while let Some(found) = scan.advance().expect("memory can be read") {
        if let Finding::Batch(batch) = found {
            note(&batch, &mut entries);
        }
    }
    entries
}

fn note(batch: &Batch<'_>, entries: &mut Entries) {
    entries.extend(batch.records().map(|it| (it.position, it.sequence)));
    entries.extend(
        batch
            .settlements()
            .map(|it| (batch.position(), it.sequence)),
    );
}

/// What the engine's own reader finds, which refuses damage.
fn read(memory: &Memory, from: Position) -> Entries {
    let mut reader = Reader::new(memory.clone(), SEGMENT, from);
    let mut entries = Vec::new();
    while let Some(batch) = reader.next(Position::MAX).expect("it is whole") {
        note(&batch, &mut entries);
    }
    assert_eq!(reader.tail().expect("readable").whole_beyond, None);
    entries
}

fn flip(memory: &Memory, at: Position) {
    let mut files = memory.files();
    if let Some(byte) = files
        .get_mut(&Name::Segment(at / SEGMENT))
        .and_then(|it| it.get_mut((at % SEGMENT) as usize))
    {
        *byte ^= 0x10;
    }
}

#[test]
fn a_whole_journal_and_one_with_a_torn_tail_need_no_repair() {
    let (memory, end) = some_segments();
    assert!(planned(&memory).is_empty());
    let mut files = memory.files();
    let last = files
        .get_mut(&Name::Segment(end / SEGMENT))
        .expect("a segment");
    last.truncate(last.len() - 7);
    drop(files);
    assert!(planned(&memory).is_empty());
    assert!(planned(&Memory::default()).is_empty());
}

#[test]
fn what_is_lost_is_told_by_sequence() {
    let (memory, _) = some_segments();
    let whole = read(&memory, 0);
    let at = |sequence| {
        let found = whole.iter().find(|it| it.1 == sequence);
        found.expect("it is there").0
    };
    // Two batches of messages with a settlement between them, and a settlement alone.
    flip(&memory, at(5) + 50);
    flip(&memory, at(7) + 50);
    let settlement = whole.iter().filter(|it| it.1 == 11).nth(1).expect("one").0;
    flip(&memory, settlement + 30);
    let losses: Vec<_> = planned(&memory)
        .losses
        .iter()
        .map(|it| it.sequences)
        .collect();
    let shared = Sequences::Between(5, 8);
    assert_eq!(losses, [shared, shared, Sequences::None]);
    assert_eq!(shared.to_string(), "messages 5 to 8");
}

#[test]
fn losses_at_the_beginning_and_at_the_end_are_open() {
    let (memory, _) = some_segments();
    flip(&memory, 64 + 60);
    assert_eq!(planned(&memory).losses[0].sequences, Sequences::Before(3));
    let (memory, _) = some_segments();
    let last = *memory.segments().expect("memory").last().expect("some");
    let mut files = memory.files();
    files.remove(&Name::Segment(last - 1));
    let file = files.get_mut(&Name::Segment(last));
    file.expect("there").truncate(64);
    drop(files);
    let losses = planned(&memory).losses;
    assert!(
        matches!(losses[0].sequences, Sequences::From(_)),
        "{losses:?}"
    );
}

#[test]
fn a_segment_that_is_gone_is_made_empty_and_closed() {
    let (memory, _) = some_segments();
    let whole = read(&memory, 0);
    memory.files().remove(&Name::Segment(1));
    let compacted: Entries = whole.into_iter().filter(|it| it.0 / SEGMENT != 1).collect();
    let plan = repair(&memory);
    assert_eq!(plan.segments, BTreeSet::from([1]));
    assert_eq!(read(&memory, 0), compacted);
    // The store may have followed up to anywhere in it.
    let later: Entries = compacted
        .into_iter()
        .filter(|it| it.0 > 2 * SEGMENT)
        .collect();
    assert_eq!(read(&memory, SEGMENT + 1_000), later);
}

#[test]
fn a_reader_goes_on_behind_a_void_that_took_its_place() {
    let (memory, _) = some_segments();
    let whole = read(&memory, 0);
    // Messages and their settlement side by side: one void, and its middle was a batch's end.
    let settlement = whole.iter().filter(|it| it.1 == 3).nth(1).expect("one").0;
    flip(&memory, settlement - 5);
    flip(&memory, settlement + 5);
    repair(&memory);
    let later: Entries = whole.into_iter().filter(|it| it.0 > settlement).collect();
    assert_eq!(read(&memory, settlement), later);
}

#[test]
fn a_void_may_be_of_any_length_that_damage_has() {
    let max = BATCH_LEN_MAX as u64 + 48;
    for bytes in [
        48,
        49,
        max,
        max + 1,
        max + 47,
        max + 48,
        2 * max,
        64 * max + 5,
    ] {
        let mut left = bytes;
        while left > 0 {
            let body = void_len(left).expect("there is room") as u64;
            assert!(body <= BATCH_LEN_MAX as u64);
            left -= 48 + body;
        }
    }
    assert!(void_len(47).is_err());
}

#[test]
fn another_version_s_segment_is_left_to_its_engine() {
    let (memory, _) = some_segments();
    let mut files = memory.files();
    let file = files.get_mut(&Name::Segment(1)).expect("there");
    file[8] = 9;
    file[64..].fill(0);
    drop(files);
    let error = plan(Scan::new(memory, SEGMENT), SEGMENT).expect_err("it is not ours");
    assert!(
        matches!(error, JournalError::Version { segment: 1, .. }),
        "{error}"
    );
}

#[test]
fn another_version_s_compacted_file_is_left_to_its_engine() {
    let memory = with_kept(0..1);
    let mut files = memory.files();
    let name = Name::Compacted(0, 1);
    files.get_mut(&name).expect("there")[8] = 9;
    drop(files);
    // What stands behind it is of this version: the header is damaged.
    assert!(plan(Scan::new(memory.clone(), SEGMENT), SEGMENT).is_ok());
    let mut files = memory.files();
    files.get_mut(&name).expect("there")[64..].fill(7);
    drop(files);
    let opened = CompactedReader::open(&memory, 0..1).expect_err("it is not ours");
    assert!(opened.to_string().contains("format version 9"), "{opened}");
    let error = plan(Scan::new(memory, SEGMENT), SEGMENT).expect_err("it is not ours");
    let is_it = matches!(&error, JournalError::CompactedVersion { name: it, .. } if *it == name);
    assert!(is_it, "{error}");
}

/// [`some_segments`] with those of `carried` in a compacted file, settlements and all.
fn with_kept(carried: Range<u64>) -> Memory {
    let (memory, _) = some_segments();
    let mut reader = Reader::new(memory.clone(), SEGMENT, carried.start * SEGMENT);
    let mut storage = memory.clone();
    let header = CompactedHeader {
        segments: carried.clone(),
        segment_len: SEGMENT,
        sequences: 1..1_000,
        end_ms: TIME_US / 1_000,
    };
    let mut compacted =
        CompactedWriter::create(&mut storage, header, false).expect("memory has room");
    while let Some(batch) = reader.next(carried.end * SEGMENT).expect("whole") {
        for record in batch.records() {
            compacted
                .message(&storage, &record, TIME_US, u64::MAX)
                .expect("memory has room");
        }
        let settlements: Vec<_> = batch.settlements().collect();
        let done = compacted.settlements(&storage, batch.header(), &settlements);
        done.expect("memory has room");
    }
    compacted.finish(&mut storage).expect("memory has room");
    for number in carried {
        memory.files().remove(&Name::Segment(number));
    }
    memory
}

#[test]
fn a_damaged_kept_file_keeps_its_whole_batches_and_free_files_are_not_touched() {
    for carried in [0..2, 1..3] {
        let name = Name::Compacted(carried.start, carried.end);
        let memory = with_kept(carried);
        memory.files().insert(Name::Free(9), b"anything".to_vec());
        assert!(planned(&memory).is_empty());
        let whole = read(&memory, 0);
        let len = memory.files()[&name].len();
        for at in (0..len).step_by(7) {
            let damaged = memory.copy();
            damaged.files().get_mut(&name).expect("there")[at] ^= 1;
            let before = damaged.copy();
            let compacted = readable(&damaged);
            let plan = repair(&damaged);
            assert_eq!(plan.names().collect::<Vec<_>>(), [name], "{at}");
            assert_eq!(read(&damaged, 0), compacted, "{at}");
            assert!(whole.len() - compacted.len() <= 2, "{at}");
            assert!(planned(&damaged).is_empty(), "{at}");
            CompactedReader::open(
                &damaged,
                plan.compacted
                    .keys()
                    .map(|it| it.0..it.1)
                    .next()
                    .expect("one"),
            )
            .expect("its header is whole");
            for (other, bytes) in before.files().iter().filter(|it| *it.0 != name) {
                assert_eq!(damaged.files().get(other), Some(bytes), "{other}");
            }
        }
    }
}

#[test]
fn a_kept_file_whose_header_is_lost_gets_one_that_names_all_it_may_hold() {
    let memory = with_kept(1..3);
    let whole = read(&memory, 0);
    let in_file = |it: &&(Position, u64)| (SEGMENT..3 * SEGMENT).contains(&it.0);
    let behind = whole
        .iter()
        .find(|it| it.0 >= 3 * SEGMENT && !it.0.is_multiple_of(2));
    let name = Name::Compacted(1, 3);
    memory.files().get_mut(&name).expect("there")[20] ^= 1;
    repair(&memory);
    assert_eq!(read(&memory, 0), whole);
    let header = CompactedReader::open(&memory, 1..3)
        .expect("whole")
        .header()
        .clone();
    assert_eq!((header.segments, header.segment_len), (1..3, SEGMENT));
    let held = whole.iter().filter(in_file).map(|it| it.1);
    assert!(held.max().expect("some") < header.sequences.end);
    assert!(behind.is_none_or(|it| header.sequences.end <= it.1 + 2));
}

proptest! {
    #[test]
    fn whatever_is_damaged_all_that_is_whole_stays_where_it_was(
        flips in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        zeros in proptest::collection::vec((any::<proptest::sample::Index>(), 1..700_u64), 0..3),
        gone in proptest::option::of(0..4_u64),
    ) {
        let (memory, end) = some_segments();
        for at in flips {
            flip(&memory, at.index(end as usize) as u64);
        }
        for (at, len) in zeros {
            let at = at.index(end as usize) as u64;
            let mut files = memory.files();
            if let Some(file) = files.get_mut(&Name::Segment(at / SEGMENT)) {
                let from = ((at % SEGMENT) as usize).min(file.len());
                let to = (from + len as usize).min(file.len());
                file[from..to].fill(0);
            }
        }
        if let Some(gone) = gone {
            memory.files().remove(&Name::Segment(gone));
        }
        let compacted = readable(&memory);
        repair(&memory);
        prop_assert_eq!(planned(&memory), Plan {
            messages: planned(&memory).messages,
            settlements: planned(&memory).settlements,
            ..Plan::default()
        });
        prop_assert_eq!(read(&memory, 0), compacted);
    }
}
