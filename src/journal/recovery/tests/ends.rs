//! What recovery makes of an end that is not whole.

use crate::clock::{BootTie, Now};
use crate::journal::batch::JournalRecord;
use crate::journal::continuation::{Reached, continue_behind};
use crate::journal::format::{BATCH_HEADER_LEN, Position, SegmentHeader, Settlement};
use crate::journal::reader::Reader;
use crate::journal::recovery::{Origin, Recovered, Sink, recover};
use crate::journal::storage::Name;
use crate::journal::testing::{Memory, TIME_US, TestWriter};
use crate::journal::watched::{Deed, Watched};
use crate::message::CompactId;

const SEGMENT: u64 = 4_096;

/// The sequences that recovery gives out.
#[derive(Default)]
struct Seen(Vec<u64>, Vec<u64>);

impl Sink for Seen {
    fn message(&mut self, record: &JournalRecord<'_>, _recorded_us: u64) {
        self.0.push(record.sequence);
    }

    fn id(&mut self, _: &CompactId<'_>, _: u64) {}

    fn settled(&mut self, settlement: &Settlement) {
        self.1.push(settlement.sequence);
    }
}

fn recovered(memory: &Memory) -> Result<(Recovered, Seen), String> {
    let mut seen = Seen::default();
    let recovered = recover(&mut memory.clone(), SEGMENT, TIME_US, &mut seen);
    recovered.map(|it| (it, seen)).map_err(|it| it.to_string())
}

fn flip(memory: &Memory, at: Position) {
    memory
        .files()
        .get_mut(&Name::Segment(0))
        .expect("a segment")[at as usize] ^= 1;
}

/// One write of messages and settlements, torn between its halves, and where it begins and ends.
fn torn_write() -> (Memory, TestWriter<Memory>, Position, Position) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    writer.plain(1..=3);
    let begin = writer.plain(4..=5);
    writer.settle_in_write(begin, 1..=2);
    let end = writer.position();
    flip(&memory, begin + 60);
    (memory, writer, begin, end)
}

#[test]
fn half_of_a_write_is_cut_and_counted() {
    let (memory, _, begin, end) = torn_write();
    let (found, seen) = recovered(&memory).expect("it was promised to nobody");
    assert_eq!((found.torn_at, found.torn_len), (begin, end - begin));
    assert_eq!((seen.0, seen.1.len()), (vec![1, 2, 3], 0));
    assert_eq!(found.origin.position, SEGMENT);
    // What was cut stays cut.
    let (again, seen) = recovered(&memory).expect("it is closed");
    assert_eq!((again.torn_len, seen.0), (0, vec![1, 2, 3]));
}

#[test]
fn a_write_behind_a_damaged_one_is_refused() {
    let (memory, mut writer, begin, _) = torn_write();
    writer.settle(4..=4);
    let before = memory.files().clone();
    let refused = recovered(&memory).err().expect("it may be damage");
    assert!(refused.contains(&format!("at offset {begin}")), "{refused}");
    assert!(refused.contains("journal repair"), "{refused}");
    assert_eq!(*memory.files(), before, "nothing was changed");
}

#[test]
fn whatever_was_written_behind_a_torn_write_makes_it_damage() {
    let more: [fn(&mut TestWriter<Memory>); 3] = [
        |writer| _ = writer.plain(6..=6),
        |writer| _ = writer.settle(4..=4),
        |writer| writer.close(),
    ];
    for more in more {
        let (memory, mut writer, ..) = torn_write();
        more(&mut writer);
        assert!(recovered(&memory).is_err());
    }
    // Its header tells nothing any more, and the batch that came with it still does.
    let (memory, _, begin, end) = torn_write();
    flip(&memory, begin);
    let (found, _) = recovered(&memory).expect("it was promised to nobody");
    assert_eq!((found.torn_at, found.torn_len), (begin, end - begin));
}

#[test]
fn garbage_behind_the_last_batch_is_cut_and_counted() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    writer.plain(1..=3);
    let end = writer.position();
    memory
        .files()
        .get_mut(&Name::Segment(0))
        .expect("a segment")
        .extend([7; 100]);
    let (found, seen) = recovered(&memory).expect("a tail");
    assert_eq!((found.torn_at, found.torn_len), (end, 100));
    assert_eq!(seen.0, [1, 2, 3]);
}

#[test]
fn the_next_sequence_is_known_without_a_message() {
    let mut memory = Memory::default();
    let reached = Reached {
        position: 2 * SEGMENT,
        last_sequence: 41,
    };
    let origin = Origin {
        position: 0,
        next_sequence: 1,
    };
    let now = Now {
        epoch_us: TIME_US,
        ..Now::default()
    };
    let behind = continue_behind(&mut memory, SEGMENT, origin, reached, now);
    let behind = behind.expect("memory has room").expect("it is near");
    let (found, _) = recovered(&memory).expect("it is whole");
    assert_eq!(
        (found.origin, found.segments),
        (behind.origin, behind.segments)
    );
    assert_eq!(found.origin.next_sequence, 42);
}

#[test]
fn a_reader_that_was_told_to_begin_in_what_was_cut_begins_behind_it() {
    let (memory, _, _, end) = torn_write();
    recovered(&memory).expect("it is cut");
    let mut writer = TestWriter::new(Memory::default(), SEGMENT);
    let _ = writer.plain(1..=1);
    let mut reader = Reader::new(memory.clone(), SEGMENT, end);
    assert!(reader.next(SEGMENT).expect("no damage").is_none());
    assert_eq!((reader.position(), reader.has_landed()), (SEGMENT, true));
}

/// The writes and syncs of a recovery, in their order.
fn deeds(memory: &Memory) -> Vec<Deed> {
    let mut storage = Watched::over(memory.clone());
    let recovered = recover(&mut storage, SEGMENT, TIME_US, &mut Seen::default());
    recovered.expect("it is whole, or torn at its end");
    let deeds = storage.deeds();
    let of_files = deeds.iter().filter(|it| !matches!(it, Deed::SyncNames));
    of_files.cloned().collect()
}

#[test]
fn what_stands_before_the_end_mark_is_synced_before_the_mark_is_written() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    writer.plain(1..=3);
    let end = writer.position();
    let last = Name::Segment(0);
    let mark = Deed::Write(last, end, BATCH_HEADER_LEN);
    let cut = Deed::Truncate(last, end + BATCH_HEADER_LEN as u64);
    let expected = [Deed::Sync(last), mark, cut, Deed::Sync(last)];
    assert_eq!(deeds(&memory), expected);
}

/// The life ended when the end mark of this segment stood, and the rest was not cut.
fn extend(memory: &Memory, name: Name) -> usize {
    let mut files = memory.files();
    let file = files.get_mut(&name).expect("it is there");
    let len = file.len();
    file.resize(SEGMENT as usize, 0);
    len
}

#[test]
fn room_behind_the_end_mark_of_the_segment_before_is_given_back() {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    writer.plain(1..=3);
    writer.close();
    let cut = |name| {
        let len = extend(&memory, name);
        recovered(&memory).expect("it is closed");
        assert_eq!(memory.files()[&name].len(), len, "{name}");
    };
    cut(Name::Segment(0));
    // The next one was begun.
    let header = SegmentHeader {
        number: 1,
        segment_len: SEGMENT,
        created_ms: TIME_US / 1_000,
        tie: BootTie::default(),
    };
    let begun = header.encode().to_vec();
    memory.files().insert(Name::Segment(1), begun);
    cut(Name::Segment(0));
    // It has no batch.
    cut(Name::Segment(1));
}
