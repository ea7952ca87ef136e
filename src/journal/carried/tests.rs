//! A group's journal with carried records: gathered, sealed, written as records are, and read back.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cluster::record::{Before, Kind, PLACE_LEN, Place, encode, position_of};
use crate::cluster::run::files::RecordFiles;
use crate::cluster::run::link::{Buffers, Filled};
use crate::cluster::testing::{SEGMENT, place};
use crate::journal::format::{
    BATCH_HEADER_LEN, Position, SEGMENT_HEADER_LEN, SETTLEMENT_LEN, Settlement,
};
use crate::journal::reader::Reader;
use crate::journal::reader::scan::Scan;
use crate::journal::recovery::read_through;
use crate::journal::repair::{plan, rebuild};
use crate::journal::retention::needed::Needed;
use crate::journal::retention::needed::Word;
use crate::journal::storage::{Name, Storage};
use crate::journal::testing::{Memory, TestMessage};
use crate::limits::{BATCH_LEN_MAX, QUERY_WORDS};
use crate::message::{Directory, Record, Sequence};
use crate::scheduler::dedup::DedupWindow;
use crate::scheduler::queue::cold::Kind as Lane;
use crate::scheduler::recovered::{RecoveredState, RecoveredStateBuilder};

/// A journal as the active of a group writes it.
struct Journal {
    memory: Memory,
    files: RecordFiles<Memory>,
    before: Before,
    next: Sequence,
}

impl Journal {
    fn new() -> Self {
        let memory = Memory::default();
        Self {
            files: RecordFiles::open(memory.clone(), SEGMENT).expect("empty").0,
            memory,
            before: Before::default(),
            next: 1,
        }
    }

    fn record(&mut self, kind: Kind, messages: Vec<u8>, entries: u32, settled: &[u8]) -> Position {
        let filled = Filled {
            kind,
            buffers: Buffers {
                messages,
                settlements: settled.to_vec(),
            },
            first_sequence: self.next,
            entries,
            steady_us: 1_000 * self.next,
            epoch_us: 5,
        };
        let position = position_of(self.files.end(), PLACE_LEN + filled.len(), SEGMENT);
        self.next = filled.next_sequence();
        let place = Place {
            sequence: self.before.sequence + 1,
            before: self.before,
            position,
            next_message: self.next,
            time_us: filled.steady_us,
            ..place(kind)
        };
        let bytes = encode(&place, None, &filled.seal(position)).expect("its parts fit");
        self.files.write(&place, &bytes).expect("memory");
        self.before = place.as_before();
        position
    }

    /// So many messages of a kilobyte, one a record.
    fn accept(&mut self, count: u64) {
        for sequence in self.next..self.next + count {
            let message = TestMessage {
                payload: Some(format!("\"{}\"", "x".repeat(1_000))),
                ..TestMessage::new(sequence)
            };
            self.record(Kind::Batches, message.record(), 1, &[]);
        }
    }

    fn settle(&mut self, sequence: Sequence) {
        let mut bytes = [0; SETTLEMENT_LEN];
        let settled_us = 5;
        Settlement {
            sequence,
            settled_us,
        }
        .encode(5, &mut bytes);
        self.record(Kind::Batches, Vec::new(), 0, &bytes);
    }

    /// The segment that is filled.
    fn open(&self) -> u64 {
        self.files.end() / SEGMENT
    }

    fn bodies(&self, (from, to): (u64, u64), stays: &[Sequence], len_max: usize) -> Vec<Body> {
        let reader = Reader::new(self.memory.clone(), SEGMENT, from * SEGMENT);
        let mut collecting = Collecting::new(reader, to * SEGMENT, needed(stays), len_max);
        let mut bodies = Vec::new();
        while !collecting.is_done() {
            if collecting.wants_step() {
                collecting.step().expect("it is whole");
            }
            bodies.extend(collecting.take());
        }
        bodies
    }

    /// Carries these messages of the segments before the open one; returns where they stand.
    fn carry(&mut self, from: u64, needed: &[Sequence]) -> Vec<(Sequence, Position)> {
        let bodies = self.bodies((from, self.open()), needed, BATCH_LEN_MAX);
        let mut places = Vec::new();
        for body in bodies {
            let position = self.record(Kind::Carried, body.seal(), 0, &[]);
            places.extend(body.places(position));
        }
        places
    }

    fn drop_below(&mut self, low: u64) {
        self.files.drop_below(low).expect("memory");
    }

    /// Sequence, position and frame of each message in place, and of each carried one: where it stands, too.
    #[expect(clippy::type_complexity, reason = "a test's")]
    fn read(
        &self,
    ) -> (
        Vec<(Sequence, Position, Vec<u8>)>,
        Vec<(Sequence, Position, Vec<u8>, Position)>,
    ) {
        let mut reader = Reader::new(self.memory.clone(), SEGMENT, 0);
        let (mut plain, mut carried) = (Vec::new(), Vec::new());
        while let Some(batch) = reader.next(self.files.end()).expect("it is whole") {
            let own = batch.records();
            plain.extend(own.map(|it| (it.sequence, it.position, it.frame().to_vec())));
            carried.extend(batch.carried().map(|it| {
                let record = it.record;
                (
                    record.sequence,
                    record.position,
                    record.frame().to_vec(),
                    it.stands_at,
                )
            }));
        }
        assert_eq!(reader.position(), self.files.end());
        (plain, carried)
    }

    fn recover(&self, low: u64) -> (RecoveredState, CarriedRecords) {
        let names = || Directory::new([], true, 100);
        let dedup = DedupWindow::new(1_000, Duration::from_secs(600), [7; 8]);
        let mut builder = RecoveredStateBuilder::new(dedup, names(), names(), 3);
        let part = (low, self.files.end());
        let recovered = read_through(&mut self.memory.clone(), SEGMENT, part, &mut builder);
        (builder.finish(), recovered.expect("it is whole").carried)
    }
}

fn words(sequences: &[Sequence]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for sequence in BTreeSet::from_iter(sequences) {
        let (number, bit) = (sequence / 64, 1 << (sequence % 64));
        match words.last_mut().filter(|it| it.number == number) {
            Some(word) => word.bits |= bit,
            None => words.push(Word { number, bits: bit }),
        }
    }
    words
}

fn needed(sequences: &[Sequence]) -> Needed {
    let mut needed = Needed::default();
    needed.extend(&words(sequences));
    needed
}

/// What waits, lane by lane, and where it is read from.
fn waiting(mut state: RecoveredState) -> Vec<(Sequence, Position)> {
    let mut all = Vec::new();
    for cell in 0..30 {
        let lane = std::iter::from_fn(|| state.waiting.pop(cell, Lane::Native));
        let lane: Vec<_> = lane.map(|it| (it.sequence, it.position)).collect();
        assert!(lane.is_sorted(), "in the order of the sequences: {lane:?}");
        all.extend(lane);
    }
    all.sort_unstable();
    all
}

#[test]
fn a_message_is_the_same_where_it_came_and_where_it_is_carried_to() {
    let mut journal = Journal::new();
    journal.accept(200);
    let places = journal.carry(0, &[2, 5, 70]);
    journal.accept(3);
    let (plain, carried) = journal.read();
    assert_eq!(plain.len(), 203);
    assert_eq!(carried.len(), 3);
    for ((sequence, position, frame, stands_at), place) in carried.into_iter().zip(places) {
        assert_eq!((sequence, stands_at), place);
        assert!(plain.contains(&(sequence, position, frame.clone())));
        // As replay reads it.
        let mut bytes = vec![0; 2_000];
        let file = journal
            .memory
            .open(Name::Segment(stands_at / SEGMENT))
            .expect("it is there");
        let offset = stands_at % SEGMENT;
        let len = crate::journal::storage::read_full(&journal.memory, &file, offset, &mut bytes);
        let (record, _) = Record::split_first(&bytes[..len.expect("memory")]).expect("a record");
        assert_eq!(record.frame(), frame);
        assert_eq!(record.sequence_from(sequence), sequence);
    }
}

#[test]
fn whoever_begins_behind_carried_records_has_what_waits_and_nothing_else() {
    let mut journal = Journal::new();
    journal.accept(200);
    let low = journal.open();
    let places = journal.carry(0, &[2, 5, 9, 70]);
    journal.settle(5);
    journal.accept(4);
    journal.settle(202);
    let first_behind = journal
        .read()
        .0
        .iter()
        .find(|it| it.1 >= low * SEGMENT)
        .expect("one")
        .0;
    let all = waiting(journal.recover(0).0);
    assert_eq!(
        (all[0].0, all.len()),
        (1, 202),
        "with all segments nothing is missing"
    );
    for round in 0..2 {
        let (state, records) = journal.recover(low);
        assert_eq!((records.entries, records.end > places[3].1), (4, true));
        let found = waiting(state);
        assert_eq!(
            found[..3],
            [places[0], places[2], places[3]],
            "5 is settled"
        );
        let rest: Vec<_> = found[3..].iter().map(|it| it.0).collect();
        let expected: Vec<_> = (first_behind..=204).filter(|it| *it != 202).collect();
        assert_eq!(rest, expected, "round {round}");
        journal.drop_below(low);
    }
}

#[test]
fn half_a_set_counts_for_nothing() {
    let mut journal = Journal::new();
    journal.accept(150);
    // Its active is lost before the rest is carried.
    let half = journal.carry(0, &[2, 5]);
    let in_place = |it: &Journal| {
        waiting(it.recover(0).0)
            .into_iter()
            .map(|it| it.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(in_place(&journal), (1..=150).collect::<Vec<_>>());
    journal.settle(2);
    journal.accept(60);
    let low = journal.open();
    let whole = journal.carry(0, &[5, 7, 120]);
    assert_eq!(whole.iter().map(|it| it.0).collect::<Vec<_>>(), [5, 7, 120]);
    assert!(half[1].1 < whole[0].1);
    journal.drop_below(low);
    let found = waiting(journal.recover(low).0);
    assert_eq!(found[..3], whole);
}

#[test]
fn what_was_carried_is_carried_again_with_the_place_that_it_had_at_first() {
    let mut journal = Journal::new();
    journal.accept(200);
    let first = journal.read().0[1].clone();
    let low = journal.open();
    journal.carry(0, &[2, 5]);
    journal.drop_below(low);
    journal.accept(150);
    let again = journal.open();
    let places = journal.carry(low, &[2, 210]);
    journal.drop_below(again);
    let (_, carried) = journal.read();
    assert_eq!(carried.iter().map(|it| it.0).collect::<Vec<_>>(), [2, 210]);
    let (sequence, position, frame, stands_at) = carried[0].clone();
    assert_eq!((sequence, position, frame), first);
    assert_eq!(stands_at, places[0].1);
}

#[test]
fn whoever_reads_a_journal_from_its_beginning_meets_each_message_once() {
    let mut journal = Journal::new();
    journal.accept(200);
    journal.carry(0, &[2, 5]);
    journal.accept(100);
    let low = journal.open();
    journal.carry(0, &[2, 5, 150]);
    let older = |it: &Journal| {
        let (mut older, mut found) = (Older::default(), Vec::new());
        let mut reader = Reader::new(it.memory.clone(), SEGMENT, 0);
        while let Some(batch) = reader.next(it.files.end()).expect("it is whole") {
            found.extend(older.of(&batch).iter().map(|it| it.sequence));
        }
        found
    };
    assert_eq!(older(&journal), [0; 0], "all are there");
    journal.drop_below(2);
    assert_eq!(older(&journal), [2, 5]);
    journal.drop_below(low);
    assert_eq!(older(&journal), [2, 5, 150]);
}

#[test]
fn a_carried_record_that_is_damaged_is_none() {
    let mut journal = Journal::new();
    journal.accept(100);
    let places = journal.carry(0, &[2, 5]);
    let end = journal.files.end();
    let (number, offset) = (places[0].1 / SEGMENT, places[0].1 % SEGMENT);
    let name = Name::Segment(number);
    journal.memory.files().get_mut(&name).expect("it is there")[offset as usize + 200] ^= 1;
    let mut reader = Reader::new(journal.memory.clone(), SEGMENT, number * SEGMENT);
    let error = loop {
        match reader.next(end) {
            Ok(Some(batch)) => assert_eq!(batch.carried().count(), 0),
            Ok(None) => panic!("the damage was passed over"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("damaged"), "{error}");
    let (files, found) = RecordFiles::open(journal.memory.clone(), SEGMENT).expect("a tail is cut");
    assert!(files.end() < places[0].1 && found.torn_len > 0);
}

#[test]
fn a_repair_leaves_all_that_is_whole_byte_for_byte() {
    let mut journal = Journal::new();
    journal.accept(100);
    let places = journal.carry(0, &[2, 5]);
    journal.settle(2);
    let begin = places[0].1 / SEGMENT * SEGMENT;
    let end = (journal.files.end() - begin) as usize;
    let name = Name::Segment(begin / SEGMENT);
    let whole = journal.memory.files()[&name].clone();
    // The first batch behind the header: the place of a record.
    let damaged = SEGMENT_HEADER_LEN + BATCH_HEADER_LEN + 40;
    journal.memory.files().get_mut(&name).expect("it is there")[damaged] ^= 1;
    let scan = || Scan::new(journal.memory.clone(), SEGMENT);
    let plan = plan(scan(), SEGMENT).expect("memory can be read");
    let mut made = Memory::default();
    rebuild(scan(), SEGMENT, &plan, &mut made, 5).expect("memory has room");
    let made = made.files()[&name].clone();
    let lost = &whole[SEGMENT_HEADER_LEN..];
    let lost = SEGMENT_HEADER_LEN
        + BATCH_HEADER_LEN
        + u32::from_le_bytes(lost[8..12].try_into().expect("four")) as usize;
    assert!(
        lost < (places[0].1 - begin) as usize,
        "another batch is carried"
    );
    assert_eq!(made[lost..end], whole[lost..end]);
}

#[test]
fn a_message_that_fits_into_no_record_of_the_servers_is_told() {
    let mut journal = Journal::new();
    journal.accept(100);
    let reader = Reader::new(journal.memory.clone(), SEGMENT, 0);
    let mut collecting = Collecting::new(reader, SEGMENT, needed(&[3]), 1_000);
    let failed = loop {
        if let Err(error) = collecting.step() {
            break error;
        }
    };
    assert!(
        failed.to_string().contains("raise their max_payload"),
        "{failed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn bodies_have_all_that_is_needed_once_in_records_that_fit(
        stays in prop::collection::btree_set(1..400_u64, 0..200),
        earlier in prop::collection::btree_set(1..150_u64, 0..40),
        len_max in 1_500..20_000_usize,
        settled in prop::collection::btree_set(1..400_u64, 0..100),
    ) {
        let mut journal = Journal::new();
        journal.accept(200);
        journal.carry(0, &earlier.into_iter().collect::<Vec<_>>());
        journal.accept(200);
        journal.accept(60);
        let expected: Vec<_> = stays.into_iter().collect();
        let bodies = journal.bodies((0, journal.open()), &expected, len_max);
        let mut found: Vec<Sequence> = Vec::new();
        for mut body in bodies {
            prop_assert!(body.len() <= len_max);
            let all: Vec<_> = body.places(0).map(|it| it.0).collect();
            prop_assert!(all.is_sorted());
            prop_assert!(all.iter().map(|it| it / 64).collect::<BTreeSet<_>>().len() <= QUERY_WORDS);
            prop_assert_eq!(body.sequences(), all[0]..all[all.len() - 1] + 1);
            found.extend(&all);
            let stays: Vec<_> = all.iter().copied().filter(|it| !settled.contains(it)).collect();
            body.retain(&words(&stays));
            let kept: Vec<_> = body.places(0).map(|it| it.0).collect();
            prop_assert_eq!(kept, stays);
            prop_assert_eq!(body.is_empty(), body.count() == 0);
        }
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}
