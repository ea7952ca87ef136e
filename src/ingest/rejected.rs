//! The log of rejected lines: `rejected.ndjson` in the data directory, so that nothing is lost.
//!
//! The ingest agent pushes each line that it rejects, and flushes once a turn; a source may be told
//! that its line was taken when it is `kept`: written, and with a [`Syncer`] on the disk as well.
//! People read the file; the engine does not.
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
//! judge. A power loss may leave one with a torn last line, whose source was never told.

pub mod sync;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};

use self::sync::{Syncer, Syncing};
use crate::clock::Now;
use crate::message::Reason;

/// How far at a time the end of a file is searched for its last newline.
const BLOCK_LEN: u64 = 64 * 1024;

/// Keeps rejected lines in a file.
#[derive(Debug)]
pub struct RejectedLog {
    directory: PathBuf,
    file: Arc<File>,
    /// Bytes of the file.
    file_len: u64,
    /// The file is rotated when it has grown to this.
    file_len_max: u64,
    pending: Pending,
    /// Bytes that files have taken since the log was opened.
    written: u64,
    /// `None`: what is written is kept.
    syncing: Option<Syncing>,
    /// Bytes of a torn line that were cut off when the file was opened.
    torn_len: u64,
}

/// The disk failed; whether it has what it was asked to sync, nobody knows.
#[derive(Debug, thiserror::Error)]
#[error(
    "rejected.ndjson cannot be synced: {0}; what the disk may lack was not acknowledged to its \
     sources: look at the disk, and start the engine again"
)]
pub struct SyncFailed(io::Error);

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
            file: Arc::new(file),
            file_len_max,
            pending: Pending::default(),
            written: 0,
            syncing: None,
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

    /// From now on lines count as kept when this has synced them.
    #[must_use]
    pub fn synced_by(mut self, syncer: Box<dyn Syncer>) -> Self {
        self.syncing = Some(Syncing::new(syncer));
        self
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
        let len_before = self.file_len;
        let result = self.pending.write_to(&mut self.file, &mut self.file_len);
        self.written += self.file_len - len_before;
        result?;
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

    /// Where the line that was pushed last ends: bytes since the log was opened.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.written + self.pending() as u64
    }

    /// The lines that end up to here will survive what the durability says.
    #[must_use]
    pub fn kept(&self) -> u64 {
        let synced = self.syncing.as_ref().map(Syncing::synced);
        synced.unwrap_or(self.written)
    }

    /// A source waits until what ends at `end` is kept.
    pub fn want(&mut self, end: u64) {
        if let Some(syncing) = &mut self.syncing {
            syncing.want(end);
        }
    }

    /// Begins a sync, if somebody waits for one and none is under way.
    pub fn begin_sync(&mut self) {
        if let Some(syncing) = &mut self.syncing {
            syncing.begin(&self.file, &self.directory, self.written);
        }
    }

    /// Hears of the sync that is under way.
    ///
    /// # Errors
    /// It failed: the engine must not go on as if it had not.
    pub fn hear_sync(&mut self) -> Result<(), SyncFailed> {
        let syncing = self.syncing.as_mut();
        syncing.map_or(Ok(()), Syncing::hear).map_err(SyncFailed)
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
        let full = std::mem::replace(&mut self.file, Arc::new(open_file(&current)?));
        self.file_len = 0;
        if let Some(syncing) = &mut self.syncing {
            syncing.note_rotated(full, self.written);
        }
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
mod tests;
