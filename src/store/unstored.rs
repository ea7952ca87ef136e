//! The rows that the database refuses, and the settlements that it refuses: `unstored.ndjson` in the
//! data directory, so that nothing is lost.
//!
//! Fed by a [`super::Store`], inside the transaction that passes them over; people read the file.
//!
//! ```text
//! {"sequence":7,"reason":"Data too long for column ... (error 1406)",
//!  "time":"2026-01-31T07:00:00.123456Z","line":"{...}"}    (one line in the file)
//! {"sequence":5,"settlement":"DELIVERED","reason":"... (error 1644)",
//!  "time":"2026-01-31T07:00:01.123456Z"}                   (its row is there, and says INGESTED)
//! ```
//!
//! A line is in the file, and on the disk, before the transaction commits. After a crash in between
//! the same rows come again: the sequences that the file has are known, and none is kept twice.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusals::Refusals;
use crate::counters::{Counter, Counters};

/// The name of the file.
pub const UNSTORED_FILE: &str = "unstored.ndjson";

/// Keeps refused rows in a file.
#[derive(Debug)]
pub struct UnstoredLog {
    path: PathBuf,
    counters: Arc<Counters>,
    /// Opened when the first row is refused; closed when a write fails.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    known: HashSet<Known>,
}

#[derive(Serialize)]
struct Entry<'a> {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<&'static str>,
    reason: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
}

/// What the file has: a row, or a settlement.
#[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
struct Known {
    sequence: u64,
    #[serde(default, deserialize_with = "is_there")]
    settlement: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    Option::<serde::de::IgnoredAny>::deserialize(value).map(|it| it.is_some())
}

impl UnstoredLog {
    /// Keeps rows in `directory`; no file is made before there is a row.
    #[must_use]
    pub fn new(directory: &Path, counters: Arc<Counters>) -> Self {
        Self {
            path: directory.join(UNSTORED_FILE),
            counters,
            open: None,
        }
    }

    /// Keeps what the file does not have yet, and returns when the disk has it.
    ///
    /// # Errors
    /// The file cannot be written: nothing may be committed that passes it over.
    pub(super) fn keep(&mut self, refused: &Refusals<'_>) -> io::Result<()> {
        if refused.len() == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        let (rows, settlements) = open.append(refused)?;
        self.counters.add(Counter::StoreUnstored, rows);
        self.counters.add(Counter::StoreUnsettled, settlements);
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    /// Opens the file, reads what it has, and cuts off a torn last line.
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path)?;
        let mut known = HashSet::new();
        let mut whole_len = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole_len += line.len() as u64;
            known.extend(serde_json::from_slice::<Known>(&line).ok());
            line.clear();
        }
        file.set_len(whole_len)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, known })
    }

    /// Returns how many rows, and how many settlements, were new.
    fn append(&mut self, refused: &Refusals<'_>) -> io::Result<(u64, u64)> {
        let mut lines = Vec::new();
        let mut count = (0, 0);
        for (row, reason) in refused.rows() {
            let entry = Entry {
                sequence: row.sequence,
                settlement: None,
                reason,
                time: moment(row.header.arrival_us),
                line: Some(&String::from_utf8_lossy(row.frame)),
            };
            count.0 += self.add(&entry, &mut lines)?;
        }
        for (settlement, reason) in refused.settlements() {
            let entry = Entry {
                sequence: settlement.sequence,
                settlement: Some("DELIVERED"),
                reason,
                time: moment(settlement.settled_us),
                line: None,
            };
            count.1 += self.add(&entry, &mut lines)?;
        }
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        Ok(count)
    }

    /// Adds a line, if the file does not have it; returns how many were added.
    fn add(&mut self, entry: &Entry<'_>, lines: &mut Vec<u8>) -> io::Result<u64> {
        let known = Known {
            sequence: entry.sequence,
            settlement: entry.settlement.is_some(),
        };
        if !self.known.insert(known) {
            return Ok(0);
        }
        serde_json::to_writer(&mut *lines, entry)?;
        lines.push(b'\n');
        Ok(1)
    }
}

fn moment(epoch_us: u64) -> String {
    let moment = i64::try_from(epoch_us).map(Timestamp::from_microsecond);
    let moment = moment.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX);
    format!("{moment:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::Settlement;
    use crate::journal::testing::{Memory, TestWriter};
    use crate::store::testing::{SEGMENT, gather};

    /// Keeps rows `sequences`, as an engine does that was just started.
    fn keep(directory: &Path, sequences: std::ops::RangeInclusive<u64>) -> u64 {
        let memory = Memory::default();
        TestWriter::new(memory.clone(), SEGMENT).plain(sequences);
        let (rows, _) = gather(&memory, 0);
        let mut refused = Refusals::default();
        rows.iter().for_each(|it| refused.row(it, "no".to_owned()));
        let counters = Arc::new(Counters::default());
        let mut log = UnstoredLog::new(directory, counters.clone());
        log.keep(&refused).expect("it is written");
        counters.get(Counter::StoreUnstored)
    }

    fn sequences(directory: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(directory.join(UNSTORED_FILE)).expect("it is there");
        let lines = text.lines();
        lines
            .map(|it| serde_json::from_str::<Known>(it).expect("JSON").sequence)
            .collect()
    }

    #[test]
    fn a_row_is_kept_once_however_often_it_comes() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(keep(home.path(), 3..=5), 3);
        assert_eq!(
            keep(home.path(), 4..=7),
            2,
            "the crash came before the commit"
        );
        assert_eq!(keep(home.path(), 1..=7), 2, "an older row is no known row");
        assert_eq!(sequences(home.path()), [3, 4, 5, 6, 7, 1, 2]);
    }

    #[test]
    fn a_settlement_is_kept_beside_its_row_and_once() {
        let home = tempfile::tempdir().expect("a temporary directory");
        keep(home.path(), 3..=3);
        let counters = Arc::new(Counters::default());
        let mut refused = Refusals::default();
        let settlement = Settlement {
            sequence: 3,
            settled_us: 1_700_000_000_000_007,
        };
        refused.settlement(settlement, "not now".to_owned());
        for _ in 0..2 {
            let mut log = UnstoredLog::new(home.path(), counters.clone());
            log.keep(&refused).expect("it is written");
        }
        assert_eq!(counters.get(Counter::StoreUnsettled), 1);
        assert_eq!(sequences(home.path()), [3, 3]);
        let text = std::fs::read_to_string(home.path().join(UNSTORED_FILE)).expect("there");
        assert_eq!(
            text.lines().last().expect("two lines"),
            r#"{"sequence":3,"settlement":"DELIVERED","reason":"not now","time":"2023-11-14T22:13:20.000007Z"}"#
        );
    }

    #[test]
    fn a_torn_line_is_cut_and_its_row_kept_again() {
        let home = tempfile::tempdir().expect("a temporary directory");
        keep(home.path(), 1..=2);
        let path = home.path().join(UNSTORED_FILE);
        let text = std::fs::read(&path).expect("it is there");
        for torn in 1..text.len() {
            std::fs::write(&path, &text[..torn]).expect("it is written");
            keep(home.path(), 1..=2);
            assert_eq!(sequences(home.path()), [1, 2], "cut at {torn}");
        }
    }

    #[test]
    fn a_line_says_what_when_and_why() {
        let home = tempfile::tempdir().expect("a temporary directory");
        keep(home.path(), 7..=7);
        let text = std::fs::read_to_string(home.path().join(UNSTORED_FILE)).expect("there");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["reason"], "no");
        assert_eq!(line["time"], "2023-11-14T22:13:20.000007Z");
        let frame: serde_json::Value =
            serde_json::from_str(line["line"].as_str().expect("text")).expect("the frame");
        assert_eq!(frame["messageId"], "server1-7-abc");
    }
}
