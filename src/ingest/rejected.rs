//! The log of rejected lines: `rejected.ndjson` in the data directory, so that nothing is lost.
//!
//! The ingest agent pushes each line that it rejects, and flushes once a turn; a source may be told
//! that its line was taken when `pending` is zero again. People read the file; the engine does not.
//! It bounds nothing: at a limit of pending bytes, the agent stops reading its sources.
//!
//! ```text
//! {"reason":"bad_json","source":"[::1]:8001","time":"2026-01-31T07:00:00.123Z","line":"{"}
//! {"reason":"bad_utf8","source":"[::1]:8001","time":"2026-01-31T07:00:00.124Z",
//!  "line_base64":"/w=="}    (one line in the file)
//! ```
//!
//! A file that has grown past its limit becomes `rejected.N.ndjson`, N counting from 1, and a new
//! one is begun. The numbered files are never deleted: what was rejected is the operator's to
//! judge.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};

use crate::clock::Now;
use crate::message::Reason;

/// How far at a time the end of a file is searched for its last newline.
const BLOCK_LEN: u64 = 64 * 1024;

/// Keeps rejected lines in a file.
#[derive(Debug)]
pub struct RejectedLog {
    directory: PathBuf,
    file: File,
    /// Bytes of the file.
    file_len: u64,
    /// The file is rotated when it has grown to this.
    file_len_max: u64,
    pending: Pending,
    /// Bytes of a torn line that were cut off when the file was opened.
    torn_len: u64,
}

impl RejectedLog {
    /// Opens the log in `directory`, and heals what a crash left: a torn last line is cut off (its
    /// source was never told that it was taken), a whole one gets its newline.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut.
    pub fn open(directory: &Path, file_len_max: u64) -> io::Result<Self> {
        let file = open_file(&current_path(directory))?;
        let tail = unfinished_line(&file)?;
        let whole = serde_json::from_slice::<IgnoredAny>(&tail).is_ok();
        let mut log = Self {
            directory: directory.to_owned(),
            file_len: file.metadata()?.len(),
            file,
            file_len_max,
            pending: Pending::default(),
            torn_len: 0,
        };
        if whole {
            log.pending.bytes.push(b'\n');
        } else if !tail.is_empty() {
            log.torn_len = tail.len() as u64;
            log.file_len -= log.torn_len;
            log.file.set_len(log.file_len)?;
        }
        Ok(log)
    }

    /// Adds a line, as it came from `source`, to what the next flush writes.
    pub fn push(&mut self, reason: Reason, source: &str, now: Now, line: &[u8]) {
        let text = std::str::from_utf8(line).ok();
        let entry = Entry {
            reason: reason.label(),
            source,
            time: Time(now),
            line: text,
            line_base64: text.is_none().then_some(Base64(line)),
        };
        serde_json::to_writer(&mut self.pending.bytes, &entry)
            .expect("a Vec takes every byte, and an entry has only string keys");
        self.pending.bytes.push(b'\n');
    }

    /// Writes what is pending to the file, then rotates it if it has grown past its limit.
    ///
    /// # Errors
    /// The file took less than all of it: the rest stays pending, and the next flush goes on where
    /// this one stopped, in the middle of a line if need be. Or rotating failed: then nothing is
    /// pending, and it is tried again after the next write.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending() == 0 {
            return Ok(());
        }
        self.pending.write_to(&mut self.file, &mut self.file_len)?;
        if self.file_len >= self.file_len_max {
            self.rotate()?;
        }
        Ok(())
    }

    /// Bytes that the file has not taken yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of a torn last line that [`RejectedLog::open`] cut off.
    #[must_use]
    pub fn torn_len(&self) -> u64 {
        self.torn_len
    }

    /// The current file is absent if an earlier rotation failed halfway.
    fn rotate(&mut self) -> io::Result<()> {
        let current = current_path(&self.directory);
        if current.try_exists()? {
            fs::rename(&current, self.free_numbered_path()?)?;
        }
        self.file = open_file(&current)?;
        self.file_len = 0;
        Ok(())
    }

    /// Names are tried from 1 upwards: a file is 64 MiB, so they are few, and none is overwritten.
    fn free_numbered_path(&self) -> io::Result<PathBuf> {
        for number in 1_u64.. {
            let path = self.directory.join(format!("rejected.{number}.ndjson"));
            if !path.try_exists()? {
                return Ok(path);
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn current_path(directory: &Path) -> PathBuf {
    directory.join("rejected.ndjson")
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

/// What stands behind the file's last newline.
fn unfinished_line(file: &File) -> io::Result<Vec<u8>> {
    let mut start = file.metadata()?.len();
    let mut tail = Vec::new();
    while start > 0 {
        let len = start.min(BLOCK_LEN);
        start -= len;
        let mut block = vec![0; len as usize];
        file.read_exact_at(&mut block, start)?;
        let newline = memchr::memrchr(b'\n', &block);
        block.drain(..newline.map_or(0, |at| at + 1));
        block.append(&mut tail);
        tail = block;
        if newline.is_some() {
            break;
        }
    }
    Ok(tail)
}

/// Bytes on their way to a file that may take any part of them: `written <= bytes.len()`.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    written: usize,
}

impl Pending {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes all of it, or as much as `file` takes; `file_len` grows by that.
    fn write_to(&mut self, file: &mut impl Write, file_len: &mut u64) -> io::Result<()> {
        while self.len() > 0 {
            match file.write(&self.bytes[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    self.written += taken;
                    *file_len += taken as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    reason: &'static str,
    source: &'a str,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_base64: Option<Base64<'a>>,
}

/// Written as RFC 3339 has it, in UTC, to the millisecond.
struct Time(Now);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = i64::try_from(self.0.epoch_ms()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&format_args!("{time:.3}"))
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const NOW: Now = Now {
        ns: 0,
        epoch_us: 1_769_842_800_123_999,
    };

    fn open(directory: &Path) -> RejectedLog {
        RejectedLog::open(directory, 1 << 20).expect("it opens")
    }

    fn read(directory: &Path, name: &str) -> String {
        fs::read_to_string(directory.join(name)).expect("it can be read")
    }

    fn entries(text: &str) -> Vec<Value> {
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).expect("whole JSON"))
            .collect()
    }

    #[test]
    fn a_line_is_kept_with_its_reason_source_and_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = open(directory.path());
        log.push(Reason::BadJson, "127.0.0.1:8001", NOW, b"{\"a\":\\\x01");
        log.push(Reason::BadUtf8, "[::1]:9", NOW, b"\xff");
        assert!(log.pending() > 0);
        log.flush().expect("it is written");
        assert_eq!(log.pending(), 0);
        let expected = concat!(
            r#"{"reason":"bad_json","source":"127.0.0.1:8001","time":"2026-01-31T07:00:00.123Z","#,
            r#""line":"{\"a\":\\\u0001"}"#,
            "\n",
            r#"{"reason":"bad_utf8","source":"[::1]:9","time":"2026-01-31T07:00:00.123Z","#,
            r#""line_base64":"/w=="}"#,
            "\n",
        );
        assert_eq!(read(directory.path(), "rejected.ndjson"), expected);
    }

    #[test]
    fn a_reopened_log_is_continued() {
        let directory = tempfile::tempdir().expect("a directory");
        for line in [&b"one"[..], b"two", b"three"] {
            let mut log = open(directory.path());
            assert_eq!(log.torn_len(), 0);
            log.push(Reason::BadJson, "s", NOW, line);
            log.flush().expect("it is written");
        }
        let entries = entries(&read(directory.path(), "rejected.ndjson"));
        let lines: Vec<_> = entries.iter().map(|entry| entry["line"].as_str()).collect();
        assert_eq!(lines, [Some("one"), Some("two"), Some("three")]);
    }

    #[test]
    fn a_crash_at_any_byte_costs_no_whole_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = open(directory.path());
        log.push(Reason::BadJson, "s", NOW, b"first");
        log.push(Reason::BadUtf8, "s", NOW, b"second\xff");
        log.flush().expect("it is written");
        let whole = fs::read(directory.path().join("rejected.ndjson")).expect("it can be read");
        let first_len = whole
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("two lines")
            + 1;
        for cut in 0..=whole.len() {
            fs::write(directory.path().join("rejected.ndjson"), &whole[..cut]).expect("written");
            let mut log = open(directory.path());
            log.push(Reason::NotAnObject, "s", NOW, b"after");
            log.flush().expect("it is written");
            let expected = match cut {
                _ if cut + 1 < first_len => 1,
                _ if cut + 1 < whole.len() => 2,
                _ => 3,
            };
            let kept = entries(&read(directory.path(), "rejected.ndjson"));
            assert_eq!(kept.len(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_torn_line_longer_than_a_block_is_cut_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let torn = format!("{{}}\n{{\"line\":\"{}", "x".repeat(3 * BLOCK_LEN as usize));
        fs::write(directory.path().join("rejected.ndjson"), &torn).expect("written");
        let log = open(directory.path());
        assert_eq!(log.torn_len(), torn.len() as u64 - 3);
        assert_eq!(read(directory.path(), "rejected.ndjson"), "{}\n");
    }

    #[test]
    fn full_files_are_numbered_and_none_is_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("rejected.2.ndjson"), "not ours\n").expect("written");
        let mut log = RejectedLog::open(directory.path(), 200).expect("it opens");
        for number in 0..9 {
            log.push(
                Reason::BadJson,
                "s",
                NOW,
                format!("line {number}").as_bytes(),
            );
            log.flush().expect("it is written");
        }
        let lens = [
            "rejected.1.ndjson",
            "rejected.3.ndjson",
            "rejected.4.ndjson",
        ]
        .map(|name| entries(&read(directory.path(), name)).len());
        assert_eq!(lens, [3, 3, 3]);
        assert_eq!(read(directory.path(), "rejected.ndjson"), "");
        assert_eq!(read(directory.path(), "rejected.2.ndjson"), "not ours\n");
    }

    #[test]
    fn a_full_device_leaves_everything_pending() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rejected.ndjson");
        symlink("/dev/full", &path).expect("a link");
        let mut log = open(directory.path());
        log.push(Reason::BadJson, "s", NOW, b"kept");
        let pending = log.pending();
        for _ in 0..2 {
            let error = log.flush().expect_err("the device is full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(log.pending(), pending);
        }
        fs::remove_file(&path).expect("removed");
        log.file = open_file(&path).expect("room again");
        log.push(Reason::BadJson, "s", NOW, b"and more");
        log.flush().expect("it is written");
        assert_eq!(entries(&read(directory.path(), "rejected.ndjson")).len(), 2);
    }

    #[test]
    fn a_rotation_that_fails_is_made_good_later() {
        let directory = tempfile::tempdir().expect("a directory");
        let elsewhere = directory.path().join("gone");
        fs::create_dir(&elsewhere).expect("made");
        let mut log = RejectedLog::open(&elsewhere, 1).expect("it opens");
        fs::remove_dir_all(&elsewhere).expect("removed");
        log.push(Reason::BadJson, "s", NOW, b"one");
        assert!(log.flush().is_err());
        assert_eq!(log.pending(), 0, "it was written all the same");
        fs::create_dir(&elsewhere).expect("made");
        log.push(Reason::BadJson, "s", NOW, b"two");
        log.flush().expect("written, and rotated");
        log.push(Reason::BadJson, "s", NOW, b"three");
        log.flush().expect("written, and rotated");
        assert_eq!(entries(&read(&elsewhere, "rejected.1.ndjson")).len(), 1);
    }

    /// Takes a few bytes at a time, and fails as it is told.
    struct Moody {
        taken: Vec<u8>,
        answers: std::vec::IntoIter<Option<usize>>,
    }

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.answers.next() {
                None => self.taken.extend_from_slice(bytes),
                Some(None) => return Err(io::ErrorKind::StorageFull.into()),
                Some(Some(0)) => return Err(io::ErrorKind::Interrupted.into()),
                Some(Some(most)) => {
                    let len = most.min(bytes.len());
                    self.taken.extend_from_slice(&bytes[..len]);
                    return Ok(len);
                }
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn retries_tear_and_repeat_nothing(
            lines in proptest::collection::vec("[a-z]{0,9}\n", 1..9),
            answers in proptest::collection::vec(proptest::option::of(0_usize..7), 0..30),
        ) {
            let mut pending = Pending::default();
            let mut file = Moody { taken: Vec::new(), answers: answers.into_iter() };
            let mut file_len = 0;
            for line in &lines {
                pending.bytes.extend_from_slice(line.as_bytes());
                let _ = pending.write_to(&mut file, &mut file_len);
                prop_assert_eq!(file_len as usize, file.taken.len());
            }
            while pending.write_to(&mut file, &mut file_len).is_err() {}
            prop_assert_eq!(String::from_utf8_lossy(&file.taken), lines.concat());
            prop_assert_eq!(pending.len(), 0);
        }
    }
}
