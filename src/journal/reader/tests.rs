//! The reader against a plain writer: whole journals, torn ones, damaged ones, hostile ones.

use proptest::prelude::*;

use super::*;
use crate::journal::storage::Name;
use crate::journal::testing::{Memory, TestMessage, TestWriter};

const SEGMENT: u64 = 4_096;
const END: Position = Position::MAX;

/// What a reader found: `m` and `s` with sequences, in the order of the journal.
fn read_all(
    memory: &Memory,
    from: Position,
    through: Position,
) -> Result<Vec<(char, u64)>, String> {
    let mut reader = Reader::new(memory.clone(), SEGMENT, from);
    let mut found = Vec::new();
    while let Some(batch) = reader.next(through).map_err(|error| error.to_string())? {
        found.extend(batch.records().map(|it| ('m', it.sequence)));
        found.extend(batch.settlements().map(|it| ('s', it.sequence)));
    }
    Ok(found)
}

fn tail_of(memory: &Memory) -> Tail {
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    while reader.next(END).expect("no damage in the middle").is_some() {}
    reader.tail().expect("memory can be read")
}

fn messages(sequences: impl Iterator<Item = u64>) -> Vec<(char, u64)> {
    sequences.map(|it| ('m', it)).collect()
}

#[test]
fn batches_come_back_as_they_were_written() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let at = writer.plain([7, 8, 11].into_iter());
    writer.settle([8, 7].into_iter());
    let mut reader = Reader::new(memory, SEGMENT, 0);
    let batch = reader.next(END).expect("whole").expect("there");
    assert_eq!((batch.position(), at), (64, 64));
    let records: Vec<_> = batch.records().collect();
    assert_eq!(records.len(), 3);
    for (record, sequence) in records.iter().zip([7, 8, 11]) {
        let message = TestMessage::new(sequence);
        assert_eq!(record.sequence, sequence);
        assert_eq!(record.frame(), message.frame().as_bytes());
        assert_eq!(record.message_id().value(), message.id);
        assert_eq!(record.message_type().value(), "lunch");
    }
    assert_eq!(records[0].position, at + 48);
    assert_eq!(
        records[1].position,
        at + 48 + TestMessage::new(7).record().len() as u64
    );
    assert_eq!(batch.settlements().count(), 0);
    let batch = reader.next(END).expect("whole").expect("there");
    assert_eq!(batch.end(), writer.position());
    assert_eq!(
        batch
            .settlements()
            .map(|it| it.sequence)
            .collect::<Vec<_>>(),
        [8, 7]
    );
    assert!(reader.next(END).expect("no error").is_none());
}

#[test]
fn nothing_is_read_before_it_is_published() {
    let memory = Memory::default();
    assert_eq!(read_all(&memory, 0, 0), Ok(vec![]));
    assert_eq!(read_all(&memory, 0, END), Ok(vec![]));
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    for sequence in 1..200 {
        assert!(reader.next(writer.position()).expect("no error").is_none());
        writer.plain(sequence..=sequence);
        let batch = reader
            .next(writer.position())
            .expect("no error")
            .expect("published");
        assert_eq!(batch.records().next().map(|it| it.sequence), Some(sequence));
    }
    assert!(memory.files().len() > 10, "segments were rolled");
}

#[test]
fn a_reader_to_the_end_sees_what_is_written_later() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut reader = Reader::new(memory, SEGMENT, 0);
    for sequence in 1..200 {
        assert!(reader.next(END).expect("no error").is_none());
        writer.plain(sequence..=sequence);
        assert!(reader.next(END).expect("no error").is_some());
    }
}

#[test]
fn a_journal_reads_the_same_from_the_end_of_any_batch() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for sequence in (1..150).step_by(3) {
        writer.plain(sequence..sequence + 3);
    }
    writer.close();
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let mut ends = vec![0];
    while let Some(batch) = reader.next(END).expect("whole") {
        ends.push(batch.end());
    }
    assert_eq!(
        reader.position(),
        writer.position(),
        "the last end mark was passed"
    );
    for (read, &end) in ends.iter().enumerate() {
        let expected = messages(read as u64 * 3 + 1..=150);
        assert_eq!(read_all(&memory, end, END), Ok(expected.clone()));
        assert_eq!(read_all(&memory, end, writer.position()), Ok(expected));
    }
}

/// A batch that leaves exactly `left` bytes of its segment, and one more behind it.
fn with_room_left(left: usize) -> (Memory, TestWriter<Memory>) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut message = TestMessage::new(1);
    message.payload = Some(String::new());
    let room = SEGMENT as usize - SEGMENT_HEADER_LEN - BATCH_HEADER_LEN - left;
    let fill = room - message.record().len();
    message.payload = Some(" ".repeat(fill));
    writer.messages(&[message]);
    (memory, writer)
}

#[test]
fn a_segment_ends_by_its_mark_or_by_having_no_room_for_one() {
    for left in 0..120 {
        let (memory, mut writer) = with_room_left(left);
        assert_eq!(
            SEGMENT as usize - memory.files()[&Name::Segment(0)].len(),
            left
        );
        assert_eq!(
            read_all(&memory, 0, END),
            Ok(messages(1..=1)),
            "{left} bytes left"
        );
        writer.plain(2..=2);
        assert_eq!(memory.files().len(), 2);
        for through in [END, writer.position()] {
            let found = read_all(&memory, 0, through);
            assert_eq!(found, Ok(messages(1..=2)), "{left} bytes left");
        }
    }
}

#[test]
fn a_segment_without_its_end_mark_is_corrupt_when_another_follows() {
    let (memory, mut writer) = with_room_left(100);
    writer.plain(2..=2);
    memory
        .files()
        .get_mut(&Name::Segment(0))
        .expect("there")
        .truncate(SEGMENT as usize - 100);
    for through in [END, writer.position()] {
        let error = read_all(&memory, 0, through).expect_err("the mark is gone");
        assert!(
            error.contains("00000000000000000000.segment at offset 3996"),
            "{error}"
        );
    }
}

#[test]
fn what_stands_behind_the_end_mark_does_not_matter() {
    let (memory, mut writer) = with_room_left(100);
    writer.plain(2..=2);
    memory
        .files()
        .get_mut(&Name::Segment(0))
        .expect("there")
        .resize(SEGMENT as usize, b'F');
    assert_eq!(read_all(&memory, 0, END), Ok(messages(1..=2)));
}

#[test]
fn a_former_life_of_the_segment_is_no_batch() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for sequence in 1..60 {
        writer.plain(sequence..=sequence);
    }
    let mut old = memory.files()[&Name::Segment(0)].clone();
    let last = *memory.files().keys().last().expect("some");
    let len = memory.files()[&last].len();
    old.resize(SEGMENT as usize, 0);
    old[..len].copy_from_slice(&memory.files()[&last]);
    memory.files().insert(last, old);
    assert_eq!(read_all(&memory, 0, END), Ok(messages(1..60)));
    let clean = Tail {
        position: writer.position(),
        torn_len: 0,
        whole_beyond: None,
    };
    assert_eq!(tail_of(&memory), clean);
}

/// Three batches in one segment, and where each ends.
fn three_batches() -> (Memory, Vec<Position>) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut ends = vec![64];
    for sequence in [1, 3, 5] {
        writer.plain(sequence..sequence + 2);
        ends.push(writer.position());
    }
    (memory, ends)
}

#[test]
fn a_journal_cut_at_any_byte_reads_up_to_its_last_whole_batch() {
    let (memory, ends) = three_batches();
    let len = memory.files()[&Name::Segment(0)].len();
    for cut in 0..len {
        let torn = memory.copy();
        torn.files()
            .get_mut(&Name::Segment(0))
            .expect("there")
            .truncate(cut);
        let whole = ends.iter().skip(1).filter(|&&it| it <= cut as u64).count();
        assert_eq!(read_all(&torn, 0, END), Ok(messages(1..=2 * whole as u64)));
        let tail = tail_of(&torn);
        if cut < SEGMENT_HEADER_LEN {
            assert_eq!(tail.position, 0, "the segment itself must be made anew");
        } else {
            assert_eq!(
                (tail.position, tail.torn_len),
                (ends[whole], cut as u64 - ends[whole])
            );
        }
        let published = ends[3];
        read_all(&torn, 0, published).expect_err("the writer said that there is more");
    }
}

#[test]
fn a_flipped_bit_in_the_last_segment_ends_it_and_shows_what_stands_beyond() {
    let (memory, ends) = three_batches();
    let len = memory.files()[&Name::Segment(0)].len();
    for at in SEGMENT_HEADER_LEN..len {
        let damaged = memory.copy();
        damaged.files().get_mut(&Name::Segment(0)).expect("there")[at] ^= 4;
        let whole = ends.iter().skip(1).filter(|&&it| it <= at as u64).count();
        assert_eq!(
            read_all(&damaged, 0, END),
            Ok(messages(1..=2 * whole as u64))
        );
        let tail = tail_of(&damaged);
        assert_eq!(tail.position, ends[whole]);
        let beyond = ends[whole + 1];
        assert_eq!(tail.whole_beyond, (beyond < ends[3]).then_some(beyond));
        read_all(&damaged, 0, ends[3]).expect_err("damage before the published end");
    }
}

/// A batch of messages, then one more and a batch of settlements that came in one write with it.
fn two_batches_of_a_write() -> (Memory, Vec<Position>) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut ends = vec![writer.plain(1..3), writer.plain(3..5), writer.settle(1..2)];
    ends[0] = SEGMENT_HEADER_LEN as u64;
    ends.push(writer.position());
    {
        let mut files = memory.files();
        let batch = &mut files.get_mut(&Name::Segment(0)).expect("there")[ends[2] as usize..];
        let (head, body) = batch
            .split_first_chunk_mut::<BATCH_HEADER_LEN>()
            .expect("a header");
        let header = BatchHeader::decode(head).expect("a batch");
        let behind = (ends[2] - ends[1]) as u32;
        header.encode_behind(behind, std::iter::once(&*body), head);
    }
    (memory, ends)
}

#[test]
fn a_batch_that_came_in_the_write_that_was_torn_is_torn_with_it() {
    let (memory, ends) = two_batches_of_a_write();
    let whole = [messages(1..=4), vec![('s', 1)]].concat();
    assert_eq!(read_all(&memory, 0, END), Ok(whole));
    for at in ends[1]..ends[2] {
        let torn = memory.copy();
        torn.files().get_mut(&Name::Segment(0)).expect("there")[at as usize] ^= 4;
        let tail = tail_of(&torn);
        assert_eq!((tail.position, tail.whole_beyond), (ends[1], None));
    }
    let damaged = memory.copy();
    damaged.files().get_mut(&Name::Segment(0)).expect("there")[ends[0] as usize] ^= 4;
    assert_eq!(tail_of(&damaged).whole_beyond, Some(ends[1]));
}

#[test]
fn a_damaged_segment_header_is_refused_when_batches_stand_behind_it() {
    let (memory, _) = three_batches();
    for at in (0..40).filter(|at| !(8..12).contains(at)) {
        let damaged = memory.copy();
        damaged.files().get_mut(&Name::Segment(0)).expect("there")[at] ^= 4;
        let error = read_all(&damaged, 0, END).expect_err("it is no tail");
        assert!(error.contains("offset 0"), "{error}");
    }
    memory.files().get_mut(&Name::Segment(0)).expect("there")[8] = 9;
    let error = read_all(&memory, 0, END).expect_err("another version");
    assert!(error.contains("format version 9"), "{error}");
}

#[test]
fn a_segment_that_was_only_renamed_for_its_new_life_is_an_empty_tail() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    writer.plain(1..=1);
    writer.close();
    let former = three_batches().0.files()[&Name::Segment(0)].clone();
    memory.files().insert(Name::Segment(1), former);
    assert_eq!(read_all(&memory, 0, END), Ok(messages(1..=1)));
    assert_eq!(tail_of(&memory).position, SEGMENT);
}

#[test]
fn segments_that_are_gone_are_skipped_at_the_start_and_missed_in_the_middle() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    for sequence in 1..=5 {
        writer.plain(sequence..=sequence);
        writer.close();
    }
    memory.files().remove(&Name::Segment(0));
    memory.files().remove(&Name::Segment(1));
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let batch = reader
        .next(writer.position())
        .expect("whole")
        .expect("there");
    assert_eq!(batch.records().next().map(|it| it.sequence), Some(3));
    assert_eq!(reader.skipped_segments(), 2);
    memory.files().remove(&Name::Segment(3));
    let error = read_all(&memory, 0, END).expect_err("a hole");
    assert!(
        error.contains("00000000000000000003.segment is missing"),
        "{error}"
    );
}

#[test]
fn another_segment_length_is_refused_with_the_one_to_set() {
    let (memory, _) = three_batches();
    let mut reader = Reader::new(memory, 2 * SEGMENT, 0);
    let error = reader
        .next(END)
        .expect_err("positions would differ")
        .to_string();
    assert!(error.contains("set it back to 4096"), "{error}");
}

#[test]
fn a_batch_with_a_right_crc_and_wrong_content_is_corrupt() {
    let bodies: [(&[u8], usize); 3] = [(b"short", 1), (&[0; 45], 1), (&[0; 12], 2)];
    for kind in [BatchKind::Messages, BatchKind::Settlements, BatchKind::End] {
        for (body, entries) in bodies {
            let memory = Memory::default();
            TestWriter::new(memory.clone(), SEGMENT).batch(kind, entries, 0, body);
            let error = read_all(&memory, 0, END).expect_err("nonsense");
            assert!(error.contains("offset 64"), "{error}");
        }
    }
}

#[test]
fn the_largest_batch_fits_the_buffer() {
    let memory = Memory::default();
    let segment_len = 4 * BATCH_LEN_MAX as u64;
    let mut writer = TestWriter::new(memory.clone(), segment_len);
    let mut message = TestMessage::new(1);
    message.payload = Some(format!("\"{}\"", "x".repeat(60_000)));
    let mut batch: Vec<_> = (1..=18)
        .map(|sequence| TestMessage {
            sequence,
            ..message.clone()
        })
        .collect();
    let len: usize = batch.iter().map(|it| it.record().len()).sum();
    batch[17].payload = Some(" ".repeat(60_002 - (len - BATCH_LEN_MAX)));
    writer.messages(&batch);
    writer.messages(&batch);
    let mut reader = Reader::new(memory, segment_len, 0);
    for _ in 0..2 {
        let batch = reader.next(END).expect("whole").expect("there");
        assert_eq!(batch.header().body_len as usize, BATCH_LEN_MAX);
        assert_eq!(batch.records().count(), 18);
    }
}

proptest! {
    #[test]
    fn random_bytes_behind_a_segment_header_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        through in 0..5_000_u64,
    ) {
        let (memory, _) = three_batches();
        let mut files = memory.files();
        let file = files.get_mut(&Name::Segment(0)).expect("there");
        file.truncate(64 + bytes.len() / 2);
        file.extend_from_slice(&bytes);
        drop(files);
        for through in [through, END] {
            let _ = read_all(&memory, 0, through);
        }
    }

    #[test]
    fn flipped_bits_and_cuts_never_panic_and_never_invent_a_message(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 0..4),
        cut in any::<prop::sample::Index>(),
        from in 0..3_000_u64,
    ) {
        let (memory, _) = three_batches();
        let mut files = memory.files();
        let file = files.get_mut(&Name::Segment(0)).expect("there");
        for (at, bit) in flips {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        file.truncate(cut.index(file.len() + 1));
        drop(files);
        for found in [0, from].into_iter().flat_map(|it| read_all(&memory, it, END)) {
            prop_assert!(found.windows(2).all(|it| it[0].1 + 1 == it[1].1));
            prop_assert!(found.iter().all(|it| (1..=6).contains(&it.1)));
        }
    }
}
