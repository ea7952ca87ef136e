//! Recovery of journals in memory, by subject.

mod compacted;
mod ends;
mod ids;
mod segments;

use std::time::Duration;

use super::*;
use crate::journal::compacted::CompactedHeader;
use crate::journal::retention::compaction::{Compaction, Step};
use crate::journal::retention::needed::Needed;
use crate::journal::retention::needed::Word;
use crate::journal::retention::window::{Remembered, Window};
use crate::journal::testing::{Memory, TIME_US, TestWriter};

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

/// Remembers the last so many of 72 messages.
fn last(messages: usize) -> Remembered {
    Remembered {
        window: Window::new(messages, Duration::from_secs(3_600)),
        next_sequence: 73,
        now_ms: TIME_US / 1_000,
    }
}
