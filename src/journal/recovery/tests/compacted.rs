//! Compacted files: what they hold, and what a crash on the way to one changes.

use super::*;
use crate::journal::compacted::CompactedReader;

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
    let files = memory.files();
    assert_eq!(files[&Name::Free(7)].len(), 0, "and what it took beyond");
    assert!(!files.contains_key(&Name::Unfinished(0, 2)));
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
