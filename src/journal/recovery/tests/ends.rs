//! What recovery makes of an end that is not whole.

use crate::clock::Now;
use crate::journal::batch::JournalRecord;
use crate::journal::continuation::{Reached, continue_behind};
use crate::journal::format::{Position, Settlement};
use crate::journal::reader::Reader;
use crate::journal::recovery::{Origin, Recovered, Sink, recover};
use crate::journal::storage::Name;
use crate::journal::testing::{Memory, TIME_US, TestWriter};
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
