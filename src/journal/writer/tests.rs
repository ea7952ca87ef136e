//! The journal agent on a disk whose room runs out in the middle of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use super::JournalAgent;
use super::testing::{Ends, parts};
use crate::agent::Agent as _;
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::format::{BATCH_HEADER_LEN, SEGMENT_HEADER_LEN, Settlement};
use crate::journal::protocol::{ToJournal, ToRetention};
use crate::journal::storage::{Name, Storage};
use crate::journal::testing::Memory;
use crate::limits::BATCH_LEN_MAX;
use crate::message::layout::RECORD_HEADER_LEN;

/// What the disk gives room in.
const BLOCK_LEN: u64 = 512;
/// The free file that is the reserve.
const RESERVE: u64 = 7;

/// Files on a disk of few blocks, which are written over in place; clones share them.
#[derive(Debug, Clone, Default)]
struct Tight {
    memory: Memory,
    disk: Arc<Mutex<Blocks>>,
}

#[derive(Debug, Default)]
struct Blocks {
    left: usize,
    of_files: BTreeMap<u64, BTreeSet<u64>>,
    /// Which file has which name.
    names: BTreeMap<Name, u64>,
    /// The next write to this file fails.
    fails: Option<u64>,
}

impl Tight {
    fn disk(&self) -> MutexGuard<'_, Blocks> {
        self.disk.lock().expect("no panic while it is held")
    }

    fn name_of(&self, file: u64) -> Name {
        let disk = self.disk();
        let found = disk.names.iter().find(|(_, it)| **it == file);
        *found.expect("no test removes an open file").0
    }
}

impl Storage for Tight {
    type Segment = u64;

    fn list(&self) -> io::Result<Vec<Name>> {
        self.memory.list()
    }

    fn create(&mut self, name: Name) -> io::Result<u64> {
        let mut disk = self.disk();
        if disk.left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.clone().create(name)?;
        let file = disk.of_files.len() as u64;
        disk.of_files.insert(file, BTreeSet::new());
        disk.names.insert(name, file);
        Ok(file)
    }

    fn open(&self, name: Name) -> io::Result<u64> {
        let found = self.disk().names.get(&name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn resume(&mut self, name: Name) -> io::Result<u64> {
        self.open(name)
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        self.memory.rename(from, to)?;
        let mut disk = self.disk();
        let file = disk.names.remove(&from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to, file);
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        self.disk().names.remove(&name);
        self.memory.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self, file: &u64) -> io::Result<u64> {
        self.memory.len(&self.name_of(*file))
    }

    fn truncate(&self, file: &u64, len: u64) -> io::Result<()> {
        self.memory.truncate(&self.name_of(*file), len)
    }

    fn write_at(&self, file: &u64, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes: Vec<u8> = pieces.iter().flat_map(|it| it.to_vec()).collect();
        let mut disk = self.disk();
        if disk.fails == Some(*file) {
            disk.fails = None;
            return Err(io::Error::other("input/output error"));
        }
        for block in offset / BLOCK_LEN..(offset + bytes.len() as u64).div_ceil(BLOCK_LEN) {
            let blocks = disk.of_files.get_mut(file).expect("it was created");
            if !blocks.insert(block) {
                continue;
            }
            match disk.left.checked_sub(1) {
                Some(left) => disk.left = left,
                None => {
                    let blocks = disk.of_files.get_mut(file).expect("it was created");
                    blocks.remove(&block);
                    bytes.truncate((block * BLOCK_LEN).saturating_sub(offset) as usize);
                    break;
                }
            }
        }
        drop(disk);
        if bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let name = self.name_of(*file);
        self.memory.write_at(&name, offset, &[IoSlice::new(&bytes)])
    }

    fn read_at(&self, file: &u64, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.memory.read_at(&self.name_of(*file), offset, into)
    }

    fn sync(&self, _: &u64) -> io::Result<()> {
        Ok(())
    }
}

/// Does the agent's work, with time enough for each retry; returns what retention was told.
fn run(agent: &mut JournalAgent<Tight>, ends: &mut Ends) -> Vec<ToRetention> {
    let mut told = Vec::new();
    for turn in 0..50 {
        let now = Now {
            ns: turn * 10_000_000,
            steady_us: 1,
            epoch_us: 1,
        };
        agent.do_work(now).expect("a full disk is no reason to end");
        while ends.from_journal.poll().is_some() {}
        while let Some(event) = ends.to_retention.poll() {
            told.push(event);
        }
    }
    told
}

/// A disk with so many blocks left besides a reserve of zeros.
fn tight(blocks: usize) -> Tight {
    let mut disk = Tight::default();
    disk.disk().left = 1_000;
    let reserve = disk.create(Name::Free(RESERVE)).expect("there is room");
    let zeros = vec![0; 64 * BLOCK_LEN as usize];
    let written = disk.write_at(&reserve, 0, &[IoSlice::new(&zeros)]);
    assert_eq!(written.expect("there is room"), zeros.len());
    disk.disk().left = blocks;
    disk
}

#[test]
fn where_only_the_messages_of_a_batch_find_room_its_settlements_go_to_the_reserve() {
    // Messages end with a block; their settlements need two more, of which the last one is there.
    let settlements = 60;
    let behind_header = SEGMENT_HEADER_LEN + BATCH_HEADER_LEN;
    let record_len = 4 * BLOCK_LEN as usize - behind_header;
    for blocks in 4..8 {
        let disk = tight(blocks);
        let (parts, mut ends) = parts(disk, BATCH_LEN_MAX as u64, Some(RESERVE), 101);
        let mut agent = JournalAgent::new(parts);
        let frame = vec![b'x'; record_len - RECORD_HEADER_LEN - 1];
        let lease = ends.lease_frame(&frame);
        assert_eq!(lease.byte_len(), record_len);
        let mut permit = (ends.to_journal.claim(1 + settlements)).expect("an empty ring");
        permit.send(ToJournal::Run {
            lease,
            first_sequence: 101,
            entries: 1,
        });
        for sequence in 1..=settlements as u64 {
            permit.send(ToJournal::Settled(Settlement {
                sequence,
                settled_us: 0,
            }));
        }
        ends.to_journal.flush();
        run(&mut agent, &mut ends);
        let settled = ends.counters.get(Counter::JournalSettled);
        assert_eq!(settled, settlements as u64, "{blocks} blocks");
        assert_eq!(
            ends.counters.get(Counter::JournalStuck),
            0,
            "{blocks} blocks"
        );
    }
}

#[test]
fn messages_wait_until_room_for_a_compaction_is_set_aside_and_settlements_do_not() {
    let (parts, mut ends) = parts(tight(100), BATCH_LEN_MAX as u64, Some(RESERVE), 101);
    let mut agent = JournalAgent::new(parts);
    ends.may_compact.store(false, Ordering::Relaxed);
    let lease = ends.lease_frame(b"{}");
    let mut permit = ends.to_journal.claim(2).expect("an empty ring");
    permit.send(ToJournal::Run {
        lease,
        first_sequence: 101,
        entries: 1,
    });
    permit.send(ToJournal::Settled(Settlement {
        sequence: 1,
        settled_us: 0,
    }));
    ends.to_journal.flush();
    run(&mut agent, &mut ends);
    let of = |ends: &Ends, counter| ends.counters.get(counter);
    assert_eq!(of(&ends, Counter::JournalSettled), 1);
    assert_eq!(of(&ends, Counter::JournalRecorded), 100);
    assert_eq!(of(&ends, Counter::JournalWaiting), 1);
    ends.may_compact.store(true, Ordering::Relaxed);
    run(&mut agent, &mut ends);
    assert_eq!(of(&ends, Counter::JournalRecorded), 101);
    assert_eq!(of(&ends, Counter::JournalWaiting), 0);
}

#[test]
fn a_reserve_that_could_not_be_written_is_told_and_another_one_lets_messages_go_on() {
    let disk = tight(2);
    let mut shared = disk.clone();
    disk.disk().fails = Some(shared.open(Name::Free(RESERVE)).expect("it is there"));
    let (parts, mut ends) = parts(disk, BATCH_LEN_MAX as u64, Some(RESERVE), 101);
    let mut agent = JournalAgent::new(parts);
    let frames = [vec![b'x'; 100], vec![b'x'; 2 * BLOCK_LEN as usize]];
    let mut recorded = Vec::new();
    let mut told = Vec::new();
    for (sequence, frame) in (101..).zip(frames) {
        let lease = ends.lease_frame(&frame);
        let mut permit = ends.to_journal.claim(1).expect("an empty ring");
        permit.send(ToJournal::Run {
            lease,
            first_sequence: sequence,
            entries: 1,
        });
        ends.to_journal.flush();
        told.extend(run(&mut agent, &mut ends));
        recorded.push(ends.counters.get(Counter::JournalRecorded));
    }
    assert_eq!(recorded, [101, 101], "there is no room, and no reserve");
    assert_eq!(shared.open(Name::Free(RESERVE)).ok(), None);
    assert!(
        matches!(told[..], [ToRetention::Started(_), ToRetention::Lost(1)]),
        "{told:?}"
    );
    shared.disk().left = 100;
    shared.create(Name::Free(RESERVE)).expect("there is room");
    let mut permit = ends.free_files.claim(1).expect("an empty ring");
    permit.send(RESERVE);
    ends.free_files.flush();
    run(&mut agent, &mut ends);
    assert_eq!(ends.counters.get(Counter::JournalRecorded), 102);
    assert_eq!(ends.counters.get(Counter::JournalWaiting), 0);
}
