//! The follower with a clock by hand: batches, retries, restarts, and what ends it.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::journal::format::BatchKind;
use crate::journal::storage::Name;
use crate::journal::testing::{Memory, TestWriter};
use crate::store::sqlite::SqliteStore;
use crate::store::testing::{Fault, Faulty, SEGMENT, reader, settings};

const BATCH_ROWS: usize = 10;
const BATCH_MS: u64 = 100;

/// A journal, a database, and a follower between them.
struct World {
    home: tempfile::TempDir,
    memory: Memory,
    writer: TestWriter<Memory>,
    store: Faulty,
    counters: Arc<Counters>,
    follower: Follower<Memory, Faulty>,
    now: Now,
}

fn open(home: &Path) -> Faulty {
    Faulty::new(SqliteStore::open(&home.join("messages.db"), "here").expect("it opens"))
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let memory = Memory::default();
        let store = open(home.path());
        let counters = Arc::new(Counters::default());
        let settings = settings(BATCH_ROWS, BATCH_MS);
        Self {
            follower: Follower::new(reader(&memory), store.clone(), counters.clone(), &settings),
            writer: TestWriter::new(memory.clone(), SEGMENT),
            home,
            memory,
            store,
            counters,
            now: Now::default(),
        }
    }

    /// What was gathered is lost, as in a crash; the database and the journal are there again.
    fn restart(&mut self) {
        self.store = open(self.home.path());
        let settings = settings(BATCH_ROWS, BATCH_MS);
        let reader = reader(&self.memory);
        self.follower = Follower::new(reader, self.store.clone(), self.counters.clone(), &settings);
    }

    fn try_step(&mut self) -> Result<usize, FollowError> {
        self.follower.step(self.writer.position(), self.now)
    }

    fn step(&mut self) -> usize {
        self.try_step().expect("nothing is wrong for good")
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.after(Duration::from_millis(ms));
    }

    fn catch_up(&mut self) {
        self.follower.stop_batching();
        while !self.follower.is_through(self.writer.position()) {
            self.step();
            self.wait(1_000);
        }
    }

    fn totals(&mut self) -> (u64, u64) {
        let totals = self.store.totals().expect("it answers");
        (totals.rows, totals.delivered)
    }
}

#[test]
fn a_batch_is_written_when_it_is_full_or_old() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    assert_eq!(world.step(), 0);
    assert_eq!(
        world.follower.due_in(world.now),
        Some(Duration::from_millis(100))
    );
    world.wait(99);
    assert_eq!(world.step(), 0);
    world.wait(1);
    assert_eq!(world.step(), 3);
    assert_eq!(world.follower.due_in(world.now), None);
    for sequence in 4..=23 {
        world.writer.plain(sequence..=sequence);
    }
    assert_eq!((world.step(), world.step()), (20, 0), "all that is there");
    assert_eq!(world.counters.get(Counter::Stored), 23);
    assert_eq!(world.counters.get(Counter::StoreBatches), 2);
    assert_eq!(
        world.counters.get(Counter::StorePosition),
        world.writer.position()
    );
}

#[test]
fn a_store_that_keeps_up_writes_in_pieces_and_others_at_a_stretch() {
    let mut world = World::new();
    let mut write = |through, ms| {
        world.writer.plain(through);
        world.step();
        world.wait(ms);
        world.step();
        world.follower.rows.pace()
    };
    assert_eq!(write(1..=9, BATCH_MS), Pace::Paced, "old, and not full");
    assert_eq!(write(10..=19, 0), Pace::Bulk, "full");
    assert_eq!(write(20..=20, BATCH_MS), Pace::Paced);
    world.writer.plain(21..=21);
    world.catch_up();
    assert_eq!(world.follower.rows.pace(), Pace::Bulk, "the end");
}

#[test]
fn a_store_that_is_behind_takes_more_at_once_but_not_without_end() {
    let mut world = World::new();
    for sequence in 1..=500 {
        world.writer.plain(sequence..=sequence);
    }
    assert_eq!((world.step(), world.step(), world.step()), (200, 200, 100));
    // By priority, not by sequence; and a second settlement of one changes nothing.
    for sequence in (1..=500).rev().step_by(2).chain((1..=500).step_by(2)) {
        world.writer.settle(sequence..=sequence);
    }
    world.writer.settle(1..=500);
    assert_eq!((world.step(), world.step()), (1_000, 0));
    assert_eq!(world.totals(), (500, 500));
}

#[test]
fn settlements_count_whether_their_row_was_written_before_or_not() {
    let mut world = World::new();
    world.writer.plain(1..=5);
    world.writer.settle(2..=3);
    world.wait(BATCH_MS);
    world.step();
    world.wait(BATCH_MS);
    assert_eq!(world.step(), 5, "two of them settled at once");
    world.writer.settle(1..=1);
    world.writer.plain(6..=6);
    world.writer.settle(4..=6);
    world.step();
    world.wait(BATCH_MS);
    assert_eq!(world.step(), 4, "three updates and a settled row");
    assert_eq!(world.totals(), (6, 6));
    assert_eq!(world.counters.get(Counter::StoredSettled), 6);
}

#[test]
fn nothing_happens_before_the_journal_has_an_end() {
    let mut world = World::new();
    world.store.set(Some(Fault::Refused));
    assert_eq!(world.step(), 0, "the database is not even asked");
    assert!(world.follower.is_through(0));
}

#[test]
fn a_database_that_is_down_is_tried_again_and_catches_up() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.store.set(Some(Fault::Down));
    for sequence in 4..=60 {
        assert_eq!(world.step(), 0);
        world.writer.plain(sequence..=sequence);
        world.wait(1_000);
    }
    let retries = world.counters.get(Counter::StoreRetries);
    assert!((10..=57).contains(&retries), "{retries} tries in a minute");
    world.store.set(None);
    world.wait(5_000);
    world.catch_up();
    assert_eq!(world.totals(), (60, 0));
    assert_eq!(world.counters.get(Counter::Stored), 60);
}

#[test]
fn a_failing_batch_stays_as_it_is_until_it_is_written() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.step();
    world.wait(BATCH_MS);
    world.store.set(Some(Fault::AnswerLost));
    assert_eq!(
        world.step(),
        0,
        "it was written, but the follower cannot know"
    );
    world.writer.plain(4..=5);
    world.store.set(None);
    world.wait(5_000);
    assert_eq!(world.step(), 3, "the database says where it stands");
    world.catch_up();
    assert_eq!(world.totals(), (5, 0));
    assert_eq!(world.counters.get(Counter::Stored), 5);
    assert_eq!(world.counters.get(Counter::StoreRetries), 1);
}

#[test]
fn a_database_whose_disk_is_short_of_room_takes_fewer_rows_at_a_time() {
    let mut world = World::new();
    for sequence in 1..=205 {
        world.writer.plain(sequence..=sequence);
    }
    world.store.set(Some(Fault::RoomFor(13)));
    for _ in 0..80 {
        world.step();
        world.wait(5_000);
    }
    assert_eq!(world.totals(), (205, 0));
    world.store.set(None);
    world.writer.settle(1..=205);
    world.catch_up();
    assert_eq!(world.totals(), (205, 205));
}

#[test]
fn a_restart_goes_on_at_the_databases_position() {
    let mut world = World::new();
    for sequence in 1..=205 {
        world.writer.plain(sequence..=sequence);
    }
    assert_eq!((world.step(), world.step()), (200, 0));
    assert_eq!(world.totals(), (200, 0));
    world.restart();
    world.catch_up();
    assert_eq!(world.totals(), (205, 0));
    world.restart();
    world.writer.settle(1..=205);
    world.catch_up();
    assert_eq!(world.totals(), (205, 205));
}

#[test]
fn the_end_of_a_closed_segment_is_followed_to() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.writer.close();
    world.catch_up();
    assert_eq!(world.counters.get(Counter::StorePosition), SEGMENT);
    world.restart();
    world.catch_up();
    world.writer.plain(4..=4);
    world.catch_up();
    assert_eq!(world.totals(), (4, 0));
}

#[test]
fn a_database_that_joins_later_takes_what_is_left() {
    let mut world = World::new();
    for sequence in 1..=3 {
        world.writer.plain(sequence..=sequence);
        world.writer.close();
    }
    world.memory.files().remove(&Name::Segment(0));
    world.catch_up();
    assert_eq!(world.totals(), (2, 0));
    assert!(world.follower.has_logged_gap);
}

#[test]
fn damage_in_the_journal_ends_the_following_with_its_place() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    let second = world.writer.plain(4..=6);
    world
        .memory
        .files()
        .get_mut(&Name::Segment(0))
        .expect("there")[second as usize + 60] ^= 1;
    let error = world.try_step().expect_err("it is damaged").to_string();
    assert!(error.contains(&format!("at offset {second}")), "{error}");
}

#[test]
fn a_database_ahead_of_the_journal_is_left_alone() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.catch_up();
    world.writer.plain(4..=6);
    let cut = world.writer.position();
    world.catch_up();
    world.restart();
    let error = world
        .follower
        .step(cut - 300, world.now)
        .expect_err("it is ahead");
    assert!(matches!(error, FollowError::Ahead { .. }), "{error}");
    assert_eq!(world.totals(), (6, 0));
}

#[test]
fn batches_that_hold_no_rows_are_no_lag() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.step();
    world.wait(BATCH_MS);
    world.step();
    // A beat of a group.
    world.writer.batch(BatchKind::Place, 0, 4, &[0; 96]);
    for _ in 0..3 {
        world.wait(20_000);
        world.step();
        assert_eq!(world.counters.get(Counter::StoreLagSeconds), 0);
    }
    assert!(!world.follower.is_through(world.writer.position()));
    world.catch_up();
    assert!(world.follower.is_through(world.writer.position()));
}

/// A database that has followed to the journal's end, and a journal that ends so much before.
fn ahead_by(cut: u64, when_ahead: WhenAhead) -> (World, Position) {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.catch_up();
    let cut = world.writer.position() - cut;
    world.writer.plain(4..=6);
    world.catch_up();
    world.restart();
    let reader = reader(&world.memory);
    let settings = settings(BATCH_ROWS, BATCH_MS);
    let store = world.store.clone();
    let follower = Follower::new(reader, store, world.counters.clone(), &settings);
    world.follower = follower.starting_at(cut).when_ahead(when_ahead);
    (world, cut)
}

#[test]
fn a_members_own_database_waits_until_its_journal_is_there_again() {
    let (mut world, cut) = ahead_by(0, WhenAhead::Waits);
    let stored = world.store.position().expect("it answers");
    assert_eq!(world.follower.step(cut, world.now).ok(), Some(0));
    assert!(!world.follower.is_through(cut), "it has not begun");
    world.writer.plain(7..=8);
    world.catch_up();
    assert!(stored < world.store.position().expect("it answers"));
    assert_eq!(world.totals(), (8, 0));
}

#[test]
fn a_groups_database_that_is_ahead_is_filled_anew_from_the_journal() {
    let (mut world, cut) = ahead_by(0, WhenAhead::GoesBack);
    world.follower.stop_batching();
    world.follower.step(cut, world.now).expect("it goes back");
    assert_eq!(world.store.position().expect("it answers"), cut);
    world.catch_up();
    assert_eq!(world.totals(), (6, 0), "rows that are there are known");
}

#[test]
fn a_groups_database_goes_back_at_once_so_that_the_next_term_fills_it_too() {
    let (mut world, cut) = ahead_by(0, WhenAhead::GoesBack);
    world.follower.step(cut, world.now).expect("it goes back");
    assert_eq!(world.store.position().expect("it answers"), 0);
    assert!(!world.follower.is_through(cut), "it has followed nothing");
}

#[test]
fn a_term_that_is_over_leaves_no_fault() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.store.set(Some(Fault::Down));
    assert_eq!(world.step(), 0);
    let unreached = world.counters.faults().get(Part::StoreUnreached);
    assert!(unreached.is_some(), "it was not reached");
    world.store.set(Some(Fault::TermOver));
    world.wait(60_000);
    let error = world.try_step().expect_err("another member writes");
    assert!(error.is_term_over());
    for part in [Part::StoreUnreached, Part::Store] {
        assert_eq!(world.counters.faults().get(part), None);
    }
    assert_eq!(world.counters.get(Counter::StoreFailing), 0);
}

#[test]
fn two_engines_on_one_database_are_noticed() {
    let mut world = World::new();
    world.writer.plain(1..=3);
    world.step();
    world.store.set(Some(Fault::Down));
    world.wait(BATCH_MS);
    world.step();
    world.store.set(None);
    let other = Rows::default();
    world.store.apply(&other, 999_999).expect("it is written");
    world.wait(5_000);
    let error = world.try_step().expect_err("somebody else was there");
    assert!(
        matches!(
            error,
            FollowError::Moved {
                expected: 0,
                found: 999_999
            }
        ),
        "{error}"
    );
}

/// What may happen, for the model.
#[derive(Debug, Clone)]
enum Event {
    Messages(u64),
    Settle(u64),
    Roll,
    Step,
    Wait(u64),
    Crash,
    Fault(Option<Fault>),
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![
        Just(None),
        Just(Some(Fault::Down)),
        Just(Some(Fault::AnswerLost))
    ];
    prop_oneof![
        4 => (1..8_u64).prop_map(Event::Messages),
        3 => (1..8_u64).prop_map(Event::Settle),
        1 => Just(Event::Roll),
        6 => Just(Event::Step),
        3 => (1..300_u64).prop_map(Event::Wait),
        1 => Just(Event::Crash),
        2 => fault.prop_map(Event::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_each_message_has_one_row(
        events in proptest::collection::vec(event(), 1..120)
    ) {
        let mut world = World::new();
        let (mut written, mut settled) = (0, 0);
        for event in events {
            match event {
                Event::Messages(count) => {
                    world.writer.plain(written + 1..=written + count);
                    written += count;
                }
                Event::Settle(count) if settled < written => {
                    let upto = (settled + count).min(written);
                    world.writer.settle(settled + 1..=upto);
                    settled = upto;
                }
                Event::Roll if written > 0 => world.writer.close(),
                Event::Step => { world.step(); }
                Event::Wait(ms) => world.wait(ms),
                Event::Crash => world.restart(),
                Event::Fault(fault) => world.store.set(fault),
                Event::Settle(_) | Event::Roll => {}
            }
        }
        world.store.set(None);
        world.catch_up();
        prop_assert_eq!(world.totals(), (written, settled));
    }
}

// ---- keep ----

impl World {
    /// An engine that keeps rows for a minute.
    fn keeping() -> Self {
        let mut world = Self::new();
        let settings = config::Store {
            keep: Some(Duration::from_secs(60)),
            ..settings(BATCH_ROWS, BATCH_MS)
        };
        let counters = world.counters.clone();
        let reader = reader(&world.memory);
        world.follower = Follower::new(reader, world.store.clone(), counters, &settings);
        // Long after the messages of the tests.
        world.now.epoch_us = crate::journal::testing::TIME_US + 3_600_000_000;
        world
    }

    /// Messages that are settled, but for those that wait; a batch fits into a segment.
    fn settled(&mut self, first: u64, last: u64, waits: impl Fn(u64) -> bool) {
        for first in (first..=last).step_by(10) {
            let batch = first..=last.min(first + 9);
            self.writer.plain(batch.clone());
            self.writer.settle(batch.filter(|it| !waits(*it)));
        }
    }

    /// Steps until a minute has passed, without a message.
    fn idle_minute(&mut self) {
        for _ in 0..6_000 {
            self.step();
            self.wait(10);
        }
    }
}

#[test]
fn old_rows_go_while_nothing_is_to_be_written_and_are_counted() {
    let mut world = World::keeping();
    world.settled(1, 40, |it| it == 9);
    world.idle_minute();
    assert_eq!(world.counters.get(Counter::Stored), 40);
    assert_eq!(world.counters.get(Counter::StoreRowsRemoved), 38);
    assert_eq!(world.totals(), (2, 1), "one that waits, and the last one");
    assert!(world.counters.get(Counter::StoreOldestRowSeconds) >= 3_600);
    assert_eq!(world.counters.get(Counter::StoreKeepFailing), 0);
}

#[test]
fn a_store_that_is_behind_at_each_step_removes_its_share_nevertheless() {
    let mut world = World::keeping();
    for step in 0..500 {
        world.settled(step * 20 + 1, step * 20 + 20, |_| false);
        assert!(world.step() > 0, "each step has a full batch");
        world.wait(20);
    }
    let removed = world.counters.get(Counter::StoreRowsRemoved);
    let least = 4 * crate::limits::STORE_REMOVE_ROWS_MIN as u64;
    assert!(removed >= least, "{removed} in ten seconds");
}

#[test]
fn a_removal_that_fails_is_told_and_holds_up_no_row() {
    let mut world = World::keeping();
    world.store.set(Some(Fault::NoDelete));
    world.settled(1, 40, |_| false);
    world.idle_minute();
    assert_eq!(world.counters.get(Counter::Stored), 40);
    assert_eq!(world.counters.get(Counter::StoreFailing), 0);
    assert_eq!(world.counters.get(Counter::StoreKeepFailing), 1);
    let fault = world.counters.faults().get(Part::StoreKeep);
    assert!(fault.expect("it is told").reason.contains("DELETE denied"));
    world.store.set(None);
    world.idle_minute();
    assert_eq!(world.counters.get(Counter::StoreRowsRemoved), 39);
    assert_eq!(world.counters.get(Counter::StoreKeepFailing), 0);
    assert_eq!(world.counters.faults().get(Part::StoreKeep), None);
}

#[test]
fn a_term_that_is_over_ends_the_removal_and_is_no_failure_of_it() {
    let mut world = World::keeping();
    world.settled(1, 40, |_| false);
    world.idle_minute();
    world.store.set(Some(Fault::TermOver));
    let error = (0..6_000).find_map(|_| {
        world.wait(10);
        world.try_step().err()
    });
    assert!(error.is_some_and(|it| it.is_term_over()));
    assert_eq!(world.counters.get(Counter::StoreKeepFailing), 0);
    assert_eq!(world.counters.faults().get(Part::StoreKeep), None);
}

#[test]
fn rows_that_wait_for_a_databases_first_answer_are_told_as_far_as_is_known() {
    let mut world = World::new();
    world.writer.plain(1..=10);
    let restarted = |world: &mut World, known| {
        world.restart();
        let settings = settings(BATCH_ROWS, BATCH_MS);
        world.counters = Arc::new(Counters::default());
        world.counters.set(Counter::JournalRecorded, 10);
        let (reader, counters) = (reader(&world.memory), Arc::clone(&world.counters));
        world.follower =
            Follower::new(reader, world.store.clone(), counters, &settings).knowing(known);
        world.store.set(Some(Fault::Down));
        world.wait(1_000);
        world.step();
        world.wait(7_000);
        world.counters.set(Counter::JournalRecorded, 12);
        world.step();
        [Counter::StoreLagMessages, Counter::StoreLagSeconds].map(|it| world.counters.get(it))
    };
    assert_eq!(restarted(&mut world, Some(4)), [8, 7]);
    assert_eq!(
        restarted(&mut world, None),
        [2, 7],
        "what was there is not known"
    );
}
