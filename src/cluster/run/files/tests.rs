use proptest::prelude::*;

use super::*;
use crate::cluster::record::PLACE_LEN;
use crate::cluster::record::{Before, Kind, encode, position_of};
use crate::cluster::testing::{SEGMENT, batches_at, place};
use crate::journal::reader::Reader;
use crate::journal::testing::{Memory, TestWriter};
use crate::journal::watched::Watched;
use crate::ring::{Wake, ring};

/// Records of these sequences, each with so many settlements, as an active makes them.
fn records(bodies: &[usize]) -> Vec<(Place, Vec<u8>)> {
    let (mut end, mut before, mut made) = (0, Before::default(), Vec::new());
    for (index, count) in bodies.iter().enumerate() {
        let settled = vec![1; *count];
        let len = PLACE_LEN + batches_at(0, &[&settled]).len();
        let place = Place {
            sequence: 10 + 2 * index as u64,
            position: position_of(end, len, SEGMENT),
            before,
            ..place(Kind::Batches)
        };
        let batches = batches_at(place.position, &[&settled]);
        let bytes = encode(&place, None, &batches).expect("its parts fit");
        (end, before) = (place.position + bytes.len() as u64, place.as_before());
        made.push((place, bytes));
    }
    made
}

fn open(memory: &Memory) -> (RecordFiles<Memory>, Found) {
    RecordFiles::open(memory.clone(), SEGMENT).expect("they are a member's")
}

fn write_all(memory: &Memory, records: &[(Place, Vec<u8>)]) {
    let mut files = open(memory).0;
    for (place, bytes) in records {
        files.write(place, bytes).expect("memory has room");
    }
}

fn bytes_of(memory: &Memory) -> Vec<(Name, Vec<u8>)> {
    let files = memory.files();
    files.iter().map(|it| (*it.0, it.1.clone())).collect()
}

#[test]
fn what_is_written_is_read_as_a_journal_and_fetched_by_its_sequence() {
    let memory = Memory::default();
    let records = records(&[2_000, 2_000, 2_000, 10, 3_000]);
    write_all(&memory, &records);
    let (files, found) = open(&memory);
    assert_eq!(found.last.as_deref(), Some(&records[4].1[..]));
    assert_eq!(found.torn_len, 0);
    let fetched = |sequence| files.fetch(sequence).expect("memory").map(|it| it.to_vec());
    assert_eq!(fetched(9), None, "before the first");
    for (place, bytes) in &records {
        assert_eq!(fetched(place.sequence).as_ref(), Some(bytes));
        assert_eq!(fetched(place.sequence + 1).as_ref(), Some(bytes), "void");
    }
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let mut settled = 0;
    while let Some(batch) = reader.next(files.end()).expect("it is whole") {
        settled += batch.settlements().count();
    }
    assert_eq!(settled, 9_010);
    assert!(memory.segments().expect("memory").len() > 1);
}

#[test]
fn a_journal_of_an_engine_in_no_group_is_refused() {
    let memory = Memory::default();
    TestWriter::new(memory.clone(), SEGMENT).plain(1..=3);
    let error = RecordFiles::open(memory, SEGMENT)
        .err()
        .expect("it is none");
    assert!(error.to_string().contains("in no group"), "{error}");
}

#[test]
fn segments_of_another_length_are_refused() {
    let memory = Memory::default();
    write_all(&memory, &records(&[1]));
    let error = RecordFiles::open(memory, 2 * SEGMENT)
        .err()
        .expect("refused");
    assert!(matches!(
        error,
        RecordFilesError::Journal(JournalError::SegmentLen { .. })
    ));
}

/// The sequences of all records, or why there are not all.
fn sequences(files: &RecordFiles<Memory>) -> Result<Vec<u64>, RecordFilesError> {
    let mut sequences = Vec::new();
    let each = files.each(|place, _| {
        sequences.push(place.sequence);
        Ok::<(), RecordFilesError>(())
    });
    each.map(|()| sequences)
}

#[test]
fn a_journal_in_whose_middle_a_record_is_damaged_or_gone_is_not_given_as_a_whole_one() {
    let memory = Memory::default();
    let records = records(&[2_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
    write_all(&memory, &records);
    let files = open(&memory).0;
    assert_eq!(
        sequences(&files).expect("it is whole"),
        [10, 12, 14, 16, 18, 20]
    );
    let offset = records[1].0.position as usize;
    memory.files().values_mut().next().expect("a segment")[offset + 200] ^= 1;
    let error = sequences(&files).expect_err("record 12 is damaged");
    assert!(error.to_string().contains("between 10 and 14"), "{error}");
    memory
        .clone()
        .remove(Name::Segment(0))
        .expect("it is there");
    assert_eq!(
        sequences(&files).expect("it begins later"),
        [14, 16, 18, 20]
    );
}

#[test]
fn free_files_that_are_taken_are_told_though_the_first_tries_to_begin_a_segment_fail() {
    let disk = Watched::default();
    let mut files = RecordFiles::open(disk.clone(), SEGMENT)
        .expect("it is empty")
        .0;
    let (mut free, taken) = ring(4, &Wake::new().expect("a descriptor"));
    for former in [3, 4, 5] {
        if former != 4 {
            disk.clone().create(Name::Free(former)).expect("memory");
        }
        free.claim(1).expect("it has room").send(former);
    }
    free.flush();
    files.set_free(taken);
    let (place, bytes) = &records(&[1])[0];
    disk.refuse_opening(true);
    assert!(matches!(
        files.write(place, bytes),
        Err(WriteFailed::Write(_))
    ));
    disk.refuse_opening(false);
    disk.fail_sync_names(true);
    assert!(matches!(
        files.write(place, bytes),
        Err(WriteFailed::Write(_))
    ));
    assert_eq!(files.take_begun(), None);
    files.write(place, bytes).expect("all is well again");
    let begun = Begun {
        number: 0,
        taken: 3,
    };
    assert_eq!(
        files.take_begun(),
        Some(begun),
        "3 and 5, and 4, which was not there"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Wherever a crash cuts or damages the last file, the whole records before that stay, and those that are
    /// written again make the same files.
    #[test]
    fn a_torn_tail_is_cut_and_what_is_written_again_makes_the_same_bytes(
        bodies in prop::collection::vec(0..2_500_usize, 1..12),
        cut in 0.0..1.0_f64,
        flips in any::<bool>(),
    ) {
        let records = records(&bodies);
        let (whole, memory) = (Memory::default(), Memory::default());
        write_all(&whole, &records);
        write_all(&memory, &records);
        {
            let mut files = memory.files();
            let (_, bytes) = files.iter_mut().next_back().expect("there is one");
            let at = (bytes.len() as f64 * cut) as usize;
            match flips {
                true => bytes[at] ^= 0x40,
                false => bytes.truncate(at),
            }
        }
        let (files, found) = open(&memory);
        let kept = found.last.map_or(0, |last| {
            1 + records.iter().position(|it| it.1 == *last).expect("it is one of them")
        });
        let end = match kept {
            0 => 0,
            _ => records[kept - 1].0.position + records[kept - 1].1.len() as u64,
        };
        prop_assert_eq!(files.end(), end);
        drop(files);
        write_all(&memory, &records[kept..]);
        prop_assert_eq!(bytes_of(&memory), bytes_of(&whole));
    }
}
