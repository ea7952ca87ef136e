//! Fuzzing of the journal's readers: a journal is written, damaged, and read in every way.
//!
//! ```text
//! input   | steps that write ... 0 | steps that damage ... |
//! ```
//! A step is a byte and what it needs. Where a step makes batches with a right CRC and wrong contents
//! (which damage does not), nothing may panic, or read without end; else what is whole is read back.

mod damage;
mod script;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{Batch, JournalRecord};
use super::error::JournalError;
use super::format::{Position, Settlement};
use super::reader::Reader;
use super::reader::scan::{Finding, Scan};
use super::recovery::{Recovered, Sink, recover};
use super::repair::{plan, rebuild};
use super::storage::Name;
use super::testing::{Memory, TIME_US};
use crate::message::CompactId;
use script::Script;
use write::Written;

const SEGMENT: u64 = 4_096;
/// More findings than so many for each file, and for each of so many bytes, are too many.
const FINDINGS_PER_FILE: usize = 8;
const FINDING_LEN: usize = 12;

/// Each entry with where it stands: messages by record, settlements by batch.
type Entries = Vec<(Position, u64)>;

/// Writes, damages, reads, recovers and repairs a journal.
pub fn journal(input: &[u8]) {
    let mut script = Script::new(input);
    let mut written = write::journal(&mut script);
    let pristine = written.memory.files().clone();
    damage::apply(&mut script, &mut written);
    read(&written.memory);
    let scanned = scan(&written.memory);
    recover_twice(&written, &scanned);
    repair(&written, &scanned);
    if !written.is_wild {
        is_intact(&written, &pristine, &scanned);
    }
}

fn steps_max(memory: &Memory) -> usize {
    let files = memory.files();
    let bytes: usize = files.values().map(Vec::len).sum();
    FINDINGS_PER_FILE * (files.len() + 1) + bytes / FINDING_LEN
}

fn note(batch: &Batch<'_>, entries: &mut Entries) {
    let records = batch.records().map(|it| {
        let _ = (it.message_id().value(), it.payload());
        (it.position, it.sequence)
    });
    entries.extend(records);
    let settlements = batch.settlements();
    entries.extend(settlements.map(|it| (batch.position(), it.sequence)));
}

/// Reads as the store does, from the beginning and from the middle.
fn read(memory: &Memory) {
    for from in [0, SEGMENT + 64] {
        let mut reader = Reader::new(memory.clone(), SEGMENT, from);
        let (mut entries, mut steps_max) = (Vec::new(), steps_max(memory));
        while let Ok(Some(batch)) = reader.next(Position::MAX) {
            note(&batch, &mut entries);
            steps_max = steps_max.checked_sub(1).expect("reading comes to an end");
        }
        let _ = reader.tail();
    }
}

/// What is left, as the `journal` commands find it.
fn scan(memory: &Memory) -> Result<Entries, JournalError> {
    let mut scan = Scan::new(memory.clone(), SEGMENT);
    let (mut entries, mut steps_max) = (Vec::new(), steps_max(memory));
    while let Some(found) = scan.advance()? {
        if let Finding::Batch(batch) = found {
            note(&batch, &mut entries);
        }
        steps_max = steps_max.checked_sub(1).expect("a scan comes to an end");
    }
    Ok(entries)
}

/// What recovery told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    messages: Vec<(Position, u64, Vec<u8>)>,
    settled: Vec<u64>,
}

impl Sink for Told {
    fn message(&mut self, record: &JournalRecord<'_>, _recorded_us: u64) {
        let message = (record.position, record.sequence, record.frame().to_vec());
        self.messages.push(message);
    }

    fn id(&mut self, _: &CompactId<'_>, _recorded_us: u64) {}

    fn settled(&mut self, settlement: &Settlement) {
        self.settled.push(settlement.sequence);
    }
}

fn recovered(memory: &Memory) -> Result<(Recovered, Told), JournalError> {
    let mut told = Told::default();
    let recovered = recover(&mut memory.clone(), SEGMENT, TIME_US, &mut told)?;
    Ok((recovered, told))
}

/// What is recovered was written, is all that can be read, and is recovered again.
fn recover_twice(written: &Written, scanned: &Result<Entries, JournalError>) {
    let memory = written.memory.copy();
    let Ok((first, told)) = recovered(&memory) else {
        return;
    };
    assert!(first.origin.position.is_multiple_of(SEGMENT));
    if !memory
        .files()
        .keys()
        .any(|name| matches!(name, Name::Segment(_) | Name::Compacted(..)))
    {
        // The last segment was alone and held nothing: nothing says where it stood any more, for a free file
        // may be of any time.
        return;
    }
    let (second, again) = recovered(&memory).expect("what was recovered is whole");
    assert_eq!(told, again);
    assert_eq!(first.origin, second.origin);
    if written.is_wild {
        return;
    }
    for (position, sequence, frame) in &told.messages {
        assert_eq!(written.frames.get(sequence), Some(frame), "at {position}");
    }
    let messages = told.messages.iter().map(|it| it.1);
    let entries: BTreeSet<u64> = messages.chain(told.settled.iter().copied()).collect();
    let scanned = scanned.as_ref().expect("what is recovered can be read");
    assert!(scanned.iter().all(|it| entries.contains(&it.1)));
}

/// A repair keeps all that can be read, and nothing is left to repair.
fn repair(written: &Written, scanned: &Result<Entries, JournalError>) {
    let memory = written.memory.copy();
    let Ok(planned) = plan(Scan::new(memory.clone(), SEGMENT), SEGMENT) else {
        return;
    };
    let mut target = Memory::default();
    let rebuilt = rebuild(
        Scan::new(memory.clone(), SEGMENT),
        SEGMENT,
        &planned,
        &mut target,
        TIME_US,
    );
    if written.is_wild {
        return;
    }
    rebuilt.expect("memory has room");
    memory.files().extend(target.files().clone());
    let again = plan(Scan::new(memory.clone(), SEGMENT), SEGMENT).expect("it was read before");
    assert!(again.is_empty(), "{again:?}");
    let after = scan(&memory).expect("it was read before");
    assert_eq!(&after, scanned.as_ref().expect("it was read before"));
    recovered(&memory).expect("what was repaired is whole");
}

/// Each batch that is as it was written is found, wherever damage stands beside it.
fn is_intact(
    written: &Written,
    pristine: &BTreeMap<Name, Vec<u8>>,
    scanned: &Result<Entries, JournalError>,
) {
    let Ok(scanned) = scanned else { return };
    let scanned: BTreeSet<_> = scanned.iter().copied().collect();
    let files = written.memory.files();
    let batch = |files: &BTreeMap<Name, Vec<u8>>, at: Position, len: usize| {
        let offset = (at % SEGMENT) as usize;
        let file = files.get(&Name::Segment(at / SEGMENT))?;
        Some(file.get(offset..offset + len)?.to_vec())
    };
    for (at, len, entries) in &written.batches {
        let was = batch(pristine, *at, *len);
        if was.is_some() && was == batch(&files, *at, *len) {
            assert!(entries.iter().all(|it| scanned.contains(it)), "at {at}");
        }
    }
}
