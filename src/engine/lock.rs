//! One engine a directory: a lock that goes with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Holds the directory until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "they hold the locks while they are open")]
pub(crate) struct DirectoryLock {
    /// Says who has it.
    file: File,
    /// Somebody may remove the file.
    directory: File,
}

/// The directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another engine has it.
    #[error(
        "another engine (process {holder}) uses the data directory {directory}; \
         stop it, or set another data_dir"
    )]
    Taken {
        directory: String,
        /// The other one's process id, as far as it is known.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error("the data directory {directory} cannot be used: {source}")]
    Unusable {
        directory: String,
        /// What the system said.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    /// Another engine has it, or it cannot be made or written.
    pub(crate) fn take(directory: &Path) -> Result<Self, LockError> {
        let name = || directory.display().to_string();
        let unusable = |source| LockError::Unusable {
            directory: name(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(directory.join("lock")).map_err(unusable)?;
        let folder = File::open(directory).map_err(unusable)?;
        let is_taken = |it| flock(it, FlockOperation::NonBlockingLockExclusive).is_err();
        if is_taken(&file) || is_taken(&folder) {
            let mut holder = String::new();
            // Only for the message: an unreadable file leaves it empty.
            let _ = file.read_to_string(&mut holder);
            return Err(LockError::Taken {
                directory: name(),
                holder: holder.trim().to_owned(),
            });
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self {
            file,
            directory: folder,
        })
    }

    /// The process that holds the directory now, as far as the system tells; a look that takes no
    /// lock, not even for a moment, in which an engine that starts would find it taken.
    #[must_use]
    pub(crate) fn holder(directory: &Path) -> Option<u32> {
        let path = directory.join("lock");
        let process: u32 = std::fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        let file = std::fs::metadata(path).ok()?.ino();
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let is_this = |line: &str| {
            // 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, "FLOCK", _, _, holder, place, ..] = words[..] else {
                return false;
            };
            let is_file = place.rsplit(':').next() == Some(&file.to_string());
            is_file && holder.parse() == Ok(process)
        };
        locks.lines().any(is_this).then_some(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_engine_is_told_who_has_the_directory() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let lock = DirectoryLock::take(home.path()).expect("it is free");
        let error = DirectoryLock::take(home.path()).expect_err("it is taken");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        DirectoryLock::take(home.path()).expect("it is free again");
    }

    #[test]
    fn a_lock_file_that_somebody_removed_still_locks() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let _lock = DirectoryLock::take(home.path()).expect("it is free");
        std::fs::remove_file(home.path().join("lock")).expect("it is there");
        let error = DirectoryLock::take(home.path()).expect_err("it is taken");
        assert!(matches!(error, LockError::Taken { .. }), "{error}");
    }

    #[test]
    fn who_has_the_directory_is_seen_without_taking_it() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(DirectoryLock::holder(home.path()), None);
        let lock = DirectoryLock::take(home.path()).expect("it is free");
        assert_eq!(DirectoryLock::holder(home.path()), Some(std::process::id()));
        drop(lock);
        assert_eq!(DirectoryLock::holder(home.path()), None);
    }
}
