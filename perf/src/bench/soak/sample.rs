//! One look at an engine, its files and its database.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use procfs::process::Process;

use crate::bench::prelude::*;
use crate::database::Server;
use crate::process::usage;
use crate::testbed::counters_at;

/// The file of the table, as MariaDB and as MySQL tell it.
const TABLE_LEN: [&str; 2] = [
    "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces \
     WHERE name LIKE CONCAT(DATABASE(), '/messages%')",
    "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces \
     WHERE name LIKE CONCAT(DATABASE(), '/messages%')",
];

/// A figure of a look.
#[derive(Debug)]
pub(super) struct SoakFigure {
    pub(super) name: &'static str,
    /// In the raw data.
    pub(super) key: &'static str,
    pub(super) unit: Unit,
    /// How far it moves without growing.
    pub(super) slack: Slack,
}

/// How far a figure moves without growing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slack {
    Amount(f64),
    /// What comes in so many seconds.
    Seconds(f64),
}

const fn size(name: &'static str, key: &'static str, slack_mib: u32) -> SoakFigure {
    let slack = Slack::Amount(slack_mib as f64 * 1_048_576.0);
    SoakFigure {
        name,
        key,
        unit: Unit::Bytes,
        slack,
    }
}

const fn count(name: &'static str, key: &'static str, slack: Slack) -> SoakFigure {
    SoakFigure {
        name,
        key,
        unit: Unit::Count,
        slack,
    }
}

/// What must not grow. Other files: all that are neither the journal's nor the store's.
pub(super) const FIGURES: [SoakFigure; 7] = [
    size("resident", "resident_bytes", 2),
    count("descriptors", "descriptors", Slack::Amount(2.0)),
    size("journal", "journal_bytes", 128),
    size("store", "store_bytes", 16),
    size("other files", "kept_bytes", 1),
    count("lag", "lag_messages", Slack::Seconds(2.0)),
    count("rows", "rows", Slack::Seconds(2.0)),
];

/// What was seen of the figures, in their order.
pub(super) type Sample = [u64; FIGURES.len()];

/// Samples, each with its seconds since the begin.
pub(super) type Looks = Vec<(f64, Sample)>;

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
    pub(super) fn once(&self) -> Result<Sample> {
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
        let kept_bytes = all.saturating_sub(journal_bytes + sqlite_bytes);
        let rows = stored.saturating_sub(removed);
        let resident_bytes = usage(self.pid)?.resident_kib * 1024;
        let descriptors = descriptors(self.pid)?;
        Ok([
            resident_bytes,
            descriptors,
            journal_bytes,
            store_bytes,
            kept_bytes,
            lag_messages,
            rows,
        ])
    }
}

fn table_len(server: &Server) -> Result<u64> {
    let [of_mariadb, of_mysql] = TABLE_LEN;
    let text = server
        .query(of_mariadb)
        .or_else(|_| server.query(of_mysql))?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn descriptors(pid: u32) -> Result<u64> {
    let pid = i32::try_from(pid).expect("a process has a number");
    let count = Process::new(pid).and_then(|it| it.fd_count());
    Ok(count.with_context(|| format!("counting the descriptors of {pid}"))? as u64)
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
