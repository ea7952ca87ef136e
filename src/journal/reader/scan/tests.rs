//! The scan against a plain writer: whole journals, damaged ones, and one that is being written.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::journal::compacted::CompactedWriter;
use crate::journal::testing::{Memory, TestWriter};

const SEGMENT: u64 = 4_096;

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    segments: Vec<u64>,
    compacted: Vec<Range<u64>>,
    sequences: Vec<u64>,
    settled: Vec<u64>,
    holes: Vec<Hole>,
    compacted_holes: Vec<CompactedHole>,
    tail: Option<Tail>,
}

fn scan<S: Storage>(storage: S) -> Found {
    let mut scan = Scan::new(storage, SEGMENT);
    let mut found = Found::default();
    while let Some(finding) = scan.advance().expect("memory can be read") {
        assert_eq!(found.tail, None, "the tail comes last");
        match finding {
            Finding::Segment(number) => found.segments.push(number),
            Finding::Batch(batch) => {
                found
                    .sequences
                    .extend(batch.records().map(|it| it.sequence));
                found
                    .settled
                    .extend(batch.settlements().map(|it| it.sequence));
            }
            Finding::Compacted { segments, .. } => found.compacted.push(segments),
            Finding::Hole(hole) => found.holes.push(hole),
            Finding::CompactedHole(hole) => found.compacted_holes.push(hole),
            Finding::Tail(tail) => found.tail = Some(tail),
        }
    }
    found
}

/// Three segments of messages and settlements; the last one is not closed. Returns each batch's
/// beginning, and the end.
fn three_segments() -> (Memory, Vec<Position>) {
    let memory = Memory::default();
    let mut writer = TestWriter::new(memory.clone(), SEGMENT);
    let mut places = Vec::new();
    for sequence in (1..).step_by(2) {
        places.push(writer.plain(sequence..sequence + 2));
        places.push(writer.settle(sequence..sequence + 1));
        if writer.position() > 2 * SEGMENT + 1_500 {
            break;
        }
    }
    places.push(writer.position());
    (memory, places)
}

fn flip(memory: &Memory, at: Position) {
    let mut files = memory.files();
    let file = files
        .get_mut(&Name::Segment(at / SEGMENT))
        .expect("a segment");
    file[(at % SEGMENT) as usize] ^= 0x10;
}

#[test]
fn a_whole_journal_has_no_holes() {
    let (memory, places) = three_segments();
    let found = scan(memory);
    assert_eq!(found.segments, [0, 1, 2]);
    let expected = (places.len() as u64 - 1) / 2;
    assert_eq!(found.sequences, (1..=2 * expected).collect::<Vec<_>>());
    assert_eq!(found.settled.len() as u64, expected);
    assert_eq!(found.holes, []);
    let end = Tail {
        position: *places.last().expect("an end"),
        torn_len: 0,
        whole_beyond: None,
    };
    assert_eq!(found.tail, Some(end));
}

#[test]
fn an_empty_journal_is_whole() {
    let found = scan(Memory::default());
    assert_eq!((found.segments.len(), found.holes.len()), (0, 0));
    assert_eq!(found.tail.map(|it| it.position), Some(0));
}

#[test]
fn a_flipped_bit_costs_its_own_batch_and_nothing_else() {
    let (memory, places) = three_segments();
    let whole = scan(memory.copy());
    for number in 0..3 {
        let len = memory.files()[&Name::Segment(number)].len() as u64;
        for at in (0..len).step_by(5).map(|it| number * SEGMENT + it) {
            let damaged = memory.copy();
            flip(&damaged, at);
            let found = scan(damaged);
            let hit = places.partition_point(|&place| place <= at);
            // Two messages and a settlement take turns.
            let (is_messages, entry) = (hit % 2 == 1, hit.saturating_sub(1) / 2 * 2);
            let is_in_batch = hit > 0 && at % SEGMENT >= 64 && hit < places.len();
            let mut expected = whole.sequences.clone();
            let lost = whole.sequences.len() - found.sequences.len();
            if lost > 0 {
                assert!(is_in_batch && is_messages, "{at} cost messages");
                expected.drain(entry..entry + 2);
            }
            assert_eq!(found.sequences, expected, "{at}");
            assert!(whole.settled.len() - found.settled.len() <= 1, "{at}");
            let is_logged = found.holes.iter().any(|it| (it.from..it.to).contains(&at))
                || found.tail.is_some_and(|it| it.position <= at);
            let costs = lost > 0 || whole.settled.len() > found.settled.len();
            assert!(is_logged || !costs, "{at} was not told: {found:?}");
            assert!(found.holes.len() <= 1, "{at}: {:?}", found.holes);
        }
    }
}

#[test]
fn what_is_gone_is_a_hole_as_long_as_what_is_gone() {
    let (memory, _) = three_segments();
    let whole = scan(memory.copy());
    memory.files().remove(&Name::Segment(1));
    let found = scan(memory.copy());
    let hole = Hole {
        from: SEGMENT,
        to: 2 * SEGMENT,
        damage: Damage::Absent,
    };
    assert_eq!((found.segments, found.holes), (vec![0, 2], vec![hole]));
    memory.files().remove(&Name::Segment(0));
    let found = scan(memory);
    assert_eq!(found.holes, [], "a journal may begin anywhere");
    assert!(whole.sequences.ends_with(&found.sequences));
}

#[test]
fn a_segment_that_was_not_closed_has_a_hole_up_to_the_next() {
    let (memory, _) = three_segments();
    let end = {
        let mut files = memory.files();
        let file = files.get_mut(&Name::Segment(0)).expect("a segment");
        let len = file.len() - BATCH_HEADER_LEN;
        file.truncate(len);
        len as u64
    };
    let hole = Hole {
        from: end,
        to: SEGMENT,
        damage: Damage::Short,
    };
    assert_eq!(scan(memory).holes, [hole]);
}

#[test]
fn a_damaged_segment_header_costs_no_batch() {
    for at in [0, 9, 13, 20, 30] {
        let (memory, _) = three_segments();
        let whole = scan(memory.copy());
        flip(&memory, SEGMENT + at);
        let found = scan(memory);
        assert_eq!(found.sequences, whole.sequences);
        let range = found.holes.iter().map(|it| (it.from, it.to));
        assert_eq!(range.collect::<Vec<_>>(), [(SEGMENT, SEGMENT + 64)], "{at}");
    }
}

#[test]
fn garbage_at_the_end_is_measured_and_a_former_life_is_not() {
    let (memory, places) = three_segments();
    let end = *places.last().expect("an end");
    let former = memory.files()[&Name::Segment(1)].clone();
    let torn_len = |tail: &[u8]| {
        let memory = memory.copy();
        let mut files = memory.files();
        let file = files.get_mut(&Name::Segment(2)).expect("a segment");
        file.truncate((end % SEGMENT) as usize);
        file.extend_from_slice(tail);
        drop(files);
        let found = scan(memory);
        assert_eq!(found.holes, []);
        found.tail.expect("an end").torn_len
    };
    assert_eq!(torn_len(&[0; 500]), 0);
    let mut garbage = [0; 500];
    garbage[99] = 7;
    assert_eq!(torn_len(&garbage), 100);
    assert_eq!(torn_len(&former[(end % SEGMENT) as usize..]), 0);
}

#[test]
fn segments_say_how_long_they_are() {
    let (memory, _) = three_segments();
    assert_eq!(segment_len(&memory).expect("readable"), Some(SEGMENT));
    flip(&memory, 26);
    assert_eq!(segment_len(&memory).expect("readable"), Some(SEGMENT));
    assert_eq!(segment_len(&Memory::default()).expect("readable"), None);
}

#[test]
fn where_no_header_is_whole_the_longest_segment_says_how_long_they_are() {
    let (memory, _) = three_segments();
    for number in 0..3 {
        memory
            .files()
            .get_mut(&Name::Segment(number))
            .expect("a segment")[8] ^= 0x10;
    }
    memory
        .files()
        .get_mut(&Name::Segment(1))
        .expect("a segment")
        .resize(SEGMENT as usize, 0);
    assert_eq!(segment_len(&memory).expect("readable"), Some(SEGMENT));
    memory.files().values_mut().for_each(Vec::clear);
    assert_eq!(segment_len(&memory).expect("readable"), None);
}

/// A journal that is written while it is read: after so many reads it is as it is later.
#[derive(Clone)]
struct Growing {
    now: Memory,
    later: Memory,
    reads_left: Arc<AtomicUsize>,
}

impl Growing {
    fn turn(&self) {
        let left = self.reads_left.load(Ordering::Relaxed);
        if left == 0 {
            self.now.files().clone_from(&self.later.files());
        }
        self.reads_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
    }
}

impl Storage for Growing {
    type Segment = Name;

    fn list(&self) -> io::Result<Vec<Name>> {
        self.turn();
        self.now.list()
    }

    fn open(&self, name: Name) -> io::Result<Name> {
        self.turn();
        self.now.open(name)
    }

    fn read_at(&self, name: &Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.turn();
        match self.now.read_at(name, offset, into) {
            // Who has it open reads on: its file is another segment by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.now.read_at(&Name::Segment(2), offset, into)
            }
            read => read,
        }
    }

    fn create(&mut self, _: Name) -> io::Result<Name> {
        unreachable!("a scan writes nothing")
    }

    fn resume(&mut self, _: Name) -> io::Result<Name> {
        unreachable!("a scan writes nothing")
    }

    fn rename(&mut self, _: Name, _: Name) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }

    fn remove(&mut self, _: Name) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }

    fn sync_names(&self) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }

    fn len(&self, name: &Name) -> io::Result<u64> {
        self.now.len(name)
    }

    fn truncate(&self, _: &Name, _: u64) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }

    fn write_at(&self, _: &Name, _: u64, _: &[IoSlice<'_>]) -> io::Result<usize> {
        unreachable!("a scan writes nothing")
    }

    fn sync(&self, _: &Name) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
}

#[test]
fn a_journal_that_is_being_written_is_not_damaged() {
    let (later, places) = three_segments();
    // Cut within a batch of the second segment, and within its end mark.
    let within = places.iter().rfind(|it| **it < 2 * SEGMENT).expect("one") + 60;
    let closing = SEGMENT + later.files()[&Name::Segment(1)].len() as u64 - 20;
    for cut in [within, closing] {
        for reads in 0..60 {
            let now = later.copy();
            {
                let mut files = now.files();
                files.remove(&Name::Segment(2));
                let file = files.get_mut(&Name::Segment(1)).expect("a segment");
                file.truncate((cut % SEGMENT) as usize);
            }
            let growing = Growing {
                now,
                later: later.clone(),
                reads_left: Arc::new(AtomicUsize::new(reads)),
            };
            let found = scan(growing);
            assert_eq!(found.holes, [], "cut at {cut}, grown after {reads} reads");
        }
    }
}

/// The journal with segments 0 and 1 carried forward: every fifth message of them is needed.
fn carried() -> (Memory, Vec<u64>) {
    let (memory, _) = three_segments();
    let mut whole = Vec::new();
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let mut storage = memory.clone();
    let header = CompactedHeader {
        segments: 0..2,
        segment_len: SEGMENT,
        sequences: 1..1_000,
        end_ms: 1,
    };
    let mut compacted =
        CompactedWriter::create(&mut storage, header, false).expect("memory has room");
    while let Some(batch) = reader.next(Position::MAX).expect("whole") {
        let is_carried = batch.position() < 2 * SEGMENT;
        for record in batch
            .records()
            .filter(|it| !is_carried || it.sequence % 5 == 0)
        {
            whole.push(record.sequence);
            if is_carried {
                compacted
                    .message(&storage, &record, 1, u64::MAX)
                    .expect("memory has room");
            }
        }
    }
    compacted.finish(&mut storage).expect("memory has room");
    (memory, whole)
}

#[test]
fn kept_files_stand_for_segments_and_free_ones_for_nothing() {
    let (memory, expected) = carried();
    let both = scan(memory.copy());
    assert_eq!(
        (both.compacted.first(), both.compacted.len()),
        (Some(&(0..2)), 1)
    );
    assert_eq!(both.segments, [2]);
    assert_eq!(both.sequences, expected);
    let mut storage = memory.clone();
    memory.files().remove(&Name::Segment(1));
    let freed = storage.rename(Name::Segment(0), Name::Free(0));
    freed.expect("it is there");
    memory.files().insert(Name::Unfinished(0, 3), vec![7; 100]);
    let found = scan(memory);
    assert_eq!((found.sequences, found.holes), (expected, vec![]));
    assert_eq!(
        (found.compacted.first(), found.segments),
        (Some(&(0..2)), vec![2])
    );
}

#[test]
fn a_damaged_kept_file_costs_the_batch_that_is_damaged() {
    let (memory, expected) = carried();
    let name = Name::Compacted(0, 2);
    let len = memory.files()[&name].len();
    for at in 0..len {
        let damaged = memory.copy();
        damaged.files().get_mut(&name).expect("there")[at] ^= 1;
        let found = scan(damaged);
        assert_eq!(found.compacted_holes.len(), 1, "{at}");
        let hole = found.compacted_holes[0];
        assert!((hole.offset..hole.offset + hole.len).contains(&(at as u64)));
        let is_in_batch = (64..len - BATCH_HEADER_LEN).contains(&at);
        assert_eq!(found.sequences == expected, !is_in_batch, "{at}");
        assert_eq!((found.segments, found.holes), (vec![2], vec![]), "{at}");
    }
    for cut in 0..len {
        let short = memory.copy();
        short.files().get_mut(&name).expect("there").truncate(cut);
        let found = scan(short);
        assert!(!found.compacted_holes.is_empty(), "{cut}");
        assert_eq!(found.segments, [2], "{cut}");
    }
}

#[test]
fn segments_that_go_while_they_are_read_are_no_damage() {
    let (all, _) = three_segments();
    let (carried, _) = carried();
    let free = |memory: &Memory| {
        let mut files = memory.files();
        files.remove(&Name::Segment(1));
        let former = files.remove(&Name::Segment(0)).expect("there");
        files.insert(Name::Free(0), former);
    };
    free(&carried);
    let later = all.copy();
    free(&later);
    for later in [carried, later] {
        for reads in 0..80 {
            let growing = Growing {
                now: all.copy(),
                later: later.copy(),
                reads_left: Arc::new(AtomicUsize::new(reads)),
            };
            let found = scan(growing);
            assert_eq!(
                (found.holes, found.compacted_holes),
                (vec![], vec![]),
                "{reads}"
            );
            let mut sequences = found.sequences.clone();
            sequences.dedup();
            assert_eq!(sequences, found.sequences, "no message comes twice");
        }
    }
}
