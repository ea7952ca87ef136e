//! One look at an engine, its files and its database.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use serde::Serialize;

use crate::database::Server;
use crate::error::PerfError;
use crate::process::usage;
use crate::testbed::counters_at;

/// How often the end of the round is looked for.
const END_POLL: Duration = Duration::from_millis(100);
/// The file of the table, as MariaDB and as MySQL tell it.
const TABLE_LEN: [&str; 2] = [
    "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces \
     WHERE name LIKE CONCAT(DATABASE(), '/messages%')",
    "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces \
     WHERE name LIKE CONCAT(DATABASE(), '/messages%')",
];

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) descriptors: u64,
    pub(super) journal_bytes: u64,
    pub(super) store_bytes: u64,
    /// Of all other files.
    pub(super) kept_bytes: u64,
    pub(super) lag_messages: u64,
    pub(super) rows: u64,
}

/// Where to look.
pub(super) struct Look<'a> {
    pub(super) admin: SocketAddr,
    pub(super) pid: u32,
    /// The engine's `data_dir`.
    pub(super) data: PathBuf,
    /// `None`: the store is in `data`.
    pub(super) server: Option<&'a Server>,
}

impl Look<'_> {
    /// Looks in this interval until the round is over.
    pub(super) fn again_and_again(
        &self,
        interval: Duration,
        is_over: impl Fn() -> bool,
    ) -> Result<Vec<Sample>, PerfError> {
        let begun = Instant::now();
        let mut samples = Vec::new();
        let mut due = interval;
        while !is_over() {
            if begun.elapsed() < due {
                thread::sleep(END_POLL.min(interval));
                continue;
            }
            due += interval;
            samples.push(self.once(begun.elapsed().as_secs_f64())?);
        }
        Ok(samples)
    }

    fn once(&self, seconds: f64) -> Result<Sample, PerfError> {
        let names = ["store_lag_messages", "stored", "store_rows_removed"];
        let [lag_messages, stored, removed] = counters_at(self.admin, names)?;
        let journal_bytes = len_of(&self.data.join("journal"));
        let sqlite_bytes: u64 = ["messages.db", "messages.db-wal"]
            .iter()
            .map(|it| len_of(&self.data.join(it)))
            .sum();
        let all = len_of(&self.data);
        let store_bytes = match self.server {
            Some(server) => table_len(server)?,
            None => sqlite_bytes,
        };
        Ok(Sample {
            seconds,
            resident_bytes: usage(self.pid)?.resident_kib * 1024,
            descriptors: descriptors(self.pid)?,
            journal_bytes,
            store_bytes,
            kept_bytes: all.saturating_sub(journal_bytes + sqlite_bytes),
            lag_messages,
            rows: stored.saturating_sub(removed),
        })
    }
}

fn table_len(server: &Server) -> Result<u64, PerfError> {
    let [of_mariadb, of_mysql] = TABLE_LEN;
    let text = server
        .query(of_mariadb)
        .or_else(|_| server.query(of_mysql))?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn descriptors(pid: u32) -> Result<u64, PerfError> {
    let pid = i32::try_from(pid).expect("a process has a number");
    let count = Process::new(pid).and_then(|it| it.fd_count());
    count
        .map(|it| it as u64)
        .map_err(|error| PerfError::Usage(format!("counting the descriptors of {pid}: {error}")))
}

/// Bytes on the disk of a file, or of all below a folder; what goes meanwhile is nothing.
fn len_of(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|it| len_of(&it.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_long_as_its_files() {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join("below")).expect("a folder");
        fs::write(folder.path().join("below/file"), "bytes").expect("a file");
        fs::write(folder.path().join("file"), "more").expect("a file");
        assert_eq!(len_of(folder.path()), 9);
        assert_eq!(len_of(&folder.path().join("none")), 0);
        assert!(descriptors(std::process::id()).expect("it runs") > 0);
    }
}
