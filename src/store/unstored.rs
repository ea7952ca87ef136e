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
//! the same rows come again: the sequences that the youngest files have are known, and none is kept
//! twice. The files are rolling ones; at their limit, or while the disk fails, the store waits.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusals::Refusals;
use crate::counters::{Counter, Counters};
use crate::limits::{
    STORE_GATHER_ROWS_MAX, UNSTORED_BATCH_LEN, UNSTORED_FILES_READ, UNSTORED_LEN_MAX,
    UNSTORED_TOTAL_MAX_DEFAULT,
};
use crate::rolling::storage::Directory;
use crate::rolling::{Headroom, Limits, RollingLog, WhenFull};

/// The name of the file.
pub(crate) const UNSTORED_FILE: &str = "unstored.ndjson";
/// What its numbered predecessors have of it.
const STEM: &str = "unstored";

/// Says that refused rows cannot be kept.
pub(super) fn unwritable(error: &io::Error) -> String {
    format!("{UNSTORED_FILE} in the data directory cannot be written: {error}; check its disk")
}

/// Keeps refused rows in files.
#[derive(Debug)]
pub(crate) struct UnstoredLog {
    directory: PathBuf,
    total_len_max: u64,
    headroom: Headroom,
    counters: Arc<Counters>,
    /// Opened when the first row is refused, and never closed: a process without descriptors can go
    /// on.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    log: RollingLog<Directory>,
    /// What the files have, the youngest of it: a transaction has less.
    known: BTreeSet<Known>,
}

#[derive(Serialize)]
struct Entry<'a> {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<&'static str>,
    reason: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<Cow<'a, str>>,
}

/// What the file has: a row, or a settlement.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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
    pub(crate) fn new(directory: &Path, counters: Arc<Counters>) -> Self {
        Self {
            directory: directory.to_owned(),
            total_len_max: UNSTORED_TOTAL_MAX_DEFAULT,
            headroom: Headroom::NONE,
            counters,
            open: None,
        }
    }

    /// The same, with so many bytes at most.
    #[must_use]
    pub(crate) fn limited(self, total_len_max: u64) -> Self {
        Self {
            total_len_max,
            ..self
        }
    }

    /// The same, with so much left free on the disk.
    #[must_use]
    pub(crate) fn leaving(self, headroom: Headroom) -> Self {
        Self { headroom, ..self }
    }

    /// Keeps what the files do not have yet, and returns when the disk has it.
    ///
    /// # Errors
    /// Not all of it is kept: nothing may be committed that passes it over, and it may be tried again.
    pub(super) fn keep(&mut self, refused: &Refusals<'_>) -> io::Result<()> {
        if refused.len() == 0 {
            return Ok(());
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let limits =
                    Limits::new(UNSTORED_LEN_MAX, self.total_len_max, WhenFull::Hold).synced(true);
                let open = Open::at(&self.directory, limits.leaving(self.headroom))?;
                self.open.insert(open)
            }
        };
        open.keep(refused, &self.counters)
    }
}

/// Lines that are appended and synced at once, and what they are.
#[derive(Debug, Default)]
struct Piece {
    lines: Vec<u8>,
    known: Vec<Known>,
}

impl Open {
    /// Opens the files, and reads what the youngest have.
    fn at(directory: &Path, limits: Limits) -> io::Result<Self> {
        let mut log = RollingLog::open(Directory::at(directory, STEM)?, limits)?;
        let mut known = BTreeSet::new();
        log.read_youngest(UNSTORED_FILES_READ, |line| {
            known.extend(serde_json::from_slice::<Known>(line).ok());
        })?;
        Ok(Self { log, known })
    }

    /// Keeps what is new, a piece at a time, and counts it.
    fn keep(&mut self, refused: &Refusals<'_>, counters: &Counters) -> io::Result<()> {
        let mut piece = Piece::default();
        for (row, reason) in refused.rows() {
            let entry = Entry {
                sequence: row.sequence,
                settlement: None,
                reason,
                time: moment(row.record.arrival_us()),
                line: Some(String::from_utf8_lossy(row.record.frame())),
            };
            self.add(&entry, &mut piece, counters)?;
        }
        for (settlement, reason) in refused.settlements() {
            let entry = Entry {
                sequence: settlement.sequence,
                settlement: Some("DELIVERED"),
                reason,
                time: moment(settlement.settled_us),
                line: None,
            };
            self.add(&entry, &mut piece, counters)?;
        }
        self.append(&mut piece, counters)
    }

    /// Adds a line to the piece, if the files do not have it, and appends the piece if it is long.
    fn add(&mut self, entry: &Entry<'_>, piece: &mut Piece, counters: &Counters) -> io::Result<()> {
        let known = Known {
            sequence: entry.sequence,
            settlement: entry.settlement.is_some(),
        };
        if self.known.contains(&known) {
            return Ok(());
        }
        serde_json::to_writer(&mut piece.lines, entry)?;
        piece.lines.push(b'\n');
        piece.known.push(known);
        match piece.lines.len() < UNSTORED_BATCH_LEN {
            true => Ok(()),
            false => self.append(piece, counters),
        }
    }

    fn append(&mut self, piece: &mut Piece, counters: &Counters) -> io::Result<()> {
        if piece.lines.is_empty() {
            return Ok(());
        }
        self.log.append(&piece.lines, piece.known.len() as u64)?;
        // Where it fails they may be gone, and are kept again.
        self.log.sync()?;
        let settlements = piece.known.iter().filter(|it| it.settlement).count();
        let rows = piece.known.len() - settlements;
        counters.add(Counter::StoreUnstored, rows as u64);
        counters.add(Counter::StoreUnsettled, settlements as u64);
        self.known.append(&mut piece.known.drain(..).collect());
        piece.lines.clear();
        while self.known.len() > 2 * STORE_GATHER_ROWS_MAX {
            self.known.pop_first();
        }
        Ok(())
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
    use crate::journal::format::Settlement;
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
    fn at_their_limit_rows_wait_and_are_kept_once_when_there_is_room() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let memory = Memory::default();
        TestWriter::new(memory.clone(), SEGMENT).plain(1..=10);
        let (rows, _) = gather(&memory, 0);
        assert_eq!(rows.len(), 10);
        let reason = "no".repeat(500_000);
        let refusals = |count: usize| {
            let mut refused = Refusals::default();
            let first = rows.iter().take(count);
            first.for_each(|it| refused.row(it, reason.clone()));
            refused
        };
        let counters = Arc::new(Counters::default());
        let log = UnstoredLog::new(home.path(), Arc::clone(&counters));
        let mut log = log.limited(8_000_000);
        log.keep(&refusals(3)).expect("there is room");
        let error = log.keep(&refusals(10)).expect_err("there is none");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        let mut kept = Vec::new();
        while log.keep(&refusals(10)).is_err() {
            let oldest = (1..).map(|it| home.path().join(format!("unstored.{it}.ndjson")));
            let oldest = oldest.take(99).find(|it| it.exists()).expect("a file");
            kept.push(std::fs::read_to_string(&oldest).expect("text"));
            std::fs::remove_file(oldest).expect("removed");
        }
        for entry in std::fs::read_dir(home.path()).expect("a directory") {
            let text = std::fs::read_to_string(entry.expect("an entry").path());
            kept.push(text.expect("text"));
        }
        let mut sequences: Vec<_> = kept
            .iter()
            .flat_map(|it| it.lines())
            .map(|it| serde_json::from_str::<Known>(it).expect("JSON").sequence)
            .collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=10).collect::<Vec<_>>());
        assert_eq!(counters.get(Counter::StoreUnstored), 10);
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
