//! The interval logs in `data_dir/histograms/`: `latency-000001.hlog`, `latency-000002.hlog` ...
//!
//! The monitor feeds it with intervals and the time, off the path. Every so often it writes a line a
//! view; files are replaced by size and age, and the oldest go, so that the disk they take is
//! bounded. A run never goes on in a file of an earlier one: a crash may have torn its last line.
//!
//! Invariant: no file is longer than `max_bytes`, and there are never more than `files` of them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::hlog::{HlogEncoder, Span};
use super::{Interval, Names, Totals};
use crate::files::is_named;
use crate::message::{DestinationIndex, Level};

const PREFIX: &str = "latency-";
const SUFFIX: &str = ".hlog";

/// When a line is written, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLimits {
    /// Between two lines of a view.
    pub interval: Duration,
    /// A file is replaced before it grows past this.
    pub max_bytes: u64,
    /// A file is replaced when it is this old.
    pub max_age: Duration,
    /// How many files are kept, the one being written included; at least 1.
    pub files: usize,
}

/// Lines that are not in the log. The totals have them all the same.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk, or the folder's rights.
    #[error(
        "cannot write {path}: {source}; {lost} latency intervals are missing in the logs, and \
         writing goes on with the next ones"
    )]
    Write {
        /// Which file.
        path: PathBuf,
        /// Lines that are missing.
        lost: u64,
        /// The system's word.
        source: io::Error,
    },
    /// So many views that one interval of them is more than a file.
    #[error(
        "one interval does not fit into a latency log: {lost} destinations are missing in it; \
         raise [latency] log_max_bytes"
    )]
    Room {
        /// Lines that are missing.
        lost: u64,
    },
}

impl LogError {
    /// How many lines are missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match self {
            LogError::Write { lost, .. } | LogError::Room { lost } => *lost,
        }
    }
}

/// The logs of one run. Times are those since its start.
#[derive(Debug)]
pub struct IntervalLog {
    folder: PathBuf,
    limits: LogLimits,
    base: SystemTime,
    encoder: HlogEncoder,
    /// Latencies since `since`.
    period: Totals,
    since: Duration,
    /// `None` before the first line, and after a failure.
    open: Option<Open>,
}

/// The file being written.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    len: u64,
    born: Duration,
}

/// The lines of one interval.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
    /// Lines for which there was no room.
    lost: u64,
}

impl IntervalLog {
    /// Logs of latencies at `levels` and at most so many destinations; `base` is when the run began.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        limits: LogLimits,
        base: SystemTime,
        (levels, destinations): (Level, usize),
    ) -> Self {
        assert!(limits.files > 0, "the one being written");
        Self {
            folder,
            limits,
            base,
            encoder: HlogEncoder::default(),
            period: Totals::new(levels, destinations),
            since: Duration::ZERO,
            open: None,
        }
    }

    /// Adds latencies to the period that is written next.
    pub fn merge(&mut self, interval: &Interval) {
        self.period.merge_latencies(interval);
    }

    /// A destination's name has gone: its latencies are among the others'.
    pub(crate) fn retire(&mut self, destination: DestinationIndex) {
        self.period.retire(destination);
    }

    /// Adds how long the oldest message of a destination has waited.
    pub(crate) fn record_waiting(&mut self, destination: DestinationIndex, ns: u64) {
        self.period.record_waiting(destination, ns);
    }

    /// How long a period is.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.limits.interval
    }

    /// Whether the period has had its time.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= self.limits.interval
    }

    /// Ends the period: writes a line for each view that has latencies.
    ///
    /// # Errors
    /// Some lines are not in the log; the next period is tried afresh.
    pub fn write(&mut self, now: Duration, names: &dyn Names) -> Result<(), LogError> {
        let header = self.encoder.header(self.base);
        let lines = self.lines(now, names, self.limits.max_bytes - header.len() as u64);
        self.period.clear();
        self.since = now;
        if lines.count > 0 {
            self.append(now, &header, &lines.text)
                .map_err(|(path, source)| LogError::Write {
                    path,
                    lost: lines.count + lines.lost,
                    source,
                })?;
        }
        match lines.lost {
            0 => Ok(()),
            lost => Err(LogError::Room { lost }),
        }
    }

    fn lines(&mut self, now: Duration, names: &dyn Names, len_max: u64) -> Lines {
        let span = Span {
            start: self.since,
            length: now.saturating_sub(self.since),
        };
        let mut lines = Lines::default();
        // Stages, levels and what waits come first, so what finds no room is a destination.
        for view in self.period.views() {
            let histogram = self.period.histogram(view);
            if histogram.is_empty() {
                continue;
            }
            let line = self.encoder.line(&view.tag(names), span, &histogram);
            if (lines.text.len() + line.len()) as u64 > len_max {
                lines.lost += 1;
                continue;
            }
            lines.text.extend_from_slice(&line);
            lines.count += 1;
        }
        lines
    }

    fn append(
        &mut self,
        now: Duration,
        header: &[u8],
        text: &[u8],
    ) -> Result<(), (PathBuf, io::Error)> {
        let (max_bytes, max_age) = (self.limits.max_bytes, self.limits.max_age);
        let full = |it: &Open| {
            it.len + text.len() as u64 > max_bytes || now.saturating_sub(it.born) >= max_age
        };
        let mut open = match self.open.take() {
            Some(open) if !full(&open) && open.is_there() => open,
            _ => {
                let mut open = self.create(now)?;
                open.append(header)?;
                open
            }
        };
        open.append(text)?;
        self.open = Some(open);
        Ok(())
    }

    /// Makes room, then the next file.
    fn create(&self, now: Duration) -> Result<Open, (PathBuf, io::Error)> {
        let in_folder = |source| (self.folder.clone(), source);
        fs::create_dir_all(&self.folder).map_err(in_folder)?;
        let mut numbers = log_numbers(&self.folder).map_err(in_folder)?;
        numbers.sort_unstable();
        let surplus = (numbers.len() + 1).saturating_sub(self.limits.files);
        for &number in &numbers[..surplus] {
            let path = self.path(number);
            fs::remove_file(&path).map_err(|source| (path, source))?;
        }
        let path = self.path(numbers.last().map_or(1, |last| last + 1));
        let file = File::create_new(&path).map_err(|source| (path.clone(), source))?;
        Ok(Open {
            file,
            path,
            len: 0,
            born: now,
        })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number:06}{SUFFIX}"))
    }
}

impl Open {
    /// Somebody may have removed it.
    fn is_there(&self) -> bool {
        is_named(&self.path, &self.file).unwrap_or(false)
    }

    /// Appends the whole text or, as far as the disk lets it, nothing: a torn line in the middle
    /// would make the file unreadable.
    fn append(&mut self, text: &[u8]) -> Result<(), (PathBuf, io::Error)> {
        if let Err(source) = self.file.write_all(text) {
            // Where this fails as well a torn line ends the file, for the file is left.
            let _ = self.file.set_len(self.len);
            if self.len == 0 {
                let _ = fs::remove_file(&self.path);
            }
            return Err((self.path.clone(), source));
        }
        self.len += text.len() as u64;
        Ok(())
    }
}

/// The numbers of the logs in a folder, in any order.
fn log_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|it| it.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|it| it.parse::<u64>().ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests;
