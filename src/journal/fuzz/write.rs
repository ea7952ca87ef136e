//! Writes a journal by a script, the plain way.

use std::collections::BTreeMap;

use super::script::Script;
use super::{Entries, SEGMENT, note};
use crate::journal::compacted::{CompactedHeader, CompactedWriter, Entry};
use crate::journal::format::{BatchKind, Position};
use crate::journal::reader::Reader;
use crate::journal::storage::{Name, Storage as _};
use crate::journal::testing::{Memory, TIME_US, TestMessage, TestWriter};
use crate::message::CompactId;

/// Steps that write, at most: some segments.
const STEPS_MAX: usize = 64;

/// A journal, and what is known of it.
pub(super) struct Written {
    pub(super) memory: Memory,
    /// Batches in segments: where, how long, and what they hold.
    pub(super) batches: Vec<(Position, usize, Entries)>,
    /// Messages by sequence.
    pub(super) frames: BTreeMap<u64, Vec<u8>>,
    /// Batches may have a right CRC and wrong contents.
    pub(super) is_wild: bool,
    next: u64,
    writer: TestWriter<Memory>,
}

/// Writes until a step is zero.
pub(super) fn journal(script: &mut Script<'_>) -> Written {
    let memory = Memory::default();
    let mut written = Written {
        writer: TestWriter::new(memory.clone(), SEGMENT),
        memory,
        batches: Vec::new(),
        frames: BTreeMap::new(),
        is_wild: false,
        next: 1,
    };
    for _ in 0..STEPS_MAX {
        match script.byte() % 8 {
            0 => break,
            1 | 2 => written.messages(1 + u64::from(script.byte() % 4)),
            3 => written.settle(u64::from(script.byte() % 8), None),
            4 => written.settle(u64::from(script.byte() % 8), Some(script.byte())),
            5 => written.writer.close(),
            6 => written.carry(),
            _ => written.any_batch(script),
        }
    }
    written.batches = batches(&written.memory);
    written
}

impl Written {
    fn messages(&mut self, count: u64) {
        let sequences = self.next..self.next + count;
        for sequence in sequences.clone() {
            let frame = TestMessage::new(sequence).frame().into_bytes();
            self.frames.insert(sequence, frame);
        }
        self.writer.plain(sequences);
        self.next += count;
    }

    /// Settles the message so far back, in a write of its own or in that of so many batches before.
    fn settle(&mut self, back: u64, behind: Option<u8>) {
        let sequence = self.next.saturating_sub(back + 1).max(1);
        match behind {
            None => self.writer.settle(sequence..sequence + 1),
            Some(behind) => {
                let position = self.writer.position();
                let behind = u64::from(behind).min(position % SEGMENT);
                let write = position - behind;
                self.writer.settle_in_write(write, sequence..sequence + 1)
            }
        };
    }

    /// Closes the segment, and carries all messages so far forward, of some the ids alone.
    fn carry(&mut self) {
        self.writer.close();
        let names = self.memory.list().expect("memory can be read");
        let starts = names.iter().filter_map(|name| match *name {
            Name::Segment(number) | Name::Compacted(number, _) => Some(number),
            _ => None,
        });
        let (first, end) = (starts.min(), self.writer.position() / SEGMENT);
        let Some(first) = first.filter(|it| *it < end) else {
            return;
        };
        let header = CompactedHeader {
            segments: first..end,
            segment_len: SEGMENT,
            sequences: 1..self.next,
            end_ms: TIME_US / 1_000,
        };
        let mut storage = self.memory.clone();
        let compacted = CompactedWriter::create(&mut storage, header, false);
        let mut compacted = compacted.expect("memory takes it");
        let mut reader = Reader::new(self.memory.clone(), SEGMENT, 0);
        while let Ok(Some(batch)) = reader.next(Position::MAX) {
            let (of, settlements) = (*batch.header(), batch.settlements().collect::<Vec<_>>());
            for record in batch.records() {
                let entry = entry(record.position, record.sequence, of.time_us);
                let id = record.message_id().value();
                let carried = if record.sequence.is_multiple_of(4) {
                    compacted.id(&storage, &CompactId::of(id.as_bytes()), &entry)
                } else {
                    compacted.message(&storage, &record, of.time_us, u64::MAX)
                };
                carried.expect("memory takes it");
            }
            for (sequence, id) in batch.ids() {
                let entry = entry(of.position, sequence, of.time_us);
                compacted
                    .id(&storage, &id, &entry)
                    .expect("memory takes it");
            }
            let carried = compacted.settlements(&storage, &of, &settlements);
            carried.expect("memory takes it");
        }
        compacted.finish(&mut storage).expect("memory takes it");
        let name = Name::Compacted(first, end);
        self.memory.files().retain(|it, _| *it == name);
    }

    /// A batch whose header tells anything of a body that is anything.
    fn any_batch(&mut self, script: &mut Script<'_>) {
        let kinds = [
            BatchKind::Messages,
            BatchKind::Settlements,
            BatchKind::Carried,
            BatchKind::Void,
            BatchKind::End,
            BatchKind::Ids,
        ];
        let kind = kinds[usize::from(script.byte()) % kinds.len()];
        let (entries, first) = (script.byte(), u64::from(script.short()));
        let len = usize::from(script.byte());
        let body = script.bytes(len);
        self.writer.batch(kind, usize::from(entries), first, body);
        self.is_wild = true;
    }
}

fn entry(position: Position, sequence: u64, time_us: u64) -> Entry {
    Entry {
        position,
        sequence,
        time_us,
        slack_us: u64::MAX,
    }
}

/// What stands in segments.
fn batches(memory: &Memory) -> Vec<(Position, usize, Entries)> {
    let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
    let mut batches = Vec::new();
    while let Ok(Some(batch)) = reader.next(Position::MAX) {
        if !batch.is_of_compacted_file() {
            let mut entries = Vec::new();
            note(&batch, &mut entries);
            batches.push((batch.position(), batch.len() as usize, entries));
        }
    }
    batches
}
