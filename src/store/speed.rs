//! How fast the store follows: printed, not asserted, for it is the disk's figure as well.
//!
//! Small among the tests; for figures:
//! `FLIPPED_LB_TEST_ROWS=200000 cargo test --release --lib store::speed -- --nocapture --test-threads 1`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Store;
use super::follower::Follower;
use super::sqlite::SqliteStore;
use super::testing::settings;
use crate::clock::{Clock, SystemClock};
use crate::counters::Counters;
use crate::journal::reader::Reader;
use crate::journal::storage::Directory;
use crate::journal::testing::{TestMessage, TestWriter};
use crate::limits::SEGMENT_LEN_DEFAULT;

const ROWS_DEFAULT: u64 = 10_000;
const FRAME_LEN: usize = 390;
/// Messages of a journal batch.
const BATCH: u64 = 500;

pub(super) fn rows() -> u64 {
    let asked = std::env::var("FLIPPED_LB_TEST_ROWS").ok();
    asked.map_or(ROWS_DEFAULT, |it| it.parse().expect("a number of rows"))
}

/// A message of 390 bytes, one of a hundred destinations.
fn message(sequence: u64) -> TestMessage {
    let mut message = TestMessage::new(sequence);
    message.destination = format!("table{}", sequence * 7_919 % 100);
    message.payload = Some(r#"{"p":""}"#.to_owned());
    let fill = "x".repeat(FRAME_LEN - message.frame().len());
    message.payload = Some(format!(r#"{{"p":"{fill}"}}"#));
    message
}

/// Writes a journal; settlements come `behind` batches after their messages, or never.
pub(super) fn write(home: &Path, behind: Option<u64>) -> u64 {
    let storage = Directory::at(home).expect("a directory");
    let mut writer = TestWriter::new(storage, SEGMENT_LEN_DEFAULT);
    for first in (1..=rows()).step_by(BATCH as usize) {
        let batch: Vec<_> = (first..first + BATCH).map(message).collect();
        writer.messages(&batch);
        if let Some(settled) = behind.and_then(|it| first.checked_sub(it * BATCH)) {
            writer.settle(settled..settled + BATCH);
        }
    }
    writer.position()
}

fn follow(name: &str, behind: Option<u64>) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let end = write(home.path(), behind);
    let storage = Directory::at(home.path()).expect("a directory");
    let reader = Reader::new(storage, SEGMENT_LEN_DEFAULT, 0);
    let path = home.path().join("messages.db");
    let store = SqliteStore::open(&path, "here").expect("it opens");
    let counters = Arc::new(Counters::default());
    let mut follower = Follower::new(reader, store, counters, &settings(5_000, 100));
    follower.stop_batching();
    let clock = SystemClock::start();
    let begun = Instant::now();
    while !follower.is_through(end) {
        follower.step(end, clock.now()).expect("nothing is wrong");
    }
    let took = begun.elapsed();
    follower.close().expect("it tidies");
    let closed = begun.elapsed() - took;
    let totals = SqliteStore::open(&path, "here").and_then(|mut it| it.totals());
    assert_eq!(totals.expect("it answers").rows, rows());
    report(name, took, closed, &path);
}

fn report(name: &str, took: Duration, closed: Duration, path: &Path) {
    let rate = rows() as f64 / took.as_secs_f64();
    let bytes = std::fs::metadata(path).map_or(0, |it| it.len());
    println!(
        "{name:36} {rate:9.0} rows/s in {took:.2?}, closing {closed:.2?}, {} bytes a row",
        bytes / rows()
    );
}

#[test]
fn rows_a_second() {
    for _ in 0..2 {
        follow("never settled", None);
        follow("settled one journal batch later", Some(1));
        follow("settled twenty journal batches later", Some(20));
    }
}

#[test]
fn reading_a_second() {
    let home = tempfile::tempdir().expect("a temporary directory");
    write(home.path(), Some(1));
    for _ in 0..3 {
        let storage = Directory::at(home.path()).expect("a directory");
        let mut reader = Reader::new(storage, SEGMENT_LEN_DEFAULT, 0);
        let begun = Instant::now();
        let mut count = 0;
        while let Some(batch) = reader.next(u64::MAX).expect("whole") {
            count += batch.records().count();
        }
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        println!("the reader alone {rate:9.0} records/s");
    }
}
