//! What the data directory takes on disk, part by part.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::{Config, StoreUrl};
use crate::journal::journal_folder;
use crate::space::Space;
use crate::store::SQLITE_FILE;

/// Bytes on disk, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    pub(crate) journal: u64,
    /// The embedded database; a server's is on another disk, or its own business.
    pub(crate) store: u64,
    /// Rejected, unstored and undelivered messages.
    pub(crate) kept: u64,
    /// Interval logs and histograms.
    pub(crate) logs: u64,
    pub(crate) free: u64,
    /// Of the whole disk.
    pub(crate) size: u64,
    /// What the running engine has appended to its journal since it began.
    pub(crate) appended: Option<u64>,
}

/// Bytes that a file takes on disk; a sparse one takes less than its length.
fn on_disk(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |it| it.blocks() * 512)
}

/// The bytes of a folder's files whose names begin so.
fn of_files(folder: &Path, prefixes: &[&str]) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let entries = entries.filter_map(Result::ok);
    let wanted = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    });
    wanted.map(|entry| on_disk(&entry.path())).sum()
}

impl Sizes {
    /// Now; `None` where the directory is not there yet.
    pub(crate) fn now(config: &Config) -> Option<Self> {
        let data_dir = &config.data_dir;
        let disk = Space::at(data_dir).ok()?;
        let store = match &config.store.url {
            StoreUrl::Sqlite(None) => of_files(data_dir, &[SQLITE_FILE]),
            StoreUrl::Sqlite(Some(path)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let folder = path.parent().unwrap_or(Path::new("."));
                of_files(folder, &[&name])
            }
            StoreUrl::None | StoreUrl::MySql(_) => 0,
        };
        Some(Self {
            journal: of_files(&journal_folder(data_dir), &[""]),
            store,
            kept: of_files(data_dir, &["rejected", "undelivered", "unstored"]),
            logs: of_files(&data_dir.join("histograms"), &[""]),
            free: disk.free,
            size: disk.total,
            appended: None,
        })
    }

    /// What takes the disk, the most first, and what bounds it.
    pub(crate) fn words(&self) -> String {
        let mut parts = [
            (self.journal, "the journal", "[journal] max_bytes"),
            (self.store, "messages.db", "[store] keep"),
            (
                self.kept,
                "rejected, unstored and undelivered messages",
                "[ingest] rejected_max_total, and whoever reads them",
            ),
            (self.logs, "latency logs", "[latency] log_files"),
        ];
        parts.sort_by_key(|it| std::cmp::Reverse(it.0));
        let parts = parts.iter().filter(|it| it.0 > 0);
        let parts = parts.map(|(bytes, what, bound)| {
            format!("{what} {:.1} MiB ({bound})", *bytes as f64 / MIB as f64)
        });
        let parts: Vec<_> = parts.collect();
        format!("of {} MiB there, {}", self.size / MIB, parts.join(", "))
    }
}

const MIB: u64 = 1 << 20;

/// What the tests of this disk have in common.
#[cfg(test)]
pub(crate) mod testing {
    use super::Sizes;

    /// A journal of 128 MiB, a store of so many bytes, and what is free.
    pub(crate) fn sizes(store: u64, free: u64) -> Sizes {
        Sizes {
            journal: 128 << 20,
            store,
            free,
            ..Sizes::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_to_their_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config {
            data_dir: folder.path().to_owned(),
            ..Config::default()
        };
        let write = |name: &str, len: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in one")).expect("a folder");
            std::fs::write(path, vec![1; len]).expect("written");
        };
        write("messages.db", 40_000);
        write("messages.db-wal", 8_000);
        write("rejected.ndjson", 4_000);
        write("unstored-1.ndjson", 4_000);
        write("histograms/total.hlog", 4_000);
        write("journal/1", 20_000);
        write("lock", 4_000);
        let sizes = Sizes::now(&config).expect("it is there");
        // Whole blocks of the file system.
        assert!((48_000..64_000).contains(&sizes.store), "{sizes:?}");
        assert!((8_000..17_000).contains(&sizes.kept), "{sizes:?}");
        assert!(sizes.logs >= 4_000 && sizes.journal >= 20_000);
        assert!(sizes.free > 0 && sizes.free <= sizes.size);
        let words = Sizes {
            size: 10 << 20,
            store: 3 << 20,
            journal: 2 << 20,
            ..Sizes::default()
        }
        .words();
        assert_eq!(
            words,
            "of 10 MiB there, messages.db 3.0 MiB ([store] keep), the journal 2.0 MiB ([journal] max_bytes)"
        );
        config.data_dir = folder.path().join("absent");
        assert_eq!(Sizes::now(&config), None);
    }
}
