//! How fast the data directory's disk is: by a file that is written, synced and removed there.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::config::{Config, show_size};
use crate::space::Space;

const SYNC: &str = "disk sync";
const RATE: &str = "disk rate";
const SPACE: &str = "disk space";

/// What is synced at a time: one page.
const PAGE_LEN: usize = 4096;
/// Syncs at most, and how long they may take.
const SYNCS: usize = 200;
const SYNC_TIME: Duration = Duration::from_secs(1);

/// The sequential write: its pieces, how much, and how long it may take.
const PIECE_LEN: usize = 1024 * 1024;
const PIECES: usize = 64;
const WRITE_TIME: Duration = Duration::from_secs(2);

/// A message of 390 bytes in the journal, with its header, newline and settlement.
const MESSAGE_LEN: f64 = 390.0 + 44.0 + 1.0 + 12.0;
/// The rate that users are promised, and that everything here is held against, a second.
const TARGET_RATE: f64 = 10_000.0;

/// A `synced` message waits one to two syncs.
const SYNC_WARN: Duration = Duration::from_millis(10);
const SYNC_BAD: Duration = Duration::from_millis(250);

/// Measures; gives a line for free space, sync time and rate each.
pub(super) fn measure(config: &Config) -> Vec<Finding> {
    let Some(folder) = existing(&config.data_dir) else {
        let found = format!("{} is not there", config.data_dir.display());
        return vec![Finding::bad(
            SPACE,
            found,
            "make it, or set another data_dir",
        )];
    };
    let mut findings = vec![space(&folder, config)];
    match Scratch::make(&folder) {
        Ok(mut scratch) => {
            let syncs = scratch.sync_times();
            findings
                .push(syncs.map_or_else(|it| failed(SYNC, &folder, &it), |it| sync(&it, config)));
            let rate = scratch.write_rate();
            findings.push(rate.map_or_else(|it| failed(RATE, &folder, &it), rate_finding));
        }
        Err(error) => findings.push(failed(SYNC, &folder, &error)),
    }
    findings
}

/// The directory, or the nearest one above it that is there: that is where it would be made.
pub(super) fn existing(folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    let found = folder.ancestors().find(|it| it.is_dir());
    found.map(Path::to_owned)
}

fn failed(subject: &'static str, folder: &Path, error: &io::Error) -> Finding {
    let found = format!("{} cannot be written: {error}", folder.display());
    Finding::bad(
        subject,
        found,
        "make it writable for this user, free space, or set another data_dir",
    )
}

fn space(folder: &Path, config: &Config) -> Finding {
    let Ok(disk) = Space::at(folder) else {
        return Finding::unknown(SPACE, "the file system's size");
    };
    space_finding(disk.free, config.journal.segment)
}

/// By the free bytes and the length of a journal segment.
pub(super) fn space_finding(free: u64, segment: u64) -> Finding {
    let hours = free as f64 / (MESSAGE_LEN * TARGET_RATE) / 3600.0;
    let found = format!(
        "{} MiB free: the journal of {hours:.1} hours at 10,000 msg/s that nobody takes",
        free / (1024 * 1024)
    );
    let advice = format!(
        "free some, or set another data_dir; a journal segment alone is {}",
        show_size(segment)
    );
    match hours {
        _ if free < 4 * segment => Finding::bad(SPACE, found, advice),
        it if it < 1.0 => Finding::fair(SPACE, found, advice),
        _ => Finding::good(SPACE, found),
    }
}

/// By the times of the single syncs, of which there is one at least.
pub(super) fn sync(times: &[Duration], config: &Config) -> Finding {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |part: usize| sorted[(sorted.len() - 1) * part / 100];
    let (p50, p99) = (at(50), at(99));
    let count = sorted.len();
    let found = format!(
        "fdatasync of 4 KiB: p50 {} us, p99 {} us ({count} of them)",
        p50.as_micros(),
        p99.as_micros()
    );
    if !config.durability.syncs() {
        let durability = "; no message waits for it unless durability is synced or replicated";
        return Finding::good(SYNC, found + durability);
    }
    let advice = "each message waits for one or two of them: a disk with a write cache that \
                  survives power loss takes microseconds, or take durability = \"written\"";
    match p99 {
        it if it > SYNC_BAD => Finding::bad(SYNC, found, advice),
        it if it > SYNC_WARN => Finding::fair(SYNC, found, advice),
        _ => Finding::good(SYNC, found),
    }
}

/// By the bytes a second.
pub(super) fn rate_finding(rate: f64) -> Finding {
    let messages = rate / MESSAGE_LEN;
    let found = format!(
        "{:.0} MB/s written in sequence and synced, {messages:.0} messages of 390 bytes a second",
        rate / 1e6
    );
    let advice = "a faster disk for data_dir: under load its rate is the engine's";
    match messages {
        it if it < TARGET_RATE => Finding::bad(RATE, found, advice),
        it if it < 10.0 * TARGET_RATE => Finding::fair(RATE, found, advice),
        _ => Finding::good(RATE, found),
    }
}

/// A file that goes when it is dropped.
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    fn make(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".flipped-lb-doctor-{}", std::process::id()));
        let file = File::create(&path)?;
        Ok(Self { file, path })
    }

    fn sync_times(&mut self) -> io::Result<Vec<Duration>> {
        let page = [0x5a; PAGE_LEN];
        let begun = Instant::now();
        let mut times = Vec::new();
        while times.len() < SYNCS && (times.is_empty() || begun.elapsed() < SYNC_TIME) {
            self.file.write_all(&page)?;
            let before = Instant::now();
            self.file.sync_data()?;
            times.push(before.elapsed());
        }
        Ok(times)
    }

    /// Bytes a second, the sync at the end included.
    fn write_rate(&mut self) -> io::Result<f64> {
        let piece = vec![0xa5; PIECE_LEN];
        let begun = Instant::now();
        let mut written = 0;
        while written < PIECES && (written == 0 || begun.elapsed() < WRITE_TIME) {
            self.file.write_all(&piece)?;
            written += 1;
        }
        self.file.sync_data()?;
        Ok((written * PIECE_LEN) as f64 / begun.elapsed().as_secs_f64())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is named so that its owner knows it.
        let _ = std::fs::remove_file(&self.path);
    }
}
