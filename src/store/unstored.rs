//! The rows that the database refuses: `unstored.ndjson` in the data directory, so that nothing is
//! lost.
//!
//! Fed by a [`super::Store`], inside the transaction that passes the row over; people read the file.
//!
//! ```text
//! {"sequence":7,"reason":"Data too long for column ... (error 1406)",
//!  "time":"2026-01-31T07:00:00.123456Z","line":"{...}"}    (one line in the file)
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

use super::rows::Row;
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
    sequences: HashSet<u64>,
}

/// One row that the database refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused<'a> {
    pub(super) row: Row<'a>,
    /// In the database's words.
    pub(super) reason: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    sequence: u64,
    reason: &'a str,
    time: String,
    line: &'a str,
}

#[derive(Deserialize)]
struct Known {
    sequence: u64,
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

    /// Keeps the rows that the file does not have yet, and returns when the disk has them.
    ///
    /// # Errors
    /// The file cannot be written: nothing may be committed that passes the rows over.
    pub(super) fn keep(&mut self, refused: &[Refused<'_>]) -> io::Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        let count = open.append(refused)?;
        self.counters.add(Counter::StoreUnstored, count);
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    /// Opens the file, reads which sequences it has, and cuts off a torn last line.
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path)?;
        let mut sequences = HashSet::new();
        let mut whole_len = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole_len += line.len() as u64;
            if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                sequences.insert(known.sequence);
            }
            line.clear();
        }
        file.set_len(whole_len)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, sequences })
    }

    fn append(&mut self, refused: &[Refused<'_>]) -> io::Result<u64> {
        let mut lines = Vec::new();
        let mut count = 0;
        for refused in refused {
            let row = &refused.row;
            if self.sequences.insert(row.sequence) {
                let entry = Entry {
                    sequence: row.sequence,
                    reason: refused.reason,
                    time: moment(row.header.arrival_us),
                    line: &String::from_utf8_lossy(row.frame),
                };
                serde_json::to_writer(&mut lines, &entry)?;
                lines.push(b'\n');
                count += 1;
            }
        }
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        Ok(count)
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
    use crate::journal::testing::{Memory, TestWriter};
    use crate::store::testing::{SEGMENT, gather};

    /// Keeps rows `sequences`, as an engine does that was just started.
    fn keep(directory: &Path, sequences: std::ops::RangeInclusive<u64>) -> u64 {
        let memory = Memory::default();
        TestWriter::new(memory.clone(), SEGMENT).plain(sequences);
        let (rows, _) = gather(&memory, 0);
        let refused: Vec<_> = rows
            .iter()
            .map(|row| Refused { row, reason: "no" })
            .collect();
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
