//! Old rows of a file: which go, which stay, and what becomes of their place.

use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::journal::testing::{Memory, TIME_US, TestWriter};
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;
use crate::store::testing::{SEGMENT, gather};

/// Later than all settlements of the tests.
const LATER_US: u64 = TIME_US + 1_000_000;

struct Home {
    directory: tempfile::TempDir,
    memory: Memory,
    writer: TestWriter<Memory>,
    followed: u64,
}

impl Home {
    fn new() -> Self {
        let memory = Memory::default();
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            writer: TestWriter::new(memory.clone(), SEGMENT),
            memory,
            followed: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("messages.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), "here").expect("it opens")
    }

    /// Stores messages of these sequences, settled but for those that `waits` says.
    fn apply(&mut self, sequences: std::ops::RangeInclusive<u64>, waits: impl Fn(u64) -> bool) {
        // A batch fits into a segment.
        let mut first = *sequences.start();
        while first <= *sequences.end() {
            let last = (first + 9).min(*sequences.end());
            self.writer.plain(first..=last);
            self.writer.settle((first..=last).filter(|it| !waits(*it)));
            first = last + 1;
        }
        let (rows, upto) = gather(&self.memory, self.followed);
        self.store().apply(&rows, upto).expect("it is written");
        self.followed = upto;
    }

    fn run(&self, statements: &str) {
        let connection = Connection::open(self.path()).expect("it opens");
        connection.execute_batch(statements).expect("it runs");
    }

    /// The first column of each row that a query gives.
    fn ask<T: rusqlite::types::FromSql>(&self, query: &str) -> Vec<T> {
        let connection = Connection::open(self.path()).expect("it opens");
        let mut statement = connection.prepare(query).expect("it is SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
        rows.map(|it| it.expect("a row")).collect()
    }

    fn sequences(&self) -> Vec<i64> {
        self.ask("SELECT sequence FROM messages ORDER BY id")
    }
}

fn removal(from: u64, before_us: u64, rows_max: usize) -> Removal {
    Removal {
        from,
        before_us,
        rows_max,
    }
}

/// A whole pass; returns how many rows went, and what was refused.
fn pass(store: &mut SqliteStore, before_us: u64, rows_max: usize) -> (u64, Option<String>) {
    let (mut from, mut rows, mut refused) = (0, 0, None);
    loop {
        let removed = store.remove(&removal(from, before_us, rows_max));
        let removed = removed.expect("it is removed");
        rows += removed.rows;
        refused = removed.refused.or(refused);
        match removed.next {
            Some(next) => from = next,
            None => return (rows, refused),
        }
    }
}

#[test]
fn settled_rows_go_by_the_moment_of_their_settlement_and_the_others_and_the_last_stay() {
    let mut home = Home::new();
    home.apply(1..=20, |it| it.is_multiple_of(5));
    // A message is settled as many us after the origin as its sequence says.
    let before_us = TIME_US + 13;
    let mut store = home.store();
    assert_eq!(pass(&mut store, before_us, 3).0, 10, "1 to 12 without two");
    assert_eq!(home.sequences(), [5, 10, 13, 14, 15, 16, 17, 18, 19, 20]);
    home.apply(21..=21, |_| false);
    assert_eq!(pass(&mut home.store(), LATER_US, 3).0, 6);
    assert_eq!(home.sequences(), [5, 10, 15, 20, 21], "21 is the last one");
    assert_eq!(home.store().last_sequence().expect("it answers"), Some(21));
    let first = store.remove(&removal(0, LATER_US, 3)).expect("it looks");
    assert_eq!(first.oldest_us, Some(TIME_US), "to the second");
    assert_eq!(pass(&mut home.store(), 0, 3).0, 0, "there is no keep");
}

#[test]
fn a_pass_that_is_cut_off_is_made_up_for_by_the_next_one() {
    let mut home = Home::new();
    home.apply(1..=50, |it| it == 7);
    let removed = home.store().remove(&removal(0, LATER_US, 10));
    assert_eq!(removed.expect("it is removed").next, Some(11));
    // Another start, and a settlement of a row that was looked at before.
    home.writer.settle(std::iter::once(7));
    home.apply(51..=51, |_| false);
    assert_eq!(pass(&mut home.store(), LATER_US, 10).0, 41);
    assert_eq!(home.sequences(), [51]);
}

#[test]
fn rows_are_looked_at_and_deleted_by_the_primary_key() {
    let mut home = Home::new();
    home.apply(1..=3, |_| false);
    let connection = Connection::open(home.path()).expect("it opens");
    for (statement, wanted) in [
        (
            LOOK,
            "SEARCH messages USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (
            DELETE,
            "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (
            OLDEST,
            "SEARCH messages USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let mut explain = connection.prepare(&explain).expect("it is SQL");
        let count = explain.parameter_count();
        let values = rusqlite::params_from_iter((0..count).map(|_| 1));
        let plan = explain.query_map(values, |row| row.get::<_, String>(3));
        let plan: Vec<_> = plan
            .expect("a plan")
            .map(Result::unwrap_or_default)
            .collect();
        assert_eq!(plan, [wanted]);
    }
}

#[test]
fn the_file_stops_growing_for_the_place_of_removed_rows_is_used_again() {
    const ROUND: u64 = 400;
    let mut home = Home::new();
    let mut pages = Vec::new();
    for round in 0..8 {
        let first = round * ROUND + 1;
        home.apply(first..=first + ROUND - 1, |it| it == 3);
        pass(&mut home.store(), LATER_US, 100);
        pages.extend(home.ask::<i64>("PRAGMA page_count"));
        assert_eq!(
            home.sequences().len(),
            2,
            "the one that waits, and the last"
        );
    }
    assert!(
        pages[2..].iter().all(|it| *it <= pages[1] + 2),
        "{pages:?} pages"
    );
}

#[test]
fn a_row_that_a_trigger_holds_stays_with_its_words_and_the_others_go() {
    for raise in ["RAISE(ABORT, 'held')", "RAISE(IGNORE)"] {
        let mut home = Home::new();
        home.apply(1..=30, |_| false);
        home.run(&format!(
            "CREATE TRIGGER hold BEFORE DELETE ON messages WHEN old.sequence = 4 \
             BEGIN SELECT {raise}; END"
        ));
        let (rows, refused) = pass(&mut home.store(), LATER_US, 8);
        assert_eq!(rows, 28);
        let refused = refused.expect("it is refused");
        assert!(refused.starts_with("row 4: "), "{refused}");
        assert_eq!(home.sequences(), [4, 30]);
    }
}
